//! One call of a tool: inputs written to a scratch folder, the tool run there in the sandbox, outputs read back, all of it
//! remembered in the store.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::diagnostics::{self, Diagnostic};
use super::error::ToolError;
use super::scratch::{OUTPUT_LIMIT, OUTPUTS, Scratch, bounded};
use super::store::{Digest, Mode};
use super::tool::Tool;
use super::{Toolchain, Unit, unit};
use crate::sandbox::{End, Finished, Job};

/// What a file that a flag names is called in the scratch folder.
const PROFILE: &str = ".profile.profdata";
/// Flags that name a profile.
const PROFILE_FLAGS: [&str; 4] = [
    "-fprofile-use=",
    "-fprofile-instr-use=",
    "-pgo-test-profile-file=",
    "-fprofile-instrument-use-path=",
];

/// A call being put together.
#[derive(Debug)]
pub(crate) struct Call {
    tool: Tool,
    arguments: Vec<String>,
    inputs: Vec<(String, Vec<u8>)>,
    outputs: Vec<(String, Mode)>,
    keep_stdout: bool,
    error: Option<ToolError>,
}

/// What a call that succeeded left.
#[derive(Debug)]
pub(crate) struct Done {
    /// The outputs, in the order in which they were asked for.
    pub(crate) outputs: Vec<Digest>,
    /// Standard output, if asked for.
    pub(crate) stdout: String,
    /// What it had to say.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What a call left, before anything of it is kept.
pub(crate) struct Executed {
    pub(crate) status: i32,
    outputs: Vec<Vec<u8>>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// What the store remembers of a call.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    status: i32,
    outputs: Vec<Digest>,
    stdout: Option<Digest>,
    stderr: String,
}

impl Call {
    pub(crate) fn new(tool: Tool) -> Self {
        Self {
            tool,
            arguments: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            keep_stdout: false,
            error: None,
        }
    }

    pub(crate) fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Flags from outside. A profile that one of them names is brought along.
    pub(crate) fn flags(mut self, toolchain: &Toolchain, flags: &[String]) -> Self {
        for flag in flags {
            let profile = PROFILE_FLAGS
                .iter()
                .find_map(|prefix| Some((prefix, flag.strip_prefix(prefix)?)));
            let Some((prefix, path)) = profile else {
                self.arguments.push(flag.clone());
                continue;
            };
            if let Some(bytes) = toolchain.own_object(Path::new(path)) {
                self.inputs.push((PROFILE.to_owned(), bytes));
                self.arguments.push(format!("{prefix}{PROFILE}"));
            } else {
                let reason = "it must name a profile in the store of artifacts";
                self.error = Some(ToolError::BadFlag {
                    flag: flag.clone(),
                    reason,
                });
            }
        }
        self
    }

    pub(crate) fn input(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.inputs.push((name.into(), bytes.into()));
        self
    }

    pub(crate) fn units(mut self, units: &[Unit]) -> Self {
        if let Err(error) = unit::check(units) {
            self.error = Some(error);
        }
        self.inputs.extend(
            units
                .iter()
                .map(|unit| (unit.name.clone(), unit.text.clone().into_bytes())),
        );
        self
    }

    /// Asks for an output: `flag` and its path are added to the arguments.
    pub(crate) fn output(mut self, flag: &str, name: &str, mode: Mode) -> Self {
        let path = format!("{OUTPUTS}/{name}");
        if flag.ends_with('=') {
            self.arguments.push(format!("{flag}{path}"));
        } else {
            self.arguments.extend([flag.to_owned(), path.clone()]);
        }
        self.outputs.push((path, mode));
        self
    }

    pub(crate) fn keep_stdout(mut self) -> Self {
        self.keep_stdout = true;
        self
    }

    /// Names everything that the result depends on.
    fn digest(&self, toolchain: &Toolchain) -> Digest {
        let mut parts: Vec<&[u8]> =
            vec![self.tool.name().as_bytes(), toolchain.identity().as_bytes()];
        parts.push(
            toolchain
                .found()
                .version(self.tool)
                .unwrap_or_default()
                .as_bytes(),
        );
        if self
            .arguments
            .iter()
            .any(|argument| argument.contains("native"))
        {
            parts.push(toolchain.processor().as_bytes());
        }
        parts.push(b"arguments");
        parts.extend(self.arguments.iter().map(String::as_bytes));
        parts.push(b"inputs");
        parts.extend(
            self.inputs
                .iter()
                .flat_map(|(name, bytes)| [name.as_bytes(), bytes]),
        );
        parts.push(if self.keep_stdout { b"stdout" } else { b"" });
        Digest::of(&parts)
    }
}

impl Toolchain {
    /// Runs a call, or answers it from the store.
    pub(crate) fn call(&self, mut call: Call) -> Result<Done, ToolError> {
        if let Some(error) = call.error.take() {
            return Err(error);
        }
        let digest = call.digest(self);
        if let Some(outcome) = self.remembered(&call, &digest) {
            return outcome;
        }
        let executed = self.execute(&call)?;
        let put =
            |(bytes, (_, mode)): (&Vec<u8>, &(String, Mode))| self.store().put_as(bytes, *mode);
        let outputs = executed.outputs.iter().zip(&call.outputs).map(put);
        let record = Record {
            status: executed.status,
            outputs: outputs.collect::<Result<_, _>>()?,
            stdout: call
                .keep_stdout
                .then(|| self.store().put(&executed.stdout))
                .transpose()?,
            stderr: executed.stderr,
        };
        self.store().put_call(&digest, &record)?;
        outcome(call.tool, record, &executed.stdout)
    }

    /// Runs a call whatever the store knows, and keeps nothing: for what is looked at once, or may change by itself.
    /// Returns standard output.
    pub(crate) fn call_unrecorded(&self, mut call: Call) -> Result<String, ToolError> {
        if let Some(error) = call.error.take() {
            return Err(error);
        }
        let Executed {
            status,
            stdout,
            stderr,
            ..
        } = self.execute(&call)?;
        let record = Record {
            status,
            outputs: Vec::new(),
            stdout: None,
            stderr,
        };
        Ok(outcome(call.tool, record, &stdout)?.stdout)
    }

    /// Runs a call, whatever its status in the end.
    pub(crate) fn execute(&self, call: &Call) -> Result<Executed, ToolError> {
        let scratch = Scratch::new()?;
        scratch.write(&call.inputs)?;
        let finished = self.run_tool(call, scratch.path())?;
        let status = exit_status(
            call.tool,
            &finished,
            self.compile_limits().wall.as_secs_f64(),
        )?;
        let read = |(name, _): &(String, Mode)| scratch.read(call.tool, name);
        let outputs = if status == 0 {
            call.outputs.iter().map(read).collect::<Result<_, _>>()?
        } else {
            Vec::new()
        };
        let stderr = bounded(&finished.stderr, scratch.path());
        Ok(Executed {
            status,
            outputs,
            stdout: finished.stdout,
            stderr,
        })
    }

    /// The outcome of a call made before, if all of it is still there unspoiled.
    fn remembered(&self, call: &Call, digest: &Digest) -> Option<Result<Done, ToolError>> {
        let record: Record = self.store().call(digest)?;
        let complete = record.status != 0 || record.outputs.len() == call.outputs.len();
        let unspoiled = record
            .outputs
            .iter()
            .all(|output| self.store().get(output).is_some());
        if !complete || !unspoiled {
            return None;
        }
        let stdout = match &record.stdout {
            Some(digest) => self.store().get(digest)?,
            None => Vec::new(),
        };
        Some(outcome(call.tool, record, &stdout))
    }

    fn run_tool(&self, call: &Call, scratch: &Path) -> Result<Finished, ToolError> {
        let program = self.program(call.tool)?;
        let mut job = Job::compile(program, scratch);
        job.name = OsString::from(call.tool.name());
        job.arguments = call.arguments.iter().map(OsString::from).collect();
        job.environment = environment(scratch);
        job.readable = self.readable(call.tool);
        job.writable = vec![scratch.to_owned()];
        job.limits = self.compile_limits();
        self.sandbox()
            .run(&job)
            .map_err(|source| ToolError::Sandbox {
                what: call.tool.name().to_owned(),
                source,
            })
    }
}

fn outcome(tool: Tool, record: Record, stdout: &[u8]) -> Result<Done, ToolError> {
    let diagnostics = diagnostics::parse(&record.stderr);
    let stderr = record.stderr;
    if record.status != 0 {
        return Err(ToolError::Failed {
            tool,
            diagnostics,
            stderr,
        });
    }
    Ok(Done {
        outputs: record.outputs,
        stdout: String::from_utf8_lossy(stdout).into_owned(),
        diagnostics,
    })
}

/// The environment of every tool.
fn environment(scratch: &Path) -> Vec<(OsString, OsString)> {
    let fixed = [
        ("PATH", "/usr/bin:/bin"),
        ("LC_ALL", "C"),
        ("HOME", "/nonexistent"),
        ("SOURCE_DATE_EPOCH", "0"),
    ];
    let fixed = fixed.map(|(name, value)| (name.into(), value.into()));
    fixed
        .into_iter()
        .chain([("TMPDIR".into(), scratch.join(OUTPUTS).into_os_string())])
        .collect()
}

/// The exit status; an end that need not come again is an error.
fn exit_status(tool: Tool, finished: &Finished, seconds: f64) -> Result<i32, ToolError> {
    match finished.end {
        End::Exited(status) => Ok(status),
        End::WallTime | End::CpuTime => Err(ToolError::TimedOut { tool, seconds }),
        End::Output => Err(ToolError::OutputTooLarge {
            tool,
            limit: OUTPUT_LIMIT,
        }),
        End::Cancelled => Err(ToolError::Cancelled {
            what: tool.name().to_owned(),
        }),
        End::Forbidden => Err(ToolError::Died {
            tool,
            how: "it made a forbidden system call".to_owned(),
        }),
        End::Signalled(signal) => {
            let stderr = String::from_utf8_lossy(&finished.stderr);
            let first = stderr
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("it said nothing");
            Err(ToolError::Died {
                tool,
                how: format!("signal {signal}; {first}"),
            })
        }
    }
}

/// What the outputs of a call depend on beside its arguments and inputs: the headers and libraries of the system.
pub(crate) fn identity_of_system() -> String {
    let modified = |path: &str| -> io::Result<u128> {
        let time = fs::metadata(path)?.modified()?;
        Ok(time
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos())
    };
    let paths = [
        "/usr/include",
        "/usr/lib/gcc",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/libc.so.6",
    ];
    let stamps: Vec<String> = paths
        .iter()
        .map(|path| modified(path).map_or_else(|_| "-".into(), |at| at.to_string()))
        .collect();
    stamps.join(" ")
}

/// What `-march=native` depends on.
pub(crate) fn identity_of_processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let wanted = [
        "vendor_id",
        "cpu family",
        "model",
        "stepping",
        "flags",
        "Features",
        "CPU part",
        "CPU implementer",
    ];
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines = first
        .lines()
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A program's path in the store.
pub(crate) fn path_of(toolchain: &Toolchain, digest: &Digest) -> Result<PathBuf, ToolError> {
    let source = || io::Error::new(io::ErrorKind::InvalidData, "not a digest");
    let error = || ToolError::Store {
        path: toolchain.store().root().to_owned(),
        source: source(),
    };
    toolchain.store().path(digest).ok_or_else(error)
}

/// The one output of a call that has one.
pub(crate) fn only_output(tool: Tool, outputs: Vec<Digest>) -> Result<Digest, ToolError> {
    let what = || "it wrote nothing".to_owned();
    outputs
        .into_iter()
        .next()
        .ok_or_else(|| ToolError::Parse { tool, what: what() })
}

/// The error for an artifact that was there and isn't any more.
pub(crate) fn vanished(path: &Path) -> ToolError {
    let source = io::Error::new(io::ErrorKind::NotFound, "the artifact is gone or spoiled");
    ToolError::Store {
        path: path.to_owned(),
        source,
    }
}
