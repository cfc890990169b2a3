//! What stands before the search: tools that can be trusted, an original that can be a reference, inputs, noise.

use std::path::PathBuf;
use std::time::Duration;

use whittle_toolchain::measure::{self, Arm, CompareOptions, Comparison, NoiseFloor, Workload};
use whittle_toolchain::sandbox::Limits;
use whittle_toolchain::tools::{Executable, Toolchain};

use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::evidence::build::{Builder, Built};
use crate::evidence::compare::compare_text;
use crate::inputs::Case;
use crate::program::Program;
use crate::session::{Event, SessionError};

/// Link layouts under which results are measured.
pub(crate) const LAYOUTS: u32 = 6;
/// Longest single run when timing.
const LONGEST: Duration = Duration::from_secs(60);

/// The original as the first node: the program as it is under `clang -O3`.
pub(crate) fn original(program: &Program) -> Candidate {
    let recipe = Recipe {
        front_end: program.o3_flags(),
        ..Recipe::default()
    };
    let artifact = Artifact {
        level: Level::Source,
        units: program.units.clone(),
    };
    Candidate { artifact, recipe }
}

/// Something built and linked under every layout.
pub(crate) struct Linked {
    /// What was linked.
    pub(crate) built: Built,
    /// The executables by layout.
    pub(crate) executables: Vec<Executable>,
}

impl Linked {
    /// What clang makes of the program with these flags.
    pub(crate) fn baseline(builder: &Builder<'_>, flags: &[String]) -> Result<Self, SessionError> {
        let built = builder.baseline(flags)?;
        Self::link(builder, built, &Recipe::default())
    }

    /// A candidate.
    pub(crate) fn candidate(
        builder: &Builder<'_>,
        candidate: &Candidate,
    ) -> Result<Self, SessionError> {
        let built = builder.build(candidate)?;
        Self::link(builder, built, &candidate.recipe)
    }

    fn link(builder: &Builder<'_>, built: Built, recipe: &Recipe) -> Result<Self, SessionError> {
        let executables = builder.link(&built, recipe, LAYOUTS)?;
        Ok(Self { built, executables })
    }

    /// The plainly linked one.
    pub(crate) fn plain(&self) -> &Executable {
        // LAYOUTS is not 0, and linking answers one executable per layout or fails.
        &self.executables[0]
    }

    /// The paths by layout.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.executables
            .iter()
            .map(|executable| executable.path.clone())
            .collect()
    }
}

/// Cases as the measurement wants them.
pub(crate) fn workloads(cases: &[Case]) -> std::io::Result<Vec<Workload>> {
    cases.iter().map(Case::workload).collect()
}

/// How things are compared in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Precision {
    pub(crate) margin: f64,
    pub(crate) noise: f64,
    pub(crate) time_limit: Duration,
    pub(crate) seed: u64,
    pub(crate) confidence: f64,
    /// Largest relative difference between numbers in the outputs.
    pub(crate) tolerance: Option<f64>,
}

impl Precision {
    fn options(self) -> CompareOptions {
        let limits = Limits {
            wall: LONGEST,
            cpu: LONGEST,
            memory: Some(4 << 30),
            ..Limits::RUN
        };
        CompareOptions {
            margin: self.margin,
            confidence: self.confidence,
            noise_floor: self.noise,
            target_half_width: self.margin.max(self.noise).max(0.004) / 2.0,
            time_limit: self.time_limit,
            ..CompareOptions::new(limits, self.seed)
        }
    }
}

/// What this machine's timing cannot tell apart: the original against itself.
pub(crate) fn noise_floor(
    toolchain: &Toolchain,
    baseline: &Linked,
    cases: &[Case],
    precision: Precision,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<NoiseFloor, SessionError> {
    let what = "measures what is noise here";
    observe(Event::Stage(what));
    let floor = measure::noise_floor(
        toolchain.sandbox(),
        &baseline.paths(),
        &workloads(cases)?,
        &precision.options(),
        &mut |progress| {
            observe(Event::Comparing {
                what,
                progress: *progress,
            });
            std::ops::ControlFlow::Continue(())
        },
    )?;
    Ok(floor)
}

/// A candidate against a baseline, on these cases, under every layout.
pub(crate) fn compare(
    toolchain: &Toolchain,
    [baseline, candidate]: [(&str, &Linked); 2],
    cases: &[Case],
    precision: Precision,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Comparison, SessionError> {
    let what = format!("{} against {}", candidate.0, baseline.0);
    let (baseline_paths, candidate_paths) = (baseline.1.paths(), candidate.1.paths());
    let comparison = measure::compare_accepting(
        toolchain.sandbox(),
        &Arm {
            name: baseline.0,
            layouts: &baseline_paths,
        },
        &Arm {
            name: candidate.0,
            layouts: &candidate_paths,
        },
        &workloads(cases)?,
        &precision.options(),
        &|_, expected, got| {
            precision.tolerance.is_some()
                && compare_text(expected, got, precision.tolerance).is_none()
        },
        &mut |progress| {
            observe(Event::Comparing {
                what: &what,
                progress: *progress,
            });
            std::ops::ControlFlow::Continue(())
        },
    )?;
    Ok(comparison)
}
