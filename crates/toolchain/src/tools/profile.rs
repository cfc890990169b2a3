//! Profiles for profile-guided optimization.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call;
use super::program::{ProgramRun, describe};
use super::scratch::Scratch;
use super::{Digest, Tool, ToolError, Toolchain, Unit};
use crate::measure::Workload;
use crate::sandbox::Limits;

/// Instrumented programs are slow.
pub(super) const LIMITS: Limits = Limits {
    wall: Duration::from_secs(60),
    cpu: Duration::from_secs(60),
    memory: Some(4 << 30),
    ..Limits::RUN
};
/// Where the program writes its raw profile.
const RAW: &str = "run.profraw";

/// How often each part of a program ran.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Its content.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
}

impl Profile {
    /// The flag by which clang uses it: for [`Toolchain::front_end`], [`Toolchain::clang_pipeline`] (whose text then has the
    /// passes that read a profile) and [`Toolchain::compile`].
    pub fn clang_flag(&self) -> String {
        format!("-fprofile-use={}", self.path.display())
    }

    /// The flag by which [`Toolchain::middle_end`] finds it, for a pipeline that reads one.
    pub fn middle_end_flag(&self) -> String {
        format!("-pgo-test-profile-file={}", self.path.display())
    }
}

impl Toolchain {
    /// Builds the program with counters, runs it on the workloads, and merges what they counted.
    pub fn profile(
        &self,
        units: &[Unit],
        flags: &[String],
        runs: &[Workload],
    ) -> Result<Profile, ToolError> {
        let counting = [
            "-fprofile-generate".to_owned(),
            "-fprofile-update=single".to_owned(),
        ];
        let executable = self.compile(units, &[flags, &counting].concat())?;
        let raw = runs
            .iter()
            .map(|workload| self.raw_profile(&executable.path, workload))
            .collect::<Result<_, _>>()?;
        let digest = self.merged(raw)?;
        Ok(Profile {
            path: call::path_of(self, &digest)?,
            digest,
        })
    }

    /// What the program counted in one run.
    pub(super) fn raw_profile(
        &self,
        executable: &Path,
        workload: &Workload,
    ) -> Result<Vec<u8>, ToolError> {
        let scratch = Scratch::new()?;
        let finished = self.run_program(ProgramRun {
            executable,
            arguments: &workload.arguments,
            input: &workload.input,
            scratch: &scratch,
            environment: vec![(
                "LLVM_PROFILE_FILE",
                scratch.path().join(RAW).display().to_string(),
            )],
            limits: LIMITS,
        })?;
        match scratch.read(Tool::LlvmProfdata, RAW) {
            Ok(raw) if !raw.is_empty() => Ok(raw),
            Ok(_) | Err(ToolError::Parse { .. }) => Err(ToolError::NoProfile {
                workload: workload.name.clone(),
                how: describe(finished.end),
            }),
            Err(error) => Err(error),
        }
    }
}
