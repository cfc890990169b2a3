//! From what the processes reported to how the job ended.

use std::io;
use std::time::Duration;

use super::plan::Report;
use super::raw::Step;
use super::{End, Finished, Job, Profile, SandboxError};

/// What a job wrote on one stream, and whether there was more than allowed.
pub(super) type Output = (Vec<u8>, bool);

/// Puts it together, or says which step of the set-up failed. `shell_style`: a status of 128 + N stands for signal N.
pub(super) fn finished(
    job: &Job,
    report: &Report,
    (stdout, more_output): Output,
    (stderr, more_errors): Output,
    shell_style: bool,
) -> Result<Finished, SandboxError> {
    if let Some(step) = report.failed {
        return Err(failure(
            job,
            step,
            io::Error::from_raw_os_error(report.errno),
        ));
    }
    if !report.ended {
        let source = io::Error::other("the process that watches the job was killed");
        return Err(SandboxError::Setup {
            step: "wait for the job",
            source,
        });
    }
    let microseconds =
        |total: u64, before: u64| Duration::from_micros(total.saturating_sub(before));
    let user = microseconds(report.total.user, report.before.user);
    let system = microseconds(report.total.system, report.before.system);
    let too_much = more_output || more_errors;
    Ok(Finished {
        end: match report.cut_short {
            Some(end) => end,
            None => end(job, report.status, user + system, too_much, shell_style),
        },
        stdout,
        stderr,
        wall: Duration::from_nanos(report.end.saturating_sub(report.start)),
        user,
        system,
        max_resident: report.total.max_resident << 10,
    })
}

/// A job that the caller cancelled before it started.
pub(super) fn cancelled() -> Finished {
    Finished {
        end: End::Cancelled,
        stdout: Vec::new(),
        stderr: Vec::new(),
        wall: Duration::ZERO,
        user: Duration::ZERO,
        system: Duration::ZERO,
        max_resident: 0,
    }
}

fn failure(job: &Job, step: Step, source: io::Error) -> SandboxError {
    match step {
        Step::Execute => SandboxError::Program {
            path: job.program.clone(),
            source,
        },
        Step::Directory => SandboxError::Path {
            path: job.directory.clone(),
            source,
        },
        _ => SandboxError::Setup {
            step: step.name(),
            source,
        },
    }
}

/// How a job ended that was not cut short.
fn end(job: &Job, status: libc::c_int, cpu: Duration, too_much: bool, shell_style: bool) -> End {
    let over = cpu >= job.limits.cpu;
    let exit = libc::WEXITSTATUS(status);
    let signal = if libc::WIFSIGNALED(status) {
        Some(libc::WTERMSIG(status))
    } else {
        (shell_style && (129..=192).contains(&exit)).then(|| exit - 128)
    };
    match signal {
        Some(libc::SIGSYS) => End::Forbidden,
        Some(libc::SIGXFSZ) => End::Output,
        Some(libc::SIGXCPU) => End::CpuTime,
        Some(libc::SIGKILL) if over => End::CpuTime,
        _ if too_much => End::Output,
        Some(signal) => End::Signalled(signal),
        // The kernel counts whole seconds, and processes apart.
        None if over && job.profile == Profile::Run => End::CpuTime,
        None => End::Exited(exit),
    }
}
