//! The order of runs and the decision to stop. Knows no sandbox: a runner gives it times, so that simulations drive the same
//! code as measurements do.

use std::ops::ControlFlow;
use std::time::Instant;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::MeasureError;
use super::estimate::{Cells, Estimate, block_log_ratio};
use super::looks::{confidence_at, rounds_to_look_at};
use super::statistics::median;
use super::types::{ArmName, CompareOptions, Comparison, Progress, Sample, WorkloadComparison};
use super::verdict::judge;

/// Wall and CPU time of one run, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
}

/// Runs an arm under a layout with a workload, both by index.
pub(super) type Runner<'a> = dyn FnMut(ArmName, usize, usize) -> Result<Times, MeasureError> + 'a;

/// Sees every block; breaks to cancel.
pub type Observer<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

/// A comparison under way.
struct Comparing<'a> {
    workloads: &'a [String],
    layouts: usize,
    options: &'a CompareOptions,
    runner: &'a mut Runner<'a>,
    wall: Cells,
    cpu: Cells,
    samples: Vec<Sample>,
    blocks: usize,
    runs: usize,
    interval: Option<[f64; 2]>,
}

/// Compares the two arms of the runner. `runs_before` have been made already and only count.
pub(super) fn compare_blocks<'a>(
    workloads: &'a [String],
    layouts: usize,
    options: &'a CompareOptions,
    runs_before: usize,
    runner: &'a mut Runner<'a>,
    observer: &mut Observer<'_>,
) -> Result<Comparison, MeasureError> {
    let cells = Cells::new(workloads.len(), layouts);
    let comparing = Comparing {
        workloads,
        layouts,
        options,
        runner,
        wall: cells.clone(),
        cpu: cells,
        samples: Vec::new(),
        blocks: 0,
        runs: runs_before,
        interval: None,
    };
    comparing.run(observer)
}

impl Comparing<'_> {
    fn run(mut self, observer: &mut Observer<'_>) -> Result<Comparison, MeasureError> {
        let started = Instant::now();
        let cells = self.workloads.len() * self.layouts;
        let last = (self.options.max_blocks / cells).max(1);
        let looks = rounds_to_look_at(self.options.min_blocks.div_ceil(cells), last);
        let mut order = ChaCha8Rng::seed_from_u64(self.options.seed);
        let mut out_of_time = false;
        for (look, &until) in looks.iter().enumerate() {
            while self.blocks < until * cells && !out_of_time {
                let warm_up = self.blocks == 0;
                for (workload, layout) in self.round(&mut order) {
                    // The first round is completed, come what may: fewer layouts say nothing.
                    out_of_time = started.elapsed() >= self.options.time_limit;
                    if out_of_time && !warm_up {
                        break;
                    }
                    if warm_up {
                        self.warm_up(workload, layout)?;
                    }
                    self.block(workload, layout, &mut order)?;
                    if observer(&self.progress(last * cells)).is_break() {
                        return Err(MeasureError::Cancelled);
                    }
                }
            }
            // Out of time, the last look comes early: it spends what was set aside for it.
            let look = if out_of_time { looks.len() - 1 } else { look };
            let estimate =
                self.estimate(confidence_at(look, looks.len(), self.options.confidence))?;
            self.interval = Some(estimate.overall.bounds());
            if look + 1 == looks.len()
                || estimate.overall.half_width <= self.options.target_half_width
            {
                return Ok(self.conclude(&estimate));
            }
        }
        Err(MeasureError::Nothing)
    }

    /// Every workload under every layout once: layouts in random order, workloads in random order under each.
    fn round(&self, order: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
        let mut layouts: Vec<usize> = (0..self.layouts).collect();
        layouts.shuffle(order);
        let mut round = Vec::with_capacity(self.workloads.len() * self.layouts);
        for layout in layouts {
            let start = round.len();
            round.extend((0..self.workloads.len()).map(|workload| (workload, layout)));
            round[start..].shuffle(order);
        }
        round
    }

    fn warm_up(&mut self, workload: usize, layout: usize) -> Result<(), MeasureError> {
        for _ in 0..self.options.warm_up {
            for arm in [ArmName::Baseline, ArmName::Candidate] {
                (self.runner)(arm, layout, workload)?;
                self.runs += 1;
            }
        }
        Ok(())
    }

    /// One block, ABBA or BAAB by chance.
    fn block(
        &mut self,
        workload: usize,
        layout: usize,
        order: &mut ChaCha8Rng,
    ) -> Result<(), MeasureError> {
        use ArmName::{Baseline, Candidate};
        let arms = if order.random() {
            [Baseline, Candidate, Candidate, Baseline]
        } else {
            [Candidate, Baseline, Baseline, Candidate]
        };
        let first = self.samples.len();
        for arm in arms {
            let Times { wall_s, cpu_s } = (self.runner)(arm, layout, workload)?;
            self.runs += 1;
            self.samples.push(Sample {
                workload,
                layout,
                block: self.blocks,
                arm,
                wall_s,
                cpu_s,
            });
        }
        self.blocks += 1;
        let block = &self.samples[first..];
        let pair = |arm: ArmName, time: fn(&Sample) -> f64| {
            let mut times = block.iter().filter(|s| s.arm == arm).map(time);
            [times.next().unwrap_or(0.0), times.next().unwrap_or(0.0)]
        };
        let log_ratio =
            |time: fn(&Sample) -> f64| block_log_ratio(pair(Baseline, time), pair(Candidate, time));
        self.wall.push(workload, layout, log_ratio(|s| s.wall_s));
        self.cpu.push(workload, layout, log_ratio(|s| s.cpu_s));
        Ok(())
    }

    fn progress(&self, blocks_planned: usize) -> Progress {
        Progress {
            blocks_done: self.blocks,
            blocks_planned,
            runs: self.runs,
            ratio: self.wall.log_ratio().map(f64::exp),
            interval: self.interval,
        }
    }

    /// The same samples give the same interval: resampling has its own stream of random numbers.
    fn estimate(&self, confidence: f64) -> Result<Estimate, MeasureError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.options.seed);
        rng.set_stream(1);
        self.wall
            .estimate(confidence, &mut rng)
            .ok_or(MeasureError::Nothing)
    }

    fn conclude(self, estimate: &Estimate) -> Comparison {
        let margin = self.options.margin.max(self.options.noise_floor);
        let (verdict, slower_on) = judge(estimate, margin);
        let seconds = |workload: usize, arm: ArmName| {
            let of_arm = self
                .samples
                .iter()
                .filter(|s| s.workload == workload && s.arm == arm);
            median(&of_arm.map(|s| s.wall_s).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let per_workload = self
            .workloads
            .iter()
            .zip(&estimate.per_workload)
            .enumerate();
        let per_workload = per_workload
            .map(|(w, (name, interval))| WorkloadComparison {
                name: name.clone(),
                ratio: interval.ratio(),
                interval: interval.bounds(),
                baseline_seconds: seconds(w, ArmName::Baseline),
                candidate_seconds: seconds(w, ArmName::Candidate),
            })
            .collect();
        Comparison {
            ratio: estimate.overall.ratio(),
            interval: estimate.overall.bounds(),
            confidence: self.options.confidence,
            verdict,
            slower_on: slower_on
                .into_iter()
                .map(|w| self.workloads[w].clone())
                .collect(),
            per_workload,
            cpu_ratio: self.cpu.log_ratio().unwrap_or(0.0).exp(),
            blocks: self.blocks,
            runs: self.runs,
            layouts: self.layouts,
            margin,
            samples: self.samples,
            outputs_equal: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::types::Verdict;
    use super::*;
    use crate::sandbox::{End, Limits};

    fn options() -> CompareOptions {
        let second = Duration::from_secs(1);
        let limits = Limits {
            wall: second,
            cpu: second,
            memory: None,
            processes: 1,
            output: 0,
        };
        CompareOptions {
            warm_up: 1,
            min_blocks: 1,
            max_blocks: 24,
            target_half_width: 0.0,
            ..CompareOptions::new(limits, 5)
        }
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("w{i}")).collect()
    }

    /// Candidate takes half the time; no noise at all.
    #[allow(clippy::unnecessary_wraps)] // it is a runner
    fn halved(arm: ArmName, _layout: usize, workload: usize) -> Result<Times, MeasureError> {
        let wall_s = (workload + 1) as f64 * if arm == ArmName::Baseline { 2.0 } else { 1.0 };
        Ok(Times {
            wall_s,
            cpu_s: wall_s,
        })
    }

    fn compare(
        options: &CompareOptions,
        observer: &mut Observer<'_>,
    ) -> Result<Comparison, MeasureError> {
        compare_blocks(&names(2), 3, options, 7, &mut halved, observer)
    }

    fn go_on(_: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn blocks_are_balanced_and_of_both_orders() {
        let found = compare(&options(), &mut go_on).unwrap();
        assert_eq!(
            (found.blocks, found.samples.len(), found.runs),
            (24, 96, 7 + 2 * 6 + 96)
        );
        let mut orders = std::collections::BTreeSet::new();
        let mut cells = std::collections::BTreeMap::new();
        for (number, block) in found.samples.chunks(4).enumerate() {
            assert!(block.iter().all(|s| s.block == number));
            let baseline: Vec<bool> = block.iter().map(|s| s.arm == ArmName::Baseline).collect();
            assert!(
                baseline[0] == baseline[3]
                    && baseline[1] == baseline[2]
                    && baseline[0] != baseline[1]
            );
            orders.insert(baseline[0]);
            *cells
                .entry((block[0].workload, block[0].layout))
                .or_insert(0) += 1;
        }
        assert_eq!(orders.len(), 2);
        assert!(cells.len() == 6 && cells.values().all(|&blocks| blocks == 4));
        assert_eq!(
            (found.verdict, found.outputs_equal),
            (Verdict::Faster, true)
        );
        assert!((found.ratio - 2.0).abs() < 1e-9 && (found.cpu_ratio - 2.0).abs() < 1e-9);
        assert_eq!(found.per_workload[1].baseline_seconds, 4.0);
        assert_eq!(found.per_workload[1].candidate_seconds, 2.0);
    }

    #[test]
    fn seed_and_times_determine_everything() {
        let first = compare(&options(), &mut go_on).unwrap();
        assert_eq!(compare(&options(), &mut go_on).unwrap(), first);
        let other = compare(
            &CompareOptions {
                seed: 6,
                ..options()
            },
            &mut go_on,
        )
        .unwrap();
        assert_ne!(other.samples, first.samples);
    }

    #[test]
    fn a_narrow_interval_ends_it_at_the_first_look() {
        let found = compare(
            &CompareOptions {
                target_half_width: 0.01,
                max_blocks: 600,
                ..options()
            },
            &mut go_on,
        )
        .unwrap();
        assert_eq!(found.blocks, 6);
    }

    #[test]
    fn without_time_one_round_is_still_measured() {
        let found = compare(
            &CompareOptions {
                time_limit: Duration::ZERO,
                ..options()
            },
            &mut go_on,
        )
        .unwrap();
        assert_eq!((found.blocks, found.verdict), (6, Verdict::Faster));
        assert!(found.per_workload.iter().all(|w| w.baseline_seconds > 0.0));
    }

    #[test]
    fn fewer_blocks_than_a_round_mean_one_round() {
        let found = compare(
            &CompareOptions {
                min_blocks: 0,
                max_blocks: 0,
                ..options()
            },
            &mut go_on,
        )
        .unwrap();
        assert_eq!(found.blocks, 6);
    }

    #[test]
    fn the_observer_sees_every_block_and_can_cancel() {
        let mut seen = Vec::new();
        let found = compare(&options(), &mut |progress| {
            seen.push(*progress);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(
            seen.iter().map(|p| p.blocks_done).collect::<Vec<_>>(),
            (1..=24).collect::<Vec<_>>()
        );
        assert!(
            seen.iter()
                .all(|p| p.blocks_planned == 24 && p.runs >= 7 + 4 * p.blocks_done)
        );
        assert_eq!((seen[0].ratio, seen[0].interval), (None, None));
        assert_eq!(seen[23].runs, found.runs);
        assert!(seen[23].interval.is_some());
        let cancelled = compare(&options(), &mut |progress| match progress.blocks_done {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(matches!(cancelled, Err(MeasureError::Cancelled)));
    }

    #[test]
    fn a_failed_run_ends_it() {
        let mut left = 9;
        let mut runner = |arm, layout, workload| {
            left -= 1;
            if left == 0 {
                return Err(MeasureError::RunFailed {
                    arm: "b".into(),
                    workload: "w0".into(),
                    end: End::WallTime,
                });
            }
            halved(arm, layout, workload)
        };
        let found = compare_blocks(&names(2), 3, &options(), 0, &mut runner, &mut go_on);
        assert!(matches!(
            found,
            Err(MeasureError::RunFailed {
                end: End::WallTime,
                ..
            })
        ));
    }
}
