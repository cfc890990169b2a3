//! One measurement of `whittle bench`, in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use whittle_engine::memory::ProcessMemory;
use whittle_engine::{Limits, PolicyChoice, Prefix, Sequence};
use whittle_kv::PromptInfo;
use whittle_models::{LoadOptions, Model, Prompt};

/// Measures one point; run by `whittle bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    policy: String,
    #[arg(long)]
    kv_budget: f64,
    #[arg(long)]
    prompt_tokens: usize,
    #[arg(long)]
    new_tokens: usize,
    #[arg(long)]
    threads: Option<usize>,
}

/// What a process measured.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Prefill without what follows, in seconds.
    pub(crate) model_s: f64,
    /// Attention statistics for the policy.
    pub(crate) statistics_s: f64,
    /// Planning and compaction.
    pub(crate) compress_s: f64,
    /// A decode step, mean.
    pub(crate) decode_step_s: f64,
    /// Bytes allocated for the cache after prefill, before and after compression.
    pub(crate) cache_bytes_before: u64,
    /// See `cache_bytes_before`.
    pub(crate) cache_bytes_after: u64,
    /// Bytes of the memory-mapped weights, which the peaks contain.
    pub(crate) weight_bytes: u64,
    /// Most resident memory up to the end of compression (`VmHWM`), where the system tells.
    pub(crate) prefill_peak_bytes: Option<u64>,
    /// Most resident memory from then on.
    pub(crate) decode_peak_bytes: Option<u64>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    whittle_kernels::set_threads(arguments.threads)?;
    let model = whittle_models::load(&arguments.model, &LoadOptions::default())?;
    let model = &*model;
    // Brings the weights into memory and starts the threads.
    let warm_up = start(model, &PolicyChoice::new("full", 1.0), 64, 2)?;
    decode(warm_up.1)?;

    let choice = PolicyChoice::new(&arguments.policy, arguments.kv_budget);
    let (prefilled, sequence) = start(
        model,
        &choice,
        arguments.prompt_tokens,
        arguments.new_tokens,
    )?;
    let prefill_peak = ProcessMemory::read().map(|memory| memory.peak);
    // Writing 5 resets VmHWM to what is resident now (proc(5)); without it there is no peak of decoding alone.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let decode_step = decode(sequence)?;
    let decode_peak = if reset {
        ProcessMemory::read().map(|memory| memory.peak)
    } else {
        None
    };

    let times = prefilled.times;
    let point = Point {
        model_s: (times.model.vision + times.model.decoder).as_secs_f64(),
        statistics_s: times.model.statistics.as_secs_f64(),
        compress_s: times.compress.as_secs_f64(),
        decode_step_s: decode_step.as_secs_f64(),
        cache_bytes_before: prefilled.compression.bytes_before,
        cache_bytes_after: prefilled.compression.bytes_after,
        weight_bytes: model.description().weight_bytes,
        prefill_peak_bytes: prefill_peak,
        decode_peak_bytes: decode_peak,
    };
    println!("{}", serde_json::to_string(&point)?);
    Ok(())
}

/// Prefills a prompt of pseudo-random tokens and compresses its cache.
fn start<'m>(
    model: &'m dyn Model,
    choice: &PolicyChoice,
    prompt_tokens: usize,
    new_tokens: usize,
) -> Result<(whittle_engine::Prefilled, Sequence<'m>)> {
    let vocabulary = model.description().text.vocabulary as u64;
    // A linear congruential generator (Knuth's MMIX): any tokens will do, as long as they are the same ones.
    let ids = (0..prompt_tokens).scan(1_u64, |state, _| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(((*state >> 33) % vocabulary) as u32)
    });
    let prompt = Prompt {
        ids: ids.collect(),
        info: PromptInfo::text(prompt_tokens),
        images: Vec::new(),
    };
    let policy = choice.build()?;
    let needs = policy.needs(&prompt.info)?;
    let prefix = Prefix::new(model, prompt, &needs, None, Duration::ZERO, &mut ())?;
    let limits = Limits {
        max_tokens: new_tokens,
        ignore_eos: true,
        ..Limits::default()
    };
    Ok(prefix.into_sequence(model, &*policy, limits)?)
}

/// Generates all tokens; the mean time of a step.
fn decode(mut sequence: Sequence<'_>) -> Result<Duration> {
    loop {
        if let Some(reason) = sequence.step()?.finished {
            return sequence
                .done(reason)
                .decode_step()
                .context("--new-tokens must be at least 2");
        }
    }
}
