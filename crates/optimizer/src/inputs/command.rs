//! Inputs from a command of the user's (`--gen CMD`), or from a program that the testing agent wrote.

use std::path::{Path, PathBuf};
use std::time::Duration;

use whittle_toolchain::sandbox::{End, Job, Sandbox, SandboxError};

use crate::evidence::compare::shown;
use crate::inputs::{Origin, RawCase};

/// Longest run of the command.
const LONGEST: Duration = Duration::from_secs(20);
/// Most bytes of an input.
const LARGEST: u64 = 64 << 20;

/// The generator does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// It failed.
    #[error("the generator `{command}` (seed {seed}, size {size}) {how}")]
    Failed {
        /// The command.
        command: String,
        /// The seed that it was given.
        seed: u64,
        /// The size that it was given.
        size: u64,
        /// How it ended, and what it had to say.
        how: String,
    },
    /// Two runs differ.
    #[error(
        "the generator `{command}` writes another input when it is run again with seed {seed} and size {size}; it must \
         depend on nothing but its two last arguments, which are also in WHITTLE_SEED and WHITTLE_SIZE"
    )]
    NotDeterministic {
        /// The command.
        command: String,
        /// The seed.
        seed: u64,
        /// The size.
        size: u64,
    },
    /// The working directory is gone.
    #[error("cannot find the working directory for the generator")]
    Directory(#[from] std::io::Error),
    /// It could not be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The user stopped.
    #[error("the generator was stopped")]
    Cancelled,
}

/// What makes inputs from a seed and a size. The user's command runs in the sandbox as a compiler does: it may read its own
/// folder and the system, and write nothing. A program that a model wrote runs as a candidate does: it may do nothing.
pub(crate) struct Generator<'a> {
    sandbox: &'a Sandbox,
    /// The command, or what the program is called in messages.
    command: String,
    /// The executable of a program.
    program: Option<PathBuf>,
    folder: PathBuf,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, command: &str) -> Result<Self, GeneratorError> {
        Ok(Self {
            sandbox,
            command: command.to_owned(),
            program: None,
            folder: std::env::current_dir()?,
        })
    }

    /// A program of the testing agent's, which runs in an empty folder.
    pub(crate) fn program(sandbox: &'a Sandbox, program: PathBuf, folder: PathBuf) -> Self {
        Self {
            sandbox,
            command: "of the testing agent".to_owned(),
            program: Some(program),
            folder,
        }
    }

    fn job(&self, seed: u64, size: u64) -> Job {
        if let Some(program) = &self.program {
            let mut job = Job::run(program, &self.folder);
            job.arguments = vec![seed.to_string().into(), size.to_string().into()];
            return job;
        }
        let mut job = Job::compile(Path::new("/bin/sh"), &self.folder);
        job.writable = Vec::new();
        job.readable = vec![self.folder.clone()];
        let script = format!("{} \"$@\"", self.command);
        job.arguments = ["-c", &script, "sh", &seed.to_string(), &size.to_string()]
            .map(Into::into)
            .to_vec();
        job.environment = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("WHITTLE_SEED", &seed.to_string()),
            ("WHITTLE_SIZE", &size.to_string()),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
        job
    }

    /// The input for a seed and a size.
    pub(crate) fn make(&self, seed: u64, size: u64) -> Result<RawCase, GeneratorError> {
        let failed = |how| GeneratorError::Failed {
            command: self.command.clone(),
            seed,
            size,
            how,
        };
        let mut job = self.job(seed, size);
        job.limits.wall = LONGEST;
        job.limits.output = LARGEST;
        let finished = self.sandbox.run(&job)?;
        let how = match finished.end {
            End::Exited(0) => {
                return Ok(RawCase {
                    name: format!("generated-{size}-seed-{seed}"),
                    arguments: Vec::new(),
                    input: finished.stdout,
                    declared_output: None,
                    origin: match self.program {
                        Some(_) => Origin::Model,
                        None => Origin::Generator,
                    },
                });
            }
            End::Cancelled => return Err(GeneratorError::Cancelled),
            End::Exited(status) => format!("ended with exit status {status}"),
            End::Signalled(signal) => format!("was killed by signal {signal}"),
            End::Forbidden => "made a system call that the sandbox forbids".to_owned(),
            End::WallTime | End::CpuTime => {
                format!("was still running after {} s", LONGEST.as_secs())
            }
            End::Output => format!("wrote more than {} MiB", LARGEST >> 20),
        };
        let last_line = finished
            .stderr
            .trim_ascii_end()
            .rsplit(|&byte| byte == b'\n')
            .next();
        match last_line {
            Some(line) if !line.is_empty() => Err(failed(format!("{how}: {}", shown(line, 0)))),
            _ => Err(failed(how)),
        }
    }

    /// Whether a second run gives the same input.
    pub(crate) fn check(&self, case: &RawCase, seed: u64, size: u64) -> Result<(), GeneratorError> {
        if self.make(seed, size)?.input == case.input {
            return Ok(());
        }
        Err(GeneratorError::NotDeterministic {
            command: self.command.clone(),
            seed,
            size,
        })
    }
}
