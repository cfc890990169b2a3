//! The sandbox: every compiler and every program under test runs in it.
//!
//! Generated code is hostile until shown otherwise. A job gets no network, sees no file but the ones named, has bounds on
//! time, CPU, memory, processes and output, and its whole tree of processes dies with it. Two profiles: *compile* may read
//! its inputs and the system's headers and libraries and start processes; *run* may do nothing but compute, read standard
//! input and arguments, and write standard output and error.
//!
//! How a job runs: everything is prepared, down to the strings for `execve` (`plan.rs`); a first process is started in
//! namespaces of its own (`first.rs`), in whose PID namespace nobody outlives it; it starts the job, which limits itself and
//! puts on Landlock rules (`rules.rs`) and system call filters (`filter.rs`) before `execve` (`job.rs`); the first process
//! takes the time around the job, ends it when it must, and reports. Standard output and error are files in memory.

#![allow(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod bubblewrap;
mod calls;
mod error;
mod files;
mod filter;
mod first;
mod job;
mod layers;
mod outcome;
mod plan;
mod raw;
mod rules;
mod run;
mod slots;

pub use error::SandboxError;
pub use files::SealedInput;
pub use layers::{Layer, Layers};
pub use run::{Sandbox, SandboxOptions};

/// What a job may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A compiler: reads its inputs and the system's headers, libraries and programs; writes where it is told; may start
    /// processes.
    Compile,
    /// A program under test: no files beyond the loader's libraries, no network, no processes.
    Run,
}

/// How the address space of a job is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressLayout {
    /// As the system randomizes it.
    #[default]
    Random,
    /// Without randomization.
    Fixed,
}

/// Bounds of a job. Which one was hit stands in [`End`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time.
    pub wall: Duration,
    /// CPU time of each process.
    pub cpu: Duration,
    /// Address space of each process in bytes; `None` for programs under a sanitizer, whose shadow memory is vast.
    pub memory: Option<u64>,
    /// Processes and threads. Not enforced for root, nor without namespaces; a program under test never gets a second
    /// process, and memory bounds its threads.
    pub processes: u64,
    /// Bytes on standard output, on standard error, and in any file that it writes.
    pub output: u64,
}

/// One process to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it may do.
    pub profile: Profile,
    /// The executable.
    pub program: PathBuf,
    /// What the process sees as its own name (`argv[0]`); under bubblewrap always the path.
    pub name: OsString,
    /// The arguments after the name.
    pub arguments: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory.
    pub directory: PathBuf,
    /// Standard input; `None` is empty.
    pub input: Option<SealedInput>,
    /// Files and folders it may read, beside what the profile allows; in the compile profile execute as well. What is
    /// below `/proc/self` means the job's own.
    pub readable: Vec<PathBuf>,
    /// Files and folders it may read, write and create in, but for links; in the compile profile execute as well.
    pub writable: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Address-space layout.
    pub layout: AddressLayout,
}

impl Limits {
    /// For compilers: a minute, 4 GiB, 64 processes, 64 MiB of output.
    pub const COMPILE: Limits = Limits {
        wall: Duration::from_secs(60),
        cpu: Duration::from_secs(60),
        memory: Some(4 << 30),
        processes: 64,
        output: 64 << 20,
    };

    /// For programs under test: ten seconds, 1 GiB, 64 threads, 64 MiB of output.
    pub const RUN: Limits = Limits {
        wall: Duration::from_secs(10),
        cpu: Duration::from_secs(10),
        memory: Some(1 << 30),
        processes: 64,
        output: 64 << 20,
    };
}

impl Job {
    /// A compiler that works in a folder, which it may read and write. No arguments, environment or input.
    pub fn compile(program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Job {
        let directory = directory.into();
        Job {
            profile: Profile::Compile,
            writable: vec![directory.clone()],
            limits: Limits::COMPILE,
            ..Job::run(program, directory)
        }
    }

    /// A program under test, started in a folder that it cannot look into. No arguments, environment or input.
    pub fn run(program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Job {
        let program = program.into();
        Job {
            profile: Profile::Run,
            name: program.clone().into(),
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.into(),
            input: None,
            readable: Vec::new(),
            writable: Vec::new(),
            limits: Limits::RUN,
            layout: AddressLayout::Random,
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Killed by the sandbox for a forbidden system call (SIGSYS).
    Forbidden,
    /// The wall time was over.
    WallTime,
    /// The CPU time was over.
    CpuTime,
    /// It wrote more than the limit.
    Output,
    /// The caller cancelled (see [`SandboxOptions::cancel`]).
    Cancelled,
}

/// What a job left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Monotonic time from just before `execve` to the return of `wait4`.
    pub wall: Duration,
    /// User CPU time, from `wait4`, without what was spent before `execve`.
    pub user: Duration,
    /// System CPU time, likewise.
    pub system: Duration,
    /// Largest resident size in bytes, from `wait4`. The kernel counts from before `execve`, so that it is never less than
    /// what this process itself has had resident.
    pub max_resident: u64,
}
