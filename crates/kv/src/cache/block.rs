//! A block: rows of one layer's keys and values in one piece of memory.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use whittle_kernels::{DType, Elements};

use super::pool::{Memory, MemoryPool};
use crate::CacheError;

/// Keys of a head, then its values, start at multiples of this many bytes.
const ALIGNMENT: usize = 64;
/// The system hands out whole pages, so a block takes whole pages.
const SYSTEM_PAGE: usize = 4096;

/// Keys or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Keys,
    Values,
}

/// Room for some rows per KV head. Which of them are filled is the user's business.
#[derive(Debug)]
pub(super) struct Block {
    memory: Memory,
    dtype: DType,
    /// Elements of a row.
    head_dim: usize,
    /// Rows per KV head.
    capacity: Vec<usize>,
    /// First byte of each head's keys and values.
    starts: Vec<[usize; 2]>,
}

impl Block {
    pub(super) fn new(
        pool: &MemoryPool,
        dtype: DType,
        head_dim: usize,
        capacity: Vec<usize>,
    ) -> Result<Self, CacheError> {
        let mut end = 0_usize;
        let mut starts = Vec::with_capacity(capacity.len());
        for rows in &capacity {
            let section = section_bytes(*rows, head_dim, dtype).ok_or(CacheError::TooLong)?;
            starts.push([end, end.saturating_add(section)]);
            end = end.checked_add(2 * section).ok_or(CacheError::TooLong)?;
        }
        let bytes = end
            .checked_next_multiple_of(SYSTEM_PAGE)
            .ok_or(CacheError::TooLong)?;
        Ok(Self {
            memory: pool.allocate(bytes)?,
            dtype,
            head_dim,
            capacity,
            starts,
        })
    }

    pub(super) fn capacity(&self, head: usize) -> usize {
        self.capacity[head]
    }

    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes().len()
    }

    /// The first `rows` rows of a head.
    pub(super) fn rows(&self, head: usize, part: Part, rows: usize) -> Elements<'_> {
        let bytes = &self.memory.bytes()[self.range(head, part, 0, rows)];
        match self.dtype {
            DType::F32 => Elements::F32(bytemuck::cast_slice(bytes)),
            DType::F16 => Elements::F16(bytemuck::cast_slice(bytes)),
            DType::BF16 => Elements::BF16(bytemuck::cast_slice(bytes)),
        }
    }

    /// Writes one row, rounded to the element type (nearest, ties to even).
    pub(super) fn write(&mut self, head: usize, part: Part, row: usize, values: &[f32]) {
        let range = self.range(head, part, row, 1);
        let bytes = &mut self.memory.bytes_mut()[range];
        match self.dtype {
            DType::F32 => bytemuck::cast_slice_mut::<u8, f32>(bytes).copy_from_slice(values),
            DType::F16 => bytemuck::cast_slice_mut::<u8, f16>(bytes).convert_from_f32_slice(values),
            DType::BF16 => {
                bytemuck::cast_slice_mut::<u8, bf16>(bytes).convert_from_f32_slice(values);
            }
        }
    }

    /// Copies `rows` rows of a head from another block of the same layer, bit by bit.
    pub(super) fn copy(&mut self, head: usize, to: usize, source: &Self, from: usize, rows: usize) {
        for part in [Part::Keys, Part::Values] {
            let target = self.range(head, part, to, rows);
            let source = &source.memory.bytes()[source.range(head, part, from, rows)];
            self.memory.bytes_mut()[target].copy_from_slice(source);
        }
    }

    fn range(&self, head: usize, part: Part, row: usize, rows: usize) -> std::ops::Range<usize> {
        debug_assert!(
            row + rows <= self.capacity[head],
            "rows beyond the block's capacity"
        );
        let row_bytes = self.head_dim * self.dtype.size();
        let start = self.starts[head][part as usize] + row * row_bytes;
        start..start + rows * row_bytes
    }
}

/// Bytes of `rows` rows, rounded up; `None` if no address space could hold them.
fn section_bytes(rows: usize, head_dim: usize, dtype: DType) -> Option<usize> {
    let bytes = rows.checked_mul(head_dim)?.checked_mul(dtype.size())?;
    bytes
        .checked_next_multiple_of(ALIGNMENT)
        .filter(|bytes| *bytes <= isize::MAX as usize / 2)
}
