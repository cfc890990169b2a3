//! Quick times, for a search: not interleaved, no interval, nothing to claim anything by.

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::MeasureError;
use super::compare::agree;
use super::estimate::SHORTEST;
use super::run::{Outcome, Runs};
use super::statistics::median;
use super::types::Workload;
use crate::sandbox::{Limits, Sandbox};

/// How quick times are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuickOptions {
    /// Timed runs of each workload, after one to warm up.
    pub repeats: usize,
    /// Give up once two runs of a workload have taken this many times as long as the reference at its best.
    pub give_up_above: f64,
    /// Seed of the environments.
    pub seed: u64,
    /// Bounds of each run.
    pub limits: Limits,
}

/// Quick times of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuickTime {
    /// The workload.
    pub workload: String,
    /// The least wall time in seconds: what is least disturbed.
    pub minimum_seconds: f64,
    /// The median wall time in seconds.
    pub median_seconds: f64,
    /// Exit status of every run.
    pub status: i32,
    /// SHA-256 of the standard output of every run.
    pub output: [u8; 32],
}

impl QuickTime {
    fn outcome(&self) -> Outcome {
        Outcome {
            status: self.status,
            output: self.output,
        }
    }
}

/// Quick times of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuickTimes {
    /// In the order of the workloads; the last is one on which it was given up, if it was.
    pub workloads: Vec<QuickTime>,
    /// The program was so much slower than the reference that the rest was left out.
    pub gave_up: bool,
}

impl QuickTimes {
    /// Geometric mean over the workloads of the reference's least time over this program's; above 1 is faster. Of a program
    /// that was given up only the workloads tried count.
    pub fn ratio(&self, reference: &QuickTimes) -> f64 {
        let pairs = self.workloads.iter().zip(&reference.workloads);
        let least = |time: &QuickTime| time.minimum_seconds.max(SHORTEST).ln();
        let logs = pairs.clone().map(|(own, other)| least(other) - least(own));
        (logs.sum::<f64>() / pairs.len().max(1) as f64).exp()
    }
}

/// Times a program a few times with each workload. Every run must agree with the reference, or with the program's own first
/// run if there is none.
pub fn quick_time(
    sandbox: &Sandbox,
    name: &str,
    executable: &Path,
    workloads: &[Workload],
    options: &QuickOptions,
    reference: Option<&QuickTimes>,
) -> Result<QuickTimes, MeasureError> {
    let mut runs = Runs {
        sandbox,
        limits: options.limits,
        rng: ChaCha8Rng::seed_from_u64(options.seed),
    };
    let mut found = QuickTimes {
        workloads: Vec::with_capacity(workloads.len()),
        gave_up: false,
    };
    for (index, workload) in workloads.iter().enumerate() {
        let reference = reference.and_then(|times| times.workloads.get(index));
        let first = runs.run(name, executable, workload)?.outcome();
        let expected = reference.map_or(first, QuickTime::outcome);
        agree(name, workload, &expected, &first)?;
        let hopeless = reference.map_or(f64::INFINITY, |time| {
            time.minimum_seconds * options.give_up_above
        });
        let mut times = Vec::with_capacity(options.repeats);
        let mut minimum = f64::INFINITY;
        while times.len() < options.repeats.max(1) && !found.gave_up {
            let run = runs.run(name, executable, workload)?;
            agree(name, workload, &expected, &run.outcome())?;
            times.push(run.times.wall_s);
            minimum = minimum.min(run.times.wall_s);
            found.gave_up = times.len() > 1 && minimum > hopeless;
        }
        found.workloads.push(QuickTime {
            workload: workload.name.clone(),
            minimum_seconds: minimum,
            median_seconds: median(&times).unwrap_or(minimum),
            status: first.status,
            output: first.output,
        });
        if found.gave_up {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(minima: &[f64]) -> QuickTimes {
        let of = |&minimum_seconds| QuickTime {
            workload: String::new(),
            minimum_seconds,
            median_seconds: minimum_seconds,
            status: 0,
            output: [0; 32],
        };
        QuickTimes {
            workloads: minima.iter().map(of).collect(),
            gave_up: false,
        }
    }

    #[test]
    fn the_ratio_is_a_geometric_mean_over_what_was_tried() {
        assert!((times(&[1.0, 1.0]).ratio(&times(&[2.0, 8.0])) - 4.0).abs() < 1e-12);
        assert!((times(&[2.0]).ratio(&times(&[1.0, 8.0])) - 0.5).abs() < 1e-12);
        assert_eq!(times(&[]).ratio(&times(&[1.0])), 1.0);
    }
}
