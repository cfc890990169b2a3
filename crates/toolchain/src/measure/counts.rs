//! Instruction counts by callgrind: a second opinion that no disturbance of the machine can sway.
//!
//! Counts are not times (callgrind knows neither caches nor ports), but they are the same on every run. The program runs on
//! valgrind's synthetic CPU within the sandbox's *compile* profile, because valgrind is several programs and writes a file.
//! The kernel's own counters are not used: the sandbox lets no job open them, and a program under test runs nowhere else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::MeasureError;
use super::run::padded_environment;
use super::types::Workload;
use crate::sandbox::{End, Finished, Job, Limits, Sandbox};
use crate::tools::{Tool, Toolchain};

/// Padding in the environment: one of the lengths that timing runs have, always the same one so that counts are, too.
const PADDING: usize = 2048;

/// Bounds of a count: some fifty times as slow as a run, and valgrind's own memory comes on top.
const LIMITS: Limits = Limits {
    wall: Duration::from_secs(120),
    cpu: Duration::from_secs(120),
    memory: Some(8 << 30),
    ..Limits::RUN
};

/// [`instruction_count`] with the valgrind that was found; `None` without one, or if it does not get to the end.
pub fn instruction_counts(
    toolchain: &Toolchain,
    executable: &Path,
    workload: &Workload,
) -> Option<u64> {
    let valgrind = toolchain.found().path(Tool::Valgrind)?;
    instruction_count(toolchain.sandbox(), valgrind, executable, workload, LIMITS).ok()
}

/// How many instructions a program executes in user mode with a workload, libraries and loader included. `valgrind` is the
/// path of that program. Allow for a fifty times longer run.
pub fn instruction_count(
    sandbox: &Sandbox,
    valgrind: &Path,
    executable: &Path,
    workload: &Workload,
    limits: Limits,
) -> Result<u64, MeasureError> {
    let directory = tempfile::tempdir().map_err(MeasureError::Scratch)?;
    // Under a fixed name, which is part of what the program is given.
    fs::copy(executable, directory.path().join("program")).map_err(MeasureError::Scratch)?;
    let mut job = Job::compile(valgrind, directory.path());
    job.name = valgrind.into();
    job.arguments = [
        "--tool=callgrind",
        "--callgrind-out-file=counts",
        "--vgdb=no",
        "-q",
        "./program",
    ]
    .into_iter()
    .chain(workload.arguments.iter().map(String::as_str))
    .map(Into::into)
    .collect();
    job.environment = padded_environment(PADDING);
    job.environment.extend([
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("TMPDIR".into(), ".".into()),
    ]);
    job.input = Some(workload.input.clone());
    // Valgrind looks for free addresses there.
    job.readable.push("/proc/self/maps".into());
    job.limits = limits;
    let Finished { end, stderr, .. } = sandbox.run(&job)?;
    match end {
        End::Exited(_) => {}
        End::Cancelled => return Err(MeasureError::Cancelled),
        end => {
            let arm = "the program under valgrind".to_owned();
            return Err(MeasureError::RunFailed {
                arm,
                workload: workload.name.clone(),
                end,
            });
        }
    }
    let counts = fs::read_to_string(directory.path().join("counts")).unwrap_or_default();
    total(&counts).ok_or_else(|| MeasureError::NoCount {
        workload: workload.name.clone(),
        reason: String::from_utf8_lossy(&stderr)
            .lines()
            .next()
            .unwrap_or("no reason given")
            .to_owned(),
    })
}

/// The total in callgrind's file: the last line of the kind `totals: 123` (older versions: `summary: 123`).
fn total(counts: &str) -> Option<u64> {
    counts.lines().rev().find_map(|line| {
        let number = line
            .strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))?;
        number.split_whitespace().next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_callgrinds_file() {
        let file = "# callgrind format\nversion: 1\nevents: Ir\nsummary: 42\n\nfn=(1) main\n16 400\n\ntotals: 123456\n";
        assert_eq!(total(file), Some(123_456));
        assert_eq!(total("events: Ir\nsummary: 42\n"), Some(42));
        assert_eq!(total("totals: \nfn=totals\n"), None);
        assert_eq!(total(""), None);
    }
}
