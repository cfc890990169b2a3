//! Results are the same whoever computes them, to the bit.

use whittle_kernels::{Activation, Heads, Kernels, Mask, Matrix, RowStatistics, serially};

use crate::{Cache, Noise, Stored, fast};

/// Asserts that one thread finds what all find.
fn assert_same<R: PartialEq + std::fmt::Debug>(kernels: Kernels, work: impl Fn() -> R) {
    let alone = serially(&work);
    assert!(work() == alone, "{:?}", kernels.isa());
}

#[test]
fn one_thread_finds_what_all_find() {
    let mut noise = Noise(5);
    let (n, k) = (700, 515);
    let heads = Heads {
        query: 6,
        kv: 2,
        dim: 64,
    };
    let (x, w) = (noise.take(130 * k), Stored::new(&noise.take(n * k), 0));
    let q = noise.take(130 * heads.query * heads.dim);
    let cache = Cache::new(&mut noise, heads, vec![2500, 2500], 0);
    for kernels in fast() {
        for kind in 0..3 {
            let w = kernels
                .pack(Matrix::new(w.elements(kind), n, k).unwrap())
                .unwrap();
            let views = cache.views(kind, &[64]);
            for m in [1, 5, 130] {
                assert_same(kernels, || {
                    let mut out = vec![f32::NAN; m * n];
                    kernels.matmul(&mut out, &x[..m * k], &w, None);
                    out
                });
            }
            assert_same(kernels, || {
                let mut out = vec![f32::NAN; heads.query * heads.dim];
                kernels.decode_attention(
                    &mut out,
                    &q[..heads.query * heads.dim],
                    &views,
                    heads,
                    0.1,
                );
                out
            });
            let mask = Mask::Causal { offset: 2500 - 130 };
            assert_same(kernels, || {
                let mut out = vec![f32::NAN; q.len()];
                let mut rows = RowStatistics::new(100, heads.query);
                kernels.prefill_attention(&mut out, &q, &views, heads, mask, 0.1, Some(&mut rows));
                (out, rows)
            });
            assert_same(kernels, || {
                kernels
                    .attention_statistics(&q, 2500 - 130, &views, heads, 0.1, 0.01, None)
                    .unwrap()
            });
        }
        assert_same(kernels, || {
            let (mut gate, mut normed) = (x.clone(), vec![0.0; x.len()]);
            kernels.activate_mul(Activation::GeluTanh, &mut gate, &x);
            kernels.rms_norm(&mut normed, &gate, &x[..k], 1e-5);
            kernels.add(&mut normed, &x);
            normed
        });
    }
}

#[test]
fn callers_on_many_threads_do_not_disturb_each_other() {
    let kernels = Kernels::detect();
    let mut noise = Noise(6);
    let (n, k) = (300, 256);
    let (x, w) = (noise.take(40 * k), Stored::new(&noise.take(n * k), 0));
    let w = kernels
        .pack(Matrix::new(w.elements(2), n, k).unwrap())
        .unwrap();
    let product = |m: usize| {
        let mut out = vec![f32::NAN; m * n];
        kernels.matmul(&mut out, &x[..m * k], &w, None);
        out
    };
    let want = [product(1), product(40)];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!([product(1), product(40)], want);
                }
            });
        }
    });
}
