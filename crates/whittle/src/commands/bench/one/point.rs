//! Prompts, their compression and their continuation.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use whittle_engine::memory::ProcessMemory;
use whittle_engine::{Limits, PolicyChoice, Prefilled, Prefix, Sequence, Step, step_together};
use whittle_kernels::measure::ReadMeter;
use whittle_kv::PromptInfo;
use whittle_models::{LoadOptions, Model, Prompt};

use super::pseudo_random;

/// Options of the process.
#[derive(Args)]
pub(super) struct Arguments {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    policy: String,
    #[arg(long)]
    kv_budget: f64,
    #[arg(long)]
    prompt_tokens: usize,
    #[arg(long)]
    batch: usize,
    #[arg(long)]
    new_tokens: usize,
}

/// What every engine is measured by.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times {
    /// From the prompts to their first tokens, all sequences, with compression; in seconds.
    pub(crate) prefill_s: f64,
    /// A decode step of all sequences together, mean.
    pub(crate) decode_step_s: f64,
    /// From the prompts to their last tokens.
    pub(crate) end_to_end_s: f64,
    /// Bytes of the cache: ours after prefill and compression, a peer's at the end.
    pub(crate) cache_bytes: u64,
}

/// What a process of ours measured.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// As for every engine.
    #[serde(flatten)]
    pub(crate) times: Times,
    /// What only we know.
    #[serde(flatten)]
    pub(crate) details: Details,
}

/// What is known of our own engine alone; sums over the sequences.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Details {
    /// Prefill without what follows, in seconds.
    pub(crate) model_s: f64,
    /// Attention statistics for the policy.
    pub(crate) statistics_s: f64,
    /// Planning and compaction.
    pub(crate) compress_s: f64,
    /// Entries that the policy kept, over all layers and KV heads.
    pub(crate) kept_entries: u64,
    /// Bytes allocated for the cache before compression.
    pub(crate) cache_bytes_before: u64,
    /// Bytes per second at which memory was read between the decode steps.
    pub(crate) read_bandwidth: f64,
    /// Bytes of the weights, which the peaks contain.
    pub(crate) weight_bytes: u64,
    /// Most resident memory up to the end of compression (`VmHWM`), where the system tells.
    pub(crate) prefill_peak_bytes: Option<u64>,
    /// Most resident memory from then on.
    pub(crate) decode_peak_bytes: Option<u64>,
}

/// Measures the point.
pub(super) fn measure(arguments: &Arguments) -> Result<Point> {
    let model = whittle_models::load(&arguments.model, &LoadOptions::default())?;
    let model = &*model;
    // Brings the weights into memory and starts the threads.
    let warm_up = start(model, &PolicyChoice::new("full", 1.0), 64, 2, 0)?;
    decode(&mut [warm_up.1], 2)?;

    let choice = PolicyChoice::new(&arguments.policy, arguments.kv_budget);
    let (prompt_tokens, new_tokens) = (arguments.prompt_tokens, arguments.new_tokens);
    let begin = Instant::now();
    let (prefilled, mut sequences): (Vec<_>, Vec<_>) = (0..arguments.batch)
        .map(|sequence| start(model, &choice, prompt_tokens, new_tokens, sequence as u64))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    let prefill = begin.elapsed();
    let prefill_peak = ProcessMemory::read().map(|memory| memory.peak);
    // Writing 5 resets VmHWM to what is resident now (proc(5)); without it there is no peak of decoding alone.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let decoded = decode(&mut sequences, new_tokens)?;
    let steps = decoded.time;
    // What is read for comparison is not the engine's.
    let decode_peak =
        ProcessMemory::read().map(|memory| memory.peak.saturating_sub(METER_BYTES as u64));

    Ok(Point {
        times: Times {
            prefill_s: prefill.as_secs_f64(),
            decode_step_s: steps.as_secs_f64() / (new_tokens - 1) as f64,
            end_to_end_s: (prefill + steps).as_secs_f64(),
            cache_bytes: prefilled.iter().map(|p| p.compression.bytes_after).sum(),
        },
        details: Details {
            weight_bytes: model.description().weight_bytes,
            prefill_peak_bytes: prefill_peak,
            decode_peak_bytes: decode_peak.filter(|_| reset),
            read_bandwidth: decoded.read_bandwidth,
            ..details(&prefilled)
        },
    })
}

/// Sums over the sequences; what does not come from them is empty.
fn details(prefilled: &[Prefilled]) -> Details {
    let seconds = |get: fn(&Prefilled) -> Duration| prefilled.iter().map(get).sum::<Duration>();
    let count = |get: fn(&Prefilled) -> u64| prefilled.iter().map(get).sum();
    Details {
        model_s: seconds(|of| of.times.model.vision + of.times.model.decoder).as_secs_f64(),
        statistics_s: seconds(|of| of.times.model.statistics).as_secs_f64(),
        compress_s: seconds(|of| of.times.compress).as_secs_f64(),
        kept_entries: count(|of| of.compression.kept_entries()),
        cache_bytes_before: count(|of| of.compression.bytes_before),
        read_bandwidth: 0.0,
        weight_bytes: 0,
        prefill_peak_bytes: None,
        decode_peak_bytes: None,
    }
}

/// Prefills a prompt of pseudo-random tokens, other ones for each sequence, and compresses its cache.
fn start<'m>(
    model: &'m dyn Model,
    choice: &PolicyChoice,
    prompt_tokens: usize,
    new_tokens: usize,
    sequence: u64,
) -> Result<(Prefilled, Sequence<'m>)> {
    let vocabulary = model.description().text.vocabulary as u64;
    let ids = pseudo_random(1 + sequence).map(|bits| (bits % vocabulary) as u32);
    let prompt = Prompt {
        ids: ids.take(prompt_tokens).collect(),
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

/// Bytes that are read between two steps.
const METER_BYTES: usize = 256 << 20;

/// Decoding, and what memory was able to do meanwhile.
struct Decoded {
    /// Of all steps, without reading.
    time: Duration,
    /// Bytes per second.
    read_bandwidth: f64,
}

/// Generates all tokens. The first one comes from prefill and costs no step.
///
/// A shared machine's memory may change its speed from one second to the next, so between steps memory is read for
/// comparison.
fn decode(sequences: &mut [Sequence<'_>], new_tokens: usize) -> Result<Decoded> {
    let mut sequences: Vec<_> = sequences.iter_mut().collect();
    let meter = ReadMeter::new(METER_BYTES)?;
    let (mut time, mut reading) = (Duration::ZERO, Duration::ZERO);
    for token in 1..=new_tokens {
        let begin = Instant::now();
        let steps: Vec<Step> = step_together(&mut sequences)
            .into_iter()
            .collect::<Result<_, _>>()?;
        time += begin.elapsed();
        reading += meter.read();
        let finished = steps.iter().filter(|step| step.finished.is_some()).count();
        let expected = if token == new_tokens { steps.len() } else { 0 };
        (finished == expected)
            .then_some(())
            .with_context(|| format!("{finished} sequences ended with token {token}"))?;
    }
    Ok(Decoded {
        time,
        read_bandwidth: (meter.bytes() * new_tokens) as f64 / reading.as_secs_f64(),
    })
}
