//! How fast the kernels are, in units of what bounds them: arithmetic per second, bytes per second.
//!
//! `cargo bench --package whittle-kernels -- [matmul|few|attention|decode]...`; `WHITTLE_ISA` chooses the path.
#![allow(clippy::unwrap_used)] // a bench may panic

use std::time::Instant;

use whittle_kernels::mmap::AnonymousMap;
use whittle_kernels::{Elements, Heads, Kernels, KvView, Mask, Matrix, bf16, measure};

/// A name and what is measured under it.
type Part = (&'static str, fn(Kernels));

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let kernels = Kernels::detect();
    println!("path {}", kernels.isa().name());
    let parts: [Part; 4] = [
        ("matmul", matmul),
        ("few", few_rows),
        ("attention", attention),
        ("decode", decode),
    ];
    for (name, part) in parts {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            part(kernels);
        }
    }
}

fn noise(len: usize) -> Vec<f32> {
    let value = |i: usize| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 1000.0 - 0.5;
    (0..len).map(value).collect()
}

fn halves(len: usize) -> Vec<bf16> {
    noise(len).into_iter().map(bf16::from_f32).collect()
}

/// Best and median seconds of several runs.
fn times(runs: usize, mut work: impl FnMut()) -> (f64, f64) {
    work();
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[runs / 2])
}

/// The shapes of model `m`.
const SHAPES: [(usize, usize); 4] = [(2048, 2048), (512, 2048), (7168, 2048), (2048, 7168)];

fn matmul(kernels: Kernels) {
    for m in [512, 2048] {
        for (n, k) in SHAPES {
            let (x, w) = (noise(m * k), halves(n * k));
            let w = Matrix::new(Elements::BF16(&w), n, k).unwrap();
            let w = kernels.pack(w).unwrap();
            let mut out = vec![0.0; m * n];
            let (best, median) = times(7, || kernels.matmul(&mut out, &x, &w, None));
            let rate = |seconds| 2.0 * (m * n * k) as f64 / seconds / 1e9;
            println!(
                "matmul {m} x {n} x {k}: {:.0} GFLOP/s, median {:.0}",
                rate(best),
                rate(median)
            );
        }
    }
}

fn few_rows(kernels: Kernels) {
    println!(
        "read bandwidth {:.1} GB/s",
        measure::read_bandwidth(1 << 30, 5).unwrap() / 1e9
    );
    for m in [1, 2, 4, 8, 16] {
        for (n, k) in [(2048, 2048), (7168, 2048), (2048, 7168), (32000, 2048)] {
            // Together larger than any cache.
            let copies = (1 << 29) / (2 * n * k);
            let w = halves(n * k);
            let w = Matrix::new(Elements::BF16(&w), n, k).unwrap();
            let all: Vec<_> = (0..copies).map(|_| kernels.pack(w).unwrap()).collect();
            let (x, mut out) = (noise(m * k), vec![0.0; m * n]);
            let (best, median) = times(5, || {
                for w in &all {
                    kernels.matmul(&mut out, &x, w, None);
                }
            });
            let rate = |seconds| (copies * 2 * n * k) as f64 / seconds / 1e9;
            println!(
                "{m} x {n} x {k}: {:.1} GB/s, median {:.1}",
                rate(best),
                rate(median)
            );
        }
    }
}

/// Of model `m`.
const HEADS: Heads = Heads {
    query: 16,
    kv: 4,
    dim: 128,
};

fn views(keys: &[bf16], len: usize) -> Vec<KvView<'_>> {
    let head = |k: usize| Elements::BF16(&keys[k * len * HEADS.dim..(k + 1) * len * HEADS.dim]);
    (0..HEADS.kv)
        .map(|k| KvView::contiguous(head(k), head(k), len))
        .collect()
}

fn attention(kernels: Kernels) {
    for (rows, len) in [(512, 2048), (512, 8192), (512, 32768), (2048, 8192)] {
        let keys = halves(HEADS.kv * len * HEADS.dim);
        let q = noise(rows * HEADS.query * HEADS.dim);
        let mut out = vec![0.0; q.len()];
        let offset = len - rows;
        let (best, median) = times(5, || {
            kernels.prefill_attention(
                &mut out,
                &q,
                &views(&keys, len),
                HEADS,
                Mask::Causal { offset },
                0.088,
                None,
            );
        });
        let entries = rows * offset + rows * (rows + 1) / 2;
        let rate = |seconds| (4 * HEADS.query * HEADS.dim * entries) as f64 / seconds / 1e9;
        println!(
            "attention of {rows} rows to {len} keys: {:.0} GFLOP/s, median {:.0}",
            rate(best),
            rate(median)
        );
    }
}

fn decode(kernels: Kernels) {
    for len in [200, 2048, 8192, 32768] {
        let copies = ((1 << 28) / (4 * HEADS.kv * len * HEADS.dim)).max(1);
        let numbers = halves(2 * HEADS.kv * len * HEADS.dim);
        let all: Vec<AnonymousMap> = (0..copies)
            .map(|_| {
                let mut map = AnonymousMap::huge(2 * numbers.len()).unwrap();
                map.elements_mut::<bf16>().copy_from_slice(&numbers);
                map
            })
            .collect();
        let q = noise(HEADS.query * HEADS.dim);
        let mut out = vec![0.0; q.len()];
        let (best, median) = times(5, || {
            for both in &all {
                let both = both.elements::<bf16>();
                let (keys, values) = both.split_at(both.len() / 2);
                let mut views = views(keys, len);
                for (view, values) in views.iter_mut().zip(self::views(values, len)) {
                    view.chunks[0].values = values.chunks[0].values;
                }
                kernels.decode_attention(&mut out, &q, &views, HEADS, 0.088);
            }
        });
        let rate = |seconds| (copies * 4 * HEADS.kv * len * HEADS.dim) as f64 / seconds / 1e9;
        println!(
            "decode attention to {len} keys: {:.1} GB/s, median {:.1}",
            rate(best),
            rate(median)
        );
    }
}
