//! Inputs to time.

use std::time::{Duration, Instant};

use whittle_toolchain::sandbox::End;

use crate::evidence::reference::{Reference, quiet_seconds};
use crate::inputs::gather::{Gatherer, built_in};
use crate::inputs::growth::{Grown, Run, Wanted, between, grow, siblings};
use crate::inputs::mutate::Given;
use crate::inputs::select::{Known, Timing, given};
use crate::inputs::shape::Shape;
use crate::inputs::workload;
use crate::inputs::{Case, InputError, Origin, RawCase};

/// Runs shorter than this drown in the time that starting a process takes.
pub(crate) const LEAST_SECONDS: f64 = 0.02;
/// Longest run of all.
const LONGEST: Duration = Duration::from_secs(10);
/// Longer ones are taken only if there are no others.
const LONG_SECONDS: f64 = 2.0;
/// An input made from another is as large if its time is within this factor.
const ALIKE: f64 = 3.0;
/// Inputs from which larger ones are grown at most.
const MOST_GROWN: usize = 8;
/// Smaller ones that are tried where the largest is not fit.
const STEPS_BACK: u32 = 5;
/// How often others are made of each input.
const ROUNDS: usize = 8;
/// Sizes that the generator is asked for at most.
const LARGEST_SIZE: u64 = 100_000_000;

impl Gatherer<'_> {
    /// Finds inputs that take long enough, and others as large, for the search and for the result.
    pub(crate) fn timing(&mut self) -> Result<Timing, InputError> {
        let mut bases = self.slow_tests()?;
        if bases.is_empty() && self.generator.is_some() {
            bases = self.generate_large()?;
        }
        if bases.is_empty() {
            bases = self.grow_tests()?;
        }
        let longest = bases.iter().map(|known| known.seconds).fold(0.0, f64::max);
        if longest < LEAST_SECONDS {
            self.notes.push(format!(
                "no input was found on which a run takes {:.0} ms, the longest takes {:.1} ms: only large differences can be \
                 told apart; --tests or --gen can give inputs that take longer",
                LEAST_SECONDS * 1e3,
                longest * 1e3
            ));
        }
        self.share_out(&bases)
    }

    /// Tests that take long enough, the best first.
    fn slow_tests(&mut self) -> Result<Vec<Known>, InputError> {
        let mut slow = Vec::new();
        let any_given = self
            .known
            .iter()
            .any(|known| known.case.origin != Origin::BuiltIn);
        for at in 0..self.known.len() {
            let known = &self.known[at];
            // The user's tests are what the program is for.
            let is_made = known.case.origin == Origin::BuiltIn;
            if (any_given && is_made) || known.seconds < LEAST_SECONDS / 2.0 {
                continue;
            }
            let seconds = self.time(&self.known[at].case.clone())?;
            self.known[at].seconds = seconds;
            if seconds >= LEAST_SECONDS {
                slow.push(self.known[at].clone());
            }
        }
        if slow.iter().any(|known| known.seconds <= LONG_SECONDS) {
            slow.retain(|known| known.seconds <= LONG_SECONDS);
        }
        slow.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        // What is timed is no test any more, and tests there must be.
        let quick = self.known.len() - slow.len();
        slow.truncate((quick + slow.len() / 2).max(1));
        slow.truncate(self.options.search_timing + self.options.final_timing);
        Ok(slow)
    }

    /// The fastest of three runs.
    fn time(&self, case: &Case) -> Result<f64, InputError> {
        let workload = workload(&case.name, &case.arguments, &case.input)?;
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let finished = self.reference.run_original(&workload, LONGEST)?;
            if finished.end == End::Cancelled {
                return Err(InputError::Cancelled);
            }
            best = best.min(quiet_seconds(&finished));
        }
        Ok(best)
    }

    /// Inputs of the generator, each with another seed, of a size at which a run takes long enough.
    fn generate_large(&mut self) -> Result<Vec<Known>, InputError> {
        let wanted = self.options.timing_seconds;
        let mut size = 100;
        let mut best = Vec::new();
        let mut ratio = 10.0;
        while size <= LARGEST_SIZE && ratio > 1.2 {
            self.observe("asks the generator for larger inputs", best.len(), 1)?;
            let next = (size as f64 * ratio).round() as u64;
            let made = match self
                .generator
                .as_ref()
                .map(|generator| generator.make(1, next))
            {
                Some(Ok(raw)) => self.generated(&raw, wanted * 4.0)?,
                // Too large for the generator itself.
                _ => None,
            };
            match made {
                Some(known) if known.seconds <= wanted * 1.6 => {
                    let near = known.seconds >= wanted * 0.6;
                    best = vec![known];
                    size = next;
                    if near {
                        break;
                    }
                }
                _ => ratio = ratio.sqrt(),
            }
        }
        if best.is_empty() {
            return Ok(best);
        }
        for seed in 2..(2 + self.options.search_timing + self.options.final_timing) as u64 {
            let Some(generator) = &self.generator else {
                break;
            };
            let raw = generator.make(seed, size)?;
            best.extend(self.generated(&raw, f64::INFINITY)?);
        }
        Ok(best)
    }

    /// An input of the generator, if it is fit and the original takes it in time.
    fn generated(&mut self, raw: &RawCase, limit: f64) -> Result<Option<Known>, InputError> {
        let given = (raw.arguments.clone(), raw.input.clone());
        let limit = Duration::try_from_secs_f64(limit).unwrap_or(LONGEST);
        let workload = workload(&raw.name, &given.0, &given.1)?;
        let finished = self.reference.run_original(&workload, limit)?;
        if !matches!(finished.end, End::Exited(_)) {
            return Ok(None);
        }
        let seconds = quiet_seconds(&finished);
        if seconds > self.options.timing_seconds * 1.6 && limit < LONGEST {
            return Ok(None);
        }
        Ok(self.judge(raw)?.map(|case| Known::new(case, seconds)))
    }

    /// Larger inputs of the shape of the tests.
    fn grow_tests(&mut self) -> Result<Vec<Known>, InputError> {
        let wanted = Wanted {
            seconds: self.options.timing_seconds,
            least: LEAST_SECONDS,
        };
        let end = Instant::now() + self.options.effort * 2;
        let mut best: Vec<Known> = Vec::new();
        let sources = self.sources();
        for (done, source) in sources.iter().enumerate() {
            self.observe("makes larger inputs to time", done, sources.len())?;
            let reached = best.first().map_or(0.0, |known| known.seconds);
            if reached >= LEAST_SECONDS
                && (reached >= wanted.seconds * 0.5 || Instant::now() >= end)
            {
                break;
            }
            let (arguments, input) = (&source.arguments, &source.input);
            for shape in [
                Shape::infer(arguments, input),
                Shape::repeating(arguments, input),
            ] {
                let reached = best.first().map_or(0.0, |known| known.seconds);
                if reached >= LEAST_SECONDS {
                    break;
                }
                let grown = self.grow_one(&shape, source.expected.status, wanted, end, reached)?;
                if !grown.is_empty() {
                    best = grown;
                }
            }
        }
        if best.is_empty() {
            let slowest = self
                .known
                .iter()
                .max_by(|a, b| a.seconds.total_cmp(&b.seconds));
            best.extend(slowest.cloned());
        }
        Ok(best)
    }

    /// Tests to grow from: the user's slowest, then those on which the original succeeds and says most. Held-out ones only where
    /// there are no others: what a wrong candidate prints on an input of the search is told.
    fn sources(&self) -> Vec<Case> {
        let (held_out, mut known): (Vec<&Known>, Vec<&Known>) =
            self.known.iter().partition(|known| known.held_out);
        if known.is_empty() {
            known = held_out;
        }
        known.sort_by(|a, b| {
            let rank = |known: &Known| {
                let expected = &known.case.expected;
                (
                    expected.status != 0,
                    known.case.origin == Origin::BuiltIn,
                    expected.stdout.is_empty(),
                )
            };
            rank(a).cmp(&rank(b)).then_with(|| match a.case.origin {
                Origin::BuiltIn => std::cmp::Ordering::Equal,
                _ => b.seconds.total_cmp(&a.seconds),
            })
        });
        known
            .iter()
            .take(MOST_GROWN)
            .map(|known| known.case.clone())
            .collect()
    }

    /// Inputs grown from one of a shape, the largest first; none if a run does not take longer than what was `reached`.
    fn grow_one(
        &mut self,
        shape: &Shape,
        status: i32,
        wanted: Wanted,
        end: Instant,
        reached: f64,
    ) -> Result<Vec<Known>, InputError> {
        let reference = self.reference;
        let mut timer = |given: &Given, limit: f64| -> Result<Run, InputError> {
            if Instant::now() >= end {
                return Ok(Run::Failed);
            }
            run_grown(reference, given, status, limit)
        };
        let path = grow(shape, wanted, &mut self.random, &mut timer)?;
        let Some(last) = path.last().filter(|grown| grown.seconds > reached * 1.2) else {
            return Ok(Vec::new());
        };
        let Some(largest) = self.largest_fit(shape, last, status)? else {
            return Ok(Vec::new());
        };
        let smaller = self.smaller(&path, largest.seconds)?;
        Ok(std::iter::once(largest).chain(smaller).collect())
    }

    /// The grown input, or the largest below it that is fit.
    fn largest_fit(
        &mut self,
        shape: &Shape,
        grown: &Grown,
        status: i32,
    ) -> Result<Option<Known>, InputError> {
        let mut candidates = vec![grown.given.clone()];
        candidates.extend(between(shape, grown, STEPS_BACK, &mut self.random));
        for given in candidates {
            let name = format!("built-in-large-{}", given.1.len());
            let Some(case) = self.judge(&built_in(given, &name))? else {
                continue;
            };
            if case.expected.status == status {
                let seconds = self.time(&case)?;
                return Ok(Some(Known::new(case, seconds)));
            }
        }
        Ok(None)
    }

    /// A smaller input on the way that still takes long enough, so that times are seen at two sizes.
    fn smaller(&mut self, path: &[Grown], largest: f64) -> Result<Option<Known>, InputError> {
        let is_good =
            |grown: &&Grown| grown.seconds >= LEAST_SECONDS && grown.seconds <= largest / 2.0;
        let Some(grown) = path.iter().rev().find(is_good) else {
            return Ok(None);
        };
        let name = format!("built-in-smaller-{}", grown.given.1.len());
        let case = self.judge(&built_in(grown.given.clone(), &name))?;
        Ok(case.map(|case| Known::new(case, grown.seconds)))
    }

    /// Shares the inputs out between search and result, and makes others like them where there are too few.
    fn share_out(&mut self, bases: &[Known]) -> Result<Timing, InputError> {
        let mut timing = Timing::default();
        for (at, base) in bases.iter().enumerate() {
            let list = if at % 2 == 0 {
                &mut timing.search
            } else {
                &mut timing.result
            };
            list.push(base.case.clone());
        }
        timing.search.truncate(self.options.search_timing.max(1));
        timing.result.truncate(self.options.final_timing.max(1));
        let search = self.options.search_timing.min(bases.len() + 1);
        let result = self.options.final_timing;
        // Whatever is in one list has others like it in both, those that it is not in first.
        for (round, (at, base)) in
            (1..=ROUNDS).flat_map(|round| bases.iter().enumerate().map(move |base| (round, base)))
        {
            if timing.search.len() >= search && timing.result.len() >= result {
                break;
            }
            let is_for_result = (at + round) % 2 == 1;
            let (length, wanted) = if is_for_result {
                (timing.result.len(), result)
            } else {
                (timing.search.len(), search)
            };
            if length < wanted {
                self.observe("makes inputs like these", length, wanted)?;
                let sibling = self.sibling(base)?;
                let list = if is_for_result {
                    &mut timing.result
                } else {
                    &mut timing.search
                };
                list.extend(sibling);
            }
        }
        if let (true, Some(base)) = (timing.result.is_empty(), bases.first()) {
            timing.result.extend(self.twin(base)?);
        }
        Ok(timing)
    }

    /// Another input of the same size, with other values, on which the original takes about as long.
    fn sibling(&mut self, base: &Known) -> Result<Option<Case>, InputError> {
        let given = given(&base.case);
        for other in siblings(&given, &mut self.random) {
            let workload = workload("sibling", &other.0, &other.1)?;
            let limit = Duration::from_secs_f64((base.seconds * ALIKE).max(0.5));
            let finished = self.reference.run_original(&workload, limit)?;
            let seconds = quiet_seconds(&finished);
            let is_alike = finished.end == End::Exited(base.case.expected.status)
                && (seconds < base.seconds * ALIKE || seconds < LEAST_SECONDS)
                && (seconds > base.seconds / ALIKE || base.seconds < LEAST_SECONDS);
            if !is_alike {
                continue;
            }
            self.siblings += 1;
            let name = format!("{}-like-{}", base.case.name, self.siblings);
            if let Some(case) = self.judge(&built_in(other, &name))? {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    /// The same input but for a blank at its end: programs without sizes or values to change have no other.
    fn twin(&mut self, base: &Known) -> Result<Option<Case>, InputError> {
        let mut given = given(&base.case);
        given.1.push(b'\n');
        let name = format!("{}-and-blank", base.case.name);
        let twin = self.judge(&built_in(given, &name))?;
        self.notes.push(format!(
            "no other input like {} could be made: the result is measured on the same with a blank at its end",
            base.case.name
        ));
        Ok(twin)
    }
}

/// Runs the original on a grown input; short runs are disturbed most, so that they are made twice.
fn run_grown(
    reference: &Reference,
    given: &Given,
    status: i32,
    limit: f64,
) -> Result<Run, InputError> {
    let workload = workload("grown", &given.0, &given.1)?;
    let limit = Duration::from_secs_f64(limit.max(0.5));
    let mut best = f64::INFINITY;
    for _ in 0..2 {
        let finished = reference.run_original(&workload, limit)?;
        match finished.end {
            End::Exited(got) if got == status => {}
            End::WallTime | End::CpuTime => return Ok(Run::TooSlow),
            End::Cancelled => return Err(InputError::Cancelled),
            _ => return Ok(Run::Failed),
        }
        best = best.min(quiet_seconds(&finished));
        if best > LEAST_SECONDS {
            break;
        }
    }
    Ok(Run::Took(best))
}
