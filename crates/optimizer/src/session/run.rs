//! A run from beginning to end, and its continuation.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use whittle_toolchain::measure::{Comparison, Verdict, Workload};
use whittle_toolchain::tools::{SelfCheckOptions, Tool, Toolchain, self_check};

use crate::agents::{self, Agent, AgentOptions, Proposal};
use crate::archive::{MeasurementRecord, RunId};
use crate::budget::{Budget, Ledger, Resource};
use crate::evidence::build::Builder;
use crate::evidence::ladder::Ladder;
use crate::evidence::reference::{Reference, ReferenceOptions};
use crate::guides::{self, Guide};
use crate::inputs::{self, GatherProgress, InputOptions, Inputs};
use crate::program::Program;
use crate::report::{self, Report, Texts};
use crate::session::conclude::{Examined, Judge};
use crate::session::prepare::{Linked, Precision, compare, noise_floor, original, workloads};
use crate::session::search::Search;
use crate::session::timing::SearchTimer;
use crate::session::{
    Conclusion, Event, Finished, Foundations, Machine, RunHeader, RunOptions, SessionError, Setup,
};
use crate::tree::{Node, NodeId, Outcome, Tree};

/// Share of the wall time that is kept for the last evidence and measurements.
const CONCLUSION_SHARE: f64 = 0.45;
/// ... and the least that these are given, since a claim is worth nothing without them.
const LEAST_CONCLUSION: Duration = Duration::from_secs(20);
/// Longest time for the self-check and for the measurement of noise, each.
const FOUNDATION_TIME: Duration = Duration::from_secs(5);
/// A noise floor above this share is worth a warning.
const LOUD: f64 = 0.1;
/// What they are given when wall time has no limit.
const USUAL_CONCLUSION: Duration = Duration::from_secs(120);

/// Makes a program faster, and says how sure it is.
pub fn optimize(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    // Before all else: a wrong name must not cost the time of the preparation.
    let (mut guide, mut agents) = (build_guide(&options.guide)?, build_agents(&options)?);
    let host = options.host;
    let mut steps = Steps {
        search: &mut |search| search.run(guide.as_mut(), &mut agents),
        conclude: &mut |judge, tree| judge.conclude(tree, host),
    };
    begin(setup, program, options, input_options, &mut steps, observe)
}

/// Measures the original against itself as if it were a candidate: whatever calls it faster is wrong.
pub fn check_against_itself(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    let mut steps = Steps {
        search: &mut |search| search.add_twin(),
        conclude: &mut |judge, tree| judge.conclude(tree, false),
    };
    begin(setup, program, options, input_options, &mut steps, observe)
}

/// Takes each of these candidates as far up the ladder as it comes, whether or not it looks fast, and measures what gets
/// there. Nothing is searched.
pub fn examine(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    proposals: &[Proposal],
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(Finished, Vec<Examined>), SessionError> {
    let mut examined = Vec::new();
    let mut steps = Steps {
        search: &mut |search| search.submit_all(proposals),
        conclude: &mut |judge, tree| {
            let conclusion = judge.examine(tree, &mut examined)?;
            Ok(conclusion)
        },
    };
    let finished = begin(setup, program, options, input_options, &mut steps, observe)?;
    Ok((finished, examined))
}

/// The two steps in which kinds of runs differ.
struct Steps<'s> {
    search: &'s mut dyn FnMut(&mut Search<'_>) -> Result<(), SessionError>,
    conclude: &'s mut dyn FnMut(&mut Judge<'_>, &Tree) -> Result<Conclusion, SessionError>,
}

fn begin(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    steps: &mut Steps<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    // Before all else, too: a folder that cannot be written to must not cost a run.
    report::check_output(&setup.output)?;
    let header = RunHeader {
        machine: machine(setup),
        program,
        options,
    };
    let id = setup.archive.create_run(&header)?;
    let result = prepare_and_go_on(setup, &id, &header, input_options, steps, observe);
    remember_failure(setup, &id, result)
}

fn prepare_and_go_on(
    setup: &mut Setup,
    id: &RunId,
    header: &RunHeader,
    input_options: &InputOptions,
    steps: &mut Steps<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    observe(Event::Stage("checks the original"));
    let reference = reference(setup, header)?;
    observe(Event::Stage("collects inputs"));
    let stop = setup.stop.clone();
    let mut go_on_gathering = |_: &GatherProgress| {
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let gathered = inputs::gather(
        &setup.toolchain,
        &header.program,
        &reference,
        input_options,
        &mut go_on_gathering,
    )?;
    observe(Event::Inputs(&gathered));
    setup.archive.save_inputs(id, &gathered)?;
    go_on(
        setup,
        id,
        header,
        &reference,
        &gathered,
        Stored::default(),
        steps,
        observe,
    )
}

/// Goes on with a run that was interrupted or killed.
pub fn resume(
    setup: &mut Setup,
    id: &RunId,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    // Taken over before it is read: nobody else may write to it in between.
    setup.archive.take_over(id)?;
    let record = setup.archive.load(id)?;
    let not_resumable = |why: &str| SessionError::NotResumable {
        run: id.clone(),
        why: why.to_owned(),
    };
    if record.conclusion.is_some() {
        return Err(not_resumable("it is finished"));
    }
    let inputs = record
        .inputs
        .ok_or_else(|| not_resumable("it had no inputs yet; start it again"))?;
    let options = &record.header.options;
    let (mut guide, mut agents) = (build_guide(&options.guide)?, build_agents(options)?);
    let mut steps = Steps {
        search: &mut |search| search.run(guide.as_mut(), &mut agents),
        conclude: &mut |judge, tree| judge.conclude(tree, options.host),
    };
    let stored = Stored {
        tree: record.tree,
        ledger: record.ledger,
        foundations: record.foundations,
    };
    let result = reference(setup, &record.header).and_then(|reference| {
        let header = &record.header;
        go_on(
            setup, id, header, &reference, &inputs, stored, &mut steps, observe,
        )
    });
    remember_failure(setup, id, result)
}

/// The original as the reference of a run.
fn reference(setup: &Setup, header: &RunHeader) -> Result<Reference, SessionError> {
    let options = ReferenceOptions {
        fp_tolerance: header.options.fp_tolerance,
        ..ReferenceOptions::default()
    };
    Ok(Reference::new(&setup.toolchain, &header.program)?.with_options(options))
}

/// A failed run says in the store why; an interrupted one stays open.
fn remember_failure(
    setup: &mut Setup,
    id: &RunId,
    result: Result<Finished, SessionError>,
) -> Result<Finished, SessionError> {
    if let Err(error) = &result
        && !matches!(error, SessionError::Cancelled | SessionError::Archive(_))
    {
        setup.archive.fail(id, &error.to_string())?;
    }
    result
}

/// What an earlier session of the run left.
#[derive(Default)]
struct Stored {
    tree: Tree,
    ledger: Ledger,
    foundations: Option<Foundations>,
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parts of one run, each borrowed by itself"
)]
fn go_on(
    setup: &mut Setup,
    id: &RunId,
    header: &RunHeader,
    reference: &Reference,
    inputs: &Inputs,
    stored: Stored,
    steps: &mut Steps<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    let (program, options) = (&header.program, &header.options);
    let toolchain = setup.toolchain.clone();
    let builder = Builder::new(&toolchain, program, training(inputs)?);
    let baseline = Linked::baseline(&builder, &program.o3_flags())?;
    builder.allow_imports_of(baseline.plain())?;
    let ladder = Ladder::new(
        &toolchain,
        &builder,
        reference,
        inputs,
        options.fp_tolerance,
        options.seed,
    )?;

    let foundations = if let Some(foundations) = stored.foundations {
        foundations
    } else {
        let found = lay_foundations(
            &toolchain, reference, &builder, &baseline, inputs, options, observe,
        )?;
        setup.archive.save_foundations(id, &found)?;
        found
    };
    let noise = foundations.noise.half_width;

    let timer = SearchTimer::new(
        toolchain.sandbox(),
        baseline.plain().clone(),
        &inputs.search_timing,
        options.fp_tolerance,
        options.seed,
    )?;
    let conclusion_time = conclusion_time(&options.budget);
    let mut search = Search {
        program,
        toolchain: &toolchain,
        builder: &builder,
        ladder: &ladder,
        timer: &timer,
        archive: &mut setup.archive,
        run: id.clone(),
        budget: search_budget(&options.budget, conclusion_time),
        random: Search::random(options.seed, &stored.tree),
        tree: stored.tree,
        ledger: stored.ledger,
        cancel: setup.stop.clone(),
        observe,
        accounted: Instant::now(),
    };
    search.plant_root(&baseline)?;
    (search.observe)(Event::Stage("searches"));
    (steps.search)(&mut search)?;
    let Search {
        tree, mut ledger, ..
    } = search;
    let interrupted = setup.stop.load(Ordering::Relaxed);

    let start = Instant::now();
    let archive = std::cell::RefCell::new(&mut setup.archive);
    let mut runs = 0;
    let mut judge = Judge {
        toolchain: &toolchain,
        program,
        builder: &builder,
        ladder: &ladder,
        inputs,
        baseline: &baseline,
        margin: options.margin,
        noise,
        tolerance: options.fp_tolerance,
        seed: options.seed,
        time: if interrupted {
            conclusion_time.min(LEAST_CONCLUSION * 2)
        } else {
            conclusion_time
        },
        observe,
        record: &mut |node: Option<NodeId>, against: &str, comparison: &Comparison| {
            runs += comparison.runs;
            let record = MeasurementRecord::new(node, &format!("against {against}"), comparison);
            Ok(archive.borrow_mut().add_measurement(id, &record)?)
        },
    };
    let conclusion = (steps.conclude)(&mut judge, &tree)?;
    ledger.spend("", Resource::Seconds, start.elapsed().as_secs_f64());
    ledger.spend("", Resource::Runs, runs as f64);
    setup.archive.save_ledger(id, &ledger)?;
    setup.archive.conclude(id, &conclusion)?;
    finish(
        setup,
        id,
        &builder,
        &baseline,
        &tree,
        &conclusion,
        interrupted,
    )
}

/// The runs that an execution profile is made of: none that the result is measured or tested by.
fn training(inputs: &Inputs) -> Result<Vec<Workload>, SessionError> {
    let mut training = workloads(&inputs.visible)?;
    training.extend(workloads(&inputs.search_timing)?);
    Ok(training)
}

/// Self-check, noise, fitness, sandbox: what every number of the run stands on.
fn lay_foundations(
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
    let noise = noise_floor(toolchain, baseline, cases, precision, observe)?;
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

fn finish(
    setup: &mut Setup,
    id: &RunId,
    builder: &Builder<'_>,
    baseline: &Linked,
    tree: &Tree,
    conclusion: &Conclusion,
    interrupted: bool,
) -> Result<Finished, SessionError> {
    let winner = tree
        .get(conclusion.winner)
        .map(|node| builder.build(&node.candidate))
        .transpose()?;
    let plain = builder.build(&original(builder.program()))?;
    let texts = Texts {
        baseline_ir: plain.ir,
        winner_ir: winner
            .as_ref()
            .map(|built| built.ir.clone())
            .unwrap_or_default(),
        baseline_assembly: baseline.built.assembly.clone(),
        winner_assembly: winner.map(|built| built.assembly).unwrap_or_default(),
    };
    let record = setup.archive.load(id)?;
    let report = Report::new(id, &record, &texts);
    let profile = tree
        .get(conclusion.winner)
        .filter(|node| node.candidate.recipe.profile)
        .map(|_| builder.profile())
        .transpose()?;
    report::write(
        &setup.output,
        &report,
        &record,
        &texts,
        profile.map(|profile| profile.path.as_path()),
        &setup.toolchain,
    )?;
    Ok(Finished {
        run: id.clone(),
        report,
        output: setup.output.clone(),
        interrupted,
    })
}

/// The search's part of the budget: what is limited in time leaves enough for the conclusion.
fn search_budget(budget: &Budget, conclusion: Duration) -> Budget {
    match budget.limit(Resource::Seconds) {
        Some(limit) => budget.clone().with(
            Resource::Seconds,
            (limit - conclusion.as_secs_f64()).max(0.25 * limit),
        ),
        None => budget.clone(),
    }
}

fn conclusion_time(budget: &Budget) -> Duration {
    budget
        .limit(Resource::Seconds)
        .map_or(USUAL_CONCLUSION, |limit| {
            Duration::from_secs_f64(limit * CONCLUSION_SHARE).max(LEAST_CONCLUSION)
        })
}

fn build_guide(name: &str) -> Result<Box<dyn Guide>, SessionError> {
    let names = guides::registry().iter().map(|entry| entry.name);
    guides::registry()
        .iter()
        .find(|entry| entry.name == name)
        .map(|entry| (entry.build)())
        .ok_or_else(|| unknown("guide", name, names))
}

fn build_agents(options: &RunOptions) -> Result<Vec<Box<dyn Agent>>, SessionError> {
    let names = || agents::registry().iter().map(|entry| entry.name);
    let agent_options = AgentOptions { host: options.host };
    options
        .agents
        .iter()
        .map(|name| {
            agents::registry()
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| (entry.build)(&agent_options))
                .ok_or_else(|| unknown("agent", name, names()))
        })
        .collect()
}

fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> SessionError {
    let known = known.collect::<Vec<_>>().join(", ");
    SessionError::Unknown {
        kind,
        name: name.to_owned(),
        known,
    }
}

/// The machine, as far as Linux tells.
fn machine(setup: &Setup) -> Machine {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    Machine {
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: kernel
            .map(|text| text.trim().to_owned())
            .unwrap_or_default(),
        llvm: setup
            .toolchain
            .found()
            .version(Tool::Clang)
            .unwrap_or_default()
            .to_owned(),
    }
}

impl Search<'_> {
    /// The original becomes node 0 of a new run.
    fn plant_root(&mut self, baseline: &Linked) -> Result<(), SessionError> {
        if self.tree.get(NodeId::ROOT).is_some() {
            return Ok(());
        }
        let timed = self.timer.time(baseline.plain(), 1.0)?;
        self.ledger.spend("", Resource::Runs, timed.runs as f64);
        let node = Node {
            id: NodeId::ROOT,
            parent: None,
            agent: String::new(),
            change: "the original".to_owned(),
            note: serde_json::Value::Null,
            candidate: original(self.program),
            outcome: Outcome::Timed {
                code: baseline.built.code.clone(),
                // By definition, whatever the timing said.
                speedup: 1.0,
                seconds: timed.seconds,
            },
            at_s: 0.0,
        };
        self.archive.add_node(&self.run, &node)?;
        self.tree.push(node);
        Ok(())
    }
}
