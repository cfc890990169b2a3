//! The layers that vision towers and decoders are made of: weights plus the kernel call that applies them.

use whittle_kernels::{DType, Elements, Kernels, PackedMatrix, Product};

use crate::checkpoint::{Checkpoint, Weight};
use crate::error::ModelError;

/// A weight matrix `[outputs, inputs]` that stays in its file, in the type it is stored in.
pub(crate) struct Table {
    weight: Weight,
    rows: usize,
    columns: usize,
}

impl Table {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Self, ModelError> {
        Self::new(checkpoint.tensor(name, &[rows, columns])?)
    }

    fn new(weight: Weight) -> Result<Self, ModelError> {
        let matrix = weight.matrix()?;
        let (rows, columns) = (matrix.rows(), matrix.cols());
        Ok(Self {
            weight,
            rows,
            columns,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    pub(crate) fn elements(&self) -> Elements<'_> {
        self.weight.elements()
    }

    /// Row `index` as f32. Panics if there is no such row.
    pub(crate) fn row(&self, index: usize, out: &mut [f32]) {
        self.elements()
            .slice(index * self.columns..(index + 1) * self.columns)
            .copy_to_f32(out);
    }
}

/// `x W^T + b`, the weights packed for the kernels.
pub(crate) struct Linear {
    weight: PackedMatrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// `{name}.weight` `[outputs, inputs]` and, if there is to be one, `{name}.bias` `[outputs]`.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        kernels: Kernels,
        name: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Result<Self, ModelError> {
        let weight = checkpoint.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = bias
            .then(|| vector(checkpoint, &format!("{name}.bias"), &[outputs]))
            .transpose()?;
        Ok(Self {
            weight: pack(kernels, &weight)?,
            bias,
        })
    }

    /// A convolution whose stride is its kernel, `{name}.weight` `[outputs, channels, height, width]`, without bias: a
    /// linear layer over patches.
    pub(crate) fn load_convolution(
        checkpoint: &Checkpoint,
        kernels: Kernels,
        name: &str,
        kernel: [usize; 4],
    ) -> Result<Self, ModelError> {
        let weight = checkpoint.tensor(&format!("{name}.weight"), &kernel)?;
        Ok(Self {
            weight: pack(kernels, &weight)?,
            bias: None,
        })
    }

    /// The output head that shares the weights of an embedding.
    pub(crate) fn tied(kernels: Kernels, table: &Table) -> Result<Self, ModelError> {
        Ok(Self {
            weight: pack(kernels, &table.weight)?,
            bias: None,
        })
    }

    pub(crate) fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    pub(crate) fn inputs(&self) -> usize {
        self.weight.cols()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.weight.rows()
    }

    /// `out` `[rows, outputs]` of `x` `[rows, inputs]`.
    pub(crate) fn apply(&self, kernels: Kernels, out: &mut [f32], x: &[f32]) {
        kernels.matmul_all(x, &mut [self.product(out)]);
    }

    /// The same, to be computed together with others of the same `x`.
    pub(crate) fn product<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        Product {
            out,
            w: &self.weight,
            bias: self.bias.as_deref(),
        }
    }
}

/// Packs a weight and gives back what reading it took.
fn pack(kernels: Kernels, weight: &Weight) -> Result<PackedMatrix, ModelError> {
    let packed = kernels.pack(weight.matrix()?)?;
    weight.release();
    Ok(packed)
}

/// Root-mean-square norm with a weight.
pub(crate) struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        name: &str,
        width: usize,
        eps: f32,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: vector(checkpoint, &format!("{name}.weight"), &[width])?,
            eps,
        })
    }

    pub(crate) fn apply(&self, kernels: Kernels, out: &mut [f32], x: &[f32]) {
        kernels.rms_norm(out, x, &self.weight, self.eps);
    }
}

/// Layer norm with weight and bias.
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        name: &str,
        width: usize,
        eps: f32,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: vector(checkpoint, &format!("{name}.weight"), &[width])?,
            bias: vector(checkpoint, &format!("{name}.bias"), &[width])?,
            eps,
        })
    }

    pub(crate) fn apply(&self, kernels: Kernels, out: &mut [f32], x: &[f32]) {
        kernels.layer_norm(out, x, &self.weight, &self.bias, self.eps);
    }
}

/// A small tensor as f32, row-major.
pub(crate) fn vector(
    checkpoint: &Checkpoint,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, ModelError> {
    Ok(checkpoint.tensor(name, shape)?.to_f32())
}
