//! Dropped memory really goes: resident bytes as the kernel counts them.

use whittle_engine::memory::{ProcessMemory, full_cache_bytes, prefill_bytes};
use whittle_engine::{Limits, PolicyChoice, Prefix};
use whittle_kv::PromptInfo;
use whittle_models::random::{RandomShape, write_random_checkpoint};
use whittle_models::{LoadOptions, Prompt};

/// Little computation, much cache: 192 KiB per token in bf16.
const SHAPE: RandomShape = RandomShape {
    hidden: 32,
    layers: 12,
    query_heads: 16,
    kv_heads: 16,
    head_dim: 256,
    intermediate: 32,
    vocabulary: 300,
};
const TOKENS: usize = 192;

/// Measured in a process of its own: this test starts itself again, so that other tests' memory does not count.
#[test]
#[cfg(target_os = "linux")]
fn compression_gives_memory_back_to_the_system() {
    const CHILD: &str = "WHITTLE_MEMORY_CHILD";
    if std::env::var_os(CHILD).is_some() {
        measure();
        return;
    }
    let name = "memory::compression_gives_memory_back_to_the_system";
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(
        status.success(),
        "see the output of the measuring process above"
    );
}

fn measure() {
    let folder = tempfile::tempdir().unwrap();
    write_random_checkpoint(folder.path(), &SHAPE, 1, |_, _| ()).unwrap();
    let model = whittle_models::load(folder.path(), &LoadOptions::default()).unwrap();
    let full = full_cache_bytes(model.description(), TOKENS);
    assert_eq!(full, TOKENS as u64 * 192 * 1024);

    let policy = PolicyChoice::new("vl-cache", 0.1).build().unwrap();
    let prompt = |tokens: usize| Prompt {
        ids: (0..tokens).map(|i| 3 + (i * 7 % 256) as u32).collect(),
        info: PromptInfo::text(tokens),
        images: Vec::new(),
    };
    let prefix = |tokens| {
        let prompt = prompt(tokens);
        let needs = policy.needs(&prompt.info).unwrap();
        Prefix::new(
            &*model,
            prompt,
            &needs,
            None,
            std::time::Duration::ZERO,
            &mut (),
        )
        .unwrap()
    };
    let resident = || ProcessMemory::read().unwrap().resident;
    // Threads, weights and allocator arenas are in place after a small prompt.
    drop(prefix(16));

    let before = resident();
    let prefilled = prefix(TOKENS);
    let filled = resident();
    assert!(
        filled - before >= full * 95 / 100,
        "the full cache is resident: {filled} after {before}"
    );

    let (report, mut sequence) = prefilled
        .into_sequence(&*model, &*policy, Limits::default())
        .unwrap();
    let compressed = resident();
    let compression = &report.compression;
    assert!((0.09..=0.101).contains(&compression.plan.kept_fraction()));
    assert!(
        compression.bytes_before >= full,
        "{}",
        compression.bytes_before
    );
    // What is counted as freed is what the kernel got back, within the size of an allocator's arena.
    let freed = compression.bytes_before - compression.bytes_after;
    assert!(
        freed >= full * 85 / 100,
        "{} of {} bytes remain",
        compression.bytes_after,
        compression.bytes_before
    );
    let returned = filled.saturating_sub(compressed);
    assert!(
        returned + (4 << 20) >= freed,
        "{freed} bytes were freed, {returned} went back to the system"
    );
    println!(
        "full cache {full}, before {before}, filled {filled}, compressed {compressed}, freed {freed}"
    );

    // The peak is one full cache, never two: compaction goes layer by layer. The estimate covers it.
    let peak = ProcessMemory::read().unwrap().peak - before;
    assert!(
        peak <= full + full / 4 + (32 << 20),
        "peak {peak} above the start for a cache of {full}"
    );
    assert!(
        peak <= prefill_bytes(model.description(), TOKENS) + full / 4 + (16 << 20),
        "peak {peak}"
    );

    sequence.step().unwrap();
    sequence.step().unwrap();
    assert_eq!(
        sequence.cache().logical_len(),
        TOKENS + 1,
        "positions go on after the prompt"
    );
    drop(sequence);
    let after = resident();
    assert!(
        after.saturating_sub(before) <= (8 << 20),
        "{after} bytes resident at the end, {before} at the start"
    );
}
