//! Timing in the search: quick, interleaved with the original, good enough to steer by.

use std::cell::RefCell;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::Sandbox;
use whittle_toolchain::tools::Executable;

use crate::evidence::Rung;
use crate::evidence::ladder::CheckError;
use crate::evidence::runner::{Runner, Variation};
use crate::inputs::Case;
use crate::session::prepare::workloads;

/// Pairs of runs for every candidate, and for those that look as good as the best.
const FIRST_PAIRS: usize = 2;
const MORE_PAIRS: usize = 2;
/// A candidate this much slower than the best is not timed further.
const HOPELESS: f64 = 0.85;
/// One that comes this close to the best is timed more.
const PROMISING: f64 = 0.97;
/// A run that takes this many times as long as the original is cut off.
const PATIENCE: u32 = 4;
/// ... but never before this.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);
/// Longest run of all.
const LONGEST: Duration = Duration::from_secs(30);

/// What a quick timing says.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    /// Original over candidate, geometric mean over the inputs.
    pub(crate) speedup: f64,
    /// Fastest time on each input.
    pub(crate) seconds: Vec<f64>,
    /// Runs made, the original's too.
    pub(crate) runs: usize,
}

/// Times candidates against the original.
pub(crate) struct SearchTimer<'a> {
    runner: Runner<'a>,
    original: Executable,
    cases: &'a [Case],
    workloads: Vec<Workload>,
    random: RefCell<ChaCha8Rng>,
}

impl<'a> SearchTimer<'a> {
    pub(crate) fn new(
        sandbox: &'a Sandbox,
        original: Executable,
        cases: &'a [Case],
        tolerance: Option<f64>,
        seed: u64,
    ) -> std::io::Result<Self> {
        Ok(Self {
            runner: Runner::new(sandbox, tolerance, seed)?,
            original,
            cases,
            workloads: workloads(cases)?,
            random: RefCell::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    /// The original's executable.
    pub(crate) fn original(&self) -> &Executable {
        &self.original
    }

    /// Times a candidate; `best` is the best speed-up so far, which decides how much effort it is worth.
    pub(crate) fn time(&self, candidate: &Executable, best: f64) -> Result<Timed, CheckError> {
        let count = self.cases.len();
        let (mut original, mut seconds) = (vec![f64::INFINITY; count], vec![f64::INFINITY; count]);
        let mut runs = 0;
        for pair in 0..FIRST_PAIRS + MORE_PAIRS {
            for index in 0..count {
                let first = self.random.borrow_mut().random::<bool>();
                for is_candidate in [first, !first] {
                    let program = if is_candidate {
                        candidate
                    } else {
                        &self.original
                    };
                    let limit = if is_candidate && original[index].is_finite() {
                        Duration::from_secs_f64(original[index]) * PATIENCE
                    } else {
                        LONGEST
                    };
                    let case = &self.cases[index];
                    let finished = self.runner.run(
                        &program.path,
                        &self.workloads[index],
                        limit.max(LEAST_PATIENCE),
                        Variation::default(),
                    )?;
                    runs += 1;
                    self.runner.judge(case, &finished, Rung::Tests)?;
                    let times = if is_candidate {
                        &mut seconds
                    } else {
                        &mut original
                    };
                    times[index] = times[index].min(finished.wall.as_secs_f64());
                }
            }
            let speedup = geometric_mean(&original, &seconds);
            if speedup < HOPELESS * best || (pair + 1 >= FIRST_PAIRS && speedup < PROMISING * best)
            {
                break;
            }
        }
        Ok(Timed {
            speedup: geometric_mean(&original, &seconds),
            seconds,
            runs,
        })
    }
}

/// Of the ratios original / candidate.
fn geometric_mean(original: &[f64], candidate: &[f64]) -> f64 {
    let logs = original.iter().zip(candidate).map(|(o, c)| (o / c).ln());
    (logs.sum::<f64>() / original.len().max(1) as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_ratios_is_geometric() {
        assert!((geometric_mean(&[2.0, 1.0], &[1.0, 2.0]) - 1.0).abs() < 1e-12);
        assert!((geometric_mean(&[4.0], &[1.0]) - 4.0).abs() < 1e-12);
    }
}
