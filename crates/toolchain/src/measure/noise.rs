//! How much times differ here that ought to be equal.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::MeasureError;
use super::blocks::Observer;
use super::compare::compare;
use super::run::Runs;
use super::statistics::{mean, median, standard_deviation};
use super::types::{Arm, CompareOptions, NoiseFloor, Workload};
use crate::sandbox::{Limits, Sandbox};

/// Compares a program with itself under another name (A/A). Nothing below what that shows should be claimed: give the
/// result's half width to the comparisons that follow.
pub fn noise_floor(
    sandbox: &Sandbox,
    layouts: &[PathBuf],
    workloads: &[Workload],
    options: &CompareOptions,
    observer: &mut Observer<'_>,
) -> Result<NoiseFloor, MeasureError> {
    let [one, other] =
        ["the baseline", "the baseline under another name"].map(|name| Arm { name, layouts });
    let found = compare(sandbox, &one, &other, workloads, options, observer)?;
    let [low, high] = found.interval;
    Ok(NoiseFloor {
        half_width: high.max(1.0 / low) - 1.0,
        ratio: found.ratio,
        interval: found.interval,
        blocks: found.blocks,
        runs: found.runs,
    })
}

/// How even this machine's times are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MachineNoise {
    /// Runs timed.
    pub runs: usize,
    /// Median wall time in seconds.
    pub median_seconds: f64,
    /// Standard deviation over mean of the wall times.
    pub coefficient_of_variation: f64,
    /// Share of runs that took more than a fifth longer than the median: disturbed from outside.
    pub disturbed: f64,
}

/// Times the same work `runs` times (at least twice, after one run to warm up).
pub fn machine_noise(
    sandbox: &Sandbox,
    executable: &Path,
    workload: &Workload,
    limits: Limits,
    runs: usize,
) -> Result<MachineNoise, MeasureError> {
    let mut bench = Runs {
        sandbox,
        limits,
        rng: ChaCha8Rng::seed_from_u64(0),
    };
    let mut time = || Ok(bench.run("the program", executable, workload)?.times.wall_s);
    time()?;
    let times = (0..runs.max(2))
        .map(|_| time())
        .collect::<Result<Vec<f64>, MeasureError>>()?;
    Ok(describe(&times))
}

fn describe(times: &[f64]) -> MachineNoise {
    let median = median(times).unwrap_or(0.0);
    let (mean, deviation) = (
        mean(times).unwrap_or(0.0),
        standard_deviation(times).unwrap_or(0.0),
    );
    let disturbed = times.iter().filter(|&&time| time > 1.2 * median).count();
    MachineNoise {
        runs: times.len(),
        median_seconds: median,
        coefficient_of_variation: if mean > 0.0 { deviation / mean } else { 0.0 },
        disturbed: disturbed as f64 / times.len().max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_in_numbers() {
        let found = describe(&[1.0, 1.0, 1.0, 2.0]);
        assert_eq!(
            (found.runs, found.median_seconds, found.disturbed),
            (4, 1.0, 0.25)
        );
        assert!((found.coefficient_of_variation - 0.4).abs() < 1e-12);
        assert_eq!(describe(&[0.0, 0.0]).coefficient_of_variation, 0.0);
    }
}
