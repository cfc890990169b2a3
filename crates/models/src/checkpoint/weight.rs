//! One tensor of a checkpoint.

use std::sync::Arc;

use half::{bf16, f16};
use rayon::prelude::*;
use whittle_kernels::mmap::MappedFile;
use whittle_kernels::{DType, Elements, Matrix};

use super::ByteRange;
use crate::error::ModelError;

#[cfg(target_endian = "big")]
compile_error!("safetensors files are little-endian and read in place");

/// A tensor of weights, borrowed from a mapped file or owned. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Weight {
    dtype: DType,
    shape: Vec<usize>,
    data: Data,
}

/// The elements' bytes, aligned to the element type.
#[derive(Debug, Clone)]
enum Data {
    Mapped {
        file: Arc<MappedFile>,
        bytes: ByteRange,
    },
    /// Words, for their alignment; the last one may be used in part.
    Owned { words: Arc<[u32]>, length: usize },
}

/// Elements that a thread looks through at a time.
const CHUNK: usize = 1 << 20;

impl Weight {
    /// A tensor within a mapped file. The range lies within the file and fits the shape.
    pub(super) fn mapped(
        file: Arc<MappedFile>,
        bytes: ByteRange,
        dtype: DType,
        shape: Vec<usize>,
    ) -> Self {
        let slice = &file.bytes()[bytes.clone()];
        let data = if Elements::from_bytes(dtype, slice).is_ok() {
            Data::Mapped { file, bytes }
        } else {
            let mut words = vec![0_u32; slice.len().div_ceil(4)];
            bytemuck::cast_slice_mut(&mut words)[..slice.len()].copy_from_slice(slice);
            Data::Owned {
                words: words.into(),
                length: slice.len(),
            }
        };
        Self { dtype, shape, data }
    }

    /// A tensor of computed values; an error if `values` does not fit `shape`.
    pub fn from_f32(values: &[f32], shape: &[usize]) -> Result<Self, ModelError> {
        Matrix::new(Elements::F32(values), 1, shape.iter().product())?;
        let data = Data::Owned {
            words: bytemuck::cast_slice(values).into(),
            length: size_of_val(values),
        };
        Ok(Self {
            dtype: DType::F32,
            shape: shape.to_vec(),
            data,
        })
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Sizes of the axes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether the elements were copied out of the file, as they were not aligned there.
    pub fn is_copied(&self) -> bool {
        matches!(self.data, Data::Owned { .. })
    }

    /// All elements, row-major.
    pub fn elements(&self) -> Elements<'_> {
        let bytes = match &self.data {
            Data::Mapped { file, bytes } => &file.bytes()[bytes.clone()],
            Data::Owned { words, length } => &bytemuck::cast_slice(words)[..*length],
        };
        // The constructors established length and alignment.
        match self.dtype {
            DType::F32 => Elements::F32(bytemuck::cast_slice(bytes)),
            DType::F16 => Elements::F16(bytemuck::cast_slice(bytes)),
            DType::BF16 => Elements::BF16(bytemuck::cast_slice(bytes)),
        }
    }

    /// The tensor as a matrix `[first axis, all others]`; a vector becomes a single row.
    pub fn matrix(&self) -> Result<Matrix<'_>, ModelError> {
        let elements = self.elements();
        let rows = if self.shape.len() < 2 {
            1
        } else {
            self.shape[0]
        };
        Ok(Matrix::new(elements, rows, elements.len() / rows.max(1))?)
    }

    /// Gives back the memory that reading took, where the elements can be read from their file again.
    pub(crate) fn release(&self) {
        if let Data::Mapped { file, bytes } = &self.data {
            file.release(bytes.clone());
        }
    }

    /// All elements as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        self.elements().to_f32_vec()
    }

    /// Index of the first element that is NaN or infinite.
    pub(super) fn first_not_finite(&self) -> Option<usize> {
        fn search<T: Sync>(elements: &[T], broken: impl Fn(&T) -> bool + Sync) -> Option<usize> {
            // Whether a chunk is clean is decided without a branch per element; where is asked only once.
            let clean = |chunk: &[T]| !chunk.iter().fold(false, |found, x| found | broken(x));
            let chunk = elements
                .par_chunks(CHUNK)
                .position_first(|chunk| !clean(chunk))?;
            let start = chunk * CHUNK;
            elements[start..]
                .iter()
                .position(broken)
                .map(|offset| start + offset)
        }
        match self.elements() {
            Elements::F32(x) => search(x, |x| !x.is_finite()),
            Elements::F16(x) => search(x, |x: &f16| !x.is_finite()),
            Elements::BF16(x) => search(x, |x: &bf16| !x.is_finite()),
        }
    }
}
