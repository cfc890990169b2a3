//! One run of a program, the same way for every purpose: tests, timing, counting.

use std::ffi::OsString;
use std::path::Path;

use rand::Rng;
use sha2::{Digest, Sha256};

use super::MeasureError;
use super::blocks::Times;
use super::error::Difference;
use super::types::Workload;
use crate::sandbox::{End, Finished, Job, Limits, Sandbox};

/// The most bytes of padding in the environment.
const MOST_PADDING: usize = 4096;

/// The environment of a run: the plain locale, and a variable of random length that moves the stack, whose place alone can
/// change a program's time. Every run of every kind has one like it, so that nothing in it tells a timing run from a test.
pub fn environment(rng: &mut impl Rng) -> Vec<(OsString, OsString)> {
    padded_environment(rng.random_range(0..MOST_PADDING))
}

pub(super) fn padded_environment(padding: usize) -> Vec<(OsString, OsString)> {
    vec![
        ("LC_ALL".into(), "C".into()),
        ("PADDING".into(), "x".repeat(padding).into()),
    ]
}

/// The job of running a program under test: named `program` whatever its file is called, in a folder that should be fresh
/// and empty. Tests and timing runs both come from here.
pub fn program_job(
    executable: &Path,
    workload: &Workload,
    directory: &Path,
    limits: Limits,
    rng: &mut impl Rng,
) -> Job {
    Job {
        name: "program".into(),
        arguments: workload.arguments.iter().map(OsString::from).collect(),
        environment: environment(rng),
        input: Some(workload.input.clone()),
        limits,
        ..Job::run(executable, directory)
    }
}

/// What a run has to end with: a digest is all that is kept of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: i32,
    pub(super) output: [u8; 32],
}

impl Outcome {
    pub(super) fn difference(&self, found: &Outcome) -> Option<Difference> {
        if self.status != found.status {
            return Some(Difference::Status {
                expected: self.status,
                found: found.status,
            });
        }
        (self.output != found.output).then_some(Difference::Output)
    }
}

/// A run that came to its own end.
pub(super) struct Ended {
    pub(super) times: Times,
    pub(super) status: i32,
    pub(super) output: Vec<u8>,
}

impl Ended {
    pub(super) fn outcome(&self) -> Outcome {
        Outcome {
            status: self.status,
            output: Sha256::digest(&self.output).into(),
        }
    }
}

/// Runs programs one after the other.
pub(super) struct Runs<'a, R> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) limits: Limits,
    pub(super) rng: R,
}

impl<R: Rng> Runs<'_, R> {
    /// Runs a program to its own end, in a fresh folder.
    pub(super) fn run(
        &mut self,
        arm: &str,
        executable: &Path,
        workload: &Workload,
    ) -> Result<Ended, MeasureError> {
        let directory = tempfile::tempdir().map_err(MeasureError::Scratch)?;
        let job = program_job(
            executable,
            workload,
            directory.path(),
            self.limits,
            &mut self.rng,
        );
        let Finished {
            end,
            stdout,
            wall,
            user,
            system,
            ..
        } = self.sandbox.run(&job)?;
        let status = match end {
            End::Exited(status) => status,
            End::Cancelled => return Err(MeasureError::Cancelled),
            end => {
                return Err(MeasureError::RunFailed {
                    arm: arm.to_owned(),
                    workload: workload.name.clone(),
                    end,
                });
            }
        };
        let times = Times {
            wall_s: wall.as_secs_f64(),
            cpu_s: (user + system).as_secs_f64(),
        };
        Ok(Ended {
            times,
            status,
            output: stdout,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn environments_differ_in_the_length_of_their_padding_only() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let lengths: Vec<usize> = (0..100)
            .map(|_| {
                let environment = environment(&mut rng);
                assert_eq!(environment[0], ("LC_ALL".into(), "C".into()));
                assert_eq!(
                    (environment.len(), &environment[1].0),
                    (2, &"PADDING".into())
                );
                environment[1].1.len()
            })
            .collect();
        assert!(lengths.iter().all(|&n| n < 4096));
        assert!(lengths.iter().any(|&n| n < 1000) && lengths.iter().any(|&n| n > 3000));
    }

    #[test]
    fn outcomes_differ_by_status_first() {
        let one = Outcome {
            status: 0,
            output: [0; 32],
        };
        assert_eq!(one.difference(&one), None);
        assert_eq!(
            one.difference(&Outcome {
                output: [1; 32],
                ..one
            }),
            Some(Difference::Output)
        );
        let other = Outcome {
            status: 3,
            output: [1; 32],
        };
        assert_eq!(
            one.difference(&other),
            Some(Difference::Status {
                expected: 0,
                found: 3
            })
        );
    }
}
