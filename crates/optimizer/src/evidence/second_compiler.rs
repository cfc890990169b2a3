//! The original, built by a compiler of other descent: what the two disagree on, the language does not define.

use std::path::{Path, PathBuf};
use std::time::Duration;

use whittle_toolchain::sandbox::{End, Job, Sandbox, SandboxError};

use crate::evidence::compare::shown;
use crate::program::{Program, is_translation_unit};

const LONGEST: Duration = Duration::from_secs(60);

/// What gcc made of the program.
#[derive(Debug)]
pub(crate) enum SecondBuild {
    /// The executable, in a folder that lives as long as this.
    Built {
        path: PathBuf,
        folder: tempfile::TempDir,
    },
    /// It refuses the program; the first line that says why.
    Refused(String),
}

/// Compiles the program by gcc at `-O2`.
pub(crate) fn build(
    sandbox: &Sandbox,
    gcc: &Path,
    program: &Program,
) -> Result<SecondBuild, SecondBuildError> {
    let folder = tempfile::tempdir()?;
    for unit in &program.units {
        let path = folder.path().join(&unit.name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &unit.text)?;
    }
    let mut job = Job::compile(gcc, folder.path());
    job.limits.wall = LONGEST;
    job.environment = vec![
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("LC_ALL".into(), "C".into()),
        ("TMPDIR".into(), folder.path().into()),
    ];
    let flags = program.base_flags();
    job.arguments = flags.iter().map(Into::into).collect();
    job.arguments
        .extend(["-O2", "-w", "-o", "program"].map(Into::into));
    let units = program
        .units
        .iter()
        .filter(|unit| is_translation_unit(unit));
    job.arguments.extend(units.map(|unit| (&unit.name).into()));
    job.arguments
        .extend(program.link_flags.iter().map(Into::into));
    job.arguments.push("-lm".into());
    let finished = sandbox.run(&job)?;
    match finished.end {
        End::Exited(0) => Ok(SecondBuild::Built {
            path: folder.path().join("program"),
            folder,
        }),
        End::Cancelled => Err(SecondBuildError::Cancelled),
        _ => {
            let mut lines = finished.stderr.split(|&byte| byte == b'\n');
            let says_why = |line: &&[u8]| line.windows(6).any(|window| window == b"error:");
            let line = lines.find(says_why).unwrap_or(&finished.stderr);
            Ok(SecondBuild::Refused(shown(line, 0)))
        }
    }
}

/// gcc could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecondBuildError {
    #[error("cannot write the program for gcc")]
    Write(#[from] std::io::Error),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cancelled")]
    Cancelled,
}
