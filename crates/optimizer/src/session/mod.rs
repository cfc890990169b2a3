//! A run from the program to the report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whittle_toolchain::measure::{Comparison, NoiseFloor};
use whittle_toolchain::sandbox::Layers;
use whittle_toolchain::tools::SelfCheck;

use crate::budget::Budget;
use crate::evidence::Evidence;
use crate::evidence::reference::Fitness;
use crate::program::Program;
use crate::tree::NodeId;

/// What a run was asked to do. Stored with the run, so that it resumes as it was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// The guide's name.
    pub guide: String,
    /// The agents' names.
    pub agents: Vec<String>,
    /// Limits.
    pub budget: Budget,
    /// Whether code for this host's instruction set is tried, too.
    pub host: bool,
    /// A result counts as faster only beyond this share, 0.01 for 1 %.
    pub margin: f64,
    /// Largest relative difference between numbers in the outputs; `None` is exact.
    pub fp_tolerance: Option<f64>,
}

/// What stands at the start of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The program.
    pub program: Program,
    /// What was asked for.
    pub options: RunOptions,
    /// The machine it started on.
    pub machine: Machine,
}

/// Where numbers were measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that the run may use.
    pub cores: usize,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler's version.
    pub llvm: String,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It was begun and is not finished: running, interrupted or killed.
    Open,
    /// It is finished.
    Finished,
    /// It was refused or failed; the message says why.
    Failed,
}

/// One sentence of the result: a node against a baseline, measured afresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The node.
    pub node: NodeId,
    /// The baseline's flags, such as `-O3`.
    pub baseline: String,
    /// The comparison on inputs not seen in the search, under several link layouts.
    pub comparison: Comparison,
    /// Instructions executed by baseline and node over the timing inputs (callgrind or perf), where they can be counted.
    pub instructions: Option<[u64; 2]>,
}

/// What a run concludes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// The fastest candidate that runs on every machine of the architecture, against `-O3`;
    /// `None` if no candidate held up.
    pub portable: Option<Claim>,
    /// The fastest candidate with this host's instruction set, against `-O3`; `None` if none held up or none was wanted.
    pub host: Option<Claim>,
    /// The better-founded of the two above against the user's own flags, if these are not `-O3`.
    pub user_flags: Option<Claim>,
    /// The plain `-O3 -march=native` against `-O3`: how much of `host` is the instruction set alone.
    pub native_alone: Option<Comparison>,
    /// The node whose files are in the output folder: the winner, or the original.
    pub winner: NodeId,
    /// Evidence of the nodes that were considered for the result.
    pub evidence: BTreeMap<NodeId, Evidence>,
    /// Nodes that were considered and not taken, and why, in words.
    pub passed_over: Vec<(NodeId, String)>,
}

/// What is known before the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foundations {
    /// Whether the original is fit to be a reference.
    pub fitness: Fitness,
    /// Whether our way through the compiler equals clang's.
    pub self_check: SelfCheck,
    /// What this machine's timing cannot tell apart.
    pub noise: NoiseFloor,
    /// What the sandbox consists of here.
    pub sandbox: Layers,
}
