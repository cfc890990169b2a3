//! Rung 0: whether the original is fit to be a reference, input by input.
//!
//! A program with undefined behaviour has no right answer, and one that answers differently from run to run has none to
//! compare with. Such inputs are dropped; a program that is left with none is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use whittle_toolchain::measure::{Workload, program_job};
use whittle_toolchain::sandbox::{AddressLayout, End, Finished, Limits, SandboxError, SealedInput};
use whittle_toolchain::tools::{
    Digest, Executable, Sanitizer, SanitizerOutcome, ToolError, Toolchain,
};

use crate::evidence::compare::{Difference, compare_outputs, compare_text};
use crate::evidence::parallel::in_order;
use crate::evidence::variants::{Variant, VariantKind, Variants, names};
use crate::evidence::words::{Imports, ended, importing};
use crate::inputs::{Case, Expected, RawCase};
use crate::program::Program;

/// Bytes with which fresh memory is filled to see whether the program reads it before it writes it.
const FILLS: [u8; 2] = [0x55, 0xaa];
/// A build without optimization that takes this many times as long as `-O3` runs for ever.
const SLOWEST_LEVEL: u32 = 50;
/// Inputs that take longer than this draw on the time for slow variants.
const LARGE: Duration = Duration::from_millis(10);
/// No variant is stopped before this.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// Clocks that count seconds are seen only by a run in another second; so many inputs are run again that late.
const LATE_RUNS: usize = 6;
const LATE: Duration = Duration::from_millis(1100);
/// Two runs with random addresses and one with fixed ones.
const LAYOUTS: usize = 3;

/// What is known of the original as a reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fitness {
    /// Sanitizers that ran and found nothing.
    pub sanitizers: Vec<String>,
    /// Optimization levels at which it printed the same.
    pub optimization_levels: Vec<String>,
    /// The compiler of other descent with which it printed the same.
    pub second_compiler: Option<String>,
    /// Address layouts under which each input gave the same.
    pub layouts: usize,
    /// Runs made, over all inputs that are fit.
    pub runs: usize,
    /// What lowers the claim, in words.
    pub lowered: Vec<String>,
}

/// Bounds for the original's runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReferenceOptions {
    /// Longest run at `-O3`.
    pub wall: Duration,
    /// Longest run at another level or of another compiler.
    pub slow: Duration,
    /// CPU time for the slow variants on large inputs, all together; without optimization or under a sanitizer they take
    /// many times as long.
    pub slow_total: Duration,
    /// Largest relative difference between floating-point numbers that other levels and compilers may print.
    pub fp_tolerance: Option<f64>,
}

impl Default for ReferenceOptions {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(10),
            slow: Duration::from_secs(10),
            slow_total: Duration::from_secs(8),
            fp_tolerance: None,
        }
    }
}

/// Whether an input has a right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It has.
    Fit(Case),
    /// It has none; why, in words that go on behind "it".
    Unfit(String),
}

/// The original cannot be judged, or not be a reference at all.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It does not compile.
    #[error("the program does not compile: {0}")]
    Compile(ToolError),
    /// What the user expects is not what it prints.
    #[error("test {test}: the program itself does not print what {test}.out says: {difference}")]
    DeclaredOutput {
        /// The test.
        test: String,
        /// The first difference.
        difference: String,
    },
    /// No input has a right answer.
    #[error("{}", no_right_answer(*.inputs, .reason, .example))]
    Unfit {
        /// How many inputs were tried.
        inputs: usize,
        /// What is wrong with most of them.
        reason: String,
        /// The name of one of them.
        example: String,
    },
    /// It needs files.
    #[error(
        "the program needs files, but here it may only read standard input and arguments and write standard output: it \
         imports {imports}, and {outcome}"
    )]
    NeedsFiles {
        /// The functions that open files.
        imports: String,
        /// What it does without them.
        outcome: String,
    },
    /// A tool failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Something could not be held in memory or in a temporary folder.
    #[error("cannot hold the program or an input in memory or in a temporary folder: {0}")]
    Io(#[from] std::io::Error),
    /// The user stopped the run.
    #[error("the run was stopped")]
    Cancelled,
}

fn no_right_answer(inputs: usize, reason: &str, example: &str) -> String {
    let (none, on) = match inputs {
        1 => (
            "the only input has no right answer",
            format!("on {example}"),
        ),
        _ => (
            &*format!("none of {inputs} inputs has a right answer"),
            format!("on {example}, for example,"),
        ),
    };
    format!("the program cannot be a reference: {none}: {on} it {reason}")
}

/// The original in all its builds.
#[derive(Debug)]
pub struct Reference {
    toolchain: Toolchain,
    program: Program,
    options: ReferenceOptions,
    original: Executable,
    variants: Variants,
    imports: Imports,
    folder: tempfile::TempDir,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: ChaCha8Rng,
    times: BTreeMap<Digest, Duration>,
    late_runs_left: usize,
    /// CPU time spent on slow variants with large inputs, from what they usually take.
    slow: Duration,
    runs: usize,
    /// By variant: on how many inputs it printed the same.
    same: BTreeMap<String, usize>,
    /// By variant: on how many inputs only floating-point numbers differed, within the tolerance.
    near: BTreeMap<String, usize>,
    /// By variant: the inputs for which it takes too long.
    too_slow: BTreeMap<String, Vec<String>>,
}

/// One more run that has to give the same.
#[derive(Debug, Clone, Copy)]
enum Check<'a> {
    Again,
    FixedAddresses,
    Filled(u8),
    Variant(&'a Variant),
}

/// What came of it.
#[derive(Debug, Clone)]
enum Outcome {
    Same,
    Near,
    /// It took too long to say anything.
    Nothing,
    Unfit(String),
}

/// An input under judgement.
struct Trial {
    workload: Workload,
    started: Instant,
    /// Time of the first run.
    wall: Duration,
    cpu: Duration,
    expected: Expected,
}

impl Reference {
    /// Builds every variant of the program.
    pub fn new(toolchain: &Toolchain, program: &Program) -> Result<Self, ReferenceError> {
        let mut flags = program.o3_flags();
        flags.extend(program.link_flags.iter().cloned());
        let original = match toolchain.compile(&program.units, &flags) {
            Ok(original) => original,
            Err(error) if error.is_about_the_input() => return Err(ReferenceError::Compile(error)),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            imports: Imports::new(toolchain.imports(&original)?),
            variants: Variants::build(toolchain, program)?,
            toolchain: toolchain.clone(),
            program: program.clone(),
            options: ReferenceOptions::default(),
            original,
            folder: tempfile::tempdir()?,
            state: Mutex::new(State {
                random: ChaCha8Rng::seed_from_u64(0),
                times: BTreeMap::new(),
                late_runs_left: LATE_RUNS,
                slow: Duration::ZERO,
                runs: 0,
                same: BTreeMap::new(),
                near: BTreeMap::new(),
                too_slow: BTreeMap::new(),
            }),
        })
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_options(mut self, options: ReferenceOptions) -> Self {
        self.options = options;
        self
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The original at `-O3`.
    pub fn original(&self) -> &Executable {
        &self.original
    }

    /// What the original imports.
    pub(crate) fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Runs the original under everything that could show that this input has no right answer.
    pub fn judge(&self, raw: &RawCase) -> Result<Judgement, ReferenceError> {
        let started = Instant::now();
        let workload = Workload {
            name: raw.name.clone(),
            arguments: raw.arguments.clone(),
            input: SealedInput::new(&raw.input)?,
        };
        let first = self.run_original(&workload, self.options.wall)?;
        let mut trial = Trial {
            workload,
            started,
            wall: first.wall,
            cpu: first.user + first.system,
            expected: Expected {
                stdout: first.stdout,
                status: 0,
            },
        };
        match first.end {
            End::Exited(status) => trial.expected.status = status,
            End::Cancelled => return Err(ReferenceError::Cancelled),
            end => return self.explain(&trial, end).map(Judgement::Unfit),
        }
        let checks = self.checks();
        let outcomes = self.check_all(&trial, &checks)?;
        if let Some(reason) = unfit(&outcomes) {
            return Ok(Judgement::Unfit(reason));
        }
        self.check_declared(raw, &trial.expected)?;
        self.remember(raw, trial.wall, &checks, &outcomes);
        Ok(Judgement::Fit(Case {
            name: raw.name.clone(),
            arguments: raw.arguments.clone(),
            input: raw.input.clone(),
            expected: trial.expected,
            origin: raw.origin,
        }))
    }

    /// The checks, those first that say most about what is wrong.
    fn checks(&self) -> Vec<Check<'_>> {
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

    fn check_all(
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
    fn explain(&self, trial: &Trial, end: End) -> Result<String, ReferenceError> {
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

    /// What the user wrote down has to be what the program prints; a missing newline at the end is forgiven.
    fn check_declared(&self, raw: &RawCase, expected: &Expected) -> Result<(), ReferenceError> {
        let Some(declared) = &raw.declared_output else {
            return Ok(());
        };
        let (declared, printed) = (declared.trim_ascii_end(), expected.stdout.trim_ascii_end());
        match compare_text(declared, printed, self.options.fp_tolerance) {
            None => Ok(()),
            Some(difference) => Err(ReferenceError::DeclaredOutput {
                test: raw.name.clone(),
                difference: difference.text,
            }),
        }
    }

    /// One plain run of the original.
    pub(crate) fn run_original(
        &self,
        workload: &Workload,
        limit: Duration,
    ) -> Result<Finished, ReferenceError> {
        self.run(
            &self.original.path,
            workload,
            AddressLayout::Random,
            None,
            limit,
        )
    }

    fn run(
        &self,
        executable: &Path,
        workload: &Workload,
        layout: AddressLayout,
        fill: Option<u8>,
        limit: Duration,
    ) -> Result<Finished, ReferenceError> {
        let limits = Limits {
            wall: limit,
            cpu: limit + Duration::from_secs(1),
            ..Limits::RUN
        };
        let folder = self.folder.path();
        let mut job = program_job(
            executable,
            workload,
            folder,
            limits,
            &mut self.state().random,
        );
        job.layout = layout;
        if let Some(fill) = fill {
            let value = format!("glibc.malloc.perturb={fill}");
            job.environment
                .push(("GLIBC_TUNABLES".into(), value.into()));
        }
        Ok(self.toolchain.sandbox().run(&job)?)
    }

    fn in_words(&self, end: End, wall: Duration) -> String {
        ended(end, wall, &Limits::RUN, &self.imports)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, raw: &RawCase, wall: Duration, checks: &[Check<'_>], outcomes: &[Outcome]) {
        let mut state = self.state();
        state.times.insert(digest(&raw.arguments, &raw.input), wall);
        state.runs += 1 + checks.len();
        for (check, outcome) in checks.iter().zip(outcomes) {
            let Check::Variant(variant) = check else {
                continue;
            };
            let name = variant.name.clone();
            match outcome {
                Outcome::Near => *state.near.entry(name).or_default() += 1,
                Outcome::Nothing => {
                    state
                        .too_slow
                        .entry(name)
                        .or_default()
                        .push(raw.name.clone());
                }
                Outcome::Same | Outcome::Unfit(_) => *state.same.entry(name).or_default() += 1,
            }
        }
    }

    /// How long the original takes on an input; measured now if it was not before.
    pub fn time_of(&self, case: &Case) -> Duration {
        let key = digest(&case.arguments, &case.input);
        if let Some(&time) = self.state().times.get(&key) {
            return time;
        }
        // What cannot be measured is given the time of the longest run.
        let Ok(input) = SealedInput::new(&case.input) else {
            return self.options.wall;
        };
        let (name, arguments) = (case.name.clone(), case.arguments.clone());
        let workload = Workload {
            name,
            arguments,
            input,
        };
        let run = self.run_original(&workload, self.options.wall);
        let time = run.map_or(self.options.wall, |finished| finished.wall);
        self.state().times.insert(key, time);
        time
    }

    /// What is known of the original as a reference, from all inputs judged so far.
    pub fn fitness(&self) -> Fitness {
        let state = self.state();
        let mut fitness = Fitness {
            layouts: if state.runs > 0 { LAYOUTS } else { 0 },
            runs: state.runs,
            lowered: self.variants.missing.clone(),
            ..Fitness::default()
        };
        for variant in &self.variants.built {
            let passed = [&state.same, &state.near]
                .iter()
                .any(|map| map.contains_key(&variant.name));
            match variant.kind {
                _ if !passed => {}
                VariantKind::Level | VariantKind::Unoptimized => {
                    fitness.optimization_levels.push(variant.name.clone());
                }
                VariantKind::SecondCompiler => fitness.second_compiler = Some(variant.name.clone()),
                VariantKind::Sanitizer(sanitizer) => fitness.sanitizers.extend(names(sanitizer)),
            }
        }
        if state.runs > 0 {
            fitness.optimization_levels.push("-O3".to_owned());
        }
        let inputs = |count: usize| {
            if count == 1 {
                "1 input".to_owned()
            } else {
                format!("{count} inputs")
            }
        };
        for (variant, names) in &state.too_slow {
            let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = if names.len() > 5 { ", …" } else { "" };
            fitness.lowered.push(format!(
                "not checked with {variant}, which takes too long, on {}: {shown}{more}",
                inputs(names.len())
            ));
        }
        for (variant, count) in &state.near {
            fitness.lowered.push(format!(
                "built with {variant} it prints floating-point numbers that differ, within the tolerance, on {}",
                inputs(*count)
            ));
        }
        let clocks = self.imports.clocks();
        if !clocks.is_empty() {
            fitness.lowered.push(format!(
                "it imports {}, although its output did not show it",
                clocks.join(", ")
            ));
        }
        fitness
    }
}

/// A name for an input.
pub(crate) fn digest(arguments: &[String], input: &[u8]) -> Digest {
    let mut parts: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
    parts.push(input);
    Digest::of(&parts)
}

/// The reason that says most, if there is one.
fn unfit(outcomes: &[Outcome]) -> Option<String> {
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Unfit(reason) => Some(reason.clone()),
        _ => None,
    })
}
