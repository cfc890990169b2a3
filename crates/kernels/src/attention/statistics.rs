//! Token scores and the threshold-filter count of some query rows, in one walk over the keys.
//!
//! A task takes a range of the keys of one KV head and packs them once; all query rows pass by, block after block. So
//! every key is read once, columns belong to one task each, and scores exist for one tile row at a time.

use super::blocks::{QUERY_ROWS, pack_keys, pack_queries, score_panel};
use super::prefill::row_statistics;
use crate::aligned::Aligned;
use crate::arch::{self, Bf16Dot, Operation, PairOperation, Vector, math};
use crate::outer::{Outer, Paired, Single};
use crate::shared::SharedMut;
use crate::{AttentionStatistics, Heads, Isa, KvView, Mask, RowStatistics, threads};

/// Keys of a task, a multiple of every panel's width: 256 kB at head dim 128.
const KEYS: usize = 512;
/// The widest panel.
const MAX_WIDTH: usize = 32;

/// See [`crate::Kernels::attention_statistics`]; scores may come out NaN, which the caller checks.
#[allow(clippy::too_many_arguments)] // the operands of the operation
pub(crate) fn attention_statistics(
    isa: Isa,
    q: &[f32],
    offset: usize,
    kv: &[KvView],
    heads: Heads,
    scale: f32,
    filter: f32,
    statistics: Option<&RowStatistics>,
) -> AttentionStatistics {
    let walked;
    let statistics = if let Some(statistics) = statistics {
        statistics
    } else {
        walked = row_statistics(isa, q, offset, kv, heads, scale);
        &walked
    };
    let len = kv[0].len();
    let rows = q.len() / (heads.query * heads.dim);
    let mask = Mask::Causal { offset };
    let mut scores = vec![0.0; heads.kv * len];
    let paired = super::paired(isa, kv);
    let ranges = len.div_ceil(KEYS);
    let columns = SharedMut::new(&mut scores);
    let found: Vec<Vec<u64>> = threads::map(heads.kv * ranges, |task| {
        let (kv_head, first) = (task / ranges, task % ranges * KEYS);
        let count = KEYS.min(len - first);
        // SAFETY: these keys of this head are this task's; `pointer` checks that they are inside.
        let scores = unsafe {
            std::slice::from_raw_parts_mut(columns.pointer(kv_head * len + first, count), count)
        };
        let walk = Walk {
            q,
            mask,
            view: &kv[kv_head],
            heads,
            kv_head,
            scale,
            filter,
            statistics,
            first,
            len,
            scores,
        };
        // SAFETY: `isa` is one that the machine has, with bf16 dot products if `paired`.
        unsafe {
            if paired {
                arch::run_pairs(isa, walk)
            } else {
                arch::run(isa, walk)
            }
        }
    });
    let mut passing = vec![0; heads.query];
    for (task, counts) in found.into_iter().enumerate() {
        let first = task / ranges * heads.group();
        for (total, count) in passing[first..].iter_mut().zip(counts) {
            *total += count;
        }
    }
    AttentionStatistics {
        scores,
        passing,
        causal_entries: (0..rows).map(|row| mask.visible(row, len) as u64).sum(),
    }
}

/// A task: the keys from `first` on of one KV head, as many as `scores` has room for.
struct Walk<'a> {
    q: &'a [f32],
    mask: Mask,
    view: &'a KvView<'a>,
    heads: Heads,
    kv_head: usize,
    scale: f32,
    filter: f32,
    statistics: &'a RowStatistics,
    first: usize,
    len: usize,
    scores: &'a mut [f32],
}

impl Walk<'_> {
    /// Returns how many entries pass the filter, for each query head of the group.
    ///
    /// # Safety
    /// The CPU has V's instruction set.
    #[inline(always)]
    unsafe fn walk<V: Vector, O: Outer<V>, const R: usize>(self) -> Vec<u64> {
        let width = 2 * V::LANES;
        let group = self.heads.group();
        let depth = self.heads.dim.div_ceil(O::DEPTH);
        let total_rows = self.statistics.rows * group;
        let panels = self.scores.len().div_ceil(width);
        let mut keys = Aligned::new(panels * width * depth);
        for (i, panel) in keys.chunks_exact_mut(width * depth).enumerate() {
            let start = self.first + i * width;
            pack_keys::<V, O>(
                panel,
                self.view,
                self.heads.dim,
                start,
                (start + width).min(self.len),
            );
        }
        let mut queries = Aligned::new(QUERY_ROWS * depth);
        let mut block = Aligned::new(QUERY_ROWS * width);
        // Long columns are summed in f64, blocks of rows in f32.
        let mut columns = vec![0.0_f64; panels * width];
        let mut passing = vec![0; group];
        for first_row in (0..total_rows).step_by(QUERY_ROWS) {
            let last_row = total_rows.min(first_row + QUERY_ROWS) - 1;
            if self.visible(last_row) <= self.first {
                continue;
            }
            let rows = pack_queries::<V, O, R>(
                &mut queries,
                self.q,
                self.heads,
                self.kv_head,
                first_row,
                self.scale,
            );
            for (i, panel) in keys.chunks_exact(width * depth).enumerate() {
                let start = self.first + i * width;
                if self.visible(last_row) <= start {
                    break;
                }
                // SAFETY: the block has room for all tiles; the caller grants the instruction set.
                unsafe {
                    score_panel::<V, O, R>(
                        block.as_mut_ptr(),
                        width,
                        &queries,
                        panel,
                        depth,
                        rows.div_ceil(R),
                    );
                    let sums = &mut columns[i * width..(i + 1) * width];
                    self.add_rows::<V>(&mut block, first_row, rows, start, sums, &mut passing);
                }
            }
        }
        for (score, column) in self.scores.iter_mut().zip(columns) {
            *score = column as f32;
        }
        passing
    }

    /// How many keys flattened query row `row` sees.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.mask.visible(row / self.heads.group(), self.len)
    }

    /// Turns the scores of some rows against the panel at key `start` into attention, and adds it to the columns.
    ///
    /// # Safety
    /// The CPU has V's instruction set; the block holds `rows` rows of two vectors.
    #[inline(always)]
    unsafe fn add_rows<V: Vector>(
        &self,
        block: &mut [f32],
        first_row: usize,
        rows: usize,
        start: usize,
        columns: &mut [f64],
        passing: &mut [u64],
    ) {
        let (width, group) = (2 * V::LANES, self.heads.group());
        // SAFETY: every load and store is inside a row of two vectors.
        unsafe {
            let mut totals = [V::splat(0.0); 2];
            for (r, scores) in block.chunks_exact_mut(width).enumerate().take(rows) {
                let row = first_row + r;
                let visible = self.visible(row).saturating_sub(start);
                if visible < width {
                    scores[visible..].fill(f32::NEG_INFINITY);
                }
                let head = row % group;
                let at = row / group * self.heads.query + self.kv_head * group + head;
                let inverse = 1.0 / self.statistics.sum[at];
                // The largest entry of the row is e^0 / sum.
                let threshold = self.filter * inverse;
                let (shift, inverse) = (V::splat(self.statistics.max[at]), V::splat(inverse));
                let mut count = 0;
                for (half, total) in totals.iter_mut().enumerate() {
                    let p = scores.as_ptr().add(half * V::LANES);
                    let a = math::exp(V::load(p).sub(shift)).mul(inverse);
                    *total = total.add(a);
                    count += a.count_ge(V::splat(threshold));
                }
                // Masked entries are 0 here: they pass a threshold of 0 as all others do, but are not to be counted.
                passing[head] += if threshold > 0.0 {
                    u64::from(count)
                } else {
                    visible.min(width) as u64
                };
            }
            let mut sums = [0.0; MAX_WIDTH];
            totals[0].store(sums.as_mut_ptr());
            totals[1].store(sums.as_mut_ptr().add(V::LANES));
            for (column, sum) in columns.iter_mut().zip(sums) {
                *column += f64::from(sum);
            }
        }
    }
}

impl Operation for Walk<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> Vec<u64> {
        // SAFETY: passed on to the caller.
        unsafe {
            match V::OUTER_ROWS {
                12 => self.walk::<V, Single, 12>(),
                6 => self.walk::<V, Single, 6>(),
                rows => unreachable!("no tile of {rows} rows"),
            }
        }
    }
}

impl PairOperation for Walk<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) -> Vec<u64> {
        // SAFETY: passed on to the caller. All vectors with bf16 dot products have tiles of twelve rows.
        unsafe { self.walk::<V, Paired, 12>() }
    }
}
