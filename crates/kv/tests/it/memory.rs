//! Resident memory as the operating system counts it: compaction gives it back.
//!
//! The measurement runs in a process of its own, since the other tests of this binary would disturb it.

use whittle_kernels::DType;
use whittle_kv::{CacheShape, KvCache, PolicyOptions};

use crate::random::Recipe;

const CHILD: &str = "WHITTLE_TEST_MEMORY_CHILD";
const MIB: usize = 1 << 20;
const LEN: usize = 8192;
const LAYERS: usize = 16;

/// Resident bytes now, and the most since the last reset.
fn resident() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
            * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[test]
fn compaction_gives_resident_memory_back() {
    if std::env::var_os(CHILD).is_some() {
        return measure();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "memory::compaction_gives_resident_memory_back",
            "--test-threads=1",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("resident before"),
        "the child measured nothing: {text}"
    );
    println!("{text}");
}

fn measure() {
    let recipe = Recipe {
        layers: LAYERS,
        kv_heads: 4,
        group: 2,
        len: LEN,
        vision_end: LEN - 100,
        seed: 11,
    };
    let plan = recipe.plan("vl-cache", &PolicyOptions::default());
    let shape = CacheShape {
        layers: LAYERS,
        query_heads: 8,
        kv_heads: 4,
        head_dim: 128,
        dtype: DType::BF16,
    };
    let full = shape.bytes_per_token() * LEN;
    assert_eq!(full, 256 * MIB);

    let start = resident().0;
    let mut cache = KvCache::new(shape).unwrap();
    let rows = vec![0.5_f32; 256 * 4 * 128];
    for layer in 0..LAYERS {
        for _ in 0..LEN / 256 {
            cache.append(layer, &rows, &rows, 256).unwrap();
        }
    }
    let before = resident().0;
    assert_eq!(cache.bytes(), full);
    assert!(
        before - start >= full - MIB,
        "{} of {full} bytes resident",
        before - start
    );

    // Resets VmHWM, so that the peak is that of the compaction.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    cache.apply(&plan).unwrap();
    let (after, peak) = resident();
    println!(
        "resident before {} MiB, peak while compacting +{} MiB, after {} MiB; cache says {} MiB",
        (before - start) / MIB,
        peak.saturating_sub(before) / MIB,
        (after - start) / MIB,
        cache.bytes() / MIB
    );
    let kept = plan.kept_total() * 2 * 128 * 2;
    assert!(
        cache.bytes() <= kept + LAYERS * (4096 + 8 * 64),
        "{} bytes for {kept}",
        cache.bytes()
    );
    assert!(
        after - start <= cache.bytes() + 4 * MIB,
        "{} bytes are still resident",
        after - start
    );
    let largest_layer = (0..LAYERS)
        .map(|layer| plan.kept(layer, 0).len() * 4 * 2 * 128 * 2)
        .max()
        .unwrap();
    assert!(
        peak <= before + largest_layer + 4 * MIB,
        "peak {peak}, before {before}"
    );

    // Decoding adds only what it needs, and dropping the cache returns the rest.
    for _ in 0..200 {
        for layer in 0..LAYERS {
            cache
                .append(layer, &rows[..4 * 128], &rows[..4 * 128], 1)
                .unwrap();
        }
    }
    let decoded = resident().0;
    assert!(
        decoded - after <= 256 * shape.bytes_per_token() + 4 * MIB,
        "{} bytes for 200 tokens",
        decoded - after
    );
    drop(cache);
    assert!(
        resident().0 <= start + 4 * MIB,
        "{} bytes are left",
        resident().0 - start
    );
}
