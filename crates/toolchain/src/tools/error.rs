//! What can go wrong with a tool.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::diagnostics::{Diagnostic, Severity};
use super::tool::Tool;
use crate::sandbox::SandboxError;

/// Lines of a message that are shown when no diagnostic could be read from it.
const SHOWN_LINES: usize = 12;
/// Errors that are shown of a failed compilation.
const SHOWN_ERRORS: usize = 5;

/// A tool that did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Something that is needed isn't installed.
    #[error("{} not found; install with: {install_command}", list(.missing))]
    NotFound {
        /// What is missing.
        missing: Vec<String>,
        /// The one command that installs it.
        install_command: String,
    },
    /// The newest LLVM found is too old.
    #[error("LLVM {version} in {} is too old: 16 or newer is needed; install with: {install_command}", .path.display())]
    TooOld {
        /// Where it was found.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The one command that installs a newer one.
        install_command: String,
    },
    /// The tool ran and said no.
    #[error("{}", describe_failure(*.tool, .diagnostics, .stderr))]
    Failed {
        /// Which tool.
        tool: Tool,
        /// What it said, as far as it could be parsed.
        diagnostics: Vec<Diagnostic>,
        /// What it wrote to standard error, bounded.
        stderr: String,
    },
    /// The tool was stopped at its time limit.
    #[error("{tool} was stopped after {seconds:.0} s")]
    TimedOut {
        /// Which tool.
        tool: Tool,
        /// The limit.
        seconds: f64,
    },
    /// The tool died of something that isn't its input's fault for sure: a signal, or a limit of the sandbox.
    #[error("{tool} ended unexpectedly: {how}")]
    Died {
        /// Which tool.
        tool: Tool,
        /// How it ended.
        how: String,
    },
    /// The caller cancelled.
    #[error("{what} was cancelled")]
    Cancelled {
        /// The tool or program.
        what: String,
    },
    /// A program under test ended before it could write its profile.
    #[error("the instrumented program left no profile on workload \"{workload}\": {how}")]
    NoProfile {
        /// The workload.
        workload: String,
        /// How the program ended.
        how: String,
    },
    /// An output that is larger than what is read back.
    #[error("{tool} wrote more than {limit} bytes")]
    OutputTooLarge {
        /// Which tool.
        tool: Tool,
        /// The limit in bytes.
        limit: u64,
    },
    /// A unit's name that can't be used.
    #[error("\"{}\" can't be the name of a file of the program: {reason}", .name.escape_debug())]
    BadUnitName {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A flag that can't be used.
    #[error("flag \"{}\": {reason}", .flag.escape_debug())]
    BadFlag {
        /// The flag.
        flag: String,
        /// Why not.
        reason: &'static str,
    },
    /// The folder of artifacts can't be read or written.
    #[error("store of artifacts, {}: {source}", .path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The scratch folder can't be read or written.
    #[error("scratch folder, {}: {source}", .path.display())]
    Scratch {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sandbox could not run something.
    #[error("running {what}: {source}")]
    Sandbox {
        /// The tool or program.
        what: String,
        /// What the sandbox said.
        source: SandboxError,
    },
    /// A tool's output that isn't in the expected form.
    #[error("can't read the output of {tool}: {what}")]
    Parse {
        /// Which tool.
        tool: Tool,
        /// What is wrong with it.
        what: String,
    },
}

impl ToolError {
    /// Whether the input is to blame (a compile error), not the machine: what an agent may get back to try again.
    pub fn is_about_the_input(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. }
                | Self::TimedOut { .. }
                | Self::Died { .. }
                | Self::OutputTooLarge { .. }
                | Self::BadUnitName { .. }
                | Self::BadFlag { .. }
        )
    }
}

fn list(missing: &[String]) -> String {
    match missing {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn describe_failure(tool: Tool, diagnostics: &[Diagnostic], stderr: &str) -> String {
    let mut text = format!("{tool} failed");
    let mut add = |line: &dyn fmt::Display| {
        text.push_str("\n  ");
        text.push_str(&line.to_string());
    };
    let errors = telling_errors(tool, diagnostics);
    if errors.is_empty() {
        let lines: Vec<&str> = stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines.iter().take(SHOWN_LINES).for_each(|line| add(line));
        if lines.len() > SHOWN_LINES {
            add(&format_args!(
                "… and {} more lines",
                lines.len() - SHOWN_LINES
            ));
        }
    } else {
        errors
            .iter()
            .take(SHOWN_ERRORS)
            .for_each(|error| add(error));
        if errors.len() > SHOWN_ERRORS {
            add(&format_args!(
                "… and {} more errors",
                errors.len() - SHOWN_ERRORS
            ));
        }
    }
    text
}

/// The errors that say something by themselves; none when the whole message has to be shown.
fn telling_errors(tool: Tool, diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    // After what the linker said, that it failed says nothing; alone it is all there is.
    let errors: Vec<&Diagnostic> = errors
        .filter(|error| !error.text.starts_with("linker command failed"))
        .collect();
    // LLVM's verifier explains first and ends with "input module is broken!".
    let unplaced = errors.iter().any(|error| error.line.is_none());
    if tool != Tool::Clang && unplaced {
        Vec::new()
    } else {
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stderr: &str) -> String {
        let diagnostics = super::super::diagnostics::parse(stderr);
        ToolError::Failed {
            tool: Tool::Clang,
            diagnostics,
            stderr: stderr.to_owned(),
        }
        .to_string()
    }

    #[test]
    fn errors_are_shown_without_their_notes() {
        insta::assert_snapshot!(failed(
            "main.c:3:5: error: use of undeclared identifier 'x'\n    x = 1;\n    ^\nmain.c:1:1: note: here\n1 error generated.\n"
        ), @r"
        clang failed
          main.c:3:5: error: use of undeclared identifier 'x'
        ");
    }

    #[test]
    fn many_errors_are_counted() {
        let stderr: String = (1..=9).fold(String::new(), |text, i| {
            text + &format!("main.c:{i}:1: error: no\n")
        });
        insta::assert_snapshot!(failed(&stderr), @r"
        clang failed
          main.c:1:1: error: no
          main.c:2:1: error: no
          main.c:3:1: error: no
          main.c:4:1: error: no
          main.c:5:1: error: no
          … and 4 more errors
        ");
    }

    #[test]
    fn without_diagnostics_the_first_lines_are_shown() {
        insta::assert_snapshot!(failed("Stack dump:\n0. something\n"), @r"
        clang failed
          Stack dump:
          0. something
        ");
    }

    #[test]
    fn missing_tools_come_with_the_command() {
        let error = ToolError::NotFound {
            missing: vec!["clang".into(), "opt".into(), "llc".into()],
            install_command: "sudo apt-get install clang-19 llvm-19 libclang-rt-19-dev".into(),
        };
        insta::assert_snapshot!(error, @"clang, opt and llc not found; install with: sudo apt-get install clang-19 llvm-19 libclang-rt-19-dev");
    }
}
