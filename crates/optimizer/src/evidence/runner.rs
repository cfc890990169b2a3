//! Runs of the program under test: always the same name, an empty folder, nothing to tell a test from a timing by.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::measure::{Workload, program_job};
use whittle_toolchain::sandbox::{AddressLayout, End, Finished, Job, Limits, Sandbox};

use crate::evidence::compare::compare_outputs;
use crate::evidence::ladder::CheckError;
use crate::evidence::{Rejection, RejectionKind, Rung};
use crate::inputs::Case;

/// How one run differs from the plain one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variation {
    /// Address-space layout.
    pub(crate) layout: AddressLayout,
    /// The byte with which `malloc` fills memory.
    pub(crate) fill: Option<u8>,
}

impl Variation {
    /// The job of such a run.
    pub(crate) fn job(
        self,
        program: &Path,
        workload: &Workload,
        folder: &Path,
        limit: Duration,
        random: &mut impl Rng,
    ) -> Job {
        let limits = Limits {
            wall: limit,
            cpu: limit + Duration::from_secs(1),
            ..Limits::RUN
        };
        let mut job = program_job(program, workload, folder, limits, random);
        job.layout = self.layout;
        if let Some(fill) = self.fill {
            let value = format!("glibc.malloc.perturb={fill}");
            job.environment
                .push(("GLIBC_TUNABLES".into(), value.into()));
        }
        job
    }
}

/// Runs programs and judges what comes out.
pub(crate) struct Runner<'a> {
    sandbox: &'a Sandbox,
    folder: tempfile::TempDir,
    random: RefCell<ChaCha8Rng>,
    tolerance: Option<f64>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        sandbox: &'a Sandbox,
        tolerance: Option<f64>,
        seed: u64,
    ) -> std::io::Result<Self> {
        Ok(Self {
            sandbox,
            folder: tempfile::tempdir()?,
            random: RefCell::new(ChaCha8Rng::seed_from_u64(seed)),
            tolerance,
        })
    }

    /// One run of at most `limit`.
    pub(crate) fn run(
        &self,
        program: &Path,
        workload: &Workload,
        limit: Duration,
        variation: Variation,
    ) -> Result<Finished, CheckError> {
        let random = &mut *self.random.borrow_mut();
        let job = variation.job(program, workload, self.folder.path(), limit, random);
        Ok(self.sandbox.run(&job)?)
    }

    /// Whether the run's result is the original's; `rung` is where it falls if not.
    pub(crate) fn judge(
        &self,
        case: &Case,
        finished: &Finished,
        rung: Rung,
    ) -> Result<(), CheckError> {
        let name = &case.name;
        let seconds = finished.wall.as_secs_f64();
        let (kind, what) = match finished.end {
            End::Cancelled => return Err(CheckError::Cancelled),
            End::Exited(status) => {
                match compare_outputs(&case.expected, &finished.stdout, status, self.tolerance) {
                    None => return Ok(()),
                    Some(difference) => (RejectionKind::Output, difference.text),
                }
            }
            End::Signalled(signal) => (RejectionKind::Crash, format!("killed by signal {signal}")),
            End::Forbidden => (
                RejectionKind::Forbidden,
                "made a forbidden system call".to_owned(),
            ),
            End::WallTime | End::CpuTime => (
                RejectionKind::Time,
                format!("still running after {seconds:.1} s"),
            ),
            End::Output => (
                RejectionKind::Flood,
                "wrote more than the limit of output".to_owned(),
            ),
        };
        Err(CheckError::Rejected(Rejection {
            rung,
            kind,
            reason: format!("input {name}: {what}"),
        }))
    }
}
