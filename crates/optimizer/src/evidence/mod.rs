//! The evidence ladder: everything that says a candidate is right, and the highest rung that it reached.

use serde::{Deserialize, Serialize};

pub(crate) mod build;
pub(crate) mod compare;
pub(crate) mod convention;
mod fitness;
pub mod insight;
pub(crate) mod ladder;
mod lowering;
pub(crate) mod parallel;
pub(crate) mod portable;
pub mod reference;
pub(crate) mod runner;
mod second_compiler;
mod trial;
mod variants;
mod words;

pub use build::BuildError;
pub use ladder::CheckError;

/// The rungs, from the lowest up. A candidate stands on a rung when it passed it and all below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// 0: the original is fit to be a reference.
    Reference,
    /// 1: it builds, the IR verifies, and it imports nothing new that could cheat; without code for this host, it also needs
    /// no processor that the original does not need.
    Builds,
    /// 2: same output and exit status as the original on every visible test.
    Tests,
    /// 3: the same on held-out tests, on fuzzed inputs, in other address layouts and on the timing runs.
    HeldOut,
    /// 4: the changed IR is validated by alive-tv, up to a number of unrollings.
    Proved,
}

impl Rung {
    /// Its number, from 0.
    pub fn number(self) -> u8 {
        match self {
            Self::Reference => 0,
            Self::Builds => 1,
            Self::Tests => 2,
            Self::HeldOut => 3,
            Self::Proved => 4,
        }
    }
}

/// Why a candidate fell, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The rung that it did not reach.
    pub rung: Rung,
    /// What it did wrong, for machines.
    pub kind: RejectionKind,
    /// What it did wrong, in words: the test's name, expected and got, the compiler's first error …
    pub reason: String,
}

/// What a candidate did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectionKind {
    /// A compiler refused it.
    Build,
    /// Assembly that breaks the calling convention.
    Convention,
    /// It imports a function, or contains an instruction, that the original does not have: one that could cheat, or one that
    /// not every processor has where code for this host is not wanted.
    NewImport,
    /// Another output or exit status.
    Output,
    /// It was killed by a signal.
    Crash,
    /// It ran longer than its limit.
    Time,
    /// It wrote more than its limit.
    Flood,
    /// It made a forbidden system call.
    Forbidden,
    /// A sanitizer found undefined behaviour.
    Undefined,
    /// Translation validation refuted it.
    Refuted,
}

/// Everything known of a candidate's rightness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The highest rung reached.
    pub rung: Option<Rung>,
    /// Visible tests passed.
    pub visible_tests: usize,
    /// Held-out tests passed.
    pub held_out_tests: usize,
    /// Fuzzed inputs with equal results.
    pub fuzzed_inputs: usize,
    /// Seconds spent on fuzzing.
    pub fuzz_s: f64,
    /// Timing runs whose outputs were compared.
    pub compared_timing_runs: usize,
    /// Runs under a fixed and several random address layouts with equal results.
    pub layouts: usize,
    /// Runs with other contents of fresh memory with equal results.
    pub memory_fills: usize,
    /// Runs under address, undefined-behaviour and memory sanitizers without a report (candidates at source level).
    pub sanitized_runs: usize,
    /// What translation validation said, in words ("proved up to 4 unrollings: main, solve"), if it ran.
    pub proof: Option<String>,
    /// Why it fell, if it did.
    pub rejection: Option<Rejection>,
}
