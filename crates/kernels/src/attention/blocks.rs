//! Packed blocks of keys, values and queries, and the scores of a query block against a key panel.

use crate::arch::{Element, Vector};
use crate::outer::{Left, Outer, Right, Target, outer_tile};
use crate::{Elements, Heads, KvChunk, KvView};

/// Query rows of a block, a multiple of every tile's rows. A row is one query head at one position; the heads that
/// share a KV head follow each other.
pub(super) const QUERY_ROWS: usize = 96;

/// The chunks that overlap the keys `start..end`: their data, the first row taken, the number of rows taken, and where
/// they start relative to `start`.
pub(super) fn overlapping<'a>(
    view: &'a KvView<'a>,
    start: usize,
    end: usize,
) -> impl Iterator<Item = (&'a KvChunk<'a>, usize, usize, usize)> + 'a {
    let mut position = 0;
    view.chunks.iter().filter_map(move |chunk| {
        let at = position;
        position += chunk.rows;
        let (from, to) = (start.max(at), end.min(at + chunk.rows));
        (from < to).then(|| (chunk, from - at, to - from, from - start))
    })
}

/// Packs the keys `start..end` (a panel: two vectors of them at most) as [packed element along the head][key], padded
/// with zeros.
#[inline(always)]
pub(super) fn pack_keys<V: Vector, O: Outer<V>>(
    panel: &mut [O::Packed],
    view: &KvView,
    dim: usize,
    start: usize,
    end: usize,
) {
    let width = 2 * V::LANES;
    for (chunk, first, rows, to) in overlapping(view, start, end) {
        let range = first * dim..(first + rows) * dim;
        match chunk.keys.slice(range) {
            Elements::F32(keys) => transpose::<V, O, _>(panel, keys, dim, to),
            Elements::F16(keys) => transpose::<V, O, _>(panel, keys, dim, to),
            Elements::BF16(keys) => transpose::<V, O, _>(panel, keys, dim, to),
        }
    }
    if end - start < width {
        for step in panel.chunks_exact_mut(width) {
            step[end - start..].fill(O::Packed::default());
        }
    }
}

#[inline(always)]
fn transpose<V: Vector, O: Outer<V>, E: Element>(
    panel: &mut [O::Packed],
    keys: &[E],
    dim: usize,
    to: usize,
) {
    for (r, key) in keys.chunks_exact(dim).enumerate() {
        for (step, pair) in panel
            .chunks_exact_mut(2 * V::LANES)
            .zip(key.chunks(O::DEPTH))
        {
            step[to + r] = O::pack(pair[0].widen(), pair.get(1).map_or(0.0, |k| k.widen()));
        }
    }
}

/// Packs the values `start..end` as [packed element along the keys][`width` columns], padded with zeros.
#[inline(always)]
pub(super) fn pack_values<V: Vector, O: Outer<V>>(
    panel: &mut [O::Packed],
    width: usize,
    view: &KvView,
    dim: usize,
    start: usize,
    end: usize,
) {
    panel.fill(O::Packed::default());
    for (chunk, first, rows, to) in overlapping(view, start, end) {
        let range = first * dim..(first + rows) * dim;
        match chunk.values.slice(range) {
            Elements::F32(values) => join::<V, O, _>(panel, width, values, dim, to),
            Elements::F16(values) => join::<V, O, _>(panel, width, values, dim, to),
            Elements::BF16(values) => join::<V, O, _>(panel, width, values, dim, to),
        }
    }
}

#[inline(always)]
fn join<V: Vector, O: Outer<V>, E: Element>(
    panel: &mut [O::Packed],
    width: usize,
    values: &[E],
    dim: usize,
    to: usize,
) {
    for (r, value) in values.chunks_exact(dim).enumerate() {
        let row = to + r;
        let step = &mut panel[row / O::DEPTH * width..][..dim];
        for (packed, value) in step.iter_mut().zip(value) {
            O::set(packed, row % O::DEPTH, value.widen());
        }
    }
}

/// Packs query rows from `first` on of one KV head's group, scaled, in tiles of R rows: [tile][packed element][row],
/// padded with zeros. Returns how many rows there were.
#[inline(always)]
pub(super) fn pack_queries<V: Vector, O: Outer<V>, const R: usize>(
    packed: &mut [O::Packed],
    q: &[f32],
    heads: Heads,
    kv_head: usize,
    first: usize,
    scale: f32,
) -> usize {
    let group = heads.group();
    let depth = heads.dim.div_ceil(O::DEPTH);
    let total = q.len() / (heads.query * heads.dim) * group;
    let rows = QUERY_ROWS.min(total - first);
    packed[..rows.div_ceil(R) * R * depth].fill(O::Packed::default());
    for r in 0..rows {
        let (position, head) = ((first + r) / group, (first + r) % group);
        let at = (position * heads.query + kv_head * group + head) * heads.dim;
        let tile = &mut packed[r / R * R * depth..][..R * depth];
        for (step, pair) in tile
            .chunks_exact_mut(R)
            .zip(q[at..at + heads.dim].chunks(O::DEPTH))
        {
            step[r % R] = O::pack(pair[0] * scale, pair.get(1).map_or(0.0, |q| q * scale));
        }
    }
    rows
}

/// Scores of `tiles` tiles of queries against one panel of keys, written to rows that lie `stride` apart.
///
/// # Safety
/// The CPU has V's instruction set; `queries` holds the tiles, `keys` the panel, and `scores` has room for tiles * R rows
/// of two vectors.
#[inline(always)]
pub(super) unsafe fn score_panel<V: Vector, O: Outer<V>, const R: usize>(
    scores: *mut f32,
    stride: usize,
    queries: &[O::Packed],
    keys: &[O::Packed],
    depth: usize,
    tiles: usize,
) {
    let right = Right {
        start: keys.as_ptr(),
        step: 2 * V::LANES,
    };
    for tile in 0..tiles {
        let left = Left {
            start: queries[tile * R * depth..].as_ptr(),
            row: 1,
            step: R,
        };
        // SAFETY: passed on to the caller.
        unsafe {
            let target = Target {
                start: scores.add(tile * R * stride),
                stride,
            };
            outer_tile::<V, O, R>(depth, left, right, target, false);
        }
    }
}
