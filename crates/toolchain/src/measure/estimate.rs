//! From timed blocks to a ratio and its interval. Pure.
//!
//! *A block* of four runs gives `ln(min of the baseline's two / min of the candidate's two)`. On shared machines noise is
//! one-sided: a run is disturbed or it is not. Simulated with 2 % normal noise and 5 % of runs taking twice as long, the
//! midmean of 4 blocks of minima has an error of 1.3 %, of 4 blocks of sums 6.6 %; of 20 blocks 0.6 % and 0.9 %. With
//! one-sided exponential noise minima are ahead by more than a third; with clean normal noise they cost a sixth.
//!
//! *A cell* (one workload under one layout) is the midmean of its blocks: a quarter of them may be ruined. *A layout* is the
//! mean over the workloads, which weigh the same, and the result is the mean over the layouts.
//!
//! *The interval* is the wider of two: one from resampling the layouts with replacement, as whole clusters, with Student's t
//! for their number; and one from resampling the blocks within their cells. The first is the honest one, since layouts are
//! what is drawn from a population, but a handful of them sometimes agree by chance; the second keeps that from passing for
//! precision. Quantiles of the resamples are not used: five clusters have few distinct resamples, and the interval would be
//! up to a fifth too narrow. With one layout the second is all there is, and speaks for that layout only.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::statistics::{mean, midmean, standard_deviation, student_quantile};

/// Resamples of each bootstrap: the standard error is then itself known to 3 %.
const RESAMPLES: usize = 500;

/// Half width, in log units, of an interval about which nothing is known.
const UNKNOWN: f64 = 10.0;

/// No clock tells shorter times apart; keeps a time of zero from becoming an infinite ratio.
const SHORTEST: f64 = 1e-9;

/// The log-ratio of a block, baseline over candidate.
pub(super) fn block_log_ratio(baseline: [f64; 2], candidate: [f64; 2]) -> f64 {
    let least = |times: [f64; 2]| times[0].min(times[1]).max(SHORTEST).ln();
    least(baseline) - least(candidate)
}

/// The log-ratios of all blocks, by workload and layout.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    workloads: usize,
    layouts: usize,
    blocks: Vec<Vec<f64>>,
}

/// A log-ratio with the half width of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) log_ratio: f64,
    pub(super) half_width: f64,
}

impl Interval {
    pub(super) fn ratio(self) -> f64 {
        self.log_ratio.exp()
    }

    pub(super) fn bounds(self) -> [f64; 2] {
        [
            (self.log_ratio - self.half_width).exp(),
            (self.log_ratio + self.half_width).exp(),
        ]
    }
}

/// All workloads together and each by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    pub(super) overall: Interval,
    pub(super) per_workload: Vec<Interval>,
}

impl Cells {
    pub(super) fn new(workloads: usize, layouts: usize) -> Cells {
        Cells {
            workloads,
            layouts,
            blocks: vec![Vec::new(); workloads * layouts],
        }
    }

    pub(super) fn push(&mut self, workload: usize, layout: usize, log_ratio: f64) {
        self.blocks[workload * self.layouts + layout].push(log_ratio);
    }

    fn cell(&self, workload: usize, layout: usize) -> &[f64] {
        &self.blocks[workload * self.layouts + layout]
    }

    /// Layouts under which every workload has been measured. Only they count, so that the overall ratio is the geometric
    /// mean of the workloads' at any moment.
    fn complete_layouts(&self) -> Vec<usize> {
        (0..self.layouts)
            .filter(|&l| (0..self.workloads).all(|w| !self.cell(w, l).is_empty()))
            .collect()
    }

    /// The ratio so far without an interval; `None` before one layout is complete.
    pub(super) fn log_ratio(&self) -> Option<f64> {
        let table = self.table(&self.complete_layouts());
        (!table.is_empty()).then(|| mean_row(&table).overall())
    }

    /// A row per given layout: the midmeans of its cells, a column per workload.
    fn table(&self, layouts: &[usize]) -> Vec<Row> {
        layouts
            .iter()
            .map(|&l| self.row(l, |cell, scratch| scratch.extend(cell)))
            .collect()
    }

    /// The midmean of what `choose` takes from each cell of a layout.
    fn row(&self, layout: usize, mut choose: impl FnMut(&[f64], &mut Vec<f64>)) -> Row {
        let mut scratch = Vec::new();
        let cells = (0..self.workloads).map(|w| {
            scratch.clear();
            choose(self.cell(w, layout), &mut scratch);
            midmean(&mut scratch).unwrap_or(0.0)
        });
        Row(cells.collect())
    }

    /// The ratio and its interval; `None` before one layout is complete.
    pub(super) fn estimate(&self, confidence: f64, rng: &mut ChaCha8Rng) -> Option<Estimate> {
        let layouts = self.complete_layouts();
        let table = self.table(&layouts);
        if table.is_empty() {
            return None;
        }
        let upper = 0.5 + 0.5 * confidence;
        let by_layout = half_widths_by_layout(&table, upper, rng);
        let by_block = self.half_widths_by_block(&layouts, upper, rng);
        let centre = mean_row(&table);
        let interval = |log_ratio: f64, pick: fn(&HalfWidths, usize) -> f64, w: usize| {
            let widths = [&by_layout, &by_block]
                .into_iter()
                .flatten()
                .map(|h| pick(h, w));
            Interval {
                log_ratio,
                half_width: widths.reduce(f64::max).unwrap_or(UNKNOWN).min(UNKNOWN),
            }
        };
        Some(Estimate {
            overall: interval(centre.overall(), |h, _| h.overall, 0),
            per_workload: centre
                .0
                .iter()
                .enumerate()
                .map(|(w, &c)| interval(c, |h, w| h.per_workload[w], w))
                .collect(),
        })
    }

    /// Half widths from resampling the blocks of each cell; `None` with less than two a cell on average: Student's t of one
    /// or two degrees would say that nothing is known, whatever the layouts say.
    fn half_widths_by_block(
        &self,
        layouts: &[usize],
        upper: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<HalfWidths> {
        let blocks = |w: usize| {
            layouts
                .iter()
                .map(|&l| self.cell(w, l).len())
                .sum::<usize>()
        };
        let fewest = (0..self.workloads).map(blocks).min()?;
        let degrees = fewest - layouts.len();
        if degrees < layouts.len() {
            return None;
        }
        let draw = |rng: &mut ChaCha8Rng| {
            let rows = layouts.iter().map(|&l| {
                self.row(l, |cell, drawn| {
                    drawn.extend((0..cell.len()).map(|_| cell[rng.random_range(0..cell.len())]));
                })
            });
            mean_row(&rows.collect::<Vec<_>>())
        };
        Some(half_widths(
            fewest as f64 / layouts.len() as f64,
            degrees,
            upper,
            rng,
            draw,
        ))
    }
}

/// One value per workload.
#[derive(Debug, Clone, PartialEq)]
struct Row(Vec<f64>);

impl Row {
    fn overall(&self) -> f64 {
        mean(&self.0).unwrap_or(0.0)
    }
}

fn mean_row<'a>(rows: impl IntoIterator<Item = &'a Row, IntoIter: ExactSizeIterator>) -> Row {
    let mut rows = rows.into_iter();
    let n = rows.len() as f64;
    let mut sums = rows.next().map_or(Vec::new(), |row| row.0.clone());
    for row in rows {
        sums.iter_mut()
            .zip(&row.0)
            .for_each(|(sum, value)| *sum += value);
    }
    Row(sums.into_iter().map(|sum| sum / n).collect())
}

/// Half widths in log units.
struct HalfWidths {
    overall: f64,
    per_workload: Vec<f64>,
}

/// Half widths from resampling whole layouts; `None` of a single one.
fn half_widths_by_layout(table: &[Row], upper: f64, rng: &mut ChaCha8Rng) -> Option<HalfWidths> {
    let k = table.len();
    let draw = |rng: &mut ChaCha8Rng| mean_row((0..k).map(|_| &table[rng.random_range(0..k)]));
    (k > 1).then(|| half_widths(k as f64, k - 1, upper, rng, draw))
}

/// The bootstrap's standard errors times the quantile of Student's t. A resample of `n` values varies less than a new
/// sample would, by `(n - 1) / n`; that is made good here.
fn half_widths(
    n: f64,
    degrees: usize,
    upper: f64,
    rng: &mut ChaCha8Rng,
    draw: impl Fn(&mut ChaCha8Rng) -> Row,
) -> HalfWidths {
    let draws: Vec<Row> = (0..RESAMPLES).map(|_| draw(rng)).collect();
    let factor = (n / (n - 1.0)).sqrt() * student_quantile(upper, degrees);
    let half_width = |value: &dyn Fn(&Row) -> f64| {
        let values: Vec<f64> = draws.iter().map(value).collect();
        factor * standard_deviation(&values).unwrap_or(0.0)
    };
    let workloads = draws.first().map_or(0, |row| row.0.len());
    HalfWidths {
        overall: half_width(&Row::overall),
        per_workload: (0..workloads)
            .map(|w| half_width(&|row| row.0[w]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::super::types::Verdict;
    use super::super::verdict::judge;
    use super::*;

    fn estimate(
        workloads: usize,
        layouts: usize,
        blocks: &[(usize, usize, f64)],
    ) -> Option<Estimate> {
        let mut cells = Cells::new(workloads, layouts);
        for &(workload, layout, log_ratio) in blocks {
            cells.push(workload, layout, log_ratio);
        }
        cells.estimate(0.95, &mut ChaCha8Rng::seed_from_u64(7))
    }

    #[test]
    fn one_disturbed_run_of_each_arm_does_not_move_a_block() {
        assert_eq!(block_log_ratio([1.0, 2.0], [1.7, 1.0]), 0.0);
        assert!(block_log_ratio([2.0, 2.1], [1.0, 1.0]) > 0.69);
    }

    #[test]
    fn times_of_zero_stay_finite() {
        assert_eq!(block_log_ratio([0.0, 0.0], [0.0, 1.0]), 0.0);
        assert!(block_log_ratio([1.0, 1.0], [0.0, 0.0]).is_finite());
    }

    #[test]
    fn one_block_says_nothing() {
        let found = estimate(1, 1, &[(0, 0, 0.5)]).unwrap();
        assert_eq!(
            found.overall,
            Interval {
                log_ratio: 0.5,
                half_width: UNKNOWN
            }
        );
        assert_eq!(judge(&found, 0.01).0, Verdict::Undecided);
        assert_eq!(estimate(2, 1, &[(0, 0, 0.5)]), None);
    }

    #[test]
    fn layouts_that_agree_by_chance_are_no_better_than_their_blocks() {
        let blocks: Vec<_> = [-0.1, 0.0, 0.1]
            .iter()
            .flat_map(|&x| [(0, 0, x), (0, 1, x), (0, 2, x)])
            .collect();
        let found = estimate(1, 3, &blocks).unwrap().overall;
        assert!(
            found.log_ratio.abs() < 1e-12 && found.half_width > 0.02,
            "{found:?}"
        );
    }

    #[test]
    fn layouts_that_differ_widen_the_interval_however_many_blocks_there_are() {
        let blocks: Vec<_> = (0..100)
            .flat_map(|_| [(0, 0, 0.1), (0, 1, 0.2), (0, 2, 0.3)])
            .collect();
        let found = estimate(1, 3, &blocks).unwrap().overall;
        // Student's t by hand: 4.303 * 0.1 / sqrt(3).
        assert!((found.half_width / 0.2484 - 1.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn a_layout_counts_once_all_workloads_are_measured_under_it() {
        let mut blocks = vec![(0, 0, 0.1), (1, 0, 0.3)];
        let before = estimate(2, 2, &blocks).unwrap();
        blocks.push((0, 1, 9.0));
        assert_eq!(estimate(2, 2, &blocks).unwrap(), before);
        assert!((before.overall.log_ratio - 0.2).abs() < 1e-12);
        assert_eq!(
            before
                .per_workload
                .iter()
                .map(|i| i.log_ratio)
                .collect::<Vec<_>>(),
            [0.1, 0.3]
        );
    }

    fn blocks() -> impl Strategy<Value = Vec<(usize, usize, [f64; 4])>> {
        let block = (0usize..3, 0usize..4, prop::array::uniform4(1e-6f64..10.0));
        prop::collection::vec(block, 1..80)
    }

    fn with(
        blocks: &[(usize, usize, [f64; 4])],
        ratio: impl Fn([f64; 4]) -> f64,
    ) -> Option<Estimate> {
        estimate(
            3,
            4,
            &blocks
                .iter()
                .map(|&(w, l, t)| (w, l, ratio(t)))
                .collect::<Vec<_>>(),
        )
    }

    fn all(found: &Estimate) -> Vec<Interval> {
        found
            .per_workload
            .iter()
            .chain([&found.overall])
            .copied()
            .collect()
    }

    proptest! {
        #[test]
        fn the_unit_of_time_does_not_matter(blocks in blocks(), unit in 1e-2f64..1e6) {
            let one = with(&blocks, |[a, b, c, d]| block_log_ratio([a, b], [c, d]));
            let other = with(&blocks, |t| { let [a, b, c, d] = t.map(|t| t * unit); block_log_ratio([a, b], [c, d]) });
            prop_assert_eq!(one.is_some(), other.is_some());
            for (x, y) in one.iter().flat_map(all).zip(other.iter().flat_map(all)) {
                prop_assert!((x.log_ratio - y.log_ratio).abs() < 1e-9 && (x.half_width - y.half_width).abs() < 1e-9);
            }
        }

        #[test]
        fn swapped_arms_give_the_inverse(blocks in blocks(), margin in 0.0..0.5) {
            let one = with(&blocks, |[a, b, c, d]| block_log_ratio([a, b], [c, d]));
            let other = with(&blocks, |[a, b, c, d]| block_log_ratio([c, d], [a, b]));
            prop_assert_eq!(one.is_some(), other.is_some());
            for (x, y) in one.iter().flat_map(all).zip(other.iter().flat_map(all)) {
                prop_assert!((x.log_ratio + y.log_ratio).abs() < 1e-9 && (x.half_width - y.half_width).abs() < 1e-9);
            }
            let (Some(one), Some(other)) = (one, other) else { return Ok(()) };
            let ((verdict, hurt), (inverse, inversely_hurt)) = (judge(&one, margin), judge(&other, margin));
            if hurt.is_empty() && inversely_hurt.is_empty() {
                prop_assert_eq!(inverse, match verdict {
                    Verdict::Faster => Verdict::Slower,
                    Verdict::Slower => Verdict::Faster,
                    same => same,
                });
            }
        }

        #[test]
        fn intervals_are_finite_and_hold_the_ratio(blocks in blocks()) {
            for found in with(&blocks, |[a, b, c, d]| block_log_ratio([a, b], [c, d])).iter().flat_map(all) {
                let [low, high] = found.bounds();
                prop_assert!(0.0 < low && low <= found.ratio() && found.ratio() <= high && high.is_finite());
            }
        }
    }
}
