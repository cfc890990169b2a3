//! What can go wrong in the sandbox itself, as opposed to in a job.

use std::io;
use std::path::PathBuf;

/// A job could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Too few layers hold on this machine.
    #[error(
        "the sandbox does not hold on this machine: {missing}; --unsafe-no-sandbox runs without it"
    )]
    TooWeak {
        /// What is missing, in words.
        missing: String,
    },
    /// The executable is missing or cannot be executed.
    #[error("cannot execute {path}: {source}")]
    Program {
        /// The executable.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder that the job names cannot be opened.
    #[error("cannot open {path} for the sandbox: {source}")]
    Path {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name, argument or variable holds a NUL byte.
    #[error("{what} holds a NUL byte")]
    Nul {
        /// Which one.
        what: &'static str,
    },
    /// A step of setting the sandbox up failed.
    #[error("sandbox: {step}: {source}")]
    Setup {
        /// The step.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl SandboxError {
    /// For `map_err`: the step that failed.
    pub(super) fn setup(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
        move |source| SandboxError::Setup { step, source }
    }
}
