//! What can go wrong with a measurement.

use std::io;

use thiserror::Error;

use crate::sandbox::{End, SandboxError};

/// Why there is no measurement.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// There is nothing to measure: no workload or no executable.
    #[error("nothing to measure: at least one workload and one executable are needed")]
    Nothing,
    /// The arms cannot be paired.
    #[error(
        "{baseline_name} has {baseline} link layouts, {candidate_name} has {candidate}; they are compared in pairs"
    )]
    Unpaired {
        /// Name of the baseline.
        baseline_name: String,
        /// Its layouts.
        baseline: usize,
        /// Name of the candidate.
        candidate_name: String,
        /// Its layouts.
        candidate: usize,
    },
    /// A run's exit status or output is not what the baseline's first run gave.
    #[error("on workload {workload}, {arm} {difference}")]
    OutputsDiffer {
        /// The workload.
        workload: String,
        /// The arm whose run differs: the baseline's name if it does not even agree with itself.
        arm: String,
        /// What differs.
        difference: Difference,
    },
    /// A run did not come to its own end.
    #[error("on workload {workload}, {arm} did not end by itself: {end:?}")]
    RunFailed {
        /// The arm.
        arm: String,
        /// The workload.
        workload: String,
        /// How it ended.
        end: End,
    },
    /// Callgrind counted nothing.
    #[error("on workload {workload}, callgrind left no count: {reason}")]
    NoCount {
        /// The workload.
        workload: String,
        /// The first line of what was written to standard error.
        reason: String,
    },
    /// The sandbox could not run a program.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A scratch folder could not be made.
    #[error("cannot make a scratch folder: {0}")]
    Scratch(#[source] io::Error),
}

/// How a run differs from the baseline's first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Difference {
    /// Another exit status.
    #[error("ended with exit status {found}, not {expected}")]
    Status {
        /// The baseline's.
        expected: i32,
        /// This run's.
        found: i32,
    },
    /// Other bytes on standard output.
    #[error("wrote another output")]
    Output,
}
