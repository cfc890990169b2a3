//! What is measured and what comes out of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::{Limits, SealedInput};

/// What a program is given for one run.
#[derive(Debug, Clone)]
pub struct Workload {
    /// A name for people; unique among the workloads of a comparison.
    pub name: String,
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: SealedInput,
}

/// One of the two programs of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Arm<'a> {
    /// A name for people, used in errors.
    pub name: &'a str,
    /// Executables of the same program under different link layouts. Both arms have the same number, and the *i*-th of one
    /// is paired with the *i*-th of the other.
    pub layouts: &'a [PathBuf],
}

/// Which of the two arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArmName {
    /// What the candidate is compared with.
    Baseline,
    /// What is hoped to be faster.
    Candidate,
}

/// How a comparison is done. A *block* is four runs, ABBA or BAAB, of one workload under one layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompareOptions {
    /// Runs of each executable with each workload that are thrown away before the first block.
    pub warm_up: usize,
    /// Blocks before the first look at the interval; rounded up to whole rounds (every workload under every layout once).
    pub min_blocks: usize,
    /// Blocks after which the comparison ends; rounded down to whole rounds, but never below one.
    pub max_blocks: usize,
    /// Confidence that all looks at the interval together keep.
    pub confidence: f64,
    /// The least gain that counts: 0.01 is one per cent.
    pub margin: f64,
    /// Half width of an A/A comparison on this machine ([`NoiseFloor`]); the verdict uses the larger of it and the margin.
    pub noise_floor: f64,
    /// The comparison ends at a look where the interval of the log-ratio is at most this wide to either side.
    pub target_half_width: f64,
    /// No block is started after this time, once every workload has been measured under every layout.
    pub time_limit: Duration,
    /// Seed of everything random: order of runs, environment, resampling.
    pub seed: u64,
    /// Bounds of each run.
    pub limits: Limits,
}

impl CompareOptions {
    /// Sensible defaults: 95 % confidence, 1 % margin, an interval of ±0.5 % wanted, two minutes.
    pub fn new(limits: Limits, seed: u64) -> CompareOptions {
        CompareOptions {
            warm_up: 1,
            min_blocks: 20,
            max_blocks: 400,
            confidence: 0.95,
            margin: 0.01,
            noise_floor: 0.0,
            target_half_width: 0.005,
            time_limit: Duration::from_secs(120),
            seed,
            limits,
        }
    }
}

/// What may be said of the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval lies above `1 + margin`, and no workload became slower.
    Faster,
    /// The whole interval lies below `1 / (1 + margin)`; or it lies above `1 + margin`, but some workload became slower by
    /// more than the margin ([`Comparison::slower_on`]).
    Slower,
    /// The whole interval lies within the margin around 1.
    NoDifference,
    /// The interval is too wide to say.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference",
            Verdict::Undecided => "undecided",
        })
    }
}

/// One timed run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Index of the workload.
    pub workload: usize,
    /// Index of the layout.
    pub layout: usize,
    /// The block, counted in the order of running.
    pub block: usize,
    /// Which program.
    pub arm: ArmName,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// User and system time in seconds.
    pub cpu_s: f64,
}

/// The outcome for one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadComparison {
    /// The workload.
    pub name: String,
    /// Baseline time over candidate time: above 1 is faster.
    pub ratio: f64,
    /// Interval of the ratio.
    pub interval: [f64; 2],
    /// Median wall time of the baseline.
    pub baseline_seconds: f64,
    /// Median wall time of the candidate.
    pub candidate_seconds: f64,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Baseline time over candidate time, geometric mean over the workloads: above 1 is faster.
    pub ratio: f64,
    /// Interval of the ratio.
    pub interval: [f64; 2],
    /// Confidence of the interval, all looks taken together.
    pub confidence: f64,
    /// What may be said.
    pub verdict: Verdict,
    /// Workloads on which the candidate is slower by more than the margin.
    pub slower_on: Vec<String>,
    /// Each workload by itself, in the order given.
    pub per_workload: Vec<WorkloadComparison>,
    /// The same ratio from CPU time.
    pub cpu_ratio: f64,
    /// Blocks measured.
    pub blocks: usize,
    /// Runs made, those thrown away included.
    pub runs: usize,
    /// Link layouts of each arm.
    pub layouts: usize,
    /// The margin that the verdict used: the larger of the one asked for and the noise floor.
    pub margin: f64,
    /// Every timed run, in order.
    pub samples: Vec<Sample>,
    /// Both programs wrote the same bytes in every run. False only where another output was accepted
    /// ([`compare_accepting`](super::compare_accepting)); what is not accepted ends the comparison with an error.
    pub outputs_equal: bool,
}

/// What an A/A comparison shows: differences that are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// The farthest that the interval of the ratio reaches from 1, either way: 0.004 is 0.4 %.
    pub half_width: f64,
    /// The ratio found, which ought to be 1.
    pub ratio: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// Blocks measured.
    pub blocks: usize,
    /// Runs made.
    pub runs: usize,
}

/// Where a comparison stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Blocks measured.
    pub blocks_done: usize,
    /// Blocks that will be measured unless the interval is narrow enough before.
    pub blocks_planned: usize,
    /// Runs made so far.
    pub runs: usize,
    /// The ratio so far.
    pub ratio: Option<f64>,
    /// The interval at the last planned look.
    pub interval: Option<[f64; 2]>,
}
