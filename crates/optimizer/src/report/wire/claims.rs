//! Statements about time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One statement: a candidate against a baseline, measured afresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// What the statement is about.
    pub kind: ClaimKind,
    /// The candidate; null for plain compiler flags.
    pub candidate: Option<u32>,
    /// The baseline's compiler flags.
    pub baseline: String,
    /// Baseline time over candidate time, geometric mean over the inputs: above 1 is faster.
    pub ratio: f64,
    /// Interval of the ratio.
    pub interval: [f64; 2],
    /// Confidence of the interval: 0.95 is 95 %.
    pub confidence: f64,
    /// What may be said.
    pub verdict: Verdict,
    /// The least gain that counted: 0.01 is 1 %.
    pub margin: f64,
    /// Inputs on which the candidate is slower by more than the margin.
    pub slower_on: Vec<String>,
    /// The same ratio from CPU time.
    pub cpu_ratio: f64,
    /// Instructions executed by baseline and candidate, where they could be counted.
    pub instructions: Option<[u64; 2]>,
    /// Blocks of four runs, ABBA or BAAB.
    pub blocks: u64,
    /// Runs made, warm-up included.
    pub runs: u64,
    /// Link layouts of each program.
    pub layouts: u64,
    /// Each input by itself.
    pub inputs: Vec<InputComparison>,
}

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// The fastest candidate that runs on every machine of the architecture, against `-O3`.
    Portable,
    /// The fastest candidate with the host's instruction set, against `-O3`.
    Host,
    /// The better-founded of the two against the user's own flags.
    UserFlags,
    /// Plain `-O3 -march=native` against `-O3`: what the instruction set alone gives.
    NativeAlone,
}

/// What may be said of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The whole interval is above 1 by the margin, and no input became slower.
    Faster,
    /// The whole interval is below 1 by the margin, or some input became slower.
    Slower,
    /// The whole interval is within the margin.
    NoDifference,
    /// The interval is too wide to say.
    Undecided,
}

/// A statement about one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputComparison {
    /// The input.
    pub name: String,
    /// Baseline time over candidate time.
    pub ratio: f64,
    /// Interval of the ratio.
    pub interval: [f64; 2],
    /// The baseline's times.
    pub baseline: Times,
    /// The candidate's times.
    pub candidate: Times,
}

/// The times of one program on one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Median of the wall times in seconds.
    pub median_s: f64,
    /// 95 % interval of the median, from the order of the times alone.
    pub interval_s: [f64; 2],
    /// Every timed run.
    pub samples: Samples,
}

/// Timed runs, one per place in each of the lists, in the order of running.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Samples {
    /// The link layout.
    pub layout: Vec<u32>,
    /// The block.
    pub block: Vec<u32>,
    /// Wall time in seconds.
    pub wall_s: Vec<f64>,
    /// User and system time in seconds.
    pub cpu_s: Vec<f64>,
}
