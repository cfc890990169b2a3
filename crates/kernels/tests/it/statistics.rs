use proptest::prelude::*;
use whittle_kernels::{
    AttentionStatistics, Elements, Heads, Isa, KernelError, Kernels, KvView, Mask, RowStatistics,
};

use crate::{Cache, Noise, fast, scalar};

/// Attention of every row and head as a matrix in f64, and what the statistics are by definition. Also returns how many
/// entries of each head are so near to the threshold that rounding may decide either way.
fn by_definition(
    q: &[f32],
    offset: usize,
    views: &[KvView],
    heads: Heads,
    scale: f32,
    filter: f32,
) -> (AttentionStatistics, Vec<u64>) {
    let (len, group) = (views[0].len(), heads.query / heads.kv);
    let mut scores = vec![0.0_f64; heads.kv * len];
    let (mut passing, mut near, mut causal) = (vec![0; heads.query], vec![0; heads.query], 0);
    for (i, q) in q.chunks_exact(heads.dim).enumerate() {
        let (row, head) = (i / heads.query, i % heads.query);
        let view = &views[head / group];
        let keys: Vec<f32> = view
            .chunks
            .iter()
            .flat_map(|c| c.keys.to_f32_vec())
            .collect();
        let visible = len.min(offset + row + 1);
        let raw: Vec<f64> = keys
            .chunks_exact(heads.dim)
            .take(visible)
            .map(|k| {
                k.iter()
                    .zip(q)
                    .map(|(k, q)| f64::from(*k) * f64::from(*q))
                    .sum::<f64>()
                    * f64::from(scale)
            })
            .collect();
        let max = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = raw.iter().map(|s| (s - max).exp()).sum();
        for (j, s) in raw.iter().enumerate() {
            let a = (s - max).exp();
            scores[head / group * len + j] += a / sum;
            passing[head] += u64::from(a >= f64::from(filter));
            near[head] += u64::from((a / f64::from(filter) - 1.0).abs() < 2e-5);
        }
        causal += if head == 0 { visible as u64 } else { 0 };
    }
    let found = AttentionStatistics {
        scores: scores.iter().map(|s| *s as f32).collect(),
        passing,
        causal_entries: causal,
    };
    (found, near)
}

fn assert_same(what: &str, got: &AttentionStatistics, want: &AttentionStatistics, near: &[u64]) {
    assert_eq!(got.causal_entries, want.causal_entries, "{what}");
    let largest = want.scores.iter().copied().fold(0.0, f32::max);
    for (i, (a, b)) in got.scores.iter().zip(&want.scores).enumerate() {
        assert!(
            (a - b).abs() <= 5e-6 * largest,
            "{what}: score {i} is {a}, expected {b}"
        );
    }
    for (head, (a, b)) in got.passing.iter().zip(&want.passing).enumerate() {
        assert!(
            a.abs_diff(*b) <= near[head],
            "{what}: head {head} passes {a}, expected {b}, {} near",
            near[head]
        );
    }
}

fn bf16_path(kernels: Kernels, kind: usize) -> bool {
    kernels.isa() == Isa::Avx512Bf16 && kind == 2
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_path_agrees_with_the_definition(
        kv in 1..4_usize,
        group in 1..6_usize,
        dim in prop_oneof![Just(16_usize), Just(128), 1..90_usize],
        rows in prop_oneof![1..33_usize, 90..130_usize],
        offset in prop_oneof![Just(0_usize), 1..800_usize],
        kind in 0..3_usize,
        sharp in prop_oneof![Just(1.0_f32), Just(12.0)],
        filter in prop_oneof![Just(0.01_f32), Just(0.3)],
        sizes in prop_oneof![Just(vec![1_000_000]), Just(vec![16]), Just(vec![5, 0, 33, 1])],
        seed: u64,
    ) {
        let heads = Heads { query: kv * group, kv, dim };
        let mut noise = Noise(seed);
        let cache = Cache::new(&mut noise, heads, vec![offset + rows; kv], 1);
        let views = cache.views(kind, &sizes);
        let q: Vec<f32> = noise.take(rows * heads.query * dim).iter().map(|q| q * sharp).collect();
        let scale = 1.0 / (dim as f32).sqrt();
        let (want, near) = by_definition(&q, offset, &views, heads, scale, filter);
        for kernels in fast().into_iter().chain([scalar()]) {
            if bf16_path(kernels, kind) {
                continue; // rounds queries to bf16: next test
            }
            let what = format!("{:?} {heads:?} rows {rows} offset {offset} kind {kind}", kernels.isa());
            let two = kernels.attention_statistics(&q, offset, &views, heads, scale, filter, None).unwrap();
            assert_same(&format!("{what}, two walks"), &two, &want, &near);

            let mut statistics = RowStatistics::new(rows, heads.query);
            let mut out = vec![0.0; q.len()];
            let mask = Mask::Causal { offset };
            kernels.prefill_attention(&mut out, &q, &views, heads, mask, scale, Some(&mut statistics));
            let one = kernels.attention_statistics(&q, offset, &views, heads, scale, filter, Some(&statistics)).unwrap();
            assert_same(&format!("{what}, one walk"), &one, &want, &near);
        }
    }

    /// The bf16 path is as good as its rounding of the queries: with queries that are bf16 already it has to agree.
    #[test]
    fn bf16_path_agrees_with_the_definition_for_bf16_queries(
        group in 1..6_usize, rows in 1..130_usize, offset in 0..600_usize, seed: u64,
    ) {
        let heads = Heads { query: 2 * group, kv: 2, dim: 64 };
        let mut noise = Noise(seed);
        let cache = Cache::new(&mut noise, heads, vec![offset + rows; 2], 0);
        let views = cache.views(2, &[48]);
        let q = noise.take(rows * heads.query * heads.dim);
        let q: Vec<f32> = q.iter().map(|q| whittle_kernels::bf16::from_f32(4.0 * q).to_f32()).collect();
        let (want, near) = by_definition(&q, offset, &views, heads, 0.125, 0.01);
        for kernels in fast().into_iter().filter(|kernels| bf16_path(*kernels, 2)) {
            let got = kernels.attention_statistics(&q, offset, &views, heads, 0.125, 0.01, None).unwrap();
            assert_same("bf16", &got, &want, &near);
        }
    }
}

#[test]
fn a_filter_of_zero_passes_every_causal_entry() {
    let heads = Heads {
        query: 2,
        kv: 1,
        dim: 8,
    };
    let mut noise = Noise(2);
    let cache = Cache::new(&mut noise, heads, vec![45], 0);
    let q: Vec<f32> = noise.take(5 * 16).iter().map(|q| q * 300.0).collect();
    for kernels in fast().into_iter().chain([scalar()]) {
        let found = kernels
            .attention_statistics(&q, 40, &cache.views(0, &[7]), heads, 1.0, 0.0, None)
            .unwrap();
        assert_eq!(found.causal_entries, 41 + 42 + 43 + 44 + 45);
        assert_eq!(
            found.passing,
            [found.causal_entries; 2],
            "{:?}",
            kernels.isa()
        );
    }
}

#[test]
fn the_largest_entry_of_a_row_always_passes() {
    let heads = Heads {
        query: 1,
        kv: 1,
        dim: 1,
    };
    let keys = [0.0, 1.0, 0.5];
    let views = [KvView::contiguous(
        Elements::F32(&keys),
        Elements::F32(&keys),
        3,
    )];
    for kernels in fast().into_iter().chain([scalar()]) {
        let found = kernels
            .attention_statistics(&[2.0], 2, &views, heads, 1.0, 0.999_999_9, None)
            .unwrap();
        assert_eq!(found.passing, [1], "{:?}", kernels.isa());
        let sum = 1.0 + (-1.0_f32).exp() + (-2.0_f32).exp();
        let want = [(-2.0_f32).exp() / sum, 1.0 / sum, (-1.0_f32).exp() / sum];
        crate::assert_close("scores", &found.scores, &want, 1e-6);
    }
}

#[test]
fn nan_is_an_error_that_names_the_place() {
    let heads = Heads {
        query: 2,
        kv: 2,
        dim: 4,
    };
    let mut noise = Noise(4);
    for (what, place) in [("key", 1), ("query", 0)] {
        let mut keys = [noise.take(160), noise.take(160)];
        let mut q = noise.take(3 * 8);
        if what == "key" {
            keys[1][30 * 4 + 2] = f32::NAN;
        } else {
            q[1] = f32::NAN;
        }
        let views: Vec<KvView> = keys
            .iter()
            .map(|k| KvView::contiguous(Elements::F32(k), Elements::F32(k), 40))
            .collect();
        for kernels in fast().into_iter().chain([scalar()]) {
            let error = kernels
                .attention_statistics(&q, 37, &views, heads, 0.5, 0.01, None)
                .unwrap_err();
            match error {
                KernelError::NotFinite { kv_head, .. } => {
                    assert_eq!(kv_head, place, "{what} {:?}", kernels.isa());
                }
                other => panic!("{other}"),
            }
        }
    }
}
