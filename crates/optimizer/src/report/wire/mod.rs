//! `report.json`: the types that are written, with the schema in `docs/report.schema.json`.
//!
//! They are apart from the types that the program works with, so that those may change without a new format.

mod changes;
mod claims;
mod inputs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use changes::Change;
pub use claims::{Claim, ClaimKind, InputComparison, Samples, Times, Verdict};
pub use inputs::{Case, CaseList, Dropped, Inputs, Origin};

/// The format that this version writes.
pub const FORMAT: u32 = 1;
/// What [`Report::tool`] says.
pub const TOOL: &str = "whittle";

/// Everything that a run found, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The format of this file, now 1. A reader should refuse a number it does not know.
    pub format: u32,
    /// The program that wrote it: "whittle".
    pub tool: String,
    /// Its version.
    pub version: String,
    /// The run in the run store.
    pub run: String,
    /// When the run began, RFC 3339.
    pub started: String,
    /// How far the run came.
    pub state: State,
    /// The result in one sentence.
    pub sentence: String,
    /// Why a failed run failed.
    pub message: Option<String>,
    /// The program that was to become faster.
    pub program: Program,
    /// What was asked for.
    pub options: Options,
    /// Where everything was measured.
    pub machine: Machine,
    /// What stood before the search; null in a run that did not come so far.
    pub foundations: Option<Foundations>,
    /// The inputs; null in a run that did not come so far.
    pub inputs: Option<Inputs>,
    /// What could be spent and what was, one entry per resource.
    pub budget: Vec<Spending>,
    /// Everything tried, in the order of trying; the first one is the original.
    pub candidates: Vec<Candidate>,
    /// The statements that are made, each measured afresh on inputs that no search saw. Search timings are no statements.
    pub claims: Vec<Claim>,
    /// What is known of the rightness of the candidates that were considered for the result.
    pub evidence: Vec<Evidence>,
    /// Candidates that were considered for the result and not taken.
    pub passed_over: Vec<PassedOver>,
    /// What stands in the output folder; null in a run that is not finished.
    pub winner: Option<Winner>,
    /// What differs between the original and the winner, level by level.
    pub changes: Vec<Change>,
    /// What the run noted on its way.
    pub log: Vec<LogLine>,
    /// What the guide asked for, in order; missing in a run without a language model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// The replies of language models, in order; missing in a run without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ModelCall>,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is running, or was interrupted and can be resumed.
    Open,
    /// It is finished.
    Finished,
    /// It was refused or failed.
    Failed,
}

/// The program that was to become faster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its files, in the folder `original`.
    pub files: Vec<File>,
    /// The user's own compiler flags.
    pub flags: Vec<String>,
    /// Flags for the linker.
    pub link_flags: Vec<String>,
}

/// A file of the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// Its path in the output folder.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Seed of everything random.
    pub seed: u64,
    /// The guide.
    pub guide: String,
    /// The agents.
    pub agents: Vec<String>,
    /// Whether code for this host's instruction set was tried, too.
    pub host: bool,
    /// A result counts as faster only beyond this share: 0.01 is 1 %.
    pub margin: f64,
    /// Largest relative difference between numbers in outputs; null is exact.
    pub fp_tolerance: Option<f64>,
    /// How a language model took part; missing in a run without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelOptions>,
}

/// How a language model took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelOptions {
    /// The model.
    pub spec: String,
    /// Answers asked for at the same time: n of the paper.
    pub samples: u32,
    /// Rounds of feedback: k of the paper.
    pub rounds: u32,
    /// What a candidate had to pass: "full" is the whole ladder, "tests" are visible tests alone.
    pub evidence: String,
}

/// A reply of a language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCall {
    /// Names the call within the run, such as "turn 3/source/sample 1/round 2".
    pub label: String,
    /// Who asked.
    pub agent: String,
    /// The model.
    pub model: String,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the reply.
    pub output_tokens: u64,
    /// US dollars; null if the price is not known.
    pub dollars: Option<f64>,
    /// What KV compression kept of the prompt; null for other models than whittle's own engine.
    pub compressed: Option<Compressed>,
}

/// What KV compression kept of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compressed {
    /// Tokens of the prompt.
    pub tokens: u64,
    /// Tokens kept, averaged over layers and heads.
    pub kept_tokens: f64,
    /// Bytes of the full cache.
    pub bytes: u64,
    /// Bytes kept.
    pub kept_bytes: u64,
}

/// Something that the guide asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// What, in words.
    pub what: String,
    /// What came of it; null if the run was interrupted meanwhile.
    pub result: Option<String>,
}

/// Where everything was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor.
    pub cpu: String,
    /// Processors that the run could use.
    pub cores: u32,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler's version.
    pub llvm: String,
}

/// What stood before the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Foundations {
    /// The layers of the sandbox that held on this machine.
    pub sandbox: Sandbox,
    /// Whether compiling step by step gives what clang gives at once.
    pub self_check: SelfCheck,
    /// What this machine's timing cannot tell apart.
    pub noise: Noise,
    /// Whether the original is fit to be a reference.
    pub fitness: Fitness,
}

/// The layers of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sandbox {
    /// Landlock's interface version, if the kernel has it.
    pub landlock: Option<u32>,
    /// Whether system calls were filtered.
    pub seccomp: bool,
    /// Whether user, process, network, IPC and mount namespaces were separate.
    pub namespaces: bool,
    /// The version of bubblewrap, if it was there.
    pub bubblewrap: Option<String>,
    /// Whether time, CPU, memory, processes and output were bounded.
    pub limits: bool,
    /// The same in words.
    pub words: String,
}

/// Source → IR → assembly by single steps, against `clang -O3`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SelfCheck {
    /// Whether the assembly is the same but for comments.
    pub identical: bool,
    /// Time of clang's executable over time of ours, which ought to be 1; null when both are the same bytes and were not run.
    pub ratio: Option<f64>,
    /// Interval of the ratio.
    pub interval: Option<[f64; 2]>,
    /// Runs made.
    pub runs: u64,
}

/// The original compared with itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// The farthest that the interval of the ratio reached from 1: 0.004 is 0.4 %. Nothing below is claimed.
    pub half_width: f64,
    /// The ratio found, which ought to be 1.
    pub ratio: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// Runs made.
    pub runs: u64,
}

/// Rung 0 of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fitness {
    /// Sanitizers that ran clean on the inputs.
    pub sanitizers: Vec<String>,
    /// Levels of optimization with the same output.
    pub optimization_levels: Vec<String>,
    /// A second compiler with the same output.
    pub second_compiler: Option<String>,
    /// Address layouts with the same output.
    pub layouts: u64,
    /// Runs with the same output.
    pub runs: u64,
    /// What lowers what can be claimed, in words.
    pub lowered: Vec<String>,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spending {
    /// The resource: "seconds", "runs", "candidates" …
    pub resource: String,
    /// Its limit; null without one.
    pub limit: Option<f64>,
    /// What was spent.
    pub spent: f64,
    /// The same by agent.
    pub by_agent: Vec<AgentSpending>,
}

/// What one agent spent of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSpending {
    /// The agent; empty for the run itself (timing the original, the last evidence and measurements).
    pub agent: String,
    /// How much.
    pub spent: f64,
}

/// A level of the program.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// C.
    Source,
    /// LLVM IR.
    Ir,
    /// Assembly.
    Assembly,
}

/// How text becomes an executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recipe {
    /// Flags of the front end.
    pub front_end: Vec<String>,
    /// Whether the modules are merged into one whole program before the middle end.
    pub merge: bool,
    /// The pass pipeline; null is clang's own (for IR: none).
    pub pipeline: Option<String>,
    /// Further flags of the middle end.
    pub middle_end: Vec<String>,
    /// Further flags of the back end.
    pub back_end: Vec<String>,
    /// Further flags of the linker.
    pub link: Vec<String>,
    /// Whether an execution profile is used.
    pub profile: bool,
    /// Whether code is generated for the host's instruction set.
    pub host: bool,
}

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// Its number.
    pub id: u32,
    /// What it was made from; null for the original.
    pub parent: Option<u32>,
    /// Who proposed it; empty for the original.
    pub agent: String,
    /// What was changed, in words.
    pub change: String,
    /// The level of its text.
    pub level: Level,
    /// How it is built.
    pub recipe: Recipe,
    /// What came of it.
    pub outcome: Outcome,
    /// Extensions of the instruction set that its code needs and the program does not: with any it is for this host only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Seconds from the start of the search.
    pub at_s: f64,
}

/// What came of a candidate in the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Outcome {
    /// It fell on a rung of the ladder.
    Rejected {
        /// The rung that it did not reach, 0 to 4.
        rung: u8,
        /// What it did wrong, for machines: "build", "output", "crash" …
        kind: String,
        /// What it did wrong, in words.
        reason: String,
    },
    /// Its machine code is an earlier candidate's.
    Duplicate {
        /// That candidate.
        of: u32,
    },
    /// It passed the visible tests and was timed.
    Timed {
        /// Speed-up over the original as the search saw it: steers, claims nothing.
        speedup: f64,
        /// Seconds on each input of the search.
        seconds: Vec<f64>,
    },
}

/// What is known of a candidate's rightness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The candidate.
    pub candidate: u32,
    /// The highest rung reached, 0 to 4; null for none.
    pub rung: Option<u8>,
    /// Visible tests passed.
    pub visible_tests: u64,
    /// Held-out tests passed.
    pub held_out_tests: u64,
    /// Fuzzed inputs with the original's results.
    pub fuzzed_inputs: u64,
    /// Seconds spent on fuzzing.
    pub fuzz_s: f64,
    /// Timing runs whose outputs were compared.
    pub compared_timing_runs: u64,
    /// Runs in other address layouts.
    pub layouts: u64,
    /// Runs with other contents of fresh memory.
    pub memory_fills: u64,
    /// Runs under sanitizers without a report.
    pub sanitized_runs: u64,
    /// What translation validation said, if it ran.
    pub proof: Option<String>,
    /// Why it fell, if it did.
    pub rejected: Option<String>,
}

/// A candidate that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedOver {
    /// The candidate.
    pub candidate: u32,
    /// Why, in words.
    pub why: String,
}

/// What stands in the output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Winner {
    /// The candidate; 0 is the original, when nothing faster was found.
    pub candidate: u32,
    /// The candidates from the original to it.
    pub path: Vec<u32>,
    /// The level of its text.
    pub level: Level,
    /// Its files.
    pub files: Vec<File>,
    /// How it is built.
    pub recipe: Recipe,
    /// How its recipe differs from `clang -O3`, in words.
    pub recipe_changes: Vec<String>,
    /// The command that builds it again, in the output folder.
    pub rebuild: String,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub text: String,
}
