//! Times by input, with what their spread says.

use whittle_toolchain::measure::{ArmName, Comparison, Sample};

use super::wire::{InputComparison, Samples, Times};

/// Each input of a comparison with all its runs.
pub(super) fn by_input(comparison: &Comparison) -> Vec<InputComparison> {
    let of = |workload: usize, arm: ArmName, median_s: f64| {
        let runs: Vec<&Sample> = comparison
            .samples
            .iter()
            .filter(|sample| sample.workload == workload && sample.arm == arm)
            .collect();
        let walls: Vec<f64> = runs.iter().map(|sample| sample.wall_s).collect();
        Times {
            median_s,
            interval_s: median_interval(walls.clone()).unwrap_or([median_s, median_s]),
            samples: Samples {
                layout: runs.iter().map(|sample| sample.layout as u32).collect(),
                block: runs.iter().map(|sample| sample.block as u32).collect(),
                wall_s: walls,
                cpu_s: runs.iter().map(|sample| sample.cpu_s).collect(),
            },
        }
    };
    let inputs = comparison.per_workload.iter().enumerate();
    inputs
        .map(|(index, input)| InputComparison {
            name: input.name.clone(),
            ratio: input.ratio,
            interval: input.interval,
            baseline: of(index, ArmName::Baseline, input.baseline_seconds),
            candidate: of(index, ArmName::Candidate, input.candidate_seconds),
        })
        .collect()
}

/// Between which times the median lies with 95 % confidence, whatever their distribution: the number of times below the
/// median is binomial.
fn median_interval(mut times: Vec<f64>) -> Option<[f64; 2]> {
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    let below = ((count - 1.96 * count.sqrt()) / 2.0).floor().max(0.0) as usize;
    let above = times.len().checked_sub(1 + below)?;
    Some([*times.get(below)?, *times.get(above)?])
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn few_times_say_little() {
        assert_eq!(median_interval(vec![]), None);
        assert_eq!(median_interval(vec![3.0]), Some([3.0, 3.0]));
        assert_eq!(median_interval(vec![3.0, 1.0, 2.0]), Some([1.0, 3.0]));
    }

    #[test]
    fn the_median_is_inside_about_as_often_as_said() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let hits = (0..1_000)
            .filter(|_| {
                let times = (0..60).map(|_| random.random::<f64>().powi(3)).collect();
                median_interval(times).is_some_and(|[low, high]| low <= 0.125 && 0.125 <= high)
            })
            .count();
        assert!((930..=990).contains(&hits), "{hits}");
    }
}
