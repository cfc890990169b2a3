//! Compilers and language models together: whole runs on real programs, with models that play scripts.

mod failing;
mod hostile;
mod own_engine;
mod portable;
mod programs;
mod replies;
mod script;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use whittle_chat::ChatModel;
use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::budget::Resource;
use whittle_optimizer::evidence::Rung;
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{
    self, EvidenceScope, Finished, ModelUse, RunOptions, SessionError,
};
use whittle_optimizer::tree::{Node, NodeId, Outcome};
use whittle_toolchain::measure::Verdict;

use crate::common::{Scratch, options};
use programs::{SAMPLES, Sample};
use script::{Script, everything_in, open};

/// How a run uses a model, unless a test wants it otherwise.
fn model_use(spec: &str) -> ModelUse {
    ModelUse {
        spec: spec.to_owned(),
        samples: 1,
        rounds: 3,
        testing: None,
        max_tokens: 4096,
        temperature: None,
        evidence: EvidenceScope::Full,
    }
}

fn model_options(seconds: u64, model: ModelUse) -> RunOptions {
    RunOptions {
        guide: "model".to_owned(),
        agents: ["source", "ir", "assembly"].map(str::to_owned).to_vec(),
        model: Some(model),
        ..options(Duration::from_secs(seconds))
    }
}

/// The inputs of a sample, as files of the user's.
fn inputs(scratch: &Scratch, sample: &Sample) -> InputOptions {
    for (name, input) in sample.inputs {
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

fn program(scratch: &Scratch, sample: &Sample) -> Program {
    let file = scratch.file(&format!("{}.c", sample.name), sample.source);
    Program::read(&[file], Vec::new(), Vec::new()).unwrap()
}

/// A run with a model, and everything that is stored of it.
fn run(
    scratch: &Scratch,
    sample: &Sample,
    options: RunOptions,
    model: Arc<dyn ChatModel>,
) -> Result<(Finished, RunRecord), SessionError> {
    let mut setup = scratch.setup();
    setup.model = Some(model);
    let finished = session::optimize(
        &mut setup,
        program(scratch, sample),
        options,
        &inputs(scratch, sample),
        &mut |_| {},
    )?;
    let record = setup.archive.load(&finished.run)?;
    Ok((finished, record))
}

/// A script that plays a sample's decisions and reply.
fn script_of(scratch: &Scratch, sample: &Sample) -> Script {
    Script::new(scratch.path("script"))
        .decisions(&(sample.decisions)())
        .text(sample.reply.0, sample.reply.1)
        .text("turn N/source/sample N/round N", "NO CHANGE")
        .text("turn N/ir/sample N/round N", "NO CHANGE")
        .text("turn N/assembly/sample N/round N", "NO CHANGE")
}

#[test]
fn what_a_strong_model_would_find_is_found_checked_and_faster() {
    for sample in &SAMPLES {
        let scratch = Scratch::new();
        let script = script_of(&scratch, sample);
        let model = script.open();
        let options = model_options(45, model_use(model.name()));
        let (finished, record) = run(&scratch, sample, options, model).unwrap();
        let conclusion = record.conclusion.unwrap();
        let claim = conclusion.portable.unwrap_or_else(|| {
            panic!(
                "{}: {:#?}",
                sample.name,
                record
                    .tree
                    .nodes()
                    .iter()
                    .map(Node::in_a_line)
                    .collect::<Vec<_>>()
            )
        });
        assert_eq!(claim.comparison.verdict, Verdict::Faster, "{}", sample.name);
        assert!(
            claim.comparison.interval[0] > 1.05,
            "{}: {:?}",
            sample.name,
            claim.comparison.interval
        );
        assert_eq!(
            conclusion.evidence[&claim.node].rung,
            Some(Rung::HeldOut),
            "{}",
            sample.name
        );
        // The tree tells which level gave it.
        let path = record.tree.path(claim.node);
        assert!(
            path.iter().any(|node| node.agent == sample.agent),
            "{}",
            sample.name
        );
        let agents: Vec<&str> = finished
            .report
            .candidates
            .iter()
            .map(|c| c.agent.as_str())
            .collect();
        assert!(agents.contains(&sample.agent), "{agents:?}");
        assert_eq!(
            record.ledger.spent_by(sample.agent, Resource::AgentCalls),
            1.0
        );
        assert!(record.ledger.spent(Resource::Tokens) >= 1100.0);
        assert!(
            finished
                .report
                .calls
                .iter()
                .any(|call| call.label == sample.reply.0)
        );
        assert!(
            finished
                .report
                .actions
                .iter()
                .any(|action| action.what.starts_with("optimize #"))
        );
    }
}

#[test]
fn a_recorded_run_is_replayed_with_the_same_decisions() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let script = script_of(&scratch, sample);
    let recording = scratch.path("recording.jsonl");
    let spec = format!("record:{}+{}", recording.display(), script.spec());
    let (_, first) = run(
        &scratch,
        sample,
        model_options(25, model_use(&spec)),
        open(&spec),
    )
    .unwrap();

    let asked = script.labels();
    let again = Scratch::new();
    let spec = format!("replay:{}", recording.display());
    let (_, second) = run(
        &again,
        sample,
        model_options(25, model_use(&spec)),
        open(&spec),
    )
    .unwrap();
    assert_eq!(script.labels(), asked, "the replay asked the model again");
    let actions = |record: &RunRecord| -> Vec<_> {
        record.actions.iter().map(|a| a.action.clone()).collect()
    };
    assert_eq!(actions(&first), actions(&second));
    let candidates = |record: &RunRecord| -> Vec<_> {
        record
            .tree
            .nodes()
            .iter()
            .map(|node| (node.change.clone(), node.candidate.clone()))
            .collect()
    };
    assert_eq!(candidates(&first), candidates(&second));
    assert_eq!(
        first.ledger.spent(Resource::Tokens),
        second.ledger.spent(Resource::Tokens)
    );
}

#[test]
fn a_recording_that_ends_early_ends_the_models_part_and_not_the_run() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let recording = scratch.path("recording.jsonl");
    let script = Script::new(scratch.path("script")).decisions(&(sample.decisions)()[..1]);
    let spec = format!("record:{}+{}", recording.display(), script.spec());
    let mut short = model_options(15, model_use(&spec));
    short.budget = short.budget.with(Resource::Candidates, 2.0);
    run(&scratch, sample, short.clone(), open(&spec)).unwrap();

    let text = std::fs::read_to_string(&recording).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&recording, format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    let again = Scratch::new();
    let spec = format!("replay:{}", recording.display());
    short.agents.push("flags".to_owned());
    let (_, record) = run(&again, sample, short, open(&spec)).unwrap();
    // The bandit went on with the built-in agent.
    let agents: Vec<&str> = record
        .tree
        .nodes()
        .iter()
        .map(|node| node.agent.as_str())
        .collect();
    assert!(agents.contains(&"flags"), "{agents:?}");
}

#[test]
fn the_papers_mode_takes_what_its_tests_pass() {
    let sample = &SAMPLES[1];
    let scratch = Scratch::new();
    let generator = "#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char **v) {\n  unsigned seed = c > 1 ? atoi(v[1]) : \
                     1, size = c > 2 ? atoi(v[2]) : 1;\n  printf(\"%u %u\\n\", size, 1 + seed % 5);\n  return 0;\n}\n";
    let reply = format!(
        "```generator\n{generator}```\nSIZES: 1000 100000 3000000\n```case\nnot numbers\n```\n```case\n0 1\n```\n"
    );
    let script = script_of(&scratch, sample)
        .text(
            "testing/round 1",
            "Here you are:\n```generator\nint main(\n```\n",
        )
        .text("testing/round N", &reply);
    let model = script.open();
    let mut using = model_use(model.name());
    using.evidence = EvidenceScope::Tests;
    using.testing = Some(session::TestingUse {
        correctness: 6,
        large: 3,
    });
    let mut options = model_options(40, using);
    options.budget = options.budget.with(Resource::AgentCalls, 1.0);
    let mut setup = scratch.setup();
    setup.model = Some(model);
    let finished = session::optimize(
        &mut setup,
        program(&scratch, sample),
        options,
        &InputOptions {
            effort: Duration::from_secs(1),
            ..InputOptions::default()
        },
        &mut |_| {},
    )
    .unwrap();
    let record = setup.archive.load(&finished.run).unwrap();
    let inputs = record.inputs.unwrap();
    assert_eq!(inputs.visible.len(), 6, "{:?}", inputs.notes);
    assert!(inputs.held_out.is_empty());
    assert_eq!(inputs.search_timing.len(), 3);
    assert_eq!(inputs.final_timing.len(), 3);
    let feedback = script.asked("testing/round 2")[0].to_string();
    assert!(feedback.contains("does not compile"), "{feedback}");
    let conclusion = record.conclusion.unwrap();
    let claim = conclusion
        .portable
        .expect("one buffer is faster than four million");
    assert_eq!(conclusion.evidence[&claim.node].rung, Some(Rung::Tests));
    assert_eq!(record.ledger.spent(Resource::AgentCalls), 1.0);
    assert_eq!(finished.report.options.model.unwrap().evidence, "tests");
    let built_in = record
        .tree
        .nodes()
        .iter()
        .any(|node| matches!(node.agent.as_str(), "passes" | "flags"));
    assert!(!built_in);
}

#[test]
fn a_testing_agent_is_told_what_its_inputs_do_not_reach() {
    let sample = &SAMPLES[1];
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"))
        .text("testing/round 1", "```case\nnot numbers\n```\n")
        .text("testing/round 2", "```case\n2 3\n```\n")
        .text("testing/round 3", "```case\n3 2\n```\n")
        .decisions(&[]);
    let model = script.open();
    let mut using = model_use(model.name());
    using.testing = Some(session::TestingUse::default());
    run(&scratch, sample, model_options(5, using), model).unwrap();
    let told = |round: u32| replies::feedback(&script, &format!("testing/round {round}"));
    let first = told(2);
    for part in [
        "1 inputs are usable",
        "- largest is never called",
        "- main line 13: `scanf(\"%d %d\", &rows, &n) != 2` is never false",
    ] {
        assert!(first.contains(part), "{part} is not in:\n{first}");
    }
    let second = told(3);
    assert!(
        second.contains("2 inputs are usable") && !second.contains("never called"),
        "{second}"
    );
    assert!(
        second.contains("line 21: `return 2` is never run"),
        "{second}"
    );
}

#[test]
fn a_testing_agent_that_fails_is_stood_in_for_and_that_is_said() {
    let sample = &SAMPLES[1];
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"))
        .text("testing/round N", "I would rather not.")
        .decisions(&[]);
    let model = script.open();
    let mut using = model_use(model.name());
    using.testing = Some(session::TestingUse::default());
    let (_, record) = run(&scratch, sample, model_options(15, using), model).unwrap();
    let inputs = record.inputs.unwrap();
    let said = inputs.notes.join("\n");
    assert!(said.contains("the built-in generator stands in"), "{said}");
    assert!(!inputs.visible.is_empty());
}

#[test]
fn a_budget_is_kept_and_an_unknown_price_refused() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"))
        .tool(
            "decision N/try N",
            "optimize",
            &json!({"node": 0, "agent": "source"}),
        )
        .text("turn N/source/sample N/round N", "no edit here");
    let model = script.open();
    let mut options = model_options(30, model_use(model.name()));
    options.budget = options
        .budget
        .with(Resource::AgentCalls, 2.0)
        .with(Resource::ModelCalls, 7.0);
    let (_, record) = run(&scratch, sample, options.clone(), model.clone()).unwrap();
    assert_eq!(record.ledger.spent(Resource::AgentCalls), 2.0);
    assert!(record.ledger.spent(Resource::ModelCalls) <= 7.0);
    assert!(record.ledger.spent_by("source", Resource::Unusable) >= 3.0);
    assert_eq!(record.conclusion.unwrap().winner, NodeId::ROOT);

    options.budget = options.budget.with(Resource::Dollars, 1.0);
    let refused = run(&Scratch::new(), sample, options, model).unwrap_err();
    assert!(
        matches!(refused, SessionError::UnknownPrice { .. }),
        "{refused}"
    );
}

#[test]
fn without_a_model_what_needs_one_is_refused_before_anything_is_done() {
    let sample = &SAMPLES[0];
    let scratch = Scratch::new();
    let mut options = options(Duration::from_secs(30));
    options.agents.push("ir".to_owned());
    let mut setup = scratch.setup();
    let refused = session::optimize(
        &mut setup,
        program(&scratch, sample),
        options,
        &inputs(&scratch, sample),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(refused.to_string().contains("agent ir"), "{refused}");
    assert!(setup.archive.runs().unwrap().is_empty());
}

/// How often an outcome of this kind came.
fn rejections(record: &RunRecord, rung: Rung) -> Vec<String> {
    let nodes = record.tree.nodes().iter();
    nodes
        .filter_map(|node| match &node.outcome {
            Outcome::Rejected { rejection } if rejection.rung == rung => {
                Some(rejection.reason.clone())
            }
            _ => None,
        })
        .collect()
}

/// Nothing that a run writes contains this text.
fn assert_nowhere(scratch: &Scratch, secret: &str) {
    for place in ["output", "store"] {
        let folder = scratch.path(place);
        if folder.exists() {
            assert!(
                !everything_in(&folder).contains(secret),
                "{secret} is in {place}"
            );
        }
    }
    let store = std::fs::read(scratch.path("runs.sqlite")).unwrap();
    assert!(
        !String::from_utf8_lossy(&store).contains(secret),
        "{secret} is in the run store"
    );
}
