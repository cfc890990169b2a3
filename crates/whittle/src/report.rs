//! What `--json` writes and the summary line says about a request.

use std::time::Duration;

use serde::Serialize;
use whittle_engine::{PolicyChoice, Prefilled};

use crate::format;
use crate::session::Outcome;

/// A policy as it was asked for.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub(crate) struct PolicyReport {
    /// Name in the registry.
    pub(crate) name: String,
    /// Fraction of the cache to keep.
    pub(crate) budget: f64,
    /// Quality floor.
    pub(crate) min_mass: Option<f64>,
}

/// What became of the cache.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub(crate) struct CacheReport {
    /// Entries after prefill: prompt tokens × layers × KV heads.
    pub(crate) prompt_entries: u64,
    /// Entries kept of them.
    pub(crate) kept_entries: u64,
    /// `kept_entries / prompt_entries`.
    pub(crate) kept_fraction: f64,
    /// Bytes of the cache before and after compression, as allocated.
    pub(crate) bytes_before: u64,
    /// See `bytes_before`.
    pub(crate) bytes_after: u64,
    /// The budget in force after `min_mass`.
    pub(crate) budget_used: f64,
    /// Share of the question's attention that the kept entries had received, mean over layers.
    pub(crate) retained_mass: Option<f64>,
    /// The same for each layer.
    pub(crate) retained_mass_per_layer: Vec<f64>,
    /// Kept fraction of each layer.
    pub(crate) kept_fraction_per_layer: Vec<f64>,
}

/// Where the time went, in seconds.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[allow(clippy::struct_field_names)] // the unit belongs to a name in JSON
pub(crate) struct TimesReport {
    /// Chat template, tokens and image processing.
    pub(crate) prompt_s: f64,
    /// Vision tower, decoder, statistics and compression together.
    pub(crate) prefill_s: f64,
    /// Vision tower and projector.
    pub(crate) vision_s: f64,
    /// Attention statistics for the policy.
    pub(crate) statistics_s: f64,
    /// Planning and compaction.
    pub(crate) compress_s: f64,
    /// All decode steps.
    pub(crate) decode_s: f64,
    /// One decode step, mean.
    pub(crate) decode_step_s: Option<f64>,
}

/// A request's whole report.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// The model's folder.
    pub(crate) model: String,
    /// The question.
    pub(crate) question: String,
    /// The answer.
    pub(crate) answer: String,
    /// Why it ended.
    pub(crate) finish_reason: &'static str,
    /// The policy asked for.
    pub(crate) policy: PolicyReport,
    /// Prompt tokens with the visual ones.
    pub(crate) prompt_tokens: usize,
    /// Visual tokens among them.
    pub(crate) visual_tokens: usize,
    /// Tokens generated.
    pub(crate) generated_tokens: usize,
    /// What became of the cache.
    pub(crate) cache: CacheReport,
    /// Where the time went.
    pub(crate) times: TimesReport,
}

impl PolicyReport {
    pub(crate) fn new(choice: &PolicyChoice) -> Self {
        Self {
            name: choice.name.clone(),
            budget: choice.options.alpha,
            min_mass: choice.options.min_mass,
        }
    }
}

impl CacheReport {
    pub(crate) fn new(prefilled: &Prefilled) -> Self {
        let compression = &prefilled.compression;
        Self {
            prompt_entries: compression.prompt_entries(),
            kept_entries: compression.kept_entries(),
            kept_fraction: compression.plan.kept_fraction(),
            bytes_before: compression.bytes_before,
            bytes_after: compression.bytes_after,
            budget_used: compression.plan.alpha(),
            retained_mass: compression.mean_mass(),
            retained_mass_per_layer: compression.retained_mass(),
            kept_fraction_per_layer: compression.plan.budgets(),
        }
    }
}

impl TimesReport {
    pub(crate) fn new(outcome: &Outcome) -> Self {
        let times = &outcome.prefilled.times;
        let decode = &outcome.done;
        Self {
            prompt_s: times.prompt.as_secs_f64(),
            prefill_s: times.prefill().as_secs_f64(),
            vision_s: times.model.vision.as_secs_f64(),
            statistics_s: times.model.statistics.as_secs_f64(),
            compress_s: times.compress.as_secs_f64(),
            decode_s: decode.decode_time.as_secs_f64(),
            decode_step_s: decode.decode_step().map(|step| step.as_secs_f64()),
        }
    }
}

impl Report {
    /// The report of a request.
    pub(crate) fn new(
        model: String,
        question: &str,
        choice: &PolicyChoice,
        outcome: &Outcome,
    ) -> Self {
        let prefilled = &outcome.prefilled;
        Self {
            model,
            question: question.to_owned(),
            answer: outcome.answer.trim().to_owned(),
            finish_reason: outcome.done.reason.name(),
            policy: PolicyReport::new(choice),
            prompt_tokens: prefilled.prompt_tokens,
            visual_tokens: prefilled.visual_tokens,
            generated_tokens: outcome.done.generated_tokens,
            cache: CacheReport::new(prefilled),
            times: TimesReport::new(outcome),
        }
    }

    /// The line under an answer.
    pub(crate) fn summary(&self) -> String {
        let Self { cache, times, .. } = self;
        let mass = cache.retained_mass.map_or_else(String::new, |mass| {
            format!(", mass {}", format::percent(mass))
        });
        let step = times
            .decode_step_s
            .map_or_else(String::new, |step| format!(", {} per step", seconds(step)));
        format!(
            "{}: kept {} of {} cache entries ({}), {} of {}{mass}; {} prompt tokens, prefill {}, decode {}{step}",
            self.policy.name,
            format::count(cache.kept_entries),
            format::count(cache.prompt_entries),
            format::percent(cache.kept_fraction),
            format::bytes(cache.bytes_after),
            format::bytes(cache.bytes_before),
            format::count(self.prompt_tokens as u64),
            seconds(times.prefill_s),
            seconds(times.decode_s),
        )
    }
}

/// A number of seconds as people read it.
pub(crate) fn seconds(seconds: f64) -> String {
    format::time(Duration::from_secs_f64(seconds.max(0.0)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report with round numbers.
    pub(crate) fn example(policy: &str, answer: &str) -> Report {
        Report {
            model: "models/reader".to_owned(),
            question: "TOTAL?".to_owned(),
            answer: answer.to_owned(),
            finish_reason: "eos",
            policy: PolicyReport {
                name: policy.to_owned(),
                budget: 0.1,
                min_mass: None,
            },
            prompt_tokens: 1020,
            visual_tokens: 1000,
            generated_tokens: 4,
            cache: CacheReport {
                prompt_entries: 8160,
                kept_entries: 816,
                kept_fraction: 0.1,
                bytes_before: 2_097_152,
                bytes_after: 262_144,
                budget_used: 0.1,
                retained_mass: Some(0.9731),
                retained_mass_per_layer: vec![0.96, 0.9862],
                kept_fraction_per_layer: vec![0.15, 0.05],
            },
            times: TimesReport {
                prompt_s: 0.002,
                prefill_s: 0.1234,
                vision_s: 0.04,
                statistics_s: 0.001,
                compress_s: 0.0005,
                decode_s: 0.0123,
                decode_step_s: Some(0.0041),
            },
        }
    }

    #[test]
    fn summary() {
        insta::assert_snapshot!(example("vl-cache", "12.50").summary());
    }

    #[test]
    fn json() {
        insta::assert_json_snapshot!(example("vl-cache", "12.50"));
    }
}
