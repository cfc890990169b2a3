//! The run store: what is read is what was written, and one process at a time works on a run.

use std::fs;

use proptest::prelude::*;
use rusqlite::Connection;
use whittle_optimizer::archive::{Archive, ArchiveError, RunId, RunRecord};
use whittle_optimizer::budget::{Ledger, Resource};
use whittle_optimizer::inputs::{Case, Dropped, Expected, Inputs, Origin};
use whittle_optimizer::session::RunState;
use whittle_optimizer::tree::{Node, NodeId, Outcome, Tree};

use crate::report_example as example;

fn store() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&folder.path().join("deep/er/runs.sqlite")).unwrap();
    (folder, archive)
}

/// Writes a whole run step by step.
pub(crate) fn write(archive: &mut Archive, record: &RunRecord) -> RunId {
    let id = archive.create_run(&record.header).unwrap();
    archive
        .save_inputs(&id, record.inputs.as_ref().unwrap())
        .unwrap();
    archive
        .save_foundations(&id, record.foundations.as_ref().unwrap())
        .unwrap();
    for node in record.tree.nodes() {
        archive.add_node(&id, node).unwrap();
    }
    archive.save_ledger(&id, &record.ledger).unwrap();
    for measurement in &record.measurements {
        archive.add_measurement(&id, measurement).unwrap();
    }
    for line in &record.log {
        archive.log(&id, &line.text).unwrap();
    }
    archive
        .conclude(&id, record.conclusion.as_ref().unwrap())
        .unwrap();
    id
}

/// The times are the store's own.
pub(crate) fn without_times(mut record: RunRecord) -> RunRecord {
    record.started = jiff::Timestamp::UNIX_EPOCH;
    for line in &mut record.log {
        line.at = jiff::Timestamp::UNIX_EPOCH;
    }
    record
}

#[test]
fn everything_comes_back_from_another_opening() {
    let (_folder, mut archive) = store();
    let record = example::record(24, 2, 2);
    let id = write(&mut archive, &record);
    let path = archive.path().to_owned();
    drop(archive);
    let archive = Archive::open(&path).unwrap();
    assert_eq!(
        without_times(archive.load(&id).unwrap()),
        without_times(record)
    );
}

#[test]
fn a_run_is_listed_with_its_result() {
    let (_folder, mut archive) = store();
    let record = example::record(24, 1, 1);
    let finished = write(&mut archive, &record);
    let open = archive.create_run(&example::header()).unwrap();
    let failed = archive.create_run(&example::header()).unwrap();
    archive
        .fail(&failed, "the program does not compile")
        .unwrap();

    let runs = archive.runs().unwrap();
    let ids: Vec<&RunId> = runs.iter().map(|run| &run.id).collect();
    assert_eq!(ids, [&failed, &open, &finished]);
    let states: Vec<RunState> = runs.iter().map(|run| run.state).collect();
    assert_eq!(
        states,
        [RunState::Failed, RunState::Open, RunState::Finished]
    );
    assert_eq!(runs[0].result, "the program does not compile");
    assert_eq!((runs[1].nodes, runs[1].best), (0, None));
    assert_eq!(
        (runs[2].program.as_str(), runs[2].nodes, runs[2].best),
        ("signatures", 24, Some(2.183))
    );
    assert!(
        runs[2].result.contains("1.31× faster than clang -O3"),
        "{}",
        runs[2].result
    );
    assert_eq!(
        archive.load(&failed).unwrap().message.as_deref(),
        Some("the program does not compile")
    );
    assert_eq!(archive.load(&open).unwrap().state, RunState::Open);
}

#[test]
fn a_node_is_replaced_by_its_later_state() {
    let (_folder, mut archive) = store();
    let id = archive.create_run(&example::header()).unwrap();
    let record = example::record(6, 1, 1);
    for node in record.tree.nodes() {
        archive.add_node(&id, node).unwrap();
    }
    let mut node = record.tree.nodes()[2].clone();
    node.outcome = Outcome::Duplicate { of: NodeId(1) };
    archive.update_node(&id, &node).unwrap();
    let tree = archive.load(&id).unwrap().tree;
    assert_eq!(tree.get(NodeId(2)), Some(&node));
    assert_eq!(tree.nodes().len(), 7);
}

#[test]
fn a_part_of_a_name_is_enough() {
    let (_folder, mut archive) = store();
    assert!(
        archive
            .resolve("x")
            .unwrap_err()
            .to_string()
            .contains("it is empty")
    );
    let mut header = example::header();
    header.program.name = "alpha".to_owned();
    let alpha = archive.create_run(&header).unwrap();
    header.program.name = "beta".to_owned();
    let beta = archive.create_run(&header).unwrap();

    assert_eq!(archive.resolve(alpha.as_str()).unwrap(), alpha);
    assert_eq!(archive.resolve("alpha").unwrap(), alpha);
    assert_eq!(archive.resolve(&beta.as_str()[..18]).unwrap(), beta);
    let ambiguous = archive.resolve("2").unwrap_err().to_string();
    assert!(
        ambiguous.contains(alpha.as_str()) && ambiguous.contains(beta.as_str()),
        "{ambiguous}"
    );
    for nothing in ["", "gamma"] {
        let error = archive.resolve(nothing).unwrap_err().to_string();
        assert!(
            error.contains(beta.as_str()) && error.contains("newest"),
            "{error}"
        );
    }
    let stranger: RunId = serde_json::from_value("nobody".into()).unwrap();
    assert!(matches!(
        archive.load(&stranger),
        Err(ArchiveError::NoSuchRun { .. })
    ));
}

#[test]
fn a_run_that_is_worked_on_is_not_taken_over() {
    let (_folder, mut archive) = store();
    let id = archive.create_run(&example::header()).unwrap();
    let mut other = Archive::open(archive.path()).unwrap();
    let error = other.take_over(&id).unwrap_err().to_string();
    assert!(
        error.contains(id.as_str()) && error.contains(&std::process::id().to_string()),
        "{error}"
    );
    // Looking on is allowed.
    assert_eq!(other.load(&id).unwrap().state, RunState::Open);

    archive.fail(&id, "no more room").unwrap();
    other.take_over(&id).unwrap();
    other.take_over(&id).unwrap();
    let record = other.load(&id).unwrap();
    assert_eq!((record.state, record.message), (RunState::Open, None));
    assert_eq!(
        record.log[0].text,
        "goes on after it had failed: no more room"
    );
    assert!(matches!(
        archive.take_over(&id),
        Err(ArchiveError::InUse { .. })
    ));
    drop(other);
    archive.take_over(&id).unwrap();
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let (_folder, archive) = store();
    let path = archive.path().to_owned();
    drop(archive);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 7")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = Archive::open(&path).unwrap_err();
    assert!(
        matches!(error, ArchiveError::Newer { found: 7, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("runs.sqlite") && error.to_string().contains("--store"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.sqlite");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let error = Archive::open(&path).unwrap_err();
    assert!(matches!(error, ArchiveError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("places.sqlite") && error.to_string().contains("--store"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_place_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    // Below a file nobody can write, not even root.
    let error = Archive::open(&file.join("runs.sqlite")).unwrap_err();
    assert!(matches!(error, ArchiveError::Open { .. }), "{error:?}");
    assert!(
        error.to_string().contains("file") && error.to_string().contains("--store"),
        "{error}"
    );
    let error = Archive::open(folder.path()).unwrap_err();
    assert!(matches!(error, ArchiveError::Open { .. }), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

fn node(id: u32) -> impl Strategy<Value = Node> {
    use prop::num::f64::{NORMAL, SUBNORMAL, ZERO};
    // JSON has no infinities.
    let finite = NORMAL | SUBNORMAL | ZERO;
    let Outcome::Timed { code, .. } = example::record(6, 1, 1).tree.nodes()[0].outcome.clone()
    else {
        panic!("the original is always timed");
    };
    let timed =
        (finite, prop::collection::vec(finite, 0..4)).prop_map(move |(speedup, seconds)| {
            Outcome::Timed {
                code: code.clone(),
                speedup,
                seconds,
            }
        });
    let outcome = prop_oneof![
        any::<u32>().prop_map(|of| Outcome::Duplicate { of: NodeId(of) }),
        timed
    ];
    let example = example::record(6, 1, 1).tree.nodes()[1].clone();
    (".*", ".*", any::<Option<i64>>(), outcome).prop_map(move |(agent, change, note, outcome)| {
        Node {
            id: NodeId(id),
            parent: id.checked_sub(1).map(NodeId),
            agent,
            change,
            note: serde_json::json!({ "note": note }),
            outcome,
            ..example.clone()
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    (
        ".*",
        prop::collection::vec(".*", 0..3),
        any::<Vec<u8>>(),
        any::<Vec<u8>>(),
        any::<i32>(),
    )
        .prop_map(|(name, arguments, input, stdout, status)| Case {
            name,
            arguments,
            input,
            expected: Expected { stdout, status },
            origin: Origin::Generator,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_written_is_read(
        nodes in (node(0), node(1), node(2)),
        cases in prop::collection::vec(case(), 4),
        spent in prop::collection::vec((".*", 0.0..1e9f64), 0..6),
        text in ".*",
    ) {
        let (_folder, mut archive) = store();
        let id = archive.create_run(&example::header()).unwrap();
        let nodes = vec![nodes.0, nodes.1, nodes.2];
        for node in &nodes {
            archive.add_node(&id, node).unwrap();
        }
        let inputs = Inputs {
            visible: cases[..2].to_vec(),
            final_timing: cases[2..].to_vec(),
            dropped: vec![Dropped { name: text.clone(), reason: text.clone() }],
            notes: vec![text.clone()],
            ..Inputs::default()
        };
        archive.save_inputs(&id, &inputs).unwrap();
        let mut ledger = Ledger::default();
        for (agent, amount) in &spent {
            ledger.spend(agent, Resource::Runs, *amount);
        }
        archive.save_ledger(&id, &ledger).unwrap();
        archive.log(&id, &text).unwrap();
        let record = archive.load(&id).unwrap();
        prop_assert_eq!(record.tree, Tree::from_nodes(nodes).unwrap());
        prop_assert_eq!(record.inputs, Some(inputs));
        prop_assert_eq!(record.ledger, ledger);
        prop_assert_eq!(&record.log[0].text, &text);
    }
}
