//! Streaming attention (the scheme of `FlashAttention`, arXiv 2205.14135): a block of query rows meets one block of keys
//! after the other, keeping a running maximum and sum per row; scores exist for one pair of blocks at a time.
//!
//! One KV head at a time is packed as a whole (transposed keys, padded values); all its query blocks share that.

use super::blocks::{QUERY_ROWS, pack_keys, pack_queries, pack_values, score_panel};
use crate::aligned::Aligned;
use crate::arch::{self, Bf16Dot, Operation, PairOperation, Vector, math};
use crate::outer::{Left, Outer, Paired, Right, Single, Target, outer_tile};
use crate::scratch::Scratch;
use crate::shared::SharedMut;
use crate::{Heads, Isa, KvView, Mask, RowStatistics, threads};

/// Keys of a block, a multiple of every panel's width.
const KEYS: usize = 128;

/// See [`crate::Kernels::prefill_attention`]. Without `out` only the statistics are computed, and no value is read.
#[allow(clippy::too_many_arguments)] // the operands of the operation
pub(crate) fn prefill_attention(
    isa: Isa,
    out: Option<&mut [f32]>,
    q: &[f32],
    kv: &[KvView],
    heads: Heads,
    mask: Mask,
    scale: f32,
    statistics: Option<&mut RowStatistics>,
) {
    let job = Job {
        isa,
        out: out.map(SharedMut::new),
        q,
        heads,
        mask,
        scale,
        len: kv[0].len(),
        statistics_rows: statistics.as_ref().map_or(0, |s| s.rows),
        statistics: statistics.map(|s| (SharedMut::new(&mut s.max), SharedMut::new(&mut s.sum))),
    };
    if super::paired(isa, kv) {
        job.run(kv, |task| {
            // SAFETY: `isa` has bf16 dot products; tasks do not overlap.
            unsafe { arch::run_pairs(isa, task) }
        });
    } else {
        job.run(kv, |task: Task<f32>| {
            // SAFETY: `isa` is one that the machine has; tasks do not overlap.
            unsafe { arch::run(isa, task) }
        });
    }
}

/// What all tasks share.
#[derive(Clone, Copy)]
struct Job<'a> {
    isa: Isa,
    out: Option<SharedMut<'a, f32>>,
    q: &'a [f32],
    heads: Heads,
    mask: Mask,
    scale: f32,
    len: usize,
    statistics_rows: usize,
    statistics: Option<(SharedMut<'a, f32>, SharedMut<'a, f32>)>,
}

/// A piece of work.
enum Task<'a, P> {
    /// Packs keys (one panel after the other) and values from key `first` on: as many as the slices hold.
    Pack {
        job: &'a Job<'a>,
        view: &'a KvView<'a>,
        first: usize,
        keys: &'a mut [P],
        values: &'a mut [P],
    },
    /// Computes the query rows from `first` on of one KV head.
    Attend {
        job: &'a Job<'a>,
        kv_head: usize,
        first: usize,
        keys: &'a [P],
        values: &'a [P],
    },
}

/// Buffers of one query block.
struct Buffers<'a, P> {
    queries: &'a mut [P],
    scores: &'a mut [f32],
    weights: &'a mut [P],
    mixed: &'a mut [f32],
}

impl Job<'_> {
    fn run<P: Copy + Default + Send + Sync>(&self, kv: &[KvView], work: impl Fn(Task<P>) + Sync) {
        let layout = arch::layout(self.isa);
        let width = 2 * layout.lanes;
        let joined = if super::paired(self.isa, kv) { 2 } else { 1 };
        let depth = self.heads.dim.div_ceil(joined);
        let padded_len = self.len.next_multiple_of(KEYS);
        let columns = self.heads.dim.next_multiple_of(width);
        let key_rows = KEYS / joined;
        let mut keys = Aligned::new(padded_len * depth);
        let with_values = usize::from(self.out.is_some());
        let mut values = Aligned::new(with_values * padded_len / KEYS * key_rows * columns);
        let rows = self.q.len() / (self.heads.query * self.heads.dim) * self.heads.group();
        for (kv_head, view) in kv.iter().enumerate() {
            let packed_values = SharedMut::new(&mut values);
            let value_len = with_values * key_rows * columns;
            threads::for_each_chunk(&mut keys, KEYS * depth, |i, keys| {
                // SAFETY: the values of these keys are this task's; `pointer` checks that they are inside.
                let values = unsafe {
                    let start = packed_values.pointer(i * value_len, value_len);
                    std::slice::from_raw_parts_mut(start, value_len)
                };
                work(Task::Pack {
                    job: self,
                    view,
                    first: i * KEYS,
                    keys,
                    values,
                });
            });
            let (keys, values) = (&keys, &values);
            // The last rows see the most keys: they come first, so that no long task is left to the end.
            let blocks = rows.div_ceil(QUERY_ROWS);
            threads::for_each(blocks, |i| {
                work(Task::Attend {
                    job: self,
                    kv_head,
                    first: (blocks - 1 - i) * QUERY_ROWS,
                    keys,
                    values,
                });
            });
        }
    }

    /// How many keys flattened query row `row` sees.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.mask.visible(row / self.heads.group(), self.len)
    }

    /// # Safety
    /// The CPU has V's instruction set.
    #[inline(always)]
    unsafe fn pack<V: Vector, O: Outer<V>>(
        &self,
        view: &KvView,
        first: usize,
        keys: &mut [O::Packed],
        values: &mut [O::Packed],
    ) {
        let (dim, width) = (self.heads.dim, 2 * V::LANES);
        let panel_len = width * dim.div_ceil(O::DEPTH);
        for (i, panel) in keys.chunks_exact_mut(panel_len).enumerate() {
            let start = (first + i * width).min(self.len);
            pack_keys::<V, O>(panel, view, dim, start, (start + width).min(self.len));
        }
        if !values.is_empty() {
            let columns = dim.next_multiple_of(width);
            pack_values::<V, O>(
                values,
                columns,
                view,
                dim,
                first,
                (first + KEYS).min(self.len),
            );
        }
    }

    /// # Safety
    /// The CPU has V's instruction set; no other task has these rows of this KV head.
    #[inline(always)]
    unsafe fn attend<V: Vector, O: Outer<V>, const R: usize>(
        &self,
        kv_head: usize,
        first: usize,
        keys: &[O::Packed],
        values: &[O::Packed],
    ) {
        let width = 2 * V::LANES;
        let depth = self.heads.dim.div_ceil(O::DEPTH);
        let columns = self.heads.dim.next_multiple_of(width);
        let key_rows = KEYS / O::DEPTH;
        let mut memory = [Scratch::take(), Scratch::take()];
        let [packed, numbers] = &mut memory;
        let packed = packed.elements(QUERY_ROWS * (depth + key_rows));
        let (queries, weights) = packed.split_at_mut(QUERY_ROWS * depth);
        let numbers = numbers.elements(QUERY_ROWS * (KEYS + columns));
        let (scores, mixed) = numbers.split_at_mut(QUERY_ROWS * KEYS);
        let scratch = Buffers {
            queries,
            scores,
            weights,
            mixed,
        };
        let rows = pack_queries::<V, O, R>(
            scratch.queries,
            self.q,
            self.heads,
            kv_head,
            first,
            self.scale,
        );
        let tiles = rows.div_ceil(R);
        let mut max = [f32::NEG_INFINITY; QUERY_ROWS];
        let mut sum = [0.0; QUERY_ROWS];
        scratch.mixed[..tiles * R * columns].fill(0.0);
        let end = self.visible(first + rows - 1);
        for at in (0..end).step_by(KEYS) {
            let taken = KEYS.min(end - at).next_multiple_of(width);
            for panel in 0..taken / width {
                let from = (at + panel * width) * depth;
                // SAFETY: the keys are packed up to a multiple of KEYS; the scores have KEYS columns.
                unsafe {
                    let scores = scratch.scores.as_mut_ptr().add(panel * width);
                    score_panel::<V, O, R>(
                        scores,
                        KEYS,
                        scratch.queries,
                        &keys[from..],
                        depth,
                        tiles,
                    );
                }
            }
            for r in 0..rows {
                let visible = self.visible(first + r).saturating_sub(at).min(taken);
                let scores = &mut scratch.scores[r * KEYS..r * KEYS + taken];
                let weights = &mut scratch.weights[r * key_rows..][..taken / O::DEPTH];
                // SAFETY: the caller grants the instruction set.
                let factor =
                    unsafe { soften::<V, O>(scores, weights, visible, &mut max[r], &mut sum[r]) };
                if factor != 1.0 && self.out.is_some() {
                    // SAFETY: the row has `columns` elements, a multiple of LANES.
                    unsafe { rescale::<V>(&mut scratch.mixed[r * columns..][..columns], factor) };
                }
            }
            if self.out.is_some() {
                // Rows that only pad the last tile.
                scratch.weights[rows * key_rows..tiles * R * key_rows].fill(O::Packed::default());
                let values = &values[at / O::DEPTH * columns..];
                // SAFETY: the values are packed up to a multiple of KEYS.
                unsafe {
                    mix::<V, O, R>(
                        scratch.mixed,
                        scratch.weights,
                        values,
                        taken,
                        columns,
                        tiles,
                    );
                };
            }
        }
        for r in 0..rows {
            let (position, head) = (
                (first + r) / self.heads.group(),
                (first + r) % self.heads.group(),
            );
            let head = kv_head * self.heads.group() + head;
            // SAFETY: the elements of this row and head belong to this task.
            unsafe {
                self.finish(
                    position,
                    head,
                    &scratch.mixed[r * columns..],
                    max[r],
                    sum[r],
                );
            };
        }
    }

    /// Writes one row's result and statistics.
    ///
    /// # Safety
    /// No other thread writes those of this row and head.
    #[inline(always)]
    unsafe fn finish(&self, position: usize, head: usize, mixed: &[f32], max: f32, sum: f32) {
        let (heads, dim) = (self.heads.query, self.heads.dim);
        if let Some(out) = &self.out {
            // SAFETY: passed on to the caller; `pointer` checks the bounds.
            let out = unsafe {
                std::slice::from_raw_parts_mut(
                    out.pointer((position * heads + head) * dim, dim),
                    dim,
                )
            };
            // A row that sees no key has sum 0 and mixed 0.
            let inverse = if sum == 0.0 { 0.0 } else { 1.0 / sum };
            for (out, mixed) in out.iter_mut().zip(mixed) {
                *out = mixed * inverse;
            }
        }
        if let Some((all_max, all_sum)) = &self.statistics {
            let skipped = self.q.len() / (heads * dim) - self.statistics_rows;
            if position >= skipped {
                let at = (position - skipped) * heads + head;
                // SAFETY: passed on to the caller.
                unsafe { (*all_max.at(at), *all_sum.at(at)) = (max, sum) };
            }
        }
    }
}

/// Turns scores into softmax weights relative to the running maximum: e^(score - max), 0 from `visible` on. Returns the
/// factor that brings earlier weights to the new maximum.
///
/// # Safety
/// The CPU has V's instruction set; the scores are a multiple of 2 * LANES.
#[inline(always)]
unsafe fn soften<V: Vector, O: Outer<V>>(
    scores: &mut [f32],
    weights: &mut [O::Packed],
    visible: usize,
    max: &mut f32,
    sum: &mut f32,
) -> f32 {
    if visible == 0 {
        weights.fill(O::Packed::default());
        return 1.0;
    }
    scores[visible..].fill(f32::NEG_INFINITY);
    // SAFETY: all loads and stores are inside the slices, whose lengths are multiples of two vectors.
    unsafe {
        let mut largest = V::splat(*max);
        for s in scores.chunks_exact(V::LANES) {
            largest = V::load(s.as_ptr()).max(largest);
        }
        let old = *max;
        *max = largest.max_lane();
        let shift = V::splat(*max);
        let mut total = [V::splat(0.0); 2];
        let pairs = scores
            .chunks_exact(2 * V::LANES)
            .zip(weights.chunks_exact_mut(2 * V::LANES / O::DEPTH));
        for (s, w) in pairs {
            let low = math::exp(V::load(s.as_ptr()).sub(shift));
            let high = math::exp(V::load(s.as_ptr().add(V::LANES)).sub(shift));
            total = [total[0].add(low), total[1].add(high)];
            O::store(low, high, w.as_mut_ptr());
        }
        let factor = if old == *max { 1.0 } else { (old - *max).exp() };
        *sum = *sum * factor + total[0].add(total[1]).sum();
        factor
    }
}

/// Multiplies a row by a factor.
///
/// # Safety
/// The CPU has V's instruction set; the row's length is a multiple of LANES.
#[inline(always)]
unsafe fn rescale<V: Vector>(row: &mut [f32], factor: f32) {
    // SAFETY: chunks of LANES elements.
    unsafe {
        let factor = V::splat(factor);
        for chunk in row.chunks_exact_mut(V::LANES) {
            V::load(chunk.as_ptr())
                .mul(factor)
                .store(chunk.as_mut_ptr());
        }
    }
}

/// Adds weights [tiles * R, taken of KEYS] * values [taken, columns] to `mixed` [tiles * R, columns].
///
/// # Safety
/// The CPU has V's instruction set; the slices hold those shapes.
#[inline(always)]
unsafe fn mix<V: Vector, O: Outer<V>, const R: usize>(
    mixed: &mut [f32],
    weights: &[O::Packed],
    values: &[O::Packed],
    taken: usize,
    columns: usize,
    tiles: usize,
) {
    for column in (0..columns).step_by(2 * V::LANES) {
        let right = Right {
            start: values[column..].as_ptr(),
            step: columns,
        };
        for tile in 0..tiles {
            let left = Left {
                start: weights[tile * R * (KEYS / O::DEPTH)..].as_ptr(),
                row: KEYS / O::DEPTH,
                step: 1,
            };
            // SAFETY: passed on to the caller.
            unsafe {
                let target = Target {
                    start: mixed.as_mut_ptr().add(tile * R * columns + column),
                    stride: columns,
                };
                outer_tile::<V, O, R>(taken / O::DEPTH, left, right, target, true);
            }
        }
    }
}

impl<P> Task<'_, P> {
    /// # Safety
    /// The CPU has V's instruction set; no other task has the same rows.
    #[inline(always)]
    unsafe fn work<V: Vector, O: Outer<V, Packed = P>, const R: usize>(self)
    where
        P: Copy + Default,
    {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                Self::Pack {
                    job,
                    view,
                    first,
                    keys,
                    values,
                } => job.pack::<V, O>(view, first, keys, values),
                Self::Attend {
                    job,
                    kv_head,
                    first,
                    keys,
                    values,
                } => job.attend::<V, O, R>(kv_head, first, keys, values),
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
            match V::OUTER_ROWS {
                12 => self.work::<V, Single, 12>(),
                6 => self.work::<V, Single, 6>(),
                rows => unreachable!("no tile of {rows} rows"),
            }
        }
    }
}

impl PairOperation for Task<'_, [half::bf16; 2]> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        // SAFETY: passed on to the caller. All vectors with bf16 dot products have tiles of twelve rows.
        unsafe { self.work::<V, Paired, 12>() }
    }
}

/// Softmax maxima and sums of all rows of `q`, causal from position `offset` on.
pub(super) fn row_statistics(
    isa: Isa,
    q: &[f32],
    offset: usize,
    kv: &[KvView],
    heads: Heads,
    scale: f32,
) -> RowStatistics {
    let mut found = RowStatistics::new(q.len() / (heads.query * heads.dim), heads.query);
    prefill_attention(
        isa,
        None,
        q,
        kv,
        heads,
        Mask::Causal { offset },
        scale,
        Some(&mut found),
    );
    found
}
