//! Rung 0: whether the original is fit to be a reference, input by input.
//!
//! A program with undefined behaviour has no right answer, and one that answers differently from run to run has none to
//! compare with. Such inputs are dropped; a program that is left with none is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::{AddressLayout, End, Finished, Limits, SandboxError};
use whittle_toolchain::tools::{Digest, Executable, ToolError, Toolchain};

use crate::evidence::compare::compare_text;
pub use crate::evidence::fitness::Fitness;
use crate::evidence::fitness::Tally;
use crate::evidence::runner::Variation;
use crate::evidence::trial::{LATE_RUNS, Trial, unfit};
use crate::evidence::variants::Variants;
use crate::evidence::words::{Imports, ended};
use crate::inputs::{Case, Expected, RawCase};
use crate::program::Program;

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
    Tool(ToolError),
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

impl From<ToolError> for ReferenceError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Cancelled { .. } => Self::Cancelled,
            error => Self::Tool(error),
        }
    }
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
    pub(super) toolchain: Toolchain,
    program: Program,
    pub(super) options: ReferenceOptions,
    pub(super) original: Executable,
    pub(super) variants: Variants,
    pub(super) imports: Imports,
    folder: tempfile::TempDir,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    random: ChaCha8Rng,
    times: BTreeMap<Digest, (Duration, Duration)>,
    pub(super) late_runs_left: usize,
    /// CPU time spent on slow variants with large inputs, from what they usually take.
    pub(super) slow: Duration,
    tally: Tally,
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
                tally: Tally::default(),
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
        let workload = raw.workload()?;
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
        let mut state = self.state();
        let times = (trial.wall, trial.cpu);
        state
            .times
            .insert(digest(&raw.arguments, &raw.input), times);
        state.tally.add(&raw.name, &checks, &outcomes);
        drop(state);
        Ok(Judgement::Fit(Case {
            name: raw.name.clone(),
            arguments: raw.arguments.clone(),
            input: raw.input.clone(),
            expected: trial.expected,
            origin: raw.origin,
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

    pub(super) fn run(
        &self,
        executable: &Path,
        workload: &Workload,
        layout: AddressLayout,
        fill: Option<u8>,
        limit: Duration,
    ) -> Result<Finished, ReferenceError> {
        let variation = Variation { layout, fill };
        let folder = self.folder.path();
        // The lock is given back before the program runs.
        let job = variation.job(
            executable,
            workload,
            folder,
            limit,
            &mut self.state().random,
        );
        Ok(self.toolchain.sandbox().run(&job)?)
    }

    pub(super) fn in_words(&self, end: End, wall: Duration) -> String {
        ended(end, wall, &Limits::RUN, &self.imports)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the original takes on an input; measured now if it was not before.
    pub fn time_of(&self, case: &Case) -> Duration {
        self.times_of(case).0
    }

    /// The same without the time in which other programs ran.
    pub(crate) fn quiet_seconds_of(&self, case: &Case) -> f64 {
        let (wall, cpu) = self.times_of(case);
        wall.min(cpu).as_secs_f64()
    }

    /// Wall and CPU time.
    fn times_of(&self, case: &Case) -> (Duration, Duration) {
        let key = digest(&case.arguments, &case.input);
        if let Some(&times) = self.state().times.get(&key) {
            return times;
        }
        // What cannot be measured is given the time of the longest run.
        let longest = (self.options.wall, self.options.wall);
        let Ok(workload) = case.workload() else {
            return longest;
        };
        let run = self.run_original(&workload, self.options.wall);
        let times = run.map_or(longest, |finished| {
            (finished.wall, finished.user + finished.system)
        });
        self.state().times.insert(key, times);
        times
    }

    /// What is known of the original as a reference, from all inputs judged so far.
    pub fn fitness(&self) -> Fitness {
        self.state().tally.fitness(&self.variants, &self.imports)
    }
}

/// Seconds of a run without those in which other programs ran: they choose inputs, and are not reported.
pub(crate) fn quiet_seconds(finished: &Finished) -> f64 {
    finished
        .wall
        .min(finished.user + finished.system)
        .as_secs_f64()
}

/// A name for an input.
pub(crate) fn digest(arguments: &[String], input: &[u8]) -> Digest {
    let mut parts: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
    parts.push(input);
    Digest::of(&parts)
}
