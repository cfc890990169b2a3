//! The runs that could show that an input has no right answer.

use std::thread;
use std::time::{Duration, Instant};

use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::{AddressLayout, End, Finished};
use whittle_toolchain::tools::{Sanitizer, SanitizerOutcome};

use crate::evidence::compare::{Difference, compare_outputs};
use crate::evidence::parallel::in_order;
use crate::evidence::reference::{Reference, ReferenceError};
use crate::evidence::variants::{Variant, VariantKind, names};
use crate::evidence::words::importing;
use crate::inputs::Expected;

/// Bytes with which fresh memory is filled to see whether the program reads it before it writes it.
const FILLS: [u8; 2] = [0x55, 0xaa];
/// A build without optimization that takes this many times as long as `-O3` runs for ever.
const SLOWEST_LEVEL: u32 = 50;
/// Inputs that take longer than this draw on the time for slow variants.
const LARGE: Duration = Duration::from_millis(10);
/// No variant is stopped before this.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// Clocks that count seconds are seen only by a run in another second; so many inputs are run again that late.
pub(super) const LATE_RUNS: usize = 6;
const LATE: Duration = Duration::from_millis(1100);
/// One more run that has to give the same.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check<'a> {
    Again,
    FixedAddresses,
    Filled(u8),
    Variant(&'a Variant),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Same,
    Near,
    /// It took too long to say anything.
    Nothing,
    Unfit(String),
}

/// An input under judgement.
pub(super) struct Trial {
    pub(super) workload: Workload,
    pub(super) started: Instant,
    /// Time of the first run.
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) expected: Expected,
}

impl Reference {
    /// The checks, those first that say most about what is wrong.
    pub(super) fn checks(&self) -> Vec<Check<'_>> {
        let (sanitizers, others): (Vec<&Variant>, Vec<&Variant>) = self
            .variants
            .built
            .iter()
            .partition(|variant| variant.is_sanitizer());
        let mut checks: Vec<Check<'_>> = sanitizers.into_iter().map(Check::Variant).collect();
        checks.push(Check::Again);
        checks.extend(FILLS.map(Check::Filled));
        checks.push(Check::FixedAddresses);
        checks.extend(others.into_iter().map(Check::Variant));
        checks
    }

    pub(super) fn check_all(
        &self,
        trial: &Trial,
        checks: &[Check<'_>],
    ) -> Result<Vec<Outcome>, ReferenceError> {
        let is_last = |result: &Result<Outcome, _>| {
            !matches!(result, Ok(Outcome::Same | Outcome::Near | Outcome::Nothing))
        };
        in_order(checks, |check| self.check(trial, *check), is_last)
            .into_iter()
            .collect()
    }

    /// Why a run that did not end by itself makes the input unfit: a sanitizer can often say where.
    pub(super) fn explain(&self, trial: &Trial, end: End) -> Result<String, ReferenceError> {
        let what = self.in_words(end, trial.wall);
        if !matches!(end, End::Signalled(_)) {
            return Ok(what);
        }
        let mut checks = self.checks();
        checks.retain(|check| matches!(check, Check::Variant(variant) if variant.is_sanitizer()));
        let report = unfit(&self.check_all(trial, &checks)?);
        Ok(report.map_or(what.clone(), |report| format!("{what}; {report}")))
    }

    fn check(&self, trial: &Trial, check: Check<'_>) -> Result<Outcome, ReferenceError> {
        match check {
            Check::Variant(variant) if !self.has_time_for(trial, variant) => Ok(Outcome::Nothing),
            Check::Variant(variant) => self.check_variant(trial, variant),
            Check::Again => {
                self.wait_for_clocks(trial);
                let unsteady = importing(&self.imports.unsteady());
                let what = format!(
                    "prints something else on a second run: it is not deterministic{unsteady}"
                );
                self.check_again(trial, AddressLayout::Random, None, &what)
            }
            Check::Filled(fill) => {
                let what = "prints something else when fresh memory has other contents: it reads memory that it has not written";
                self.check_again(trial, AddressLayout::Random, Some(fill), what)
            }
            Check::FixedAddresses => {
                let what = "prints something else at other addresses: what it prints depends on where things lie in memory";
                self.check_again(trial, AddressLayout::Fixed, None, what)
            }
        }
    }

    /// Whether a variant that is slow, with an input that is large, is within what may be spent on such.
    fn has_time_for(&self, trial: &Trial, variant: &Variant) -> bool {
        let Some(factor) = variant.kind.slowdown().filter(|_| trial.cpu > LARGE) else {
            return true;
        };
        let mut state = self.state();
        let has_time = state.slow + trial.cpu * factor <= self.options.slow_total;
        if has_time {
            state.slow += trial.cpu * factor;
        }
        has_time
    }

    fn check_variant(&self, trial: &Trial, variant: &Variant) -> Result<Outcome, ReferenceError> {
        match variant.kind {
            VariantKind::Sanitizer(sanitizer) => self.check_sanitizer(trial, variant, sanitizer),
            _ => self.check_build(trial, variant),
        }
    }

    /// The same executable has to do the same, to the last byte.
    fn check_again(
        &self,
        trial: &Trial,
        layout: AddressLayout,
        fill: Option<u8>,
        what: &str,
    ) -> Result<Outcome, ReferenceError> {
        // Neither run may be refused for what the other was allowed.
        let limit = self.options.wall.max(trial.wall * 3);
        let again = self.run(&self.original.path, &trial.workload, layout, fill, limit)?;
        Ok(match self.difference(trial, &again, None)? {
            None => Outcome::Same,
            Some(difference) => Outcome::Unfit(format!("{what}; {}", difference.text)),
        })
    }

    /// Another build has to print the same, but for a tolerance.
    fn check_build(&self, trial: &Trial, variant: &Variant) -> Result<Outcome, ReferenceError> {
        let limit = (trial.wall * SLOWEST_LEVEL).max(LEAST_TIME);
        let bounded = limit.min(self.options.slow);
        let finished = self.run(
            &variant.executable.path,
            &trial.workload,
            AddressLayout::Random,
            None,
            bounded,
        )?;
        if matches!(finished.end, End::WallTime | End::CpuTime) && bounded < limit {
            return Ok(Outcome::Nothing);
        }
        let Some(difference) = self.difference(trial, &finished, None)? else {
            return Ok(Outcome::Same);
        };
        if self.options.fp_tolerance.is_some()
            && self
                .difference(trial, &finished, self.options.fp_tolerance)?
                .is_none()
        {
            return Ok(Outcome::Near);
        }
        let hint = if difference.only_floating_point {
            " (only floating-point numbers differ; a tolerance can allow for that)"
        } else {
            ""
        };
        Ok(Outcome::Unfit(format!(
            "does something else when it is built with {} than with -O3, so it depends on what the language leaves open: \
             {}{hint}",
            variant.name, difference.text
        )))
    }

    fn check_sanitizer(
        &self,
        trial: &Trial,
        variant: &Variant,
        sanitizer: Sanitizer,
    ) -> Result<Outcome, ReferenceError> {
        let Workload {
            input, arguments, ..
        } = &trial.workload;
        Ok(
            match self
                .toolchain
                .run_sanitized(&variant.executable, input, arguments)?
            {
                SanitizerOutcome::Clean => Outcome::Same,
                SanitizerOutcome::Stopped { .. } => Outcome::Nothing,
                SanitizerOutcome::Report { kind, place, .. } => {
                    let place = place
                        .map(|place| format!(" at {place}"))
                        .unwrap_or_default();
                    let names = names(sanitizer).join(" and ");
                    Outcome::Unfit(format!(
                        "has undefined behaviour: {kind}{place} (found by {names})"
                    ))
                }
            },
        )
    }

    /// A clock that counts seconds shows in a run in another second only.
    fn wait_for_clocks(&self, trial: &Trial) {
        if self.imports.clocks().is_empty() || self.state().late_runs_left == 0 {
            return;
        }
        self.state().late_runs_left -= 1;
        thread::sleep(LATE.saturating_sub(trial.started.elapsed()));
    }

    /// How a run differs from the first.
    fn difference(
        &self,
        trial: &Trial,
        finished: &Finished,
        tolerance: Option<f64>,
    ) -> Result<Option<Difference>, ReferenceError> {
        let text = match finished.end {
            End::Exited(status) => {
                return Ok(compare_outputs(
                    &trial.expected,
                    &finished.stdout,
                    status,
                    tolerance,
                ));
            }
            End::Cancelled => return Err(ReferenceError::Cancelled),
            end => format!("it {}", self.in_words(end, finished.wall)),
        };
        Ok(Some(Difference {
            line: None,
            only_floating_point: false,
            text,
        }))
    }
}

/// The reason that says most, if there is one.
pub(super) fn unfit(outcomes: &[Outcome]) -> Option<String> {
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Unfit(reason) => Some(reason.clone()),
        _ => None,
    })
}
