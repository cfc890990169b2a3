//! Medians, ratios and bounds of what was measured.

use serde::Serialize;
use whittle_models::random::RandomShape;

use crate::commands::compare::FULL;

use super::bounds::{Bounds, full_entries};
use super::grid::{Engine, Load};
use super::one::{Details, Point, Speed, Times};

/// One process of the grid.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// In which round; the runs of a round were measured one after the other.
    pub(super) round: usize,
    /// What was to be done.
    pub(super) load: Load,
    /// By whom.
    pub(super) engine: Engine,
    /// What every engine is measured by.
    pub(super) times: Times,
    /// What is known of our own engine alone.
    pub(super) details: Option<Details>,
}

/// A row of the report: medians over the runs.
#[derive(Serialize, Debug, Clone)]
pub(super) struct Row {
    /// Policy or peer.
    pub(super) what: String,
    /// Whether it is a peer.
    pub(super) peer: bool,
    /// Fraction of the cache that is kept.
    pub(super) budget: f64,
    /// Prompt and batch.
    #[serde(flatten)]
    pub(super) load: Load,
    /// Medians.
    #[serde(flatten)]
    pub(super) times: Times,
    /// The least times on this machine.
    #[serde(flatten)]
    pub(super) bounds: Bounds,
    /// Prefill as a multiple of its bound.
    pub(super) prefill_to_bound: f64,
    /// A decode step as a multiple of its bound.
    pub(super) decode_to_bound: f64,
    /// Medians of what is known of our own engine alone.
    pub(super) details: Option<Details>,
    /// Statistics, planning and compaction as a share of the rest of prefill, median over the runs.
    pub(super) overhead: Option<f64>,
    /// The runs behind the medians.
    pub(super) runs: Vec<Times>,
}

/// How many times as fast a setting is as another engine or the full cache; above 1 is faster. Medians over the rounds,
/// within which both were measured.
#[derive(Serialize, Debug, Clone)]
pub(super) struct Ratio {
    /// Policy.
    pub(super) what: String,
    /// Fraction of the cache that is kept.
    pub(super) budget: f64,
    /// The peer, or the full cache.
    pub(super) against: String,
    /// Prompt and batch.
    #[serde(flatten)]
    pub(super) load: Load,
    /// Of the prefills.
    pub(super) prefill: f64,
    /// Of a decode step.
    pub(super) decode_step: f64,
    /// From the prompts to their last tokens.
    pub(super) end_to_end: f64,
}

/// Times of something that is done once per process.
#[derive(Serialize, Debug, Clone)]
pub(super) struct Samples {
    /// `whittle` or a peer.
    pub(super) engine: &'static str,
    /// The fastest run in seconds.
    pub(super) best_s: f64,
    /// The median run.
    pub(super) median_s: f64,
    /// All of them.
    pub(super) seconds: Vec<f64>,
}

impl Samples {
    /// Sums up the runs of an engine.
    pub(super) fn new(engine: &'static str, seconds: Vec<f64>) -> Self {
        Self {
            engine,
            best_s: seconds.iter().copied().fold(f64::INFINITY, f64::min),
            median_s: median(seconds.clone()),
            seconds,
        }
    }
}

/// The rows of all loads and engines that were measured at least once, in the order of the first round.
pub(super) fn rows(
    runs: &[Run],
    shape: &RandomShape,
    new_tokens: usize,
    speed: &Speed,
) -> Vec<Row> {
    let row = |(load, engine): (Load, &Engine)| {
        let runs: Vec<&Run> = of(runs, load, engine).collect();
        row(load, engine, &runs, shape, new_tokens, speed)
    };
    measured(runs).into_iter().map(row).collect()
}

/// What each of our settings is compared with: every peer at the same load, and our own full cache.
pub(super) fn ratios(runs: &[Run]) -> Vec<Ratio> {
    let measured = measured(runs);
    let mut ratios = Vec::new();
    for &(load, engine) in &measured {
        if matches!(engine, Engine::Peer(_)) {
            continue;
        }
        let others = measured
            .iter()
            .filter(|(of, other)| *of == load && *other != engine && is_reference(other));
        ratios.extend(others.map(|(_, other)| ratio(runs, load, engine, other)));
    }
    ratios
}

fn is_reference(engine: &Engine) -> bool {
    matches!(engine, Engine::Peer(_)) || engine.name() == FULL
}

fn measured(runs: &[Run]) -> Vec<(Load, &Engine)> {
    let mut found: Vec<(Load, &Engine)> = Vec::new();
    for run in runs {
        if !found.contains(&(run.load, &run.engine)) {
            found.push((run.load, &run.engine));
        }
    }
    found
}

fn of<'a>(runs: &'a [Run], load: Load, engine: &'a Engine) -> impl Iterator<Item = &'a Run> {
    runs.iter()
        .filter(move |run| run.load == load && run.engine == *engine)
}

fn ratio(runs: &[Run], load: Load, ours: &Engine, other: &Engine) -> Ratio {
    let ratio = |get: fn(&Times) -> f64| {
        let in_round = |run: &Run| {
            let same = of(runs, load, other).find(|other| other.round == run.round)?;
            Some(get(&same.times) / get(&run.times))
        };
        median(of(runs, load, ours).filter_map(in_round).collect())
    };
    Ratio {
        what: ours.name().to_owned(),
        budget: ours.budget(),
        against: other.name().to_owned(),
        load,
        prefill: ratio(|times| times.prefill_s),
        decode_step: ratio(|times| times.decode_step_s),
        end_to_end: ratio(|times| times.end_to_end_s),
    }
}

fn row(
    load: Load,
    engine: &Engine,
    runs: &[&Run],
    shape: &RandomShape,
    new_tokens: usize,
    speed: &Speed,
) -> Row {
    let of = |get: fn(&Times) -> f64| median(runs.iter().map(|run| get(&run.times)).collect());
    let times = Times {
        prefill_s: of(|times| times.prefill_s),
        decode_step_s: of(|times| times.decode_step_s),
        end_to_end_s: of(|times| times.end_to_end_s),
        cache_bytes: of(|times| times.cache_bytes as f64) as u64,
    };
    let details: Option<Vec<&Details>> = runs.iter().map(|run| run.details.as_ref()).collect();
    let details = details.as_deref();
    let median_details = details.map(median_details);
    // A peer keeps everything.
    let kept = median_details
        .as_ref()
        .map_or_else(|| full_entries(shape, load), |d| d.kept_entries as f64);
    // Memory's speed while this was measured, or else at any time.
    let read_bandwidth = median_details
        .as_ref()
        .map_or(speed.read_bandwidth, |details| details.read_bandwidth);
    let speed = Speed {
        read_bandwidth,
        ..speed.clone()
    };
    let bounds = Bounds::new(shape, load, kept, new_tokens, &speed);
    let overhead = |run: &&Details| (run.statistics_s + run.compress_s) / run.model_s;
    Row {
        what: engine.name().to_owned(),
        peer: matches!(engine, Engine::Peer(_)),
        budget: engine.budget(),
        load,
        times,
        bounds,
        prefill_to_bound: times.prefill_s / bounds.prefill_bound_s,
        decode_to_bound: times.decode_step_s / bounds.decode_bound_s,
        details: median_details,
        overhead: details.map(|details| median(details.iter().map(overhead).collect())),
        runs: runs.iter().map(|run| run.times).collect(),
    }
}

fn median_details(runs: &[&Details]) -> Details {
    let of = |get: fn(&Details) -> f64| median(runs.iter().map(|run| get(run)).collect());
    let optional = |get: fn(&Details) -> Option<u64>| {
        let values: Option<Vec<f64>> = runs
            .iter()
            .map(|run| get(run).map(|value| value as f64))
            .collect();
        values.map(|values| median(values) as u64)
    };
    Details {
        model_s: of(|run| run.model_s),
        statistics_s: of(|run| run.statistics_s),
        compress_s: of(|run| run.compress_s),
        kept_entries: of(|run| run.kept_entries as f64) as u64,
        cache_bytes_before: of(|run| run.cache_bytes_before as f64) as u64,
        read_bandwidth: of(|run| run.read_bandwidth),
        weight_bytes: of(|run| run.weight_bytes as f64) as u64,
        prefill_peak_bytes: optional(|run| run.prefill_peak_bytes),
        decode_peak_bytes: optional(|run| run.decode_peak_bytes),
    }
}

/// The middle value; not a number if there is none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

impl Run {
    /// A run of our own.
    pub(super) fn ours(round: usize, load: Load, engine: Engine, point: Point) -> Self {
        Self {
            round,
            load,
            engine,
            times: point.times,
            details: Some(point.details),
        }
    }
}
