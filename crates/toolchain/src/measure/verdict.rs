//! What may be said of an estimate. Pure.

use super::estimate::Estimate;
use super::types::Verdict;

/// What may be said, and on which workloads the candidate is slower. An interval of a single workload counts against the
/// candidate only if all of it lies below the margin.
pub(super) fn judge(estimate: &Estimate, margin: f64) -> (Verdict, Vec<usize>) {
    let (lower, upper) = (1.0 / (1.0 + margin), 1.0 + margin);
    let slower_on: Vec<usize> = estimate
        .per_workload
        .iter()
        .enumerate()
        .filter(|(_, interval)| interval.bounds()[1] < lower)
        .map(|(w, _)| w)
        .collect();
    let [low, high] = estimate.overall.bounds();
    let verdict = if high < lower || (!slower_on.is_empty() && low > upper) {
        Verdict::Slower
    } else if low > upper {
        Verdict::Faster
    } else if low >= lower && high <= upper {
        Verdict::NoDifference
    } else {
        Verdict::Undecided
    };
    (verdict, slower_on)
}

#[cfg(test)]
mod tests {
    use super::super::estimate::Interval;
    use super::*;

    fn known(ratio: f64, half_width: f64) -> Interval {
        Interval {
            log_ratio: ratio.ln(),
            half_width,
        }
    }

    fn alone(ratio: f64, half_width: f64) -> Estimate {
        let interval = known(ratio, half_width);
        Estimate {
            overall: interval,
            per_workload: vec![interval],
        }
    }

    #[test]
    fn verdicts_compare_the_whole_interval_with_the_margin() {
        for (ratio, half_width, margin, expected) in [
            (1.10, 0.05, 0.01, Verdict::Faster),
            (1.10, 0.05, 0.06, Verdict::Undecided),
            (1.10, 0.05, 0.20, Verdict::NoDifference),
            (0.90, 0.05, 0.01, Verdict::Slower),
            (1.00, 0.05, 0.01, Verdict::Undecided),
            (1.00, 0.005, 0.01, Verdict::NoDifference),
            (1.0001, 0.0, 0.0, Verdict::Faster),
            (1.0, 0.0, 0.0, Verdict::NoDifference),
        ] {
            assert_eq!(
                judge(&alone(ratio, half_width), margin).0,
                expected,
                "{ratio} ± {half_width}, {margin}"
            );
        }
    }

    #[test]
    fn a_gain_that_costs_one_workload_is_not_faster() {
        let per_workload = vec![known(2.0, 0.01), known(0.9, 0.02), known(0.9, 0.2)];
        let found = Estimate {
            overall: known(1.2, 0.02),
            per_workload,
        };
        assert_eq!(judge(&found, 0.01), (Verdict::Slower, vec![1]));
        assert_eq!(judge(&found, 0.15), (Verdict::Faster, vec![]));
    }
}
