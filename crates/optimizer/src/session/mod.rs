//! A run from the program to the report.

mod actions;
mod analysis;
pub(crate) mod asking;
mod bench;
mod conclude;
mod desk;
mod estimate;
mod foundations;
mod interruption;
mod prepare;
mod roster;
mod run;
mod search;
#[cfg(test)]
mod tests;
mod timing;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use whittle_chat::ChatModel;
use whittle_toolchain::measure::{Comparison, MeasureError, NoiseFloor, Progress};
use whittle_toolchain::sandbox::Layers;
use whittle_toolchain::tools::{Digest, SelfCheck, SelfCheckError, ToolError, Toolchain};

use crate::archive::{Archive, ArchiveError, RunId};
use crate::budget::Budget;
use crate::evidence::Evidence;
use crate::evidence::build::BuildError;
use crate::evidence::ladder::CheckError;
use crate::evidence::reference::{Fitness, ReferenceError};
use crate::inputs::{self, InputError, InputOptions, Inputs};
use crate::program::Program;
use crate::report::{OutputError, Report};
use crate::tree::{Node, NodeId};

pub use conclude::Examined;
pub use desk::{Answer, Declined, Desk, drive, told};
pub use estimate::{Estimate, estimate};
pub use run::{check_against_itself, examine, optimize, resume};
pub use verify::{Verification, verify};

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
    /// How a language model is used; `None` without one.
    #[serde(default)]
    pub model: Option<ModelUse>,
}

impl RunOptions {
    /// What a candidate has to pass to be taken.
    pub fn evidence(&self) -> EvidenceScope {
        self.model
            .as_ref()
            .map_or(EvidenceScope::Full, |model| model.evidence)
    }
}

/// How a run uses its language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelUse {
    /// What stood after `--model`, without anything secret.
    pub spec: String,
    /// Samples that a level agent asks for at the same time: n of the paper.
    pub samples: u32,
    /// Rounds of feedback: k of the paper.
    pub rounds: u32,
    /// Whether a testing agent writes inputs, and how many.
    pub testing: Option<TestingUse>,
    /// Most tokens of a reply.
    pub max_tokens: u32,
    /// Sampling temperature; `None` is the model's own.
    pub temperature: Option<f64>,
    /// What a candidate has to pass to be taken.
    pub evidence: EvidenceScope,
}

/// How many inputs the testing agent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestingUse {
    /// Inputs that check results: C of the paper.
    pub correctness: u32,
    /// Large inputs that measure time: L of the paper.
    pub large: u32,
}

impl Default for TestingUse {
    fn default() -> Self {
        Self {
            correctness: 10,
            large: 5,
        }
    }
}

/// What a candidate has to pass to be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceScope {
    /// The whole ladder.
    #[default]
    Full,
    /// Tests of inputs and outputs, as in the paper, and nothing else.
    Tests,
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
    /// Where inputs come from, so that a run that was killed before it had any can go on.
    #[serde(default)]
    pub inputs: Option<InputOptions>,
    /// Digest of all tests in the user's folder, as the folder's name does not tell whether they are the same.
    #[serde(default)]
    pub tests: Option<Digest>,
}

impl RunHeader {
    /// What a run of this program would have: two runs with the same are the same but for chance.
    pub fn new(
        toolchain: &Toolchain,
        program: Program,
        options: RunOptions,
        inputs: &InputOptions,
    ) -> Result<Self, SessionError> {
        let tests = inputs.tests.as_deref().map(inputs::digest_of_tests);
        Ok(Self {
            program,
            options,
            machine: Machine::of(toolchain),
            inputs: Some(inputs.clone()),
            tests: tests.transpose().map_err(InputError::from)?,
        })
    }
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
    /// Instructions executed by baseline and node on the first of the timing inputs (callgrind), where they can be counted.
    pub instructions: Option<[u64; 2]>,
}

/// What a run concludes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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

/// What happens during a run, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A new stage begins: "checks the tools", "collects inputs", "searches" ...
    Stage(&'a str),
    /// Something that the user should know, but that does not end the run.
    Warning(String),
    /// The inputs are there.
    Inputs(&'a Inputs),
    /// A node was added or changed.
    Node {
        /// The node.
        node: &'a Node,
        /// The best so far.
        best: Option<&'a Node>,
        /// Share of the budget left.
        budget_left: f64,
    },
    /// A comparison goes on.
    Comparing {
        /// What is compared, in words.
        what: &'a str,
        /// How far it is.
        progress: Progress,
    },
}

/// What a run needs beside the program.
pub struct Setup {
    /// The compilers, with the sandbox in them.
    pub toolchain: Toolchain,
    /// The run store.
    pub archive: Archive,
    /// Set by Ctrl-C: the search ends and the best so far is checked and reported; the same flag as the sandbox's would
    /// also end the jobs that run.
    pub stop: Arc<AtomicBool>,
    /// Where the result goes.
    pub output: PathBuf,
    /// The language model, for runs that use one.
    pub model: Option<Arc<dyn ChatModel>>,
}

/// What a finished run leaves.
#[derive(Debug)]
pub struct Finished {
    /// The run in the store.
    pub run: RunId,
    /// The whole report.
    pub report: Report,
    /// The output folder.
    pub output: PathBuf,
    /// Whether the user ended the search before its budget was spent.
    pub interrupted: bool,
}

/// Why a run did not finish.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The original cannot be a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There are no usable inputs.
    #[error(transparent)]
    Inputs(InputError),
    /// A compiler or one of its companions failed.
    #[error(transparent)]
    Tool(ToolError),
    /// A candidate was not built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A candidate was not checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Something was not measured.
    #[error(transparent)]
    Measure(MeasureError),
    /// The run store failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The output folder cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The result of a finished run cannot be written.
    #[error("{0}; the result is kept in the run store, and is written when the run goes on")]
    NotWritten(#[source] OutputError),
    /// What the model says cannot be recorded.
    #[error("{path}: {why}; nothing more is asked of the model until the run goes on")]
    Recording {
        /// The recording.
        path: String,
        /// Why.
        why: String,
    },
    /// No agent or guide has this name.
    #[error("there is no {kind} named {name:?}; known are {known}")]
    Unknown {
        /// "agent" or "guide".
        kind: &'static str,
        /// The name.
        name: String,
        /// The registry's names.
        known: String,
    },
    /// An agent failed in a way that ends the run.
    #[error("agent {agent} failed")]
    Agent {
        /// Its name.
        agent: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Times or tools of this machine cannot be relied on now.
    #[error(transparent)]
    Untrusted(#[from] SelfCheckError),
    /// The way through the compiler's parts gives slower or faster code than the compiler itself.
    #[error(
        "going source -> IR -> assembly step by step gives other code than clang for this program, at {ratio:.3} of its speed \
         ({low:.3} to {high:.3}): nothing measured here would be comparable with -O3"
    )]
    SelfCheck {
        /// Time of clang's code over time of ours.
        ratio: f64,
        /// Lower end of its interval.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// The run in the store cannot be resumed.
    #[error("run {run} cannot be resumed: {why}")]
    NotResumable {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// A report cannot be verified.
    #[error("cannot verify {path}: {why}")]
    Report {
        /// The report.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The run was to use a language model, and there is none.
    #[error("{what} asks a language model, and none is given: --model says which")]
    NoModel {
        /// The agent or guide.
        what: String,
    },
    /// A limit of money was set for a model whose price is not known.
    #[error(
        "the price of {model} is not known, so a budget of money cannot be kept: add it to the table of prices, or limit tokens"
    )]
    UnknownPrice {
        /// The model.
        model: String,
    },
    /// The guide failed in a way that ends the run.
    #[error("the guide failed")]
    Guide(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Memory or a temporary file is not to be had.
    #[error("cannot hold an input in memory")]
    Io(#[from] std::io::Error),
    /// The user stopped the run before there was anything to report.
    #[error("stopped before anything was found")]
    Cancelled,
}

impl SessionError {
    /// An error that went through a guide, an agent or the inputs comes out as it was; another is wrapped.
    pub(crate) fn unwrapped(
        error: Box<dyn std::error::Error + Send + Sync>,
        wrap: impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> Self,
    ) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => wrap(error),
        }
    }
}

impl From<InputError> for SessionError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Model(error) => {
                Self::unwrapped(error, |error| Self::Inputs(InputError::Model(error)))
            }
            error => Self::Inputs(error),
        }
    }
}

impl From<ToolError> for SessionError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Cancelled { .. } => Self::Cancelled,
            error => Self::Tool(error),
        }
    }
}

impl From<MeasureError> for SessionError {
    fn from(error: MeasureError) -> Self {
        match error {
            MeasureError::Cancelled => Self::Cancelled,
            error => Self::Measure(error),
        }
    }
}
