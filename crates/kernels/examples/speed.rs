//! Speed of the kernels, path by path: `cargo run --release -p whittle-kernels --example speed`.

use std::time::Instant;

use whittle_kernels::{Elements, Isa, Kernels, Matrix, bf16, f16};

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

fn matrix_products(kernels: Kernels) {
    for (m, n, k) in [
        (2048, 2048, 2048),
        (577, 1024, 1024),
        (64, 2048, 2048),
        (8, 2048, 2048),
    ] {
        let (x, w) = (noise(m * k), noise(n * k));
        let (w16, wb) = (
            w.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>(),
            w.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(),
        );
        let mut out = vec![0.0; m * n];
        let mut line = format!("matmul {m}x{n}x{k}:");
        for (name, e) in [
            ("f32", Elements::F32(&w)),
            ("f16", Elements::F16(&w16)),
            ("bf16", Elements::BF16(&wb)),
        ] {
            let w = Matrix::new(e, n, k).unwrap();
            let seconds = fastest(|| kernels.matmul(&mut out, &x, w, None));
            line += &format!(
                "  {name} {:.0} GFLOP/s",
                2e-9 * (m * n * k) as f64 / seconds
            );
        }
        println!("{line}");
    }
}

fn matrix_vector_products(kernels: Kernels) {
    let (n, k) = (32_768, 2048);
    let (x, w) = (noise(k), noise(n * k));
    let (w16, wb) = (
        w.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>(),
        w.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(),
    );
    let mut out = vec![0.0; n];
    let mut line = format!("matvec {n}x{k}:");
    for (name, e) in [
        ("f32", Elements::F32(&w)),
        ("f16", Elements::F16(&w16)),
        ("bf16", Elements::BF16(&wb)),
    ] {
        let w = Matrix::new(e, n, k).unwrap();
        let seconds = fastest(|| kernels.matmul(&mut out, &x, w, None));
        line += &format!(
            "  {name} {:.1} GB/s",
            1e-9 * (n * k * e.dtype().size()) as f64 / seconds
        );
    }
    println!("{line}");
}

fn main() {
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
        matrix_products(kernels);
        matrix_vector_products(kernels);
    }
}
