//! Replies with instructions that not every processor has: such candidates are claimed for this machine, or refused.
#![cfg(target_arch = "x86_64")]

use std::time::Duration;

use serde_json::{Value, json};
use whittle_optimizer::agents::Proposal;
use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::candidate::{Artifact, Candidate, Level, Recipe};
use whittle_optimizer::evidence::Rung;
use whittle_optimizer::session::{self, Finished};
use whittle_optimizer::tree::Node;
use whittle_toolchain::tools::Unit;

use super::programs::{SAMPLES, Sample};
use super::script::Script;
use super::{inputs, model_options, model_use, program, rejections, run};
use crate::common::{Scratch, options};

/// A sample with a reply that has instructions of newer processors in it.
struct Newer {
    sample: &'static Sample,
    decisions: Vec<(&'static str, Value)>,
    /// Its label.
    asked: &'static str,
    reply: String,
    /// The extension.
    needs: &'static str,
    /// The instruction that needs it.
    instruction: &'static str,
}

/// A population count that the processor does, as an attribute of the function allows.
const COUNT: &str = "\
__attribute__((target(\"popcnt\"), noinline)) static unsigned count(unsigned bits) {
    return (unsigned)__builtin_popcount(bits);
}";

fn in_source() -> Newer {
    Newer {
        sample: &SAMPLES[0],
        decisions: vec![(
            "optimize",
            json!({"node": 0, "agent": "source", "rounds": 2}),
        )],
        asked: "turn 1/source/sample 1/round 1",
        reply: format!("CHANGE: counts with the instruction\n```c\n{COUNT}\n```\n"),
        needs: "popcnt",
        instruction: "`popcntl",
    }
}

/// An instruction of AVX2 that does no harm.
fn in_assembly() -> Newer {
    let sample = &SAMPLES[2];
    let reply = sample.reply.1.replace(
        ".Lbelow_done:\n",
        ".Lbelow_done:\n\tvpaddd\t%ymm0, %ymm0, %ymm0\n\tvzeroupper\n",
    );
    assert_ne!(reply, sample.reply.1);
    Newer {
        sample,
        decisions: vec![
            ("back_end", json!({"node": 0})),
            (
                "optimize",
                json!({"node": 1, "agent": "assembly", "focus": "below", "rounds": 2}),
            ),
        ],
        asked: sample.reply.0,
        reply,
        needs: "avx2",
        instruction: "`vpaddd %ymm0, %ymm0, %ymm0`",
    }
}

fn run_with(newer: &Newer, host: bool) -> (Finished, RunRecord) {
    let scratch = Scratch::new();
    let script = Script::new(scratch.path("script"))
        .decisions(&newer.decisions)
        .text(newer.asked, &newer.reply)
        .text("turn N/source/sample N/round N", "NO CHANGE")
        .text("turn N/assembly/sample N/round N", "NO CHANGE");
    let model = script.open();
    let mut options = model_options(20, model_use(model.name()));
    options.host = host;
    let (finished, record) = run(&scratch, newer.sample, options, model).unwrap();
    let asked = script.asked(&newer.asked.replace("round 1", "round 2"));
    let told = asked.first().map(ToString::to_string).unwrap_or_default();
    // What was refused goes back to the model.
    assert!(host || told.contains(newer.instruction), "{told}");
    (finished, record)
}

#[test]
fn portable_code_is_held_to_what_every_processor_has() {
    for newer in [in_source(), in_assembly()] {
        let (finished, record) = run_with(&newer, false);
        let refused = rejections(&record, Rung::Builds);
        assert_eq!(refused.len(), 1, "{refused:?}");
        for word in [newer.needs, newer.instruction, " of "] {
            assert!(refused[0].contains(word), "{word} in {}", refused[0]);
        }
        let conclusion = record.conclusion.unwrap();
        assert!(conclusion.portable.is_none() && conclusion.host.is_none());
        assert!(
            finished.report.claims.is_empty(),
            "{}",
            finished.report.sentence
        );
    }
}

#[test]
fn instructions_of_this_machine_make_no_portable_claim() {
    if !std::is_x86_feature_detected!("avx2") || !std::is_x86_feature_detected!("popcnt") {
        return;
    }
    for newer in [in_source(), in_assembly()] {
        let (finished, record) = run_with(&newer, true);
        let flagged = |node: &&Node| node.extensions.contains(&newer.needs.to_owned());
        let node = record.tree.nodes().iter().find(flagged).unwrap();
        assert!(node.is_for_host() && !node.candidate.recipe.host);
        let conclusion = record.conclusion.unwrap();
        assert!(
            conclusion.portable.is_none(),
            "{}",
            finished.report.sentence
        );
        let claim = conclusion.host.expect("it is faster on this machine");
        let claimed = finished.report.candidate(claim.node.0).unwrap();
        assert!(claimed.extensions.contains(&newer.needs.to_owned()));
        let winner = finished.report.winner.as_ref().unwrap();
        let said = winner.recipe_changes.join("\n");
        assert!(said.contains("needs a processor with"), "{said}");
        assert!(
            finished
                .report
                .sentence
                .contains("this host's instruction set")
        );
    }
}

#[test]
fn attributes_in_ir_count_too_unless_the_users_flags_allow_them() {
    let sample = &SAMPLES[0];
    for flags in [vec![], vec!["-O2".to_owned(), "-mpopcnt".to_owned()]] {
        let scratch = Scratch::new();
        let mut program = program(&scratch, sample);
        program.flags.clone_from(&flags);
        let mut setup = scratch.setup();
        let (before, after) = sample.source.split_once("static unsigned count").unwrap();
        let (_, after) = after.split_once("int main").unwrap();
        let source = Unit::new("popcount.c", format!("{before}{COUNT}\nint main{after}"));
        let plain = ["-O3".to_owned()];
        let ir = setup
            .toolchain
            .front_end(&[source], "popcount.c", &plain)
            .unwrap();
        assert!(ir.output.contains("+popcnt"));
        let proposal = Proposal {
            candidate: Candidate {
                artifact: Artifact {
                    level: Level::Ir,
                    units: vec![Unit::new("popcount.ll", ir.output)],
                },
                recipe: Recipe {
                    pipeline: Some(setup.toolchain.clang_pipeline(&plain).unwrap()),
                    ..Recipe::default()
                },
            },
            change: "an attribute".to_owned(),
            note: Value::Null,
        };
        let (_, examined) = session::examine(
            &mut setup,
            program,
            options(Duration::from_secs(20)),
            &inputs(&scratch, sample),
            &[proposal],
            &mut |_| {},
        )
        .unwrap();
        let rejection = examined[0].evidence.rejection.as_ref();
        let reason = rejection
            .map(|rejection| rejection.reason.as_str())
            .unwrap_or_default();
        assert_eq!(
            reason.contains("of count, `popcntl"),
            flags.is_empty(),
            "{reason}"
        );
    }
}
