//! What programs with counters counted: over several runs together, by function and region of the source.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::call::{self, Call};
use super::coverage::Covered;
use super::store::Mode;
use super::{Digest, Executable, Tool, ToolError, Toolchain, Unit};
use crate::measure::Workload;

/// The kind of a region that is code of its own, and not a macro, a gap between statements or a part that is left out.
pub(super) const CODE: u64 = 0;

/// The part of `llvm-cov export`'s JSON that is read.
#[derive(Deserialize)]
struct Export {
    data: Vec<Counted>,
}

/// What all files of a program have in common.
#[derive(Deserialize)]
pub(super) struct Counted {
    #[serde(default)]
    pub(super) totals: BTreeMap<String, Covered>,
    #[serde(default)]
    pub(super) functions: Vec<Function>,
}

#[derive(Deserialize)]
pub(super) struct Function {
    name: String,
    /// How often it was called.
    pub(super) count: u64,
    filenames: Vec<String>,
    /// First line and column, last line and column, count, file, expanded file, kind.
    pub(super) regions: Vec<[u64; 8]>,
    /// First line and column, last line and column, how often true and false, file, expanded file, kind.
    #[serde(default)]
    pub(super) branches: Vec<[u64; 9]>,
}

impl Function {
    /// Its name, as the linker knows it: here static functions are `file.c:name`.
    pub(super) fn linker_name(&self) -> &str {
        self.name.rsplit([':', ';']).next().unwrap_or(&self.name)
    }

    /// Which unit it stands in.
    pub(super) fn unit<'a>(&self, units: &'a [Unit]) -> Option<&'a Unit> {
        let file = self.filenames.first()?;
        let fits = |unit: &&Unit| {
            let rest = file.strip_suffix(unit.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        units.iter().filter(fits).max_by_key(|unit| unit.name.len())
    }
}

/// Reads what `llvm-cov export` prints.
pub(super) fn parse(json: &str) -> Result<Counted, String> {
    let export: Export = serde_json::from_str(json).map_err(|error| error.to_string())?;
    export
        .data
        .into_iter()
        .next()
        .ok_or_else(|| "no data".to_owned())
}

/// What runs counted, each by itself.
pub(super) struct RawProfiles {
    pub(super) raw: Vec<Vec<u8>>,
    /// Why the last of those runs counted nothing that did not end by themselves, if any did not.
    pub(super) failure: Option<ToolError>,
}

impl Toolchain {
    /// Runs a program with counters on all workloads; runs that do not end by themselves are left out.
    pub(super) fn raw_profiles(
        &self,
        executable: &Executable,
        workloads: &[Workload],
    ) -> Result<RawProfiles, ToolError> {
        let (mut raw, mut failure) = (Vec::new(), None);
        for workload in workloads {
            match self.raw_profile(&executable.path, workload) {
                Ok(counted) => raw.push(counted),
                Err(error @ ToolError::NoProfile { .. }) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(RawProfiles { raw, failure })
    }

    /// One profile of all.
    pub(super) fn merged(&self, raw: Vec<Vec<u8>>) -> Result<Digest, ToolError> {
        let mut merge = Call::new(Tool::LlvmProfdata).args(["merge"]);
        for (index, raw) in raw.into_iter().enumerate() {
            let name = format!("run{index}.profraw");
            merge = merge.args([name.clone()]).input(name, raw);
        }
        let done = self.call(merge.output("-o", "out.profdata", Mode::Data))?;
        call::only_output(Tool::LlvmProfdata, done.outputs)
    }

    /// What runs counted together, with these options of `llvm-cov export`, as it is read.
    pub(super) fn counted<T>(
        &self,
        executable: &Executable,
        raw: Vec<Vec<u8>>,
        options: &[&str],
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ToolError> {
        let stored = |digest| {
            let found = self.store().get(digest);
            found.ok_or_else(|| call::vanished(self.store().root()))
        };
        let merged = self.merged(raw)?;
        let export = Call::new(Tool::LlvmCov)
            .args(["export", "-instr-profile=merged.profdata", "program"])
            .args(options.iter().copied())
            .input("merged.profdata", stored(&merged)?)
            .input("program", stored(&executable.digest)?);
        read(&self.call_unrecorded(export)?).map_err(|what| ToolError::Parse {
            tool: Tool::LlvmCov,
            what,
        })
    }
}
