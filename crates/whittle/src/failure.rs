//! Exit codes of the optimizing commands.

use std::io;

use whittle_optimizer::archive::ArchiveError;
use whittle_optimizer::evidence::reference::ReferenceError;
use whittle_optimizer::evidence::{BuildError, CheckError};
use whittle_optimizer::inputs::{DirectoryError, InputError};
use whittle_optimizer::program::ProgramError;
use whittle_optimizer::report::OutputError;
use whittle_optimizer::session::SessionError;
use whittle_toolchain::measure::MeasureError;
use whittle_toolchain::sandbox::SandboxError;
use whittle_toolchain::tools::ToolError;

use crate::cli::{FAILED, USAGE};

/// The program to optimize is refused: it does not compile, has undefined behaviour, is not repeatable, fails its tests ...
pub(crate) const REFUSED: u8 = 3;
/// Compilers or the sandbox are missing.
pub(crate) const MISSING: u8 = 4;
/// The run store, the cache, the output folder or the disk fails.
pub(crate) const STORAGE: u8 = 5;
/// A claim does not hold here.
pub(crate) const NOT_CONFIRMED: u8 = 6;

/// Everything was said; only the exit code is left.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) u8);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Said {}

/// The exit code of an error about which everything was said.
pub(crate) fn said(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref::<Said>().map(|said| said.0)
}

/// The exit code of an error that comes from the optimizing half.
pub(crate) fn code(error: &anyhow::Error) -> Option<u8> {
    // Transparent errors hide what they wrap from the chain of causes, so each is asked for by its type.
    error
        .downcast_ref::<SessionError>()
        .map(of_session)
        .or_else(|| error.downcast_ref().map(of_program))
        .or_else(|| error.downcast_ref().map(of_tool))
        .or_else(|| error.downcast_ref().map(of_sandbox))
        .or_else(|| error.downcast_ref().map(of_archive))
        .or_else(|| error.downcast_ref::<OutputError>().map(|_| STORAGE))
}

fn of_session(error: &SessionError) -> u8 {
    match error {
        SessionError::Reference(error) => of_reference(error),
        SessionError::Inputs(error) => of_inputs(error),
        SessionError::Tool(error) | SessionError::Build(BuildError::Tool(error)) => of_tool(error),
        SessionError::Check(error) => of_check(error),
        SessionError::Measure(MeasureError::Scratch(_))
        | SessionError::Output(_)
        | SessionError::NotWritten(_)
        | SessionError::Recording { .. }
        | SessionError::Io(_) => STORAGE,
        SessionError::Archive(error) => of_archive(error),
        SessionError::Unknown { .. }
        | SessionError::NoModel { .. }
        | SessionError::UnknownPrice { .. } => USAGE,
        _ => FAILED,
    }
}

fn of_check(error: &CheckError) -> u8 {
    match error {
        CheckError::Tool(error) => of_tool(error),
        CheckError::Sandbox(error) => of_sandbox(error),
        CheckError::Reference(error) => of_reference(error),
        CheckError::Input(_) => STORAGE,
        CheckError::Rejected(_) | CheckError::Cancelled => FAILED,
    }
}

fn of_reference(error: &ReferenceError) -> u8 {
    match error {
        ReferenceError::Compile(_)
        | ReferenceError::DeclaredOutput { .. }
        | ReferenceError::Unfit { .. }
        | ReferenceError::NeedsFiles { .. } => REFUSED,
        ReferenceError::Tool(error) => of_tool(error),
        ReferenceError::Sandbox(error) => of_sandbox(error),
        ReferenceError::Io(_) => STORAGE,
        ReferenceError::Cancelled => FAILED,
    }
}

fn of_inputs(error: &InputError) -> u8 {
    match error {
        InputError::Reference(error) => of_reference(error),
        InputError::Tool(error) => of_tool(error),
        InputError::Directory(DirectoryError::Read { .. })
        | InputError::Generator(_)
        | InputError::Model(_)
        | InputError::Cancelled => FAILED,
        InputError::Directory(_) => USAGE,
        InputError::Memory(_) => STORAGE,
    }
}

fn of_program(error: &ProgramError) -> u8 {
    match error {
        ProgramError::Read { .. } => FAILED,
        ProgramError::TooLarge { .. } | ProgramError::NotText(_) => REFUSED,
        _ => USAGE,
    }
}

fn of_tool(error: &ToolError) -> u8 {
    match error {
        ToolError::NotFound { .. } | ToolError::TooOld { .. } => MISSING,
        ToolError::Store { .. } | ToolError::Scratch { .. } => STORAGE,
        ToolError::Sandbox { source, .. } => of_sandbox(source),
        error if error.is_about_the_input() => REFUSED,
        _ => FAILED,
    }
}

fn of_sandbox(error: &SandboxError) -> u8 {
    match error {
        SandboxError::TooWeak { .. } => MISSING,
        SandboxError::Setup { source, .. } if is_full(source) => STORAGE,
        _ => FAILED,
    }
}

fn of_archive(error: &ArchiveError) -> u8 {
    match error {
        ArchiveError::NoSuchRun { .. } | ArchiveError::Ambiguous { .. } => USAGE,
        ArchiveError::InUse { .. } => FAILED,
        _ => STORAGE,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
