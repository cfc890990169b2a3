//! What every number of a run stands on: a fit original, tools that can be trusted, known noise.

use std::ops::ControlFlow;
use std::time::Duration;

use whittle_toolchain::measure::{Comparison, Verdict, Workload};
use whittle_toolchain::tools::{SelfCheckOptions, Tool, Toolchain, self_check};

use crate::evidence::build::Builder;
use crate::evidence::reference::{Reference, ReferenceOptions};
use crate::inputs::Inputs;
use crate::session::prepare::{Linked, Precision, compare, noise_floor, original, workloads};
use crate::session::{Event, Foundations, Machine, RunHeader, RunOptions, SessionError, Setup};

/// Longest time for the self-check and for the measurement of noise, each.
const FOUNDATION_TIME: Duration = Duration::from_secs(8);
/// A noise floor above this share is worth a warning.
const LOUD: f64 = 0.1;

/// The original as the reference of a run.
pub(crate) fn reference(setup: &Setup, header: &RunHeader) -> Result<Reference, SessionError> {
    let options = ReferenceOptions {
        fp_tolerance: header.options.fp_tolerance,
        ..ReferenceOptions::default()
    };
    Ok(Reference::new(&setup.toolchain, &header.program)?.with_options(options))
}

/// The runs that an execution profile is made of: none that the result is measured or tested by.
pub(crate) fn training(inputs: &Inputs) -> Result<Vec<Workload>, SessionError> {
    let mut training = workloads(&inputs.visible)?;
    training.extend(workloads(&inputs.search_timing)?);
    Ok(training)
}

/// Self-check, noise, fitness, sandbox: what every number of the run stands on.
pub(crate) fn lay_foundations(
    toolchain: &Toolchain,
    reference: &Reference,
    builder: &Builder<'_>,
    baseline: &Linked,
    inputs: &Inputs,
    options: &RunOptions,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Foundations, SessionError> {
    observe(Event::Stage(
        "checks that its own way through the compiler is clang's",
    ));
    let mut check_options = SelfCheckOptions::new(options.seed, 0.0);
    check_options.compare.time_limit = FOUNDATION_TIME;
    let self_check = self_check(
        toolchain,
        &check_options,
        &mut |_| ControlFlow::Continue(()),
    )?;
    let precision = Precision {
        margin: options.margin,
        noise: 0.0,
        time_limit: FOUNDATION_TIME,
        seed: options.seed,
        confidence: 0.95,
        tolerance: options.fp_tolerance,
    };
    let cases = &inputs.search_timing;
    // The quickest input alone: many runs say more of the noise than many inputs.
    let quickest = cases.iter().min_by_key(|case| reference.time_of(case));
    let quickest = quickest.map(std::slice::from_ref).unwrap_or_default();
    let noise = noise_floor(toolchain, baseline, quickest, precision, observe)?;
    let own = Linked::candidate(builder, &original(builder.program()))?;
    if own.built.code != baseline.built.code {
        let precision = Precision {
            noise: noise.half_width,
            ..precision
        };
        let pair = [("clang", baseline), ("step by step", &own)];
        let Comparison {
            verdict,
            ratio,
            interval: [low, high],
            ..
        } = compare(toolchain, pair, cases, precision, observe)?;
        if matches!(verdict, Verdict::Faster | Verdict::Slower) {
            return Err(SessionError::SelfCheck { ratio, low, high });
        }
        observe(Event::Warning(format!(
            "step by step the compiler gives other code for this program, as fast ({ratio:.3}x, {low:.3} to {high:.3})"
        )));
    }
    if noise.half_width > LOUD {
        observe(Event::Warning(format!(
            "times on this machine differ by up to {:.0} % without a reason: gains below that cannot be told",
            100.0 * noise.half_width
        )));
    }
    if reference.fitness().runs == 0 {
        // A resumed run has its inputs from the store, and nothing was judged yet.
        for case in &inputs.visible {
            reference.judge(&case.as_raw())?;
        }
    }
    Ok(Foundations {
        fitness: reference.fitness(),
        self_check,
        noise,
        sandbox: toolchain.sandbox().layers().clone(),
    })
}

impl Machine {
    /// This machine, as far as Linux tells.
    pub fn of(toolchain: &Toolchain) -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            });
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel
                .map(|text| text.trim().to_owned())
                .unwrap_or_default(),
            llvm: toolchain
                .found()
                .version(Tool::Clang)
                .unwrap_or_default()
                .to_owned(),
        }
    }
}
