//! Attention of one query row per sequence: every key and value is read once, for all query heads that share it. Long
//! heads are cut into parts, which are merged by their softmax maxima (as flash-decoding does); where they are cut does
//! not depend on the number of threads or of other sequences, so neither does the result.

use super::blocks::overlapping;
use super::tiles::{Paired, Tiles, Widened};
use crate::arch::{self, Bf16Dot, Operation, PairOperation, Vector, math};
use crate::scratch::Scratch;
use crate::shared::SharedMut;
use crate::{Heads, Isa, KvView, threads};

/// Keys that are scored before their values are mixed.
pub(super) const KEYS: usize = 64;
/// Keys of a part.
const PART: usize = 1024;
/// Multiply-adds below which one thread does it all.
const SMALL: usize = 1 << 16;

/// See [`crate::Kernels::decode_attention`].
pub(crate) fn decode_attention(
    isa: Isa,
    out: &mut [f32],
    q: &[f32],
    kv: &[KvView],
    heads: Heads,
    scale: f32,
) {
    let (group, dim) = (heads.group(), heads.dim);
    let paired = super::paired(isa, kv) && dim.is_multiple_of(2 * arch::layout(isa).lanes);
    let parts: Vec<(usize, usize)> = (kv.iter().enumerate())
        .flat_map(|(view, keys)| {
            (0..keys.len())
                .step_by(PART)
                .map(move |start| (view, start))
        })
        .collect();
    let mixed_len = group * (dim + 2);
    let mut memory = Scratch::take();
    let found: &mut [f32] = memory.elements(parts.len() * mixed_len);
    let shared = SharedMut::new(found);
    let work = |i: usize| {
        let (view, start) = parts[i];
        // SAFETY: this result is this task's; `pointer` checks that it is inside.
        let found = unsafe {
            std::slice::from_raw_parts_mut(shared.pointer(i * mixed_len, mixed_len), mixed_len)
        };
        let part = Part {
            q: &q[view * group * dim..(view + 1) * group * dim],
            scale,
            view: &kv[view],
            start,
            end: kv[view].len().min(start + PART),
            found: Mixed::new(found, group),
        };
        // SAFETY: `isa` is one that the machine has, with bf16 dot products if `paired`.
        unsafe {
            if paired {
                arch::run_pairs(isa, part);
            } else {
                arch::run(isa, part);
            }
        }
    };
    let total: usize = kv.iter().map(KvView::len).sum();
    if total * group * dim < SMALL {
        (0..parts.len()).for_each(work);
    } else {
        threads::for_each(parts.len(), work);
    }
    let mut rest: &[f32] = found;
    for (view, out) in kv.iter().zip(out.chunks_exact_mut(group * dim)) {
        let (of_view, others) = rest.split_at(view.len().div_ceil(PART) * mixed_len);
        for (head, out) in out.chunks_exact_mut(dim).enumerate() {
            merge(out, of_view, mixed_len, group, head);
        }
        rest = others;
    }
}

/// Values mixed by e^(score - max), that maximum, and the sum of those weights, for each query head of a group.
struct Mixed<'a> {
    /// [group, dim].
    values: &'a mut [f32],
    max: &'a mut [f32],
    sum: &'a mut [f32],
}

impl<'a> Mixed<'a> {
    /// Nothing mixed yet, in memory for values, maxima and sums.
    fn new(memory: &'a mut [f32], group: usize) -> Self {
        let (values, rest) = memory.split_at_mut(memory.len() - 2 * group);
        let (max, sum) = rest.split_at_mut(group);
        values.fill(0.0);
        max.fill(f32::NEG_INFINITY);
        sum.fill(0.0);
        Self { values, max, sum }
    }
}

/// Joins the parts of one query head.
fn merge(out: &mut [f32], parts: &[f32], part_len: usize, group: usize, head: usize) {
    let dim = out.len();
    let parts = || {
        parts
            .chunks_exact(part_len)
            .map(|part| part.split_at(group * dim))
    };
    let max = parts()
        .map(|(_, rest)| rest[head])
        .fold(f32::NEG_INFINITY, f32::max);
    out.fill(0.0);
    let mut sum = 0.0;
    for (values, rest) in parts() {
        let factor = (rest[head] - max).exp();
        sum += rest[group + head] * factor;
        for (out, value) in out.iter_mut().zip(&values[head * dim..]) {
            *out += value * factor;
        }
    }
    if parts().next().is_some() {
        let inverse = 1.0 / sum;
        for out in out {
            *out *= inverse;
        }
    }
}

/// The keys `start..end` of one KV head, for the queries `q` [group, dim].
struct Part<'a> {
    q: &'a [f32],
    scale: f32,
    view: &'a KvView<'a>,
    start: usize,
    end: usize,
    found: Mixed<'a>,
}

impl Part<'_> {
    /// # Safety
    /// The CPU has V's instruction set; keys, values and head are such as T takes.
    #[inline(always)]
    unsafe fn attend<V: Vector, T: Tiles<V>>(self) {
        let mut found = self.found;
        let group = found.max.len();
        let dim = self.q.len() / group;
        let padded = dim.next_multiple_of(V::LANES);
        let mut memory = [Scratch::take(), Scratch::take()];
        let [numbers, scores] = &mut memory;
        let numbers: &mut [T::Number] = numbers.elements(group * (padded + KEYS));
        let (queries, weights) = numbers.split_at_mut(group * padded);
        let scores: &mut [f32] = scores.elements(group * KEYS);
        // SAFETY: the caller grants the instruction set; the slices hold what each function asks for.
        unsafe {
            T::pack(queries, self.q, dim, self.scale);
            for (chunk, first, rows, _) in overlapping(self.view, self.start, self.end) {
                for at in (first..first + rows).step_by(KEYS) {
                    let count = KEYS.min(first + rows - at);
                    let range = at * dim..(at + count) * dim;
                    T::score(scores, queries, chunk.keys.slice(range.clone()), dim);
                    for head in 0..group {
                        let scores = &mut scores[head * KEYS..][..KEYS];
                        let weights = &mut weights[head * KEYS..][..KEYS];
                        soften::<V, T>(&mut found, scores, weights, head, count);
                    }
                    T::mix(found.values, weights, chunk.values.slice(range), dim);
                }
            }
        }
        T::finish(found.values);
    }
}

/// Turns `count` scores of one head into weights relative to its running maximum, and rescales what was mixed before.
///
/// # Safety
/// The CPU has V's instruction set; `scores` and `weights` hold KEYS elements.
#[inline(always)]
unsafe fn soften<V: Vector, T: Tiles<V>>(
    found: &mut Mixed,
    scores: &mut [f32],
    weights: &mut [T::Number],
    head: usize,
    count: usize,
) {
    let old = found.max[head];
    scores[count..].fill(f32::NEG_INFINITY);
    // SAFETY: chunks of LANES elements, of which KEYS and 2 * LANES are multiples.
    unsafe {
        let mut largest = V::splat(old);
        for scores in scores.chunks_exact(V::LANES) {
            largest = V::load(scores.as_ptr()).max(largest);
        }
        let max = largest.max_lane();
        let (shift, mut total) = (V::splat(max), V::splat(0.0));
        let pairs = scores.chunks_exact(2 * V::LANES);
        for (scores, weights) in pairs.zip(weights.chunks_exact_mut(2 * V::LANES)) {
            let low = math::exp(V::load(scores.as_ptr()).sub(shift));
            let high = math::exp(V::load(scores.as_ptr().add(V::LANES)).sub(shift));
            total = total.add(low).add(high);
            T::store(low, high, weights.as_mut_ptr());
        }
        found.max[head] = max;
        if old != max {
            let factor = (old - max).exp();
            found.sum[head] *= factor;
            let dim = found.values.len() / found.max.len();
            for mixed in &mut found.values[head * dim..(head + 1) * dim] {
                *mixed *= factor;
            }
        }
        found.sum[head] += total.sum();
    }
}

impl Operation for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: passed on to the caller; any cache will do.
        unsafe { self.attend::<V, Widened>() }
    }
}

impl PairOperation for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Bf16Dot>(self) {
        // SAFETY: passed on to the caller, who has looked at the cache and the head.
        unsafe { self.attend::<V, Paired>() }
    }
}
