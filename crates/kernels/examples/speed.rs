//! Speed of the kernels, path by path: `cargo run --release -p whittle-kernels --example speed`.

use std::fmt::Write;
use std::time::Instant;

use whittle_kernels::{
    Elements, Heads, Isa, KernelError, Kernels, KvView, Mask, Matrix, RowStatistics, bf16, f16,
};

/// CPU seconds that the threads of this process have used, where the system tells (Linux).
fn cpu_seconds() -> Option<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        total += text.split(' ').next()?.parse::<f64>().ok()? * 1e-9;
    }
    Some(total)
}

/// Seconds of the fastest of several runs; with `WHITTLE_CPU_TIME` set, the mean CPU seconds, which other processes
/// disturb less.
fn fastest(mut work: impl FnMut()) -> f64 {
    work();
    let cpu = std::env::var_os("WHITTLE_CPU_TIME").and_then(|_| cpu_seconds());
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || begin.elapsed().as_secs_f64() < 0.6 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    match (cpu, cpu_seconds()) {
        (Some(start), Some(end)) => (end - start) / f64::from(runs),
        _ => best,
    }
}

fn noise(n: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The same numbers in all element types.
struct Weights(Vec<f32>, Vec<f16>, Vec<bf16>);

impl Weights {
    fn new(n: usize) -> Self {
        let f32 = noise(n);
        let f16 = f32.iter().map(|&x| f16::from_f32(x)).collect();
        let bf16 = f32.iter().map(|&x| bf16::from_f32(x)).collect();
        Self(f32, f16, bf16)
    }

    fn kinds(&self) -> [(&'static str, Elements<'_>); 3] {
        [
            ("f32", Elements::F32(&self.0)),
            ("f16", Elements::F16(&self.1)),
            ("bf16", Elements::BF16(&self.2)),
        ]
    }
}

fn matrix_products(kernels: Kernels) -> Result<(), KernelError> {
    for (m, n, k) in [
        (2048, 2048, 2048),
        (577, 1024, 1024),
        (64, 2048, 2048),
        (8, 2048, 2048),
        (1, 32_768, 2048),
    ] {
        let (x, weights, mut out) = (noise(m * k), Weights::new(n * k), vec![0.0; m * n]);
        let mut line = format!("matmul {m} x {n} x {k}:");
        for (name, e) in weights.kinds() {
            let w = Matrix::new(e, n, k)?;
            let seconds = fastest(|| kernels.matmul(&mut out, &x, w, None));
            if m == 1 {
                let bytes = (n * k * e.dtype().size()) as f64;
                write!(line, "  {name} {:.1} GB/s", 1e-9 * bytes / seconds).ok();
            } else {
                write!(
                    line,
                    "  {name} {:.0} GFLOP/s",
                    2e-9 * (m * n * k) as f64 / seconds
                )
                .ok();
            }
        }
        println!("{line}");
    }
    Ok(())
}

fn attention(kernels: Kernels) -> Result<(), KernelError> {
    let heads = Heads {
        query: 16,
        kv: 4,
        dim: 128,
    };
    let scale = 128_f32.sqrt().recip();
    for m in [2048, 8192] {
        let (q, cache) = (noise(m * 2048), Weights::new(m * 128));
        let mut out = vec![0.0; q.len()];
        let mut line = format!("attention of {m} tokens, 16 / 4 heads of 128:");
        for (name, e) in cache.kinds() {
            if name == "f16" {
                continue;
            }
            let views = vec![KvView::contiguous(e, e, m); 4];
            let mut rows = RowStatistics::new(32, 16);
            let mask = Mask::Causal { offset: 0 };
            let prefill = fastest(|| {
                kernels.prefill_attention(
                    &mut out,
                    &q,
                    &views,
                    heads,
                    mask,
                    scale,
                    Some(&mut rows),
                );
            });
            let tail = &q[(m - 32) * 2048..];
            let mut failed = None;
            let statistics = fastest(|| {
                let found = kernels.attention_statistics(
                    tail,
                    m - 32,
                    &views,
                    heads,
                    scale,
                    0.01,
                    Some(&rows),
                );
                failed = found.err();
            });
            failed.map_or(Ok(()), Err)?;
            let decode = fastest(|| {
                kernels.decode_attention(&mut out[..2048], &q[..2048], &views, heads, scale);
            });
            let flops = 2.0 * 16.0 * 128.0 * (m * m) as f64;
            let bytes = (2 * 4 * m * 128 * e.dtype().size()) as f64;
            write!(
                line,
                "  {name}: prefill {:.0} ms ({:.0} GFLOP/s), statistics of 32 rows {:.2} ms, decode {:.3} ms ({:.1} GB/s)",
                prefill * 1e3,
                flops / prefill * 1e-9,
                statistics * 1e3,
                decode * 1e3,
                bytes / decode * 1e-9,
            )
            .ok();
        }
        println!("{line}");
    }
    Ok(())
}

fn main() -> Result<(), KernelError> {
    // WHITTLE_ISA names the only path to measure; the scalar one is measured only if it is named.
    let only = std::env::var("WHITTLE_ISA").ok();
    println!("{} threads", whittle_kernels::threads());
    for isa in Isa::available() {
        let wanted = only
            .as_deref()
            .map_or(isa != Isa::Scalar, |name| name == isa.name());
        let Some(kernels) = Kernels::with_isa(isa).filter(|_| wanted) else {
            continue;
        };
        println!("{}", isa.name());
        matrix_products(kernels)?;
        attention(kernels)?;
    }
    Ok(())
}
