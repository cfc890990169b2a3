//! Runs of programs that were built to tell of themselves: they may write into one folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use super::{ToolError, Toolchain};
use crate::sandbox::{AddressLayout, End, Finished, Job, Limits, SealedInput};

/// What a sanitizer's runtime reads of its own process: its options, its stack and libraries, its size.
const OWN_PROCESS: [&str; 4] = [
    "/proc/self/environ",
    "/proc/self/maps",
    "/proc/self/cmdline",
    "/proc/self/statm",
];

/// One run of an instrumented program.
pub(super) struct ProgramRun<'a> {
    pub(super) executable: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) input: &'a SealedInput,
    /// Where it may write; its working directory.
    pub(super) scratch: &'a Scratch,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) limits: Limits,
}

impl Toolchain {
    /// Runs an instrumented program. Addresses aren't randomized: shadow memory has its fixed place.
    pub(super) fn run_program(&self, run: ProgramRun) -> Result<Finished, ToolError> {
        let folder = run.scratch.path();
        let mut job = Job::run(run.executable, folder);
        job.name = OsString::from("program");
        job.arguments = run.arguments.iter().map(OsString::from).collect();
        job.environment = run
            .environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        job.input = Some(run.input.clone());
        job.readable = OWN_PROCESS.map(PathBuf::from).to_vec();
        job.writable = vec![folder.to_owned()];
        job.limits = run.limits;
        job.layout = AddressLayout::Fixed;
        let what = "the instrumented program".to_owned();
        match self.sandbox().run(&job) {
            Ok(Finished {
                end: End::Cancelled,
                ..
            }) => Err(ToolError::Cancelled { what }),
            Ok(finished) => Ok(finished),
            Err(source) => Err(ToolError::Sandbox { what, source }),
        }
    }
}

/// How a run ended, in words.
pub(super) fn describe(end: End) -> String {
    match end {
        End::Exited(status) => format!("it exited with status {status}"),
        End::Signalled(signal) => format!("it was ended by signal {signal}"),
        End::Forbidden => "it made a system call that is forbidden in the sandbox".to_owned(),
        End::WallTime | End::CpuTime => "its time was over".to_owned(),
        End::Output => "it wrote too much".to_owned(),
        End::Cancelled => "it was cancelled".to_owned(),
    }
}
