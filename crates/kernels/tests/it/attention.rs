use proptest::prelude::*;
use whittle_kernels::{Elements, Heads, Isa, Kernels, KvView, Mask, RowStatistics, bf16};

use crate::{Cache, Kind, Noise, assert_close, fast, scalar};

/// Softmax attention straight from the formula, in f64, with all scores of a row at once.
fn naive(q: &[f32], views: &[KvView], heads: Heads, mask: Mask, scale: f32) -> Vec<f32> {
    let flat = |view: &KvView, keys: bool| -> Vec<f32> {
        let chunks = view.chunks.iter();
        chunks
            .flat_map(|c| {
                if keys {
                    c.keys.to_f32_vec()
                } else {
                    c.values.to_f32_vec()
                }
            })
            .collect()
    };
    let mut out = Vec::new();
    for (i, q) in q.chunks_exact(heads.dim).enumerate() {
        let (row, head) = (i / heads.query, i % heads.query);
        let view = &views[head / (heads.query / heads.kv)];
        let (keys, values) = (flat(view, true), flat(view, false));
        let visible = match mask {
            Mask::Causal { offset } => view.len().min(offset + row + 1),
            Mask::Full => view.len(),
        };
        let keys = keys.chunks_exact(heads.dim).take(visible);
        let scores: Vec<f64> = keys
            .map(|k| {
                k.iter()
                    .zip(q)
                    .map(|(k, q)| f64::from(*k) * f64::from(*q))
                    .sum::<f64>()
                    * f64::from(scale)
            })
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for d in 0..heads.dim {
            let mixed: f64 = weights
                .iter()
                .enumerate()
                .map(|(j, w)| w * f64::from(values[j * heads.dim + d]))
                .sum();
            out.push(if visible == 0 {
                0.0
            } else {
                (mixed / sum) as f32
            });
        }
    }
    out
}

/// What bf16 queries and weights cost on the path that rounds to them: 2^-9 relative each, on values below 1.
fn tolerance(kernels: Kernels, kind: Kind) -> f32 {
    if kernels.isa() == Isa::Avx512Bf16 && kind == 2 {
        1.5e-2
    } else {
        3e-6
    }
}

fn heads() -> impl Strategy<Value = Heads> {
    (
        1..4_usize,
        1..6_usize,
        prop_oneof![Just(16_usize), Just(64), Just(128), 1..100_usize],
    )
        .prop_map(|(kv, group, dim)| Heads {
            query: kv * group,
            kv,
            dim,
        })
}

/// Sizes of chunks: one for all, many small ones, uneven ones with empty ones between.
fn chunks() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1_000_000]),
        Just(vec![16]),
        Just(vec![5, 0, 33, 1])
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prefill_agrees_with_scalar(
        heads in heads(),
        m in prop_oneof![1..20_usize, 60..150_usize],
        offset in prop_oneof![Just(0_usize), 1..200_usize],
        causal: bool,
        kind in 0..3_usize,
        sizes in chunks(),
        tail in 0..9_usize,
        front in 0..2_usize,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let len = m + offset;
        let cache = Cache::new(&mut noise, heads, vec![len; heads.kv], front);
        let views = cache.views(kind, &sizes);
        let q = noise.take(m * heads.query * heads.dim);
        let mask = if causal { Mask::Causal { offset } } else { Mask::Full };
        let scale = 1.0 / (heads.dim as f32).sqrt();
        let run = |kernels: Kernels| {
            let mut out = vec![f32::NAN; q.len()];
            let mut statistics = RowStatistics::new(tail.min(m), heads.query);
            kernels.prefill_attention(&mut out, &q, &views, heads, mask, scale, Some(&mut statistics));
            (out, statistics)
        };
        let (want, want_statistics) = run(scalar());
        for kernels in fast() {
            let (got, statistics) = run(kernels);
            let what = format!("{:?} {heads:?} m {m} offset {offset} {mask:?} kind {kind}", kernels.isa());
            let tolerance = tolerance(kernels, kind);
            assert_close(&what, &got, &want, tolerance);
            assert_close(&format!("{what}: max"), &statistics.max, &want_statistics.max, tolerance);
            for (sum, want) in statistics.sum.iter().zip(&want_statistics.sum) {
                prop_assert!((sum / want - 1.0).abs() < tolerance * 3.0, "{}: sum {} of {}", what, sum, want);
            }
        }
    }

    #[test]
    fn decode_agrees_with_scalar_for_any_lengths(
        heads in heads(),
        lengths in prop::collection::vec(prop_oneof![0..5_usize, 1..700_usize], 4),
        kind in 0..3_usize,
        sizes in chunks(),
        front in 0..2_usize,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let cache = Cache::new(&mut noise, heads, lengths[..heads.kv].to_vec(), front);
        let views = cache.views(kind, &sizes);
        let q: Vec<f32> = noise.take(heads.query * heads.dim).iter().map(|q| 4.0 * q).collect();
        let scale = 1.0 / (heads.dim as f32).sqrt();
        let run = |kernels: Kernels, q: &[f32]| {
            let mut out = vec![f32::NAN; q.len()];
            kernels.decode_attention(&mut out, q, &views, heads, scale);
            out
        };
        for kernels in fast() {
            // Where the path multiplies pairs of bf16, queries are rounded, and so are weights: by 2^-9 of each value
            // at most, and values are below 1.
            let paired = kernels.isa() == Isa::Avx512Bf16 && kind == 2 && heads.dim.is_multiple_of(32);
            let (rounded, tolerance) = if paired {
                let rounded = |q: &f32| bf16::from_f32(q * scale).to_f32() / scale;
                (q.iter().map(rounded).collect(), 2.0_f32.powi(-9) + 3e-6)
            } else {
                (q.clone(), 3e-6)
            };
            let (got, want) = (run(kernels, &q), run(scalar(), &rounded));
            assert_close(&format!("{:?} {heads:?} {lengths:?}", kernels.isa()), &got, &want, tolerance);
        }
    }

    #[test]
    fn a_sequence_decodes_in_company_as_alone(
        heads in heads(),
        lengths in prop::collection::vec(prop_oneof![0..5_usize, 1..1500_usize], 9),
        kind in 0..3_usize,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let sequences = 3;
        let caches: Vec<Cache> = lengths.chunks_exact(3)
            .map(|lengths| Cache::new(&mut noise, heads, lengths[..heads.kv].to_vec(), 0))
            .collect();
        let views: Vec<_> = caches.iter().flat_map(|cache| cache.views(kind, &[64])).collect();
        let row = heads.query * heads.dim;
        let q = noise.take(sequences * row);
        for kernels in fast().into_iter().chain([scalar()]) {
            let mut together = vec![f32::NAN; q.len()];
            kernels.decode_attention(&mut together, &q, &views, heads, 0.3);
            for (i, together) in together.chunks_exact(row).enumerate() {
                let mut alone = vec![f32::NAN; row];
                let (q, views) = (&q[i * row..][..row], &views[i * heads.kv..][..heads.kv]);
                kernels.decode_attention(&mut alone, q, views, heads, 0.3);
                prop_assert_eq!(&alone, together, "{:?}", kernels.isa());
            }
        }
    }

    #[test]
    fn scalar_agrees_with_the_formula(
        heads in heads(), m in 1..6_usize, offset in 0..9_usize, causal: bool, kind in 0..3_usize, seed: u64,
    ) {
        let mut noise = Noise(seed);
        let cache = Cache::new(&mut noise, heads, vec![m + offset; heads.kv], 0);
        let views = cache.views(kind, &[4]);
        let q = noise.take(m * heads.query * heads.dim);
        let mask = if causal { Mask::Causal { offset } } else { Mask::Full };
        let mut got = vec![f32::NAN; q.len()];
        scalar().prefill_attention(&mut got, &q, &views, heads, mask, 0.3, None);
        assert_close("scalar", &got, &naive(&q, &views, heads, mask, 0.3), 1e-6);
    }
}

#[test]
fn long_prefill_and_decode_agree_with_the_formula() {
    let heads = Heads {
        query: 4,
        kv: 2,
        dim: 32,
    };
    let mut noise = Noise(11);
    let (m, offset) = (70, 2_000);
    let cache = Cache::new(&mut noise, heads, vec![m + offset; 2], 0);
    let views = cache.views(0, &[256]);
    let q: Vec<f32> = noise.take(m * 128).iter().map(|q| 8.0 * q).collect();
    let mask = Mask::Causal { offset };
    let want = naive(&q, &views, heads, mask, 1.0);
    let want_decode = naive(&q[..128], &views, heads, Mask::Full, 1.0);
    for kernels in fast() {
        let mut got = vec![f32::NAN; q.len()];
        kernels.prefill_attention(&mut got, &q, &views, heads, mask, 1.0, None);
        assert_close("prefill", &got, &want, 2e-5);
        let mut got = vec![f32::NAN; 128];
        kernels.decode_attention(&mut got, &q[..128], &views, heads, 1.0);
        assert_close("decode", &got, &want_decode, 2e-5);
    }
}

#[test]
fn scores_far_apart_do_not_overflow() {
    let heads = Heads {
        query: 1,
        kv: 1,
        dim: 1,
    };
    let keys = [1000.0, -1000.0, 999.0];
    let values = [1.0, 2.0, 3.0];
    let views = [KvView::contiguous(
        Elements::F32(&keys),
        Elements::F32(&values),
        3,
    )];
    let e = (-1.0_f32).exp();
    let want = (1.0 + 3.0 * e) / (1.0 + e);
    for kernels in fast().into_iter().chain([scalar()]) {
        let (mut prefill, mut decode) = ([0.0], [0.0]);
        kernels.prefill_attention(&mut prefill, &[1.0], &views, heads, Mask::Full, 1.0, None);
        kernels.decode_attention(&mut decode, &[1.0], &views, heads, 1.0);
        assert_close("far apart", &[prefill[0], decode[0]], &[want, want], 1e-6);
    }
}

#[test]
fn heads_without_keys_give_zeros() {
    let heads = Heads {
        query: 2,
        kv: 2,
        dim: 3,
    };
    let data = [1.0, 2.0, 3.0];
    let views = [
        KvView::default(),
        KvView::contiguous(Elements::F32(&data), Elements::F32(&data), 1),
    ];
    for kernels in fast().into_iter().chain([scalar()]) {
        let mut out = [f32::NAN; 6];
        kernels.decode_attention(&mut out, &[1.0; 6], &views, heads, 1.0);
        assert_close("no keys", &out, &[0.0, 0.0, 0.0, 1.0, 2.0, 3.0], 1e-6);
    }
}
