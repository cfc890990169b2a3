//! A run from beginning to end, and its continuation.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use whittle_toolchain::measure::Comparison;

use crate::agents::Proposal;
use crate::archive::{ActionRecord, MeasurementRecord, RunId, RunRecord};
use crate::budget::{Budget, Ledger, Resource};
use crate::evidence::build::Builder;
use crate::evidence::ladder::Ladder;
use crate::evidence::reference::Reference;
use crate::inputs::{self, GatherProgress, InputOptions, Inputs, Tester};
use crate::program::Program;
use crate::report::{self, Report, Texts};
use crate::session::asking::{Account, Asking};
use crate::session::conclude::{Examined, Judge};
use crate::session::foundations::{lay_foundations, reference, training};
use crate::session::prepare::{Linked, original};
use crate::session::roster::{build_agents, build_guide, check_model};
use crate::session::search::Search;
use crate::session::timing::SearchTimer;
use crate::session::{
    Conclusion, Event, EvidenceScope, Finished, Foundations, RunHeader, RunOptions, SessionError,
    Setup,
};
use crate::tree::{Node, NodeId, Outcome, Tree};

/// Share of the wall time that is kept for the last evidence and measurements.
const CONCLUSION_SHARE: f64 = 0.45;
/// ... and the least that these are given, since a claim is worth nothing without them.
const LEAST_CONCLUSION: Duration = Duration::from_secs(20);
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
    check_model(setup, &options)?;
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
pub(crate) struct Steps<'s> {
    pub(crate) search: &'s mut dyn FnMut(&mut Search<'_>) -> Result<(), SessionError>,
    pub(crate) conclude:
        &'s mut dyn FnMut(&mut Judge<'_>, &Tree) -> Result<Conclusion, SessionError>,
}

pub(crate) fn begin(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    steps: &mut Steps<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    // Before all else, too: a folder that cannot be written to must not cost a run.
    report::check_output(&setup.output)?;
    let header = RunHeader::new(&setup.toolchain, program, options, input_options)?;
    let id = setup.archive.create_run(&header)?;
    let stored = Stored::of_new_run(setup);
    let result = prepare_and_go_on(setup, &id, &header, input_options, stored, steps, observe);
    remember_failure(setup, &id, result)
}

fn prepare_and_go_on(
    setup: &mut Setup,
    id: &RunId,
    header: &RunHeader,
    input_options: &InputOptions,
    mut stored: Stored,
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
    let mut account = Account {
        archive: &setup.archive,
        run: id,
        ledger: &mut stored.ledger,
        budget: &header.options.budget.without(Resource::AgentCalls),
        agent: "testing",
    };
    let mut ask = |request| {
        let answers = stored.asking.ask(&[request], &mut account)?;
        Ok(answers.and_then(|mut answers| answers.pop()))
    };
    let mut tester = header.options.model.as_ref().and_then(|model| {
        Some(Tester {
            wanted: model.testing?,
            alone: model.evidence == EvidenceScope::Tests,
            max_tokens: model.max_tokens,
            temperature: model.temperature,
            ask: &mut ask,
        })
    });
    let gathered = inputs::gather_asking(
        &setup.toolchain,
        &header.program,
        &reference,
        input_options,
        tester.as_mut(),
        &mut go_on_gathering,
    )?;
    observe(Event::Inputs(&gathered));
    setup.archive.save_inputs(id, &gathered)?;
    go_on(
        setup, id, header, &reference, &gathered, stored, steps, observe,
    )
}

/// Goes on with a run that was interrupted or killed; of a finished one, writes the result again.
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
    if let Some(conclusion) = &record.conclusion {
        let result = write_again(setup, id, &record, conclusion);
        return remember_failure(setup, id, result);
    }
    let input_options = record.header.inputs.clone();
    if record.inputs.is_none() && input_options.is_none() {
        return Err(not_resumable("it had no inputs yet; start it again"));
    }
    let options = &record.header.options;
    check_model(setup, options)?;
    let (mut guide, mut agents) = (build_guide(&options.guide)?, build_agents(options)?);
    let mut steps = Steps {
        search: &mut |search| search.run(guide.as_mut(), &mut agents),
        conclude: &mut |judge, tree| judge.conclude(tree, options.host),
    };
    let stored = Stored {
        tree: record.tree,
        ledger: record.ledger,
        foundations: record.foundations,
        asking: Asking::new(setup.model.clone(), &record.calls, setup.stop.clone()),
        actions: record.actions,
    };
    let header = &record.header;
    let result = match (record.inputs, input_options) {
        (Some(inputs), _) => reference(setup, header).and_then(|reference| {
            go_on(
                setup, id, header, &reference, &inputs, stored, &mut steps, observe,
            )
        }),
        (None, options) => {
            let options = options.unwrap_or_default();
            prepare_and_go_on(setup, id, header, &options, stored, &mut steps, observe)
        }
    };
    remember_failure(setup, id, result)
}

/// The result of a finished run, from what is in the store.
fn write_again(
    setup: &mut Setup,
    id: &RunId,
    record: &RunRecord,
    conclusion: &Conclusion,
) -> Result<Finished, SessionError> {
    let (program, toolchain) = (&record.header.program, setup.toolchain.clone());
    let inputs = record.inputs.clone().unwrap_or_default();
    let builder = Builder::new(&toolchain, program, training(&inputs)?);
    let baseline = Linked::baseline(&builder, &program.o3_flags())?;
    finish(
        setup,
        id,
        &builder,
        &baseline,
        &record.tree,
        conclusion,
        false,
    )
}

/// A failed run says in the store why; one that was interrupted or lacks room stays open.
fn remember_failure(
    setup: &mut Setup,
    id: &RunId,
    result: Result<Finished, SessionError>,
) -> Result<Finished, SessionError> {
    if let Err(error) = &result
        && !error.is_interruption()
        && !matches!(
            error,
            SessionError::Archive(_) | SessionError::Recording { .. }
        )
    {
        setup.archive.fail(id, &error.to_string())?;
    }
    result
}

/// What an earlier session of the run left.
struct Stored {
    tree: Tree,
    ledger: Ledger,
    foundations: Option<Foundations>,
    /// With the replies that were paid for.
    asking: Asking,
    actions: Vec<ActionRecord>,
}

impl Stored {
    fn of_new_run(setup: &Setup) -> Self {
        Self {
            tree: Tree::default(),
            ledger: Ledger::default(),
            foundations: None,
            asking: Asking::new(setup.model.clone(), &[], setup.stop.clone()),
            actions: Vec::new(),
        }
    }

    /// The nodes that an action had made already when the run was killed in the middle of it.
    fn redone(&self) -> VecDeque<NodeId> {
        let next = self.tree.next_id();
        let under_way = self.actions.last().filter(|last| last.result.is_none());
        let first = under_way.map_or(next, |last| last.first_node);
        (first.0..next.0).map(NodeId).collect()
    }
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
    let (toolchain, redone) = (setup.toolchain.clone(), stored.redone());
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

    let timer = SearchTimer::new(
        toolchain.sandbox(),
        baseline.plain().clone(),
        &inputs.search_timing,
        options.fp_tolerance,
        options.seed,
    )?;
    let mut search = Search {
        program,
        toolchain: &toolchain,
        builder: &builder,
        ladder: &ladder,
        timer: &timer,
        archive: &mut setup.archive,
        run: id.clone(),
        budget: search_budget(&options.budget, conclusion_time(&options.budget)),
        random: Search::random(options.seed, &stored.tree),
        tree: stored.tree,
        ledger: stored.ledger,
        cancel: setup.stop.clone(),
        observe,
        accounted: Instant::now(),
        redone,
        asking: stored.asking,
        actions: stored.actions,
        told: Vec::new(),
        host: options.host,
        model: options.model.as_ref(),
        hot: OnceCell::new(),
    };
    search.plant_root(&baseline)?;
    (search.observe)(Event::Stage("searches"));
    (steps.search)(&mut search)?;
    search.check_that_jobs_run()?;
    let (tree, mut ledger) = (search.tree, search.ledger);
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
        noise: foundations.noise.half_width,
        tolerance: options.fp_tolerance,
        seed: options.seed,
        scope: options.evidence(),
        time: if interrupted {
            conclusion_time(&options.budget).min(LEAST_CONCLUSION * 2)
        } else {
            conclusion_time(&options.budget)
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
    )
    .map_err(SessionError::NotWritten)?;
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

impl Search<'_> {
    /// Without jobs nothing can be checked: the run stays open.
    fn check_that_jobs_run(&self) -> Result<(), SessionError> {
        if self.toolchain.sandbox().is_cancelled() {
            return Err(SessionError::Cancelled);
        }
        Ok(())
    }

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
            extensions: Vec::new(),
            at_s: 0.0,
        };
        self.archive.add_node(&self.run, &node)?;
        self.tree.push(node);
        Ok(())
    }
}
