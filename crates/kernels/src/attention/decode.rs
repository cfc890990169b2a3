//! Attention of one query row: every key and value is read once, for all query heads that share it. Long heads are split
//! over threads, and the parts merged by their softmax maxima (as flash-decoding does).

use rayon::prelude::*;

use super::blocks::overlapping;
use super::dot::dot_tile;
use crate::arch::{self, Element, Operation, Vector, math};
use crate::{Elements, Heads, Isa, KvView};

/// Keys that are scored before their values are mixed.
const KEYS: usize = 64;
/// The least number of keys worth a task of its own.
const TASK_KEYS: usize = 256;
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
    let group_len = heads.group() * heads.dim;
    let total: usize = kv.iter().map(KvView::len).sum();
    let part = (total / (4 * rayon::current_num_threads())).max(TASK_KEYS);
    let scaled: Vec<f32> = q.iter().map(|q| q * scale).collect();
    let mut tasks = Vec::new();
    for (kv_head, view) in kv.iter().enumerate() {
        for start in (0..view.len()).step_by(part) {
            let q = &scaled[kv_head * group_len..(kv_head + 1) * group_len];
            let end = view.len().min(start + part);
            tasks.push((
                kv_head,
                Part {
                    q,
                    view,
                    dim: heads.dim,
                    start,
                    end,
                },
            ));
        }
    }
    let work = |(kv_head, part): (usize, Part)| {
        // SAFETY: `isa` is one that the machine has.
        (kv_head, unsafe { arch::run(isa, part) })
    };
    let parts: Vec<(usize, Mixed)> = if total * group_len < SMALL {
        tasks.into_iter().map(work).collect()
    } else {
        tasks.into_par_iter().with_max_len(1).map(work).collect()
    };
    for (kv_head, out) in out.chunks_exact_mut(group_len).enumerate() {
        let of_head: Vec<&Mixed> = parts
            .iter()
            .filter(|(head, _)| *head == kv_head)
            .map(|(_, part)| part)
            .collect();
        for (head, out) in out.chunks_exact_mut(heads.dim).enumerate() {
            merge(out, &of_head, head);
        }
    }
}

/// Joins the parts of one query head.
fn merge(out: &mut [f32], parts: &[&Mixed], head: usize) {
    let dim = out.len();
    let max = parts
        .iter()
        .map(|p| p.max[head])
        .fold(f32::NEG_INFINITY, f32::max);
    out.fill(0.0);
    let mut sum = 0.0;
    for part in parts {
        let factor = (part.max[head] - max).exp();
        sum += part.sum[head] * factor;
        for (out, mixed) in out.iter_mut().zip(&part.values[head * dim..]) {
            *out += mixed * factor;
        }
    }
    if !parts.is_empty() {
        for out in out {
            *out /= sum;
        }
    }
}

/// The keys `start..end` of one KV head, for the scaled queries `q` [group, dim].
struct Part<'a> {
    q: &'a [f32],
    view: &'a KvView<'a>,
    dim: usize,
    start: usize,
    end: usize,
}

/// Values mixed by e^(score - max), and the sum of those weights, for each query head of a group.
struct Mixed {
    values: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
}

impl Operation for Part<'_> {
    type Output = Mixed;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> Mixed {
        let (dim, group) = (self.dim, self.q.len() / self.dim);
        let mut found = Mixed {
            values: vec![0.0; group * dim],
            max: vec![f32::NEG_INFINITY; group],
            sum: vec![0.0; group],
        };
        let tiles = pack_queries::<V>(self.q, dim);
        let mut scores = vec![0.0; group * KEYS];
        for (chunk, first, rows, _) in overlapping(self.view, self.start, self.end) {
            for at in (first..first + rows).step_by(KEYS) {
                let count = KEYS.min(first + rows - at);
                let range = at * dim..(at + count) * dim;
                // SAFETY: the caller grants the instruction set; the slices hold `count` rows.
                unsafe {
                    match chunk.keys.slice(range.clone()) {
                        Elements::F32(keys) => score::<V, _>(&mut scores, &tiles, keys, dim, group),
                        Elements::F16(keys) => score::<V, _>(&mut scores, &tiles, keys, dim, group),
                        Elements::BF16(keys) => {
                            score::<V, _>(&mut scores, &tiles, keys, dim, group);
                        }
                    }
                    for head in 0..group {
                        soften::<V>(&mut found, &mut scores[head * KEYS..][..KEYS], head, count);
                    }
                    match chunk.values.slice(range) {
                        Elements::F32(values) => {
                            mix::<V, _>(&mut found.values, &scores, values, dim, group);
                        }
                        Elements::F16(values) => {
                            mix::<V, _>(&mut found.values, &scores, values, dim, group);
                        }
                        Elements::BF16(values) => {
                            mix::<V, _>(&mut found.values, &scores, values, dim, group);
                        }
                    }
                }
            }
        }
        found
    }
}

/// Heads of the tile that starts at head `head`: four at a time, or as many as the registers hold.
#[inline(always)]
fn tile_heads<V: Vector>(group: usize, head: usize) -> usize {
    let most = if V::DOT_ROWS < 4 { 3 } else { 4 };
    most.min(group - head)
}

/// The queries in tiles, as `dot_tile` wants them, one after the other.
#[inline(always)]
fn pack_queries<V: Vector>(q: &[f32], dim: usize) -> Vec<f32> {
    let padded = dim.next_multiple_of(V::LANES);
    let group = q.len() / dim;
    let mut packed = vec![0.0; group * padded];
    let mut head = 0;
    while head < group {
        let heads = tile_heads::<V>(group, head);
        let tile = &mut packed[head * padded..][..heads * padded];
        for r in 0..heads {
            for (s, q) in q[(head + r) * dim..][..dim].chunks(V::LANES).enumerate() {
                tile[(s * heads + r) * V::LANES..][..q.len()].copy_from_slice(q);
            }
        }
        head += heads;
    }
    packed
}

/// Scores of all heads against some keys, [group, KEYS].
///
/// # Safety
/// The CPU has V's instruction set; `tiles` is packed from `group` queries.
#[inline(always)]
unsafe fn score<V: Vector, E: Element>(
    scores: &mut [f32],
    tiles: &[f32],
    keys: &[E],
    dim: usize,
    group: usize,
) {
    let padded = dim.next_multiple_of(V::LANES);
    let mut head = 0;
    while head < group {
        let heads = tile_heads::<V>(group, head);
        let (tile, scores) = (&tiles[head * padded..], &mut scores[head * KEYS..]);
        // SAFETY: passed on to the caller.
        unsafe {
            match heads {
                1 => score_tile::<V, E, 1>(scores, tile, keys, dim),
                2 => score_tile::<V, E, 2>(scores, tile, keys, dim),
                3 => score_tile::<V, E, 3>(scores, tile, keys, dim),
                _ => score_tile::<V, E, 4>(scores, tile, keys, dim),
            }
        }
        head += heads;
    }
}

/// # Safety
/// As for `score`, with a tile of R queries.
#[inline(always)]
unsafe fn score_tile<V: Vector, E: Element, const R: usize>(
    scores: &mut [f32],
    tile: &[f32],
    keys: &[E],
    dim: usize,
) {
    let count = keys.len() / dim;
    for j in (0..count).step_by(4) {
        let mut rows = [keys.as_ptr(); 4];
        for (c, row) in rows.iter_mut().enumerate() {
            // Beyond the last key the last key is read again, and the result left out.
            *row = keys[(j + c).min(count - 1) * dim..].as_ptr();
        }
        // SAFETY: each pointer starts a key; the tile holds R queries.
        let found = unsafe { dot_tile::<V, E, R>(tile.as_ptr(), rows, dim) };
        for (r, found) in found.iter().enumerate() {
            for (c, score) in found.iter().enumerate().take(count - j) {
                scores[r * KEYS + j + c] = *score;
            }
        }
    }
}

/// Turns `count` scores of one head into weights relative to its running maximum, and rescales what was mixed before.
///
/// # Safety
/// The CPU has V's instruction set; `scores` holds KEYS elements.
#[inline(always)]
unsafe fn soften<V: Vector>(found: &mut Mixed, scores: &mut [f32], head: usize, count: usize) {
    let old = found.max[head];
    let max = scores[..count].iter().copied().fold(old, f32::max);
    scores[count..].fill(f32::NEG_INFINITY);
    // SAFETY: chunks of LANES elements; KEYS is a multiple of it.
    unsafe {
        let (shift, mut total) = (V::splat(max), V::splat(0.0));
        for s in scores.chunks_exact_mut(V::LANES) {
            let weight = math::exp(V::load(s.as_ptr()).sub(shift));
            total = total.add(weight);
            weight.store(s.as_mut_ptr());
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

/// Adds the weighted values to `mixed` [group, dim].
///
/// # Safety
/// The CPU has V's instruction set; the shapes hold.
#[inline(always)]
unsafe fn mix<V: Vector, E: Element>(
    mixed: &mut [f32],
    weights: &[f32],
    values: &[E],
    dim: usize,
    group: usize,
) {
    let mut head = 0;
    while head < group {
        let heads = tile_heads::<V>(group, head).min(4);
        let (mixed, weights) = (&mut mixed[head * dim..], &weights[head * KEYS..]);
        // SAFETY: passed on to the caller.
        unsafe {
            match heads {
                1 => mix_tile::<V, E, 1>(mixed, weights, values, dim),
                2 => mix_tile::<V, E, 2>(mixed, weights, values, dim),
                3 => mix_tile::<V, E, 3>(mixed, weights, values, dim),
                _ => mix_tile::<V, E, 4>(mixed, weights, values, dim),
            }
        }
        head += heads;
    }
}

/// # Safety
/// As for `mix`, with R heads.
#[inline(always)]
unsafe fn mix_tile<V: Vector, E: Element, const R: usize>(
    mixed: &mut [f32],
    weights: &[f32],
    values: &[E],
    dim: usize,
) {
    let mut column = 0;
    // SAFETY: columns from `column` on are loaded only as far as `dim` reaches.
    unsafe {
        while column + 2 * V::LANES <= dim {
            let mut sums = [[V::splat(0.0); 2]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                let p = mixed.as_ptr().add(r * dim + column);
                *sums = [V::load(p), V::load(p.add(V::LANES))];
            }
            for (j, value) in values.chunks_exact(dim).enumerate() {
                let p = value.as_ptr().add(column);
                let (low, high): (V, V) = (E::load(p), E::load(p.add(V::LANES)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let weight = V::splat(*weights.as_ptr().add(r * KEYS + j));
                    *sums = [weight.mul_add(low, sums[0]), weight.mul_add(high, sums[1])];
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let p = mixed.as_mut_ptr().add(r * dim + column);
                sums[0].store(p);
                sums[1].store(p.add(V::LANES));
            }
            column += 2 * V::LANES;
        }
        while column < dim {
            let n = V::LANES.min(dim - column);
            for r in 0..R {
                let p = mixed.as_mut_ptr().add(r * dim + column);
                let mut sum = V::load_partial(p, n);
                for (j, value) in values.chunks_exact(dim).enumerate() {
                    let value: V = E::load_partial(value.as_ptr().add(column), n);
                    sum = V::splat(weights[r * KEYS + j]).mul_add(value, sum);
                }
                sum.store_partial(p, n);
            }
            column += n;
        }
    }
}
