//! The rows of `x`, packed for the register tile.

use half::bf16;

use super::tile::TILE_ROWS;
use crate::arch::{Bf16Dot, Operation, PairOperation, Vector};
use crate::threads;

/// Rows that a task packs.
const TASK_ROWS: usize = 16;
/// Steps of a cache line, and of any vector of pairs.
const LINE: usize = 16;

/// `x` [m, k], which is packed as [m, stride]: rows of steps along k.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) x: &'a [f32],
    pub(super) m: usize,
    pub(super) k: usize,
    /// Elements along k that make a step.
    pub(super) joined: usize,
}

impl Rows<'_> {
    /// Steps along k.
    pub(super) fn depth(&self) -> usize {
        self.k.div_ceil(self.joined)
    }

    /// Steps from one packed row to the next: not a multiple of what the first-level cache takes in one way, as then the
    /// rows of a tile would drive each other out.
    pub(super) fn stride(&self) -> usize {
        self.depth().next_multiple_of(LINE) + LINE
    }

    pub(super) fn tiles(&self) -> usize {
        self.m.div_ceil(TILE_ROWS)
    }

    /// Rows of a tile.
    pub(super) fn height(&self, tile: usize) -> usize {
        TILE_ROWS.min(self.m - tile * TILE_ROWS)
    }

    /// Packs all rows into `packed`, `m * stride` steps.
    pub(super) fn pack<P: Send>(self, packed: &mut [P], work: impl Fn(PackRows<P>) + Sync) {
        let Rows { x, k, .. } = self;
        let stride = self.stride();
        threads::for_each_chunk(packed, TASK_ROWS * stride, |task, packed| {
            let rows = packed.len() / stride;
            let x = &x[task * TASK_ROWS * k..][..rows * k];
            work(PackRows {
                x,
                k,
                packed,
                stride,
            });
        });
    }
}

/// Packs some rows.
pub(super) struct PackRows<'a, P> {
    x: &'a [f32],
    k: usize,
    packed: &'a mut [P],
    stride: usize,
}

impl Operation for PackRows<'_, f32> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let rows = self.x.chunks_exact(self.k);
        for (packed, x) in self.packed.chunks_exact_mut(self.stride).zip(rows) {
            packed[..self.k].copy_from_slice(x);
        }
    }
}

impl PairOperation for PackRows<'_, [bf16; 2]> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        let rows = self.x.chunks_exact(self.k);
        for (packed, x) in self.packed.chunks_exact_mut(self.stride).zip(rows) {
            let chunks = x.chunks_exact(2 * V::LANES);
            let mut padded = [0.0; 32];
            padded[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
            let chunks = chunks.chain([&padded[..2 * V::LANES]]);
            for (packed, x) in packed.chunks_exact_mut(V::LANES).zip(chunks) {
                // SAFETY: two vectors are readable, LANES pairs writable; the caller grants the instruction set.
                unsafe {
                    let low = V::load(x.as_ptr());
                    let high = V::load(x.as_ptr().add(V::LANES));
                    V::store_rounded(low, high, packed.as_mut_ptr().cast());
                }
            }
        }
    }
}
