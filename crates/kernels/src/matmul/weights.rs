//! Weight matrices in the order in which the matrix product reads them.

use crate::arch;
use crate::mmap::AnonymousMap;
use crate::threads;
use crate::{DType, Elements, Isa, KernelError, Matrix};

/// A weight matrix [rows, cols], packed once for the path that multiplies by it ([`crate::Kernels::pack`]).
///
/// The element type stays. Rows are gathered in panels as wide as a register tile: [panel][step along cols][row], where
/// a step is one element or, for bf16 dot products, two; missing rows and elements are zero. One row of `x` then reads
/// memory in one stream, and many rows share each panel. (The scalar path keeps the order of the rows.)
#[derive(Debug)]
pub struct PackedMatrix {
    isa: Isa,
    dtype: DType,
    rows: usize,
    cols: usize,
    memory: AnonymousMap,
}

impl PackedMatrix {
    /// Packs `w` for `isa`.
    pub(crate) fn new(isa: Isa, w: Matrix) -> Result<Self, KernelError> {
        let (rows, cols, dtype) = (w.rows(), w.cols(), w.elements().dtype());
        let mut packed = Self {
            isa,
            dtype,
            rows,
            cols,
            memory: AnonymousMap::default(),
        };
        let padded = match isa {
            Isa::Scalar => rows.checked_mul(cols),
            _ => packed.panels().checked_mul(packed.panel_len()),
        };
        let bytes = padded
            .and_then(|elements| elements.checked_mul(dtype.size()))
            .unwrap_or(usize::MAX);
        packed.memory = AnonymousMap::huge(bytes)?;
        if bytes == 0 {
            return Ok(packed);
        }
        match w.elements() {
            Elements::F32(e) => packed.fill(e),
            Elements::F16(e) => packed.fill(e),
            Elements::BF16(e) => packed.fill(e),
        }
        Ok(packed)
    }

    /// The path that can multiply by it.
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// Output features.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Element type.
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes of memory taken.
    pub fn bytes(&self) -> usize {
        self.memory.bytes().len()
    }

    /// Whether two elements along the columns are multiplied at once.
    pub(super) fn paired(&self) -> bool {
        self.dtype == DType::BF16 && arch::has_bf16_dot(self.isa)
    }

    /// Elements along the columns that make a step.
    pub(super) fn joined(&self) -> usize {
        if self.paired() { 2 } else { 1 }
    }

    /// Rows of a panel.
    pub(super) fn width(&self) -> usize {
        let layout = arch::layout(self.isa);
        layout.panel * layout.lanes
    }

    pub(super) fn panels(&self) -> usize {
        self.rows.div_ceil(self.width())
    }

    /// Steps of a panel.
    pub(super) fn depth(&self) -> usize {
        self.cols.div_ceil(self.joined())
    }

    /// Elements of a panel.
    fn panel_len(&self) -> usize {
        self.width() * self.depth() * self.joined()
    }

    /// Panel `i`, as packed weights.
    pub(super) fn panel<W: bytemuck::Pod>(&self, i: usize) -> &[W] {
        let len = self.width() * self.depth();
        &self.memory.elements()[i * len..(i + 1) * len]
    }

    /// The scalar path's matrix.
    pub(crate) fn plain(&self) -> Matrix<'_> {
        let len = self.rows * self.cols;
        let elements = match self.dtype {
            DType::F32 => Elements::F32(&self.memory.elements()[..len]),
            DType::F16 => Elements::F16(&self.memory.elements()[..len]),
            DType::BF16 => Elements::BF16(&self.memory.elements()[..len]),
        };
        match Matrix::new(elements, self.rows, self.cols) {
            Ok(matrix) => matrix,
            Err(_) => unreachable!("cut to its shape just now"),
        }
    }

    fn fill<E: bytemuck::Pod + Send + Sync>(&mut self, from: &[E]) {
        if self.isa == Isa::Scalar {
            self.memory.elements_mut()[..from.len()].copy_from_slice(from);
            return;
        }
        let (rows, cols, width, joined) = (self.rows, self.cols, self.width(), self.joined());
        let (panels, panel_len) = (self.panels(), self.panel_len());
        let to = &mut self.memory.elements_mut::<E>()[..panels * panel_len];
        threads::for_each_chunk(to, panel_len, |panel, to| {
            let first = panel * width;
            // A few columns of all rows at a time: what is written then stays in the first-level cache.
            for start in (0..cols).step_by(BLOCK) {
                let end = cols.min(start + BLOCK);
                for row in first..rows.min(first + width) {
                    let from = &from[row * cols + start..row * cols + end];
                    let steps = to[start * width..].chunks_exact_mut(width * joined);
                    for (to, from) in steps.zip(from.chunks(joined)) {
                        to[(row - first) * joined..][..from.len()].copy_from_slice(from);
                    }
                }
            }
        });
    }
}

/// Columns packed at a time, a multiple of every step.
const BLOCK: usize = 64;
