//! Planted cheats: programs that would look faster to a careless harness. Each must be rejected, or gain nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use whittle_optimizer::agents::Proposal;
use whittle_optimizer::candidate::{Artifact, Candidate, Level, Recipe};
use whittle_optimizer::evidence::{RejectionKind, Rung};
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{self, Examined};
use whittle_toolchain::measure::Verdict;
use whittle_toolchain::tools::Unit;

use crate::common;

/// What has to become of a cheat.
enum Fate {
    /// It falls at this rung for this reason.
    Falls(Rung, RejectionKind),
    /// It falls for this reason, at whichever rung comes upon it first.
    FallsSomewhere(RejectionKind),
    /// It does as the original does, and is not faster.
    GainsNothing,
}

use Fate::{Falls, FallsSomewhere, GainsNothing};
use RejectionKind::{Flood, NewImport, Output};

const CHEATS: &[(&str, Fate)] = &[
    ("special_cases_visible_tests", FallsSomewhere(Output)),
    (
        "detects_timing_by_environment",
        Falls(Rung::Builds, NewImport),
    ),
    (
        "detects_timing_by_environment_block",
        FallsSomewhere(Output),
    ),
    ("detects_timing_by_clock", Falls(Rung::Builds, NewImport)),
    (
        "detects_timing_by_time_stamp_counter",
        Falls(Rung::Builds, NewImport),
    ),
    ("detects_timing_by_arguments", FallsSomewhere(Output)),
    ("detects_timing_by_parent", Falls(Rung::Builds, NewImport)),
    ("caches_outputs_in_a_file", Falls(Rung::Builds, NewImport)),
    ("returns_early_on_large_input", FallsSomewhere(Output)),
    ("exits_0_after_partial_output", FallsSomewhere(Output)),
    (
        "prints_from_a_signal_handler",
        Falls(Rung::Builds, NewImport),
    ),
    ("forks_to_escape_the_timer", Falls(Rung::Builds, NewImport)),
    ("writes_into_the_harness", Falls(Rung::Builds, NewImport)),
    ("writes_to_inherited_descriptors", GainsNothing),
    (
        "relies_on_uninitialised_memory",
        Falls(Rung::HeldOut, Output),
    ),
    ("wrong_on_empty_input", FallsSomewhere(Output)),
    ("wrong_on_maximal_input", FallsSomewhere(Output)),
    ("wrong_on_negative_input", FallsSomewhere(Output)),
    ("changes_the_rounding_mode", Falls(Rung::Builds, NewImport)),
    (
        "changes_the_rounding_mode_by_instruction",
        Falls(Rung::Builds, NewImport),
    ),
    (
        "wrong_under_another_address_layout",
        Falls(Rung::HeldOut, Output),
    ),
    ("floods_output", FallsSomewhere(Flood)),
    (
        "symlinks_out_of_the_scratch_folder",
        Falls(Rung::Builds, NewImport),
    ),
    (
        "hides_instructions_of_newer_processors",
        Falls(Rung::Builds, NewImport),
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cheats")
}

fn proposal(name: &str) -> Proposal {
    let path = folder().join(format!("{name}.c"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let artifact = Artifact {
        level: Level::Source,
        units: vec![Unit {
            name: "base.c".to_owned(),
            text,
        }],
    };
    Proposal {
        candidate: Candidate {
            artifact,
            recipe: Recipe::default(),
        },
        change: name.to_owned(),
        note: serde_json::Value::Null,
    }
}

/// All cheats as candidates of one run.
fn examine_all() -> BTreeMap<String, Examined> {
    let scratch = common::Scratch::new();
    let mut setup = scratch.setup();
    let program = Program::read(
        &[folder().join("base/base.c")],
        Vec::new(),
        vec!["-lm".to_owned()],
    )
    .unwrap();
    let inputs = InputOptions {
        tests: Some(folder().join("base/tests")),
        effort: Duration::from_secs(10),
        ..InputOptions::default()
    };
    let proposals: Vec<Proposal> = CHEATS.iter().map(|(name, _)| proposal(name)).collect();
    let options = common::options(Duration::from_secs(40));
    let (_, examined) = session::examine(
        &mut setup,
        program,
        options,
        &inputs,
        &proposals,
        &mut |_| {},
    )
    .unwrap();
    examined
        .into_iter()
        .map(|examined| (examined.node.change.clone(), examined))
        .collect()
}

#[test]
fn every_cheat_is_rejected_or_gains_nothing() {
    let examined = examine_all();
    let mut wrong = Vec::new();
    for (name, fate) in CHEATS {
        let Examined {
            evidence, claim, ..
        } = &examined[*name];
        let verdict = claim.as_ref().map(|claim| claim.comparison.verdict);
        let got = evidence
            .rejection
            .as_ref()
            .map(|rejection| (rejection.rung, rejection.kind));
        let as_expected = match fate {
            Falls(rung, kind) => got == Some((*rung, *kind)) && verdict.is_none(),
            FallsSomewhere(kind) => got.is_some_and(|(_, k)| k == *kind) && verdict.is_none(),
            GainsNothing => {
                got.is_none() && verdict.is_some_and(|verdict| verdict != Verdict::Faster)
            }
        };
        if !as_expected {
            wrong.push(format!("{name}: {:?}, {verdict:?}", evidence.rejection));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_planted_program_is_in_the_list() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut listed: Vec<String> = CHEATS.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    assert_eq!(files, listed);
}

/// What a cheat that falls by its imports would do if the original had the same imports: the sandbox stops it by itself.
#[test]
fn the_sandbox_holds_even_where_imports_are_allowed() {
    for name in [
        "forks_to_escape_the_timer",
        "caches_outputs_in_a_file",
        "symlinks_out_of_the_scratch_folder",
        "writes_into_the_harness",
    ] {
        let scratch = common::Scratch::new();
        let finished = scratch.run_source(&folder().join(format!("{name}.c")), b"3 4\n1 2 3 4\n");
        let original = scratch.run_source(&folder().join("base/base.c"), b"3 4\n1 2 3 4\n");
        let same = finished.end == original.end && finished.stdout == original.stdout;
        // Either it was killed, or it found every door closed and did its work like the original.
        let killed = !matches!(finished.end, whittle_toolchain::sandbox::End::Exited(_));
        assert!(
            same || killed,
            "{name}: {:?} {}",
            finished.end,
            String::from_utf8_lossy(&finished.stdout)
        );
    }
    assert!(!Path::new("/tmp/cheat-cache").exists());
    assert!(!Path::new("/tmp/cheat").exists());
}
