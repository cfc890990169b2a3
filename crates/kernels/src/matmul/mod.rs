//! Matrix products with packed weights.
//!
//! A task takes one panel of weights and some rows of `x`. Few rows: the panel streams from memory, once. Many rows:
//! blocks along k of the panel stay in the cache while tile after tile of `x` passes by.

mod rows;
mod tile;
mod weights;

use half::{bf16, f16};

use crate::arch::{self, Bf16Dot, Operation, PairOperation, Vector};
use crate::scratch::Scratch;
use crate::shared::SharedMut;
use crate::{DType, Isa, threads};
use rows::Rows;
use tile::{Multiply, Pairs, TILE_ROWS, Widened, tile};
pub use weights::PackedMatrix;

/// Steps along k of a block: a panel's share takes 64 kB and stays in the second-level cache, as the sums do.
const BLOCK_STEPS: usize = 256;

/// Tiles of a task: their sums take 72 kB at most.
const TASK_TILES: usize = 48;

/// From this many tiles on, weights are widened once rather than for each tile.
const MANY_TILES: usize = 3;

/// The widest panel, in elements.
const MAX_WIDTH: usize = 64;

/// One of several products with the same `x`.
#[derive(Debug)]
pub struct Product<'a> {
    /// Where the result goes, [m, w.rows].
    pub out: &'a mut [f32],
    /// The weights.
    pub w: &'a PackedMatrix,
    /// Added to every row, [w.rows].
    pub bias: Option<&'a [f32]>,
}

/// All products of `x` [m, k]. Shapes are the caller's to check; the weights are packed for `isa`, which is not the
/// scalar path, and `x` is not empty.
pub(crate) fn matmul(isa: Isa, x: &[f32], k: usize, products: &mut [Product]) {
    // Weights of different types may need `x` in different forms.
    for group in products.chunk_by_mut(|a, b| a.w.joined() == b.w.joined()) {
        let (m, joined) = (x.len() / k, group[0].w.joined());
        let rows = Rows { x, m, k, joined };
        let mut packed = Scratch::take();
        if joined == 2 {
            let packed: &mut [[bf16; 2]] = packed.elements(m * rows.stride());
            // SAFETY: weights are joined only for paths that multiply pairs.
            rows.pack(packed, |task| unsafe { arch::run_pairs(isa, task) });
            // SAFETY: as above; tasks do not overlap.
            run(rows, packed, group, |task| unsafe {
                arch::run_pairs(isa, task);
            });
        } else {
            let packed: &mut [f32] = packed.elements(m * rows.stride());
            // SAFETY: `isa` is one that the machine has.
            rows.pack(packed, |task| unsafe { arch::run(isa, task) });
            // SAFETY: as above; tasks do not overlap.
            run(rows, packed, group, |task| unsafe { arch::run(isa, task) });
        }
    }
}

/// Calls `work` for tasks that together cover all products.
fn run<P: Sync>(rows: Rows, packed: &[P], products: &mut [Product], work: impl Fn(Task<P>) + Sync) {
    let products: Vec<Shared> = products.iter_mut().map(Shared::new).collect();
    let panels: usize = products.iter().map(|p| p.w.panels()).sum();
    if panels == 0 {
        return;
    }
    // Few panels: split the rows further, so that every thread has something to do.
    let tiles = rows.tiles();
    let wanted = (4 * threads::threads()).div_ceil(panels);
    let splits = wanted
        .min(tiles.div_ceil(8))
        .max(tiles.div_ceil(TASK_TILES));
    let share = tiles.div_ceil(splits);
    let task = |i: usize| {
        let (mut panel, split) = (i % panels, i / panels);
        let tiles = (split * share).min(tiles)..((split + 1) * share).min(tiles);
        for product in &products {
            if panel < product.w.panels() {
                work(Task {
                    rows,
                    packed,
                    product,
                    panel,
                    tiles,
                });
                return;
            }
            panel -= product.w.panels();
        }
    };
    threads::for_each(panels * splits, task);
}

/// A product whose output several tasks write.
struct Shared<'a> {
    out: SharedMut<'a, f32>,
    w: &'a PackedMatrix,
    bias: Option<&'a [f32]>,
}

impl<'a> Shared<'a> {
    fn new(product: &'a mut Product) -> Self {
        Self {
            out: SharedMut::new(product.out),
            w: product.w,
            bias: product.bias,
        }
    }
}

/// Some tiles of rows times one panel of weights.
struct Task<'a, P> {
    rows: Rows<'a>,
    packed: &'a [P],
    product: &'a Shared<'a>,
    panel: usize,
    tiles: std::ops::Range<usize>,
}

impl<P> Task<'_, P> {
    /// # Safety
    /// The CPU has V's instruction set; no other task has these rows and this panel; C is `V::PANEL`.
    #[inline(always)]
    unsafe fn multiply<V: Vector, M: Multiply<V, X = P>, const C: usize>(&self)
    where
        M::W: bytemuck::Pod,
    {
        let width = C * V::LANES;
        let panel: &[M::W] = self.product.w.panel(self.panel);
        if self.rows.m <= TILE_ROWS {
            let mut sums = [0.0; TILE_ROWS * MAX_WIDTH];
            // SAFETY: one tile of all rows and a whole panel; the sums have room for any tile.
            unsafe {
                self.tile::<V, M, C>(0, 0, self.rows.depth(), panel, &mut sums, false);
                self.finish::<V, C>(0, &sums);
            };
            return;
        }
        let tile_len = TILE_ROWS * width;
        let mut memory = Scratch::take();
        let memory: &mut [f32] = memory.elements(self.tiles.len() * tile_len + BLOCK_STEPS * width);
        let (ready, sums) = memory.split_at_mut(BLOCK_STEPS * width);
        let depth = self.rows.depth();
        for at in (0..depth).step_by(BLOCK_STEPS) {
            let steps = BLOCK_STEPS.min(depth - at);
            let weights = &panel[at * width..(at + steps) * width];
            let sums = sums.chunks_exact_mut(tile_len);
            // SAFETY: `steps` steps of rows and weights; each tile has sums of its own.
            unsafe {
                if self.tiles.len() < MANY_TILES {
                    for (tile, sums) in self.tiles.clone().zip(sums) {
                        self.tile::<V, M, C>(tile, at, steps, weights, sums, at > 0);
                    }
                } else {
                    let weights = M::ready(weights, &mut ready[..steps * width]);
                    for (tile, sums) in self.tiles.clone().zip(sums) {
                        self.tile::<V, M::Many, C>(tile, at, steps, weights, sums, at > 0);
                    }
                }
            }
        }
        for (tile, sums) in self.tiles.clone().zip(sums.chunks_exact(tile_len)) {
            // SAFETY: these rows and columns belong to this task.
            unsafe { self.finish::<V, C>(tile, sums) };
        }
    }

    /// # Safety
    /// As for [`tile`]: `weights` holds `steps` steps, `sums` a whole tile.
    #[inline(always)]
    unsafe fn tile<V: Vector, M: Multiply<V, X = P>, const C: usize>(
        &self,
        index: usize,
        at: usize,
        steps: usize,
        weights: &[M::W],
        sums: &mut [f32],
        add: bool,
    ) {
        let height = self.rows.height(index);
        let stride = self.rows.stride();
        let first = index * TILE_ROWS * stride + at;
        let x = self.packed[first..][..(height - 1) * stride + steps].as_ptr();
        let (w, sums) = (weights.as_ptr(), sums.as_mut_ptr());
        // SAFETY: passed on to the caller; `x` was just checked.
        unsafe {
            match height {
                1 => tile::<V, M, 1, C>(steps, x, stride, w, sums, add),
                2 => tile::<V, M, 2, C>(steps, x, stride, w, sums, add),
                3 => tile::<V, M, 3, C>(steps, x, stride, w, sums, add),
                4 => tile::<V, M, 4, C>(steps, x, stride, w, sums, add),
                5 => tile::<V, M, 5, C>(steps, x, stride, w, sums, add),
                _ => tile::<V, M, TILE_ROWS, C>(steps, x, stride, w, sums, add),
            }
        }
    }

    /// Writes a tile's sums, plus the bias, to the output.
    ///
    /// # Safety
    /// The CPU has V's instruction set; no other thread has these rows and columns.
    #[inline(always)]
    unsafe fn finish<V: Vector, const C: usize>(&self, tile: usize, sums: &[f32]) {
        let (n, width) = (self.product.w.rows(), C * V::LANES);
        let first = self.panel * width;
        let count = width.min(n - first);
        let bias = self.product.bias.map(|bias| &bias[first..first + count]);
        let rows = sums.chunks_exact(width).take(self.rows.height(tile));
        for (r, sums) in rows.enumerate() {
            let at = (tile * TILE_ROWS + r) * n + first;
            // SAFETY: inside `out` and the bias; `pointer` checks the one, the slice the other.
            unsafe {
                let out = self.product.out.pointer(at, count);
                for c in (0..count).step_by(V::LANES) {
                    let lanes = V::LANES.min(count - c);
                    let mut sum = V::load(sums.as_ptr().add(c));
                    if let Some(bias) = bias {
                        sum = sum.add(V::load_partial(bias.as_ptr().add(c), lanes));
                    }
                    if lanes == V::LANES {
                        sum.store(out.add(c));
                    } else {
                        sum.store_partial(out.add(c), lanes);
                    }
                }
            }
        }
    }
}

impl Operation for Task<'_, f32> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: passed on to the caller.
        unsafe {
            match (V::PANEL, self.product.w.dtype()) {
                (4, DType::F32) => self.multiply::<V, Widened<f32>, 4>(),
                (4, DType::F16) => self.multiply::<V, Widened<f16>, 4>(),
                (4, DType::BF16) => self.multiply::<V, Widened<bf16>, 4>(),
                (2, DType::F32) => self.multiply::<V, Widened<f32>, 2>(),
                (2, DType::F16) => self.multiply::<V, Widened<f16>, 2>(),
                (2, DType::BF16) => self.multiply::<V, Widened<bf16>, 2>(),
                (vectors, _) => unreachable!("no panel of {vectors} vectors"),
            }
        }
    }
}

impl PairOperation for Task<'_, [bf16; 2]> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        // SAFETY: passed on to the caller. All vectors with bf16 dot products have panels of four.
        unsafe { self.multiply::<V, Pairs, 4>() }
    }
}
