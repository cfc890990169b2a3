//! The rows of `x`, packed for the register tile.

use half::bf16;

use super::tile::TILE_ROWS;
use crate::arch::{Bf16Dot, Operation, PairOperation, Vector};
use crate::shared::SharedMut;
use crate::threads;

/// Elements of `x` below which one thread packs them.
const SMALL: usize = 1 << 14;

/// `x` [m, k], which is packed as [block along k][tile][step][row of the tile]; the last tile may have fewer rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) x: &'a [f32],
    pub(super) m: usize,
    pub(super) k: usize,
    /// Elements along k that make a step.
    pub(super) joined: usize,
    /// Steps of a block.
    pub(super) block: usize,
}

impl Rows<'_> {
    /// Steps along k.
    pub(super) fn depth(&self) -> usize {
        self.k.div_ceil(self.joined)
    }

    pub(super) fn tiles(&self) -> usize {
        self.m.div_ceil(TILE_ROWS)
    }

    /// Rows of a tile.
    pub(super) fn height(&self, tile: usize) -> usize {
        TILE_ROWS.min(self.m - tile * TILE_ROWS)
    }

    /// Where the part of a tile in the block from step `at` on, `steps` deep, starts among the packed elements.
    pub(super) fn start(&self, tile: usize, at: usize, steps: usize) -> usize {
        at * self.m + tile * TILE_ROWS * steps
    }

    /// Packs all rows into `packed`, `m * depth` elements.
    pub(super) fn pack<P: Copy + Send>(self, packed: &mut [P], work: impl Fn(PackTile<P>) + Sync) {
        let to = SharedMut::new(packed);
        let tile = |tile| {
            work(PackTile {
                rows: self,
                tile,
                to,
            });
        };
        if self.x.len() <= SMALL {
            (0..self.tiles()).for_each(tile);
        } else {
            threads::for_each(self.tiles(), tile);
        }
    }
}

/// Packs one tile; no other task has the same one.
pub(super) struct PackTile<'a, P> {
    rows: Rows<'a>,
    tile: usize,
    to: SharedMut<'a, P>,
}

impl<P> PackTile<'_, P> {
    /// Calls `copy(elements of a row, where its steps go, distance between the steps)` for each row and block.
    ///
    /// # Safety
    /// No other task has this tile.
    #[inline(always)]
    unsafe fn for_each_row(&self, mut copy: impl FnMut(&[f32], *mut P, usize)) {
        let Rows {
            x,
            k,
            joined,
            block,
            ..
        } = self.rows;
        let height = self.rows.height(self.tile);
        for at in (0..self.rows.depth()).step_by(block) {
            let steps = block.min(self.rows.depth() - at);
            let start = self.rows.start(self.tile, at, steps);
            // SAFETY: the tile's part of this block, which belongs to this task; `pointer` checks the bounds.
            let to = unsafe { self.to.pointer(start, steps * height) };
            for r in 0..height {
                let row = &x[(self.tile * TILE_ROWS + r) * k..][..k];
                let row = &row[at * joined..k.min((at + steps) * joined)];
                // SAFETY: within the part.
                copy(row, unsafe { to.add(r) }, height);
            }
        }
    }
}

impl Operation for PackTile<'_, f32> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the steps of the row are within the tile's part.
        unsafe {
            self.for_each_row(|row, to, height| {
                for (i, x) in row.iter().enumerate() {
                    *to.add(i * height) = *x;
                }
            });
        }
    }
}

impl PairOperation for PackTile<'_, [bf16; 2]> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        // SAFETY: the steps of the row are within the tile's part; the arrays hold two vectors.
        unsafe {
            self.for_each_row(|row, to, height| {
                let mut pairs = [[bf16::ZERO; 2]; 16];
                for (i, chunk) in row.chunks(2 * V::LANES).enumerate() {
                    let mut padded = [0.0; 32];
                    let from = if chunk.len() == 2 * V::LANES {
                        chunk.as_ptr()
                    } else {
                        padded[..chunk.len()].copy_from_slice(chunk);
                        padded.as_ptr()
                    };
                    let (low, high) = (V::load(from), V::load(from.add(V::LANES)));
                    V::store_rounded(low, high, pairs.as_mut_ptr().cast());
                    let to = to.add(i * V::LANES * height);
                    for (j, pair) in pairs.iter().enumerate().take(chunk.len().div_ceil(2)) {
                        *to.add(j * height) = *pair;
                    }
                }
            });
        }
    }
}
