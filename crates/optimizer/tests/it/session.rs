//! Whole runs on real programs: begun, stopped, resumed, verified.

use std::sync::atomic::Ordering;
use std::time::Duration;

use whittle_optimizer::budget::{Budget, Resource};
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{self, Event};
use whittle_optimizer::tree::{NodeId, Outcome};
use whittle_toolchain::measure::Verdict;

use crate::common::{Scratch, options};

/// Sums products of what it reads with an inner loop that `-O2` would leave scalar if told so.
const PROGRAM: &str = "\
#include <stdio.h>
static unsigned values[4096];
int main(void) {
    int rounds, n;
    if (scanf(\"%d %d\", &rounds, &n) != 2 || rounds < 0 || n < 0 || n > 4096) {
        puts(\"bad input\");
        return 1;
    }
    for (int i = 0; i < n; i++)
        values[i] = (unsigned)i * 2654435761u;
    unsigned sum = 0;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            for (unsigned bits = values[i] + (unsigned)r; bits; bits >>= 1)
                sum += bits & 1;
    printf(\"%u\\n\", sum);
    return 0;
}
";

fn tests(scratch: &Scratch) -> InputOptions {
    for (name, input) in [
        ("a", "1 5\n"),
        ("b", "0 0\n"),
        ("c", "3 100\n"),
        ("d", "9 9\n"),
        ("e", "700 1000\n"),
        ("f", "400 1700\n"),
    ] {
        scratch.file(&format!("tests/{name}.in"), input);
    }
    InputOptions {
        tests: Some(scratch.path("tests")),
        effort: Duration::from_secs(1),
        visible: 4,
        held_out: 6,
        search_timing: 1,
        final_timing: 2,
        timing_seconds: 0.02,
        ..InputOptions::default()
    }
}

fn program(scratch: &Scratch) -> Program {
    Program::read(&[scratch.file("bits.c", PROGRAM)], Vec::new(), Vec::new()).unwrap()
}

#[test]
fn a_run_goes_from_the_program_to_a_report_that_can_be_verified() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let mut run_options = options(Duration::from_secs(40));
    run_options.budget = run_options.budget.with(Resource::Candidates, 6.0);
    run_options.host = true;
    let mut stages = Vec::new();
    let finished = session::optimize(
        &mut setup,
        program(&scratch),
        run_options,
        &tests(&scratch),
        &mut |event| {
            if let Event::Stage(stage) = event {
                stages.push(stage.to_owned());
            }
        },
    )
    .unwrap();
    assert!(stages.iter().any(|stage| stage == "searches"), "{stages:?}");
    let record = setup.archive.load(&finished.run).unwrap();
    let conclusion = record.conclusion.unwrap();
    assert!(record.tree.nodes().len() > 1);
    // One turn may end a little after the budget, never far.
    assert!(record.ledger.spent(Resource::Candidates) <= 7.0);
    for claim in [&conclusion.portable, &conclusion.host]
        .into_iter()
        .flatten()
    {
        assert_eq!(claim.comparison.verdict, Verdict::Faster);
        assert!(claim.comparison.interval[0] > 1.0);
        assert!(claim.comparison.outputs_equal);
    }
    // What a guide learns from and what the report says is the same tree.
    assert_eq!(finished.report.candidates.len(), record.tree.nodes().len());

    let report = finished.output.join("report.json");
    let verification = session::verify(
        &setup.toolchain,
        &report,
        Duration::from_secs(5),
        &mut |_| {},
    )
    .unwrap();
    if conclusion.winner == NodeId::ROOT {
        assert!(verification.confirmed);
    } else {
        assert!(
            verification.tests_passed >= 4,
            "{:?}",
            verification.problems
        );
        let wrong: Vec<_> = verification
            .problems
            .iter()
            .filter(|problem| problem.contains("input"))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_original_is_not_faster_than_itself() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let finished = session::check_against_itself(
        &mut setup,
        program(&scratch),
        options(Duration::from_secs(30)),
        &tests(&scratch),
        &mut |_| {},
    )
    .unwrap();
    let conclusion = setup
        .archive
        .load(&finished.run)
        .unwrap()
        .conclusion
        .unwrap();
    assert!(conclusion.portable.is_none(), "{:?}", conclusion.portable);
    assert_eq!(conclusion.winner, NodeId::ROOT);
    assert_eq!(conclusion.passed_over.len(), 1);
}

#[test]
fn a_stopped_run_concludes_and_a_killed_one_resumes() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let mut run_options = options(Duration::from_secs(60));
    run_options.agents = vec!["flags".to_owned()];
    // Stopped after the first candidate: what there is is concluded.
    let stop = setup.stop.clone();
    let finished = session::optimize(
        &mut setup,
        program(&scratch),
        run_options.clone(),
        &tests(&scratch),
        &mut |event| {
            if let Event::Node { .. } = event {
                stop.store(true, Ordering::Relaxed);
            }
        },
    )
    .unwrap();
    assert!(finished.interrupted);
    assert!(
        setup
            .archive
            .load(&finished.run)
            .unwrap()
            .conclusion
            .is_some()
    );
    // Of a finished run the result is written again, and nothing else is done.
    setup.stop.store(false, Ordering::Relaxed);
    let before = setup.archive.load(&finished.run).unwrap();
    std::fs::remove_dir_all(&finished.output).unwrap();
    let again = session::resume(&mut setup, &finished.run, &mut |_| {}).unwrap();
    assert_eq!(again.report.candidates, finished.report.candidates);
    assert!(again.output.join("report.json").is_file());
    let after = setup.archive.load(&finished.run).unwrap();
    assert_eq!(
        (after.tree, after.conclusion),
        (before.tree, before.conclusion)
    );

    // Killed in the middle: a panic is as good as a signal to a store that is written step by step.
    run_options.budget = Budget::of_time(Duration::from_secs(40)).with(Resource::Candidates, 4.0);
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut nodes = 0;
        session::optimize(
            &mut setup,
            program(&scratch),
            run_options.clone(),
            &tests(&scratch),
            &mut |event| {
                if let Event::Node { .. } = event {
                    nodes += 1;
                    assert!(nodes < 2, "killed");
                }
            },
        )
    }));
    assert!(killed.is_err());
    let open = setup
        .archive
        .runs()
        .unwrap()
        .into_iter()
        .find(|run| run.id != finished.run)
        .unwrap();
    let before = setup.archive.load(&open.id).unwrap();
    drop(setup);
    let mut setup = scratch.setup();
    let resumed = session::resume(&mut setup, &open.id, &mut |_| {}).unwrap();
    let after = setup.archive.load(&resumed.run).unwrap();
    assert!(after.conclusion.is_some());
    assert!(after.tree.nodes().len() > before.tree.nodes().len());
    assert_eq!(
        after.tree.nodes()[..before.tree.nodes().len()],
        before.tree.nodes()[..]
    );
    assert_eq!(after.inputs, before.inputs);
}

#[test]
fn wrong_names_are_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let mut run_options = options(Duration::from_secs(10));
    run_options.guide = "oracle".to_owned();
    let refused = session::optimize(
        &mut setup,
        program(&scratch),
        run_options,
        &InputOptions::default(),
        &mut |_| {},
    );
    let Err(error) = refused else {
        panic!("it ran")
    };
    assert_eq!(
        error.to_string(),
        "there is no guide named \"oracle\"; known are thompson, fixed, random, model"
    );
    assert!(setup.archive.runs().unwrap().is_empty());
}

#[test]
fn the_original_is_node_0_and_duplicates_are_told() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let program = program(&scratch);
    let twin = whittle_optimizer::agents::Proposal {
        candidate: whittle_optimizer::candidate::Candidate {
            artifact: whittle_optimizer::candidate::Artifact {
                level: whittle_optimizer::candidate::Level::Source,
                units: program.units.clone(),
            },
            recipe: whittle_optimizer::candidate::Recipe::default(),
        },
        change: "nothing".to_owned(),
        note: serde_json::Value::Null,
    };
    let (_, examined) = session::examine(
        &mut setup,
        program,
        options(Duration::from_secs(20)),
        &tests(&scratch),
        &[twin],
        &mut |_| {},
    )
    .unwrap();
    assert!(matches!(
        examined[0].node.outcome,
        Outcome::Duplicate { of: NodeId::ROOT }
    ));
}
