//! What only shows from the inside.

use super::*;
use whittle_toolchain::tools::Digest;

use crate::budget::Budget;
use crate::inputs::{Case, Expected, Inputs, Origin};
use crate::program::Program;
use crate::session::{Machine, RunOptions};

fn header(program: &str) -> RunHeader {
    RunHeader {
        program: Program {
            name: program.to_owned(),
            units: Vec::new(),
            flags: Vec::new(),
            link_flags: Vec::new(),
        },
        inputs: None,
        options: RunOptions {
            seed: 1,
            guide: "fixed".to_owned(),
            agents: Vec::new(),
            budget: Budget::default(),
            host: false,
            margin: 0.01,
            fp_tolerance: None,
            model: None,
        },
        machine: Machine {
            cpu: String::new(),
            cores: 1,
            kernel: String::new(),
            llvm: String::new(),
        },
        tests: None,
    }
}

fn inputs(bytes: usize) -> Inputs {
    let case = Case {
        name: "large".to_owned(),
        arguments: Vec::new(),
        input: vec![7; bytes],
        expected: Expected {
            stdout: vec![8; bytes],
            status: 0,
        },
        origin: Origin::BuiltIn,
    };
    Inputs {
        final_timing: vec![case],
        ..Inputs::default()
    }
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut archive = Archive::open(&path).unwrap();
    let id = archive.create_run(&header("a")).unwrap();
    archive.log(&id, "before").unwrap();
    // As a disk with room for a few more pages would have it.
    let pages: i64 = archive
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    archive
        .connection
        .execute_batch(&format!("PRAGMA max_page_count = {}", pages + 3))
        .unwrap();

    let error = archive.save_inputs(&id, &inputs(1 << 20)).unwrap_err();
    assert!(matches!(error, ArchiveError::Full(_)), "{error:?}");
    assert!(
        error.to_string().contains("no room left") && error.to_string().contains("runs.sqlite")
    );

    let record = archive.load(&id).unwrap();
    assert_eq!(
        (record.inputs, record.log[0].text.as_str()),
        (None, "before")
    );
    drop(archive);
    let mut archive = Archive::open(&path).unwrap();
    archive.take_over(&id).unwrap();
    archive.save_inputs(&id, &inputs(1 << 20)).unwrap();
    assert_eq!(archive.load(&id).unwrap().inputs, Some(inputs(1 << 20)));
}

#[test]
fn a_run_is_found_by_all_that_it_was_begun_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    let id = archive.create_run(&header("a")).unwrap();
    let found = |header| archive.find(&header).unwrap().map(|run| run.id);
    assert_eq!(found(header("a")), Some(id));
    let mut other = header("a");
    other.options.seed = 2;
    assert_eq!(found(other), None);
    let mut other = header("a");
    other.tests = Some(Digest::of_bytes(b"tests"));
    assert_eq!(found(other), None);
}

#[test]
fn what_is_found_but_not_written_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    let id = archive.create_run(&header("a")).unwrap();
    archive.conclude(&id, &Conclusion::default()).unwrap();
    assert_eq!(archive.runs().unwrap()[0].state, RunState::Finished);
    archive.fail(&id, "no room").unwrap();
    assert_eq!(archive.runs().unwrap()[0].state, RunState::Open);
    archive.take_over(&id).unwrap();
    assert_eq!(archive.runs().unwrap()[0].state, RunState::Finished);
}

#[test]
fn the_same_bytes_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    for _ in 0..3 {
        let id = archive.create_run(&header("a")).unwrap();
        archive.save_inputs(&id, &inputs(1_000)).unwrap();
    }
    let blobs: i64 = archive
        .connection
        .query_row("SELECT count(*) FROM blob", [], |row| row.get(0))
        .unwrap();
    assert_eq!(blobs, 2);
}

#[test]
fn names_of_runs_are_plain_and_differ() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    for name in ["grid-bfs", "", "../../x", "Ünïcode\n", &"long".repeat(50)] {
        let id = archive.create_run(&header(name)).unwrap();
        let plain = id
            .as_str()
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(plain && id.as_str().len() <= 45, "{id}");
    }
    assert_eq!(archive.runs().unwrap().len(), 5);
}

#[test]
fn what_would_not_read_back_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    let id = archive.create_run(&header("a")).unwrap();
    let noise = whittle_toolchain::measure::NoiseFloor {
        half_width: f64::NAN,
        ratio: 1.0,
        interval: [1.0, f64::INFINITY],
        blocks: 0,
        runs: 0,
    };
    let error = archive.put(&id, Kind::Foundations, 0, &noise).unwrap_err();
    assert!(error.to_string().contains("would not read back"), "{error}");
    assert_eq!(archive.load(&id).unwrap().foundations, None);
}

#[test]
fn the_views_for_people_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&folder.path().join("runs.sqlite")).unwrap();
    let id = archive.create_run(&header("a")).unwrap();
    let sql = "INSERT INTO record VALUES (?, ?, 0, '{}', '')";
    for kind in ["node", "measurement"] {
        archive
            .connection
            .execute(sql, [id.as_str(), kind])
            .unwrap();
    }
    for view in ["node", "measurement"] {
        let count = format!("SELECT count(*) FROM {view}");
        let count: i64 = archive
            .connection
            .query_row(&count, [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 1, "{view}");
    }
}

/// The tables of format 1: the kinds of records that there were then, and no view of calls.
const FORMAT_1: &str = "
DROP VIEW node;
DROP VIEW measurement;
DROP VIEW call;
ALTER TABLE record RENAME TO new;
CREATE TABLE record (
    run    TEXT NOT NULL REFERENCES run (id),
    kind   TEXT NOT NULL CHECK (kind IN ('header', 'foundations', 'inputs', 'node', 'ledger', 'measurement', 'log',
                                         'conclusion', 'failure')),
    number INTEGER NOT NULL CHECK (number >= 0),
    data   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, kind, number)
) WITHOUT ROWID;
CREATE VIEW node AS SELECT run, number FROM record WHERE kind = 'node';
CREATE VIEW measurement AS SELECT run, number FROM record WHERE kind = 'measurement';
INSERT INTO record SELECT * FROM new;
DROP TABLE new;
UPDATE record SET data = json_remove(data, '$.header.inputs', '$.header.options.model') WHERE kind = 'header';
PRAGMA user_version = 1;
";

/// Makes of a store one as format 1 was.
fn age(archive: &Archive, run: &RunId) {
    archive.connection.execute_batch(FORMAT_1).unwrap();
    let header = "SELECT data FROM record WHERE kind = 'header'";
    let data: String = archive
        .connection
        .query_row(header, [], |row| row.get(0))
        .unwrap();
    assert!(
        !data.contains("model") && !data.contains("inputs"),
        "{data}"
    );
    let digest = records::seal(run, Kind::Header, 0, data.as_bytes());
    archive
        .connection
        .execute(
            "UPDATE record SET digest = ? WHERE kind = 'header'",
            [digest.as_str()],
        )
        .unwrap();
}

#[test]
fn a_store_of_format_1_is_taken_over_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut archive = Archive::open(&path).unwrap();
    let run = archive.create_run(&header("old")).unwrap();
    archive.log(&run, "said then").unwrap();
    archive.save_inputs(&run, &inputs(1_000)).unwrap();
    let before = archive.load(&run).unwrap();
    age(&archive, &run);
    let refused = archive.put(&run, Kind::Action, 0, &"x".to_owned());
    assert!(refused.is_err(), "format 1 has no actions");
    drop(archive);

    for _ in 0..2 {
        let archive = Archive::open(&path).unwrap();
        assert_eq!(archive.load(&run).unwrap(), before);
        let format: i64 = archive
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(format, schema::FORMAT);
    }
    let mut archive = Archive::open(&path).unwrap();
    archive.take_over(&run).unwrap();
    archive.put(&run, Kind::Action, 0, &"x".to_owned()).unwrap();
    for view in ["node", "call", "measurement"] {
        let columns = format!("SELECT count(*) FROM pragma_table_info('{view}')");
        let columns: i64 = archive
            .connection
            .query_row(&columns, [], |row| row.get(0))
            .unwrap();
        assert!(columns > 2, "{view} is the old one");
    }
}
