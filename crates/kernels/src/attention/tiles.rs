//! The inner loops of decode attention: some query heads against a block of keys, and their weights against its values.

use bytemuck::Pod;
use half::bf16;

use super::decode::KEYS;
use super::dot::dot_tile;
use crate::Elements;
use crate::arch::{Bf16Dot, Element, Vector};

/// How a group of query heads meets keys and values. Everything is for all heads of the group; scores and weights are
/// [group, KEYS].
///
/// # Safety
/// That of all unsafe functions: the CPU has V's instruction set, and the slices have the shapes named.
pub(super) trait Tiles<V: Vector> {
    /// An element of the packed queries and of the weights.
    type Number: Pod;

    /// Packs the scaled queries `q` [group, dim]; `packed` is [group, dim rounded up to LANES].
    unsafe fn pack(packed: &mut [Self::Number], q: &[f32], dim: usize, scale: f32);
    /// Scores of all heads against `keys` [count <= KEYS, dim]; those from `count` on come out as anything.
    unsafe fn score(scores: &mut [f32], queries: &[Self::Number], keys: Elements, dim: usize);
    /// Writes 2 * LANES weights.
    unsafe fn store(low: V, high: V, p: *mut Self::Number);
    /// Adds the weighted `values` [count <= KEYS, dim] to `mixed` [group, dim]. Weights from `count` on are 0.
    unsafe fn mix(mixed: &mut [f32], weights: &[Self::Number], values: Elements, dim: usize);
    /// Brings what was mixed into the order of the values.
    fn finish(mixed: &mut [f32]);
}

/// Asks for what comes one block after `p`: keys and values take turns, and within a block values are read by columns,
/// so that the hardware does not see what comes.
#[inline(always)]
fn prefetch<V: Vector, E>(p: *const E, dim: usize) {
    V::prefetch(p.wrapping_add(KEYS * dim).cast());
}

/// Heads of the tile that starts at head `head`: four at a time, or as many as the registers hold.
#[inline(always)]
fn tile_heads<V: Vector>(group: usize, head: usize) -> usize {
    let most = if V::DOT_ROWS < 4 { 3 } else { 4 };
    most.min(group - head)
}

/// Calls a function of R heads, `$function::<.., R>(..)`, for the tile of `$heads` heads.
macro_rules! for_heads {
    ($heads:expr, $function:ident::<$($generic:ty),*>($($argument:expr),*)) => {
        match $heads {
            1 => $function::<$($generic,)* 1>($($argument),*),
            2 => $function::<$($generic,)* 2>($($argument),*),
            3 => $function::<$($generic,)* 3>($($argument),*),
            _ => $function::<$($generic,)* 4>($($argument),*),
        }
    };
}

/// In f32, whatever the cache is stored in.
pub(super) struct Widened;

impl<V: Vector> Tiles<V> for Widened {
    type Number = f32;

    /// In tiles as [`dot_tile`] wants them, one after the other.
    #[inline(always)]
    unsafe fn pack(packed: &mut [f32], q: &[f32], dim: usize, scale: f32) {
        let padded = dim.next_multiple_of(V::LANES);
        let group = q.len() / dim;
        packed.fill(0.0);
        let mut head = 0;
        while head < group {
            let heads = tile_heads::<V>(group, head);
            let tile = &mut packed[head * padded..][..heads * padded];
            for r in 0..heads {
                for (s, q) in q[(head + r) * dim..][..dim].chunks(V::LANES).enumerate() {
                    let to = &mut tile[(s * heads + r) * V::LANES..][..q.len()];
                    for (to, q) in to.iter_mut().zip(q) {
                        *to = q * scale;
                    }
                }
            }
            head += heads;
        }
    }

    #[inline(always)]
    unsafe fn score(scores: &mut [f32], queries: &[f32], keys: Elements, dim: usize) {
        // SAFETY: passed on to the caller.
        unsafe {
            match keys {
                Elements::F32(keys) => score_widened::<V, _>(scores, queries, keys, dim),
                Elements::F16(keys) => score_widened::<V, _>(scores, queries, keys, dim),
                Elements::BF16(keys) => score_widened::<V, _>(scores, queries, keys, dim),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(low: V, high: V, p: *mut f32) {
        // SAFETY: passed on to the caller.
        unsafe {
            low.store(p);
            high.store(p.add(V::LANES));
        }
    }

    #[inline(always)]
    unsafe fn mix(mixed: &mut [f32], weights: &[f32], values: Elements, dim: usize) {
        // SAFETY: passed on to the caller.
        unsafe {
            match values {
                Elements::F32(values) => mix_widened::<V, _>(mixed, weights, values, dim),
                Elements::F16(values) => mix_widened::<V, _>(mixed, weights, values, dim),
                Elements::BF16(values) => mix_widened::<V, _>(mixed, weights, values, dim),
            }
        }
    }

    #[inline(always)]
    fn finish(_: &mut [f32]) {}
}

#[inline(always)]
unsafe fn score_widened<V: Vector, E: Element>(
    scores: &mut [f32],
    queries: &[f32],
    keys: &[E],
    dim: usize,
) {
    let (group, padded) = (scores.len() / KEYS, dim.next_multiple_of(V::LANES));
    let mut head = 0;
    while head < group {
        let heads = tile_heads::<V>(group, head);
        let (tile, scores) = (&queries[head * padded..], &mut scores[head * KEYS..]);
        // SAFETY: passed on to the caller.
        unsafe { for_heads!(heads, score_tile::<V, E>(scores, tile, keys, dim)) }
        head += heads;
    }
}

/// # Safety
/// As for `Tiles`, with a tile of R queries.
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
            // Beyond the last key the last key is read again.
            *row = keys[(j + c).min(count - 1) * dim..].as_ptr();
        }
        for row in rows {
            for at in (0..dim).step_by(64 / size_of::<E>()) {
                prefetch::<V, E>(row.wrapping_add(at), dim);
            }
        }
        // SAFETY: each pointer starts a key; the tile holds R queries.
        let found = unsafe { dot_tile::<V, E, R>(tile.as_ptr(), rows, dim) };
        for (r, found) in found.iter().enumerate() {
            scores[r * KEYS + j..][..4].copy_from_slice(found);
        }
    }
}

#[inline(always)]
unsafe fn mix_widened<V: Vector, E: Element>(
    mixed: &mut [f32],
    weights: &[f32],
    values: &[E],
    dim: usize,
) {
    let group = mixed.len() / dim;
    let mut head = 0;
    while head < group {
        let heads = tile_heads::<V>(group, head);
        let (mixed, weights) = (&mut mixed[head * dim..], &weights[head * KEYS..]);
        // SAFETY: passed on to the caller.
        unsafe { for_heads!(heads, mix_tile::<V, E>(mixed, weights, values, dim)) }
        head += heads;
    }
}

/// # Safety
/// As for `Tiles`, with R heads.
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
                prefetch::<V, E>(p, dim);
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

/// In pairs of bf16: for a bf16 cache, and heads of whole registers.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only x86-64 has such a path
pub(super) struct Paired;

impl<V: Bf16Dot> Tiles<V> for Paired {
    type Number = bf16;

    #[inline(always)]
    unsafe fn pack(packed: &mut [bf16], q: &[f32], _: usize, scale: f32) {
        let chunks = q.chunks_exact(2 * V::LANES);
        for (to, q) in packed.chunks_exact_mut(2 * V::LANES).zip(chunks) {
            // SAFETY: chunks of two vectors; the caller grants the instruction set.
            unsafe {
                let scale = V::splat(scale);
                let low = V::load(q.as_ptr()).mul(scale);
                let high = V::load(q.as_ptr().add(V::LANES)).mul(scale);
                V::store_rounded(low, high, to.as_mut_ptr());
            }
        }
    }

    #[inline(always)]
    unsafe fn score(scores: &mut [f32], queries: &[bf16], keys: Elements, dim: usize) {
        let Elements::BF16(keys) = keys else {
            unreachable!("the cache is bf16 throughout")
        };
        let group = scores.len() / KEYS;
        let mut head = 0;
        while head < group {
            let heads = tile_heads::<V>(group, head);
            let (tile, scores) = (&queries[head * dim..], &mut scores[head * KEYS..]);
            // SAFETY: passed on to the caller.
            unsafe { for_heads!(heads, score_pairs::<V>(scores, tile, keys, dim)) }
            head += heads;
        }
    }

    #[inline(always)]
    unsafe fn store(low: V, high: V, p: *mut bf16) {
        // SAFETY: passed on to the caller.
        unsafe { V::store_rounded(low, high, p) }
    }

    #[inline(always)]
    unsafe fn mix(mixed: &mut [f32], weights: &[bf16], values: Elements, dim: usize) {
        let Elements::BF16(values) = values else {
            unreachable!("the cache is bf16 throughout")
        };
        let group = mixed.len() / dim;
        let mut head = 0;
        while head < group {
            let heads = tile_heads::<V>(group, head);
            let (mixed, weights) = (&mut mixed[head * dim..], &weights[head * KEYS..]);
            // SAFETY: passed on to the caller.
            unsafe { for_heads!(heads, mix_pairs::<V>(mixed, weights, values, dim)) }
            head += heads;
        }
    }

    /// Undoes the order of [`Bf16Dot::interleave`].
    #[inline(always)]
    fn finish(mixed: &mut [f32]) {
        for block in mixed.chunks_exact_mut(2 * V::LANES) {
            let mut ordered = [0.0; 32];
            let (even, odd) = block.split_at(V::LANES);
            let quads = even.chunks_exact(4).zip(odd.chunks_exact(4));
            for (to, (even, odd)) in ordered.chunks_exact_mut(8).zip(quads) {
                to[..4].copy_from_slice(even);
                to[4..].copy_from_slice(odd);
            }
            block.copy_from_slice(&ordered[..2 * V::LANES]);
        }
    }
}

/// # Safety
/// As for `Tiles`, with R queries; `dim` is a multiple of 2 * LANES.
#[inline(always)]
unsafe fn score_pairs<V: Bf16Dot, const R: usize>(
    scores: &mut [f32],
    queries: &[bf16],
    keys: &[bf16],
    dim: usize,
) {
    let count = keys.len() / dim;
    for j in (0..count).step_by(4) {
        let mut rows = [keys.as_ptr(); 4];
        for (c, row) in rows.iter_mut().enumerate() {
            // Beyond the last key the last key is read again.
            *row = keys[(j + c).min(count - 1) * dim..].as_ptr();
        }
        // SAFETY: each pointer starts a key, each query has `dim` elements.
        unsafe {
            let mut sums = [[V::splat(0.0); 4]; R];
            for at in (0..dim).step_by(2 * V::LANES) {
                for row in rows {
                    prefetch::<V, _>(row.add(at), dim);
                }
                let rows = rows.map(|row| V::load_pairs(row.add(at)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let q = V::load_pairs(queries.as_ptr().add(r * dim + at));
                    for (sum, row) in sums.iter_mut().zip(rows) {
                        *sum = sum.dot_pairs(q, row);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                scores[r * KEYS + j..][..4].copy_from_slice(&V::sums(sums));
            }
        }
    }
}

/// # Safety
/// As for `Tiles`, with R heads; `dim` is a multiple of 2 * LANES.
#[inline(always)]
unsafe fn mix_pairs<V: Bf16Dot, const R: usize>(
    mixed: &mut [f32],
    weights: &[bf16],
    values: &[bf16],
    dim: usize,
) {
    let count = values.len() / dim;
    for column in (0..dim).step_by(2 * V::LANES) {
        // SAFETY: whole registers of each row; weights are read in pairs up to KEYS, an even number.
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                let p = mixed.as_ptr().add(r * dim + column);
                *sums = [V::load(p), V::load(p.add(V::LANES))];
            }
            for j in (0..count).step_by(2) {
                // The partner of an odd last row is that row itself, with weight 0.
                let first = values.as_ptr().add(j * dim + column);
                let second = values.as_ptr().add((j + 1).min(count - 1) * dim + column);
                prefetch::<V, _>(first, dim);
                prefetch::<V, _>(second, dim);
                let pairs = V::interleave(V::load_pairs(first), V::load_pairs(second));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let weight = V::splat_pair(weights.as_ptr().add(r * KEYS + j));
                    sums[0] = sums[0].dot_pairs(weight, pairs[0]);
                    sums[1] = sums[1].dot_pairs(weight, pairs[1]);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let p = mixed.as_mut_ptr().add(r * dim + column);
                sums[0].store(p);
                sums[1].store(p.add(V::LANES));
            }
        }
    }
}
