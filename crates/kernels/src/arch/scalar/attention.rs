//! Attention, one query row and head at a time.

use rayon::prelude::*;

use crate::{AttentionStatistics, Elements, Heads, KvView, Mask, RowStatistics};

/// The rows of one KV head's keys or values in order.
fn rows<'a>(
    view: &'a KvView,
    dim: usize,
    of: impl Fn(usize) -> Elements<'a> + 'a,
) -> impl Iterator<Item = Elements<'a>> {
    view.chunks.iter().enumerate().flat_map(move |(i, chunk)| {
        let elements = of(i);
        (0..chunk.rows).map(move |r| elements.slice(r * dim..(r + 1) * dim))
    })
}

/// Scaled scores of one query against the first `visible` keys.
fn scores(q: &[f32], view: &KvView, visible: usize, scale: f32) -> Vec<f64> {
    rows(view, q.len(), |i| view.chunks[i].keys)
        .take(visible)
        .map(|k| super::dot(q.iter().copied(), (0..q.len()).map(|i| k.get(i))) * f64::from(scale))
        .collect()
}

fn maximum(scores: &[f64]) -> f64 {
    scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn sum_of_exp(scores: &[f64], max: f64) -> f64 {
    scores.iter().map(|s| (s - max).exp()).sum()
}

/// Attention output of one query over the first `visible` keys, with its softmax maximum and sum.
fn attend(out: &mut [f32], q: &[f32], view: &KvView, visible: usize, scale: f32) -> (f32, f32) {
    let scores = scores(q, view, visible, scale);
    let max = maximum(&scores);
    let sum = sum_of_exp(&scores, max);
    let mut mixed = vec![0.0; q.len()];
    for (s, v) in scores
        .iter()
        .zip(rows(view, q.len(), |i| view.chunks[i].values))
    {
        let weight = (s - max).exp() / sum;
        for (i, mixed) in mixed.iter_mut().enumerate() {
            *mixed += weight * f64::from(v.get(i));
        }
    }
    for (out, mixed) in out.iter_mut().zip(mixed) {
        *out = mixed as f32;
    }
    (max as f32, sum as f32)
}

/// See [`crate::Kernels::prefill_attention`].
pub(crate) fn prefill_attention(
    out: &mut [f32],
    q: &[f32],
    kv: &[KvView],
    heads: Heads,
    mask: Mask,
    scale: f32,
    statistics: Option<&mut RowStatistics>,
) {
    let row_len = heads.query * heads.dim;
    let m = q.len() / row_len;
    let found: Vec<(f32, f32)> = out
        .par_chunks_exact_mut(heads.dim)
        .zip(q.par_chunks_exact(heads.dim))
        .enumerate()
        .map(|(i, (out, q))| {
            let (row, head) = (i / heads.query, i % heads.query);
            let view = &kv[head / heads.group()];
            attend(out, q, view, mask.visible(row, view.len()), scale)
        })
        .collect();
    if let Some(statistics) = statistics {
        let first = (m - statistics.rows) * heads.query;
        for (i, (max, sum)) in found[first..].iter().enumerate() {
            (statistics.max[i], statistics.sum[i]) = (*max, *sum);
        }
    }
}

/// See [`crate::Kernels::decode_attention`].
pub(crate) fn decode_attention(
    out: &mut [f32],
    q: &[f32],
    kv: &[KvView],
    heads: Heads,
    scale: f32,
) {
    prefill_attention(out, q, kv, heads, Mask::Full, scale, None);
}

/// See [`crate::Kernels::attention_statistics`]; scores may come out NaN, which the caller checks.
pub(crate) fn attention_statistics(
    q: &[f32],
    offset: usize,
    kv: &[KvView],
    heads: Heads,
    scale: f32,
    filter: f32,
    statistics: Option<&RowStatistics>,
) -> AttentionStatistics {
    let (len, group) = (kv[0].len(), heads.group());
    let rows = q.len() / (heads.query * heads.dim);
    let mask = Mask::Causal { offset };
    let one_head = |head: usize| {
        let mut columns = vec![0.0; len];
        let mut passing = 0;
        for row in 0..rows {
            let at = row * heads.query + head;
            let q = &q[at * heads.dim..(at + 1) * heads.dim];
            let scores = scores(q, &kv[head / group], mask.visible(row, len), scale);
            let (max, sum) = match statistics {
                Some(s) => (f64::from(s.max[at]), f64::from(s.sum[at])),
                None => (maximum(&scores), sum_of_exp(&scores, maximum(&scores))),
            };
            // The comparison is made in f32, as the references make it.
            let threshold = filter * (1.0 / sum) as f32;
            for (column, s) in columns.iter_mut().zip(&scores) {
                let a = (s - max).exp() / sum;
                *column += a;
                passing += u64::from(a as f32 >= threshold);
            }
        }
        (columns, passing)
    };
    let found: Vec<(Vec<f64>, u64)> = (0..heads.query).into_par_iter().map(one_head).collect();
    let mut scores = Vec::with_capacity(heads.kv * len);
    for shared in found.chunks_exact(group) {
        scores.extend(
            (0..len).map(|j| shared.iter().map(|(columns, _)| columns[j]).sum::<f64>() as f32),
        );
    }
    AttentionStatistics {
        scores,
        passing: found.iter().map(|(_, passing)| *passing).collect(),
        causal_entries: (0..rows).map(|row| mask.visible(row, len) as u64).sum(),
    }
}
