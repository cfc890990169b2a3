//! Many rows of `x`: both factors are packed so that the register tile reads memory in order.
//!
//! `x` is packed once, in panels of as many rows as the tile has. A task takes a strip of weight rows and packs it
//! (widened and transposed) into panels of two vectors. For each block along k, a panel of weights stays in the
//! first-level cache while a block of `x` passes by from the second; the sums of those blocks stay in the second level
//! and are written out when k is done.

use rayon::prelude::*;

use crate::Isa;
use crate::aligned::Aligned;
use crate::arch::{self, Bf16Dot, Element, Operation, PairOperation, Vector};
use crate::outer::{Left, Outer, Paired, Right, Single, Target, outer_tile};
use crate::shared::SharedMut;

/// Weight rows of a strip, a multiple of every tile's width.
const STRIP: usize = 64;
/// Packed elements along k of a block: a panel of weights of this depth takes 16 kB at most.
const BLOCK_DEPTH: usize = 128;
/// Panels of `x` that pass by a panel of weights before the next one comes: 147 kB at most.
const BLOCK_PANELS: usize = 24;

/// What all tasks of one product share.
struct Product<'a, E, P> {
    out: SharedMut<'a, f32>,
    x: Aligned<P>,
    w: &'a [E],
    bias: Option<&'a [f32]>,
    m: usize,
    n: usize,
    k: usize,
    /// `k` in packed elements.
    depth: usize,
    /// Rows of a panel of `x`.
    rows: usize,
}

/// The product in f32.
pub(super) fn matmul_single<E: Element>(
    isa: Isa,
    out: &mut [f32],
    x: &[f32],
    w: &[E],
    k: usize,
    bias: Option<&[f32]>,
) {
    let rows = arch::layout(isa).outer_rows;
    let product = Product::new(
        out,
        pack_x(x, k, rows, 1, |a, _| a),
        w,
        bias,
        (x.len() / k, k, k),
        rows,
    );
    product.for_each_block(|strip, panels| {
        let product = &product;
        // SAFETY: `isa` is one that the machine has; blocks do not overlap.
        unsafe {
            arch::run(
                isa,
                Block {
                    product,
                    strip,
                    panels,
                },
            );
        }
    });
}

/// The product in bf16, `x` rounded to it.
pub(super) fn matmul_paired(
    isa: Isa,
    out: &mut [f32],
    x: &[f32],
    w: &[half::bf16],
    k: usize,
    bias: Option<&[f32]>,
) {
    let rows = arch::layout(isa).outer_rows;
    let packed = pack_x(x, k, rows, 2, |a, b| {
        [half::bf16::from_f32(a), half::bf16::from_f32(b)]
    });
    let product = Product::new(out, packed, w, bias, (x.len() / k, k, k.div_ceil(2)), rows);
    product.for_each_block(|strip, panels| {
        let product = &product;
        // SAFETY: `isa` has bf16 dot products; blocks do not overlap.
        unsafe {
            arch::run_pairs(
                isa,
                Block {
                    product,
                    strip,
                    panels,
                },
            );
        }
    });
}

/// `x` in blocks along k, each of them in panels of `rows` rows: [block][panel][packed element along k][row], padded
/// with zeros. `pack` joins `joined` = 1 or 2 elements along k.
fn pack_x<P: Copy + Default + Send>(
    x: &[f32],
    k: usize,
    rows: usize,
    joined: usize,
    pack: impl Fn(f32, f32) -> P + Sync,
) -> Aligned<P> {
    let depth = k.div_ceil(joined);
    let panels = (x.len() / k).div_ceil(rows);
    let mut packed = Aligned::new(panels * rows * depth);
    packed
        .par_chunks_mut(panels * rows * BLOCK_DEPTH)
        .enumerate()
        .for_each(|(b, block)| {
            let depth = block.len() / (panels * rows);
            let first = b * BLOCK_DEPTH * joined;
            for (panel, x) in block.chunks_exact_mut(rows * depth).zip(x.chunks(rows * k)) {
                for (r, x) in x.chunks_exact(k).enumerate() {
                    let x = &x[first..k.min(first + depth * joined)];
                    for (step, x) in panel.chunks_exact_mut(rows).zip(x.chunks(joined)) {
                        step[r] = pack(x[0], x.get(1).copied().unwrap_or(0.0));
                    }
                }
            }
        });
    packed
}

impl<'a, E: Element, P: Copy + Default + Send + Sync> Product<'a, E, P> {
    fn new(
        out: &'a mut [f32],
        x: Aligned<P>,
        w: &'a [E],
        bias: Option<&'a [f32]>,
        (m, k, depth): (usize, usize, usize),
        rows: usize,
    ) -> Self {
        Self {
            out: SharedMut::new(out),
            x,
            w,
            bias,
            m,
            n: w.len() / k,
            k,
            depth,
            rows,
        }
    }

    /// Calls `work(weight rows, panels of x)` for blocks that together cover the product.
    fn for_each_block(&self, work: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>) + Sync) {
        let panels = self.m.div_ceil(self.rows);
        let strips = self.n.div_ceil(STRIP);
        // Few weight rows: split the rows of x as well, so that every thread has something to do.
        let splits = (4 * rayon::current_num_threads())
            .div_ceil(strips)
            .min(panels.div_ceil(8));
        let share = panels.div_ceil(splits);
        (0..strips * splits)
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| {
                let (strip, split) = (task / splits, task % splits);
                let taken = (split * share).min(panels)..((split + 1) * share).min(panels);
                if !taken.is_empty() {
                    work(strip * STRIP..((strip + 1) * STRIP).min(self.n), taken);
                }
            });
    }

    /// The product of some panels of `x` with a strip of weight rows.
    ///
    /// # Safety
    /// The CPU has V's instruction set, R is `self.rows`, and no other task has this block.
    #[inline(always)]
    unsafe fn block<V: Vector, O: Outer<V, Packed = P>, const R: usize>(
        &self,
        strip: std::ops::Range<usize>,
        panels: std::ops::Range<usize>,
    ) {
        let width = 2 * V::LANES;
        let across = strip.len().div_ceil(width);
        let all_panels = self.m.div_ceil(R);
        let mut weights = Aligned::new(across * width * self.depth);
        for (i, panel) in weights.chunks_exact_mut(width * self.depth).enumerate() {
            let rows = strip.start + i * width..(strip.start + (i + 1) * width).min(strip.end);
            self.pack_weights::<V, O>(panel, rows);
        }
        let mut sums = Aligned::new(BLOCK_PANELS * across * R * width);
        for first in panels.clone().step_by(BLOCK_PANELS) {
            let panels = first..panels.end.min(first + BLOCK_PANELS);
            for at in (0..self.depth).step_by(BLOCK_DEPTH) {
                let depth = BLOCK_DEPTH.min(self.depth - at);
                for i in 0..across {
                    let right = Right {
                        start: weights[(i * self.depth + at) * width..].as_ptr(),
                        step: width,
                    };
                    for panel in panels.clone() {
                        let left = Left {
                            start: self.x[(at * all_panels + panel * depth) * R..].as_ptr(),
                            row: 1,
                            step: R,
                        };
                        let tile = ((panel - first) * across + i) * R * width;
                        let target = Target {
                            start: sums[tile..tile + R * width].as_mut_ptr(),
                            stride: width,
                        };
                        // SAFETY: left and right hold `depth` steps from here on, the target a whole tile.
                        unsafe { outer_tile::<V, O, R>(depth, left, right, target, at > 0) };
                    }
                }
            }
            for (panel, sums) in panels.zip(sums.chunks_exact(across * R * width)) {
                for (i, sums) in sums.chunks_exact(R * width).enumerate() {
                    let columns =
                        strip.start + i * width..(strip.start + (i + 1) * width).min(strip.end);
                    // SAFETY: these rows and columns belong to this task.
                    unsafe { self.finish(panel * R, columns, sums, width) };
                }
            }
        }
    }

    /// Writes a tile's sums, plus the bias, to the output rows from `row` on.
    ///
    /// # Safety
    /// No other thread has these rows and columns.
    #[inline(always)]
    unsafe fn finish(
        &self,
        row: usize,
        columns: std::ops::Range<usize>,
        sums: &[f32],
        width: usize,
    ) {
        let count = columns.len();
        for (r, sums) in sums.chunks_exact(width).enumerate().take(self.m - row) {
            // SAFETY: inside `out`, as `pointer` checks; exclusivity is the caller's.
            let out = unsafe {
                let start = self.out.pointer((row + r) * self.n + columns.start, count);
                std::slice::from_raw_parts_mut(start, count)
            };
            match self.bias {
                Some(bias) => {
                    for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[columns.clone()]) {
                        *out = sum + bias;
                    }
                }
                None => out.copy_from_slice(&sums[..count]),
            }
        }
    }

    /// Packs some weight rows, [packed element along k][row], rows padded to two vectors with zeros.
    #[inline(always)]
    fn pack_weights<V: Vector, O: Outer<V, Packed = P>>(
        &self,
        panel: &mut [P],
        rows: std::ops::Range<usize>,
    ) {
        for (r, row) in rows.enumerate() {
            let from = &self.w[row * self.k..(row + 1) * self.k];
            for (to, from) in panel
                .chunks_exact_mut(2 * V::LANES)
                .zip(from.chunks(O::DEPTH))
            {
                to[r] = O::pack(from[0].widen(), from.get(1).map_or(0.0, |w| w.widen()));
            }
        }
    }
}

/// One task.
struct Block<'a, E, P> {
    product: &'a Product<'a, E, P>,
    strip: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
}

impl<E: Element> Operation for Block<'_, E, f32> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: passed on to the caller.
        unsafe {
            match V::OUTER_ROWS {
                12 => self.product.block::<V, Single, 12>(self.strip, self.panels),
                6 => self.product.block::<V, Single, 6>(self.strip, self.panels),
                rows => unreachable!("no tile of {rows} rows"),
            }
        }
    }
}

impl PairOperation for Block<'_, half::bf16, [half::bf16; 2]> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        // SAFETY: passed on to the caller. All vectors with bf16 dot products have tiles of twelve rows.
        unsafe { self.product.block::<V, Paired, 12>(self.strip, self.panels) }
    }
}
