//! `report.json`, its schema, and the result in a terminal.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use whittle_optimizer::archive::{RunId, RunRecord};
use whittle_optimizer::report::{self, Report, Texts};
use whittle_optimizer::session::{Conclusion, RunState};
use whittle_optimizer::tree::NodeId;

use crate::report_example as example;

pub(crate) fn id() -> RunId {
    serde_json::from_value("20260211-0931-signatures-4f1c".into()).unwrap()
}

pub(crate) fn report(record: &RunRecord) -> Report {
    Report::new(&id(), record, &example::texts())
}

/// The runs that end otherwise: nothing found, only the host's instruction set, interrupted, failed.
pub(crate) fn others() -> [RunRecord; 4] {
    let whole = example::record(12, 1, 1);
    let mut none = whole.clone();
    none.conclusion = Some(Conclusion {
        evidence: whole.conclusion.as_ref().unwrap().evidence.clone(),
        passed_over: vec![(
            NodeId(10),
            "no difference when measured afresh: 1.004× (0.991 to 1.017)".to_owned(),
        )],
        ..Conclusion::default()
    });
    let mut host = whole.clone();
    host.conclusion.as_mut().unwrap().portable = None;
    let mut open = whole.clone();
    (open.conclusion, open.state, open.foundations) = (None, RunState::Open, None);
    let mut failed = example::record(6, 1, 1);
    (failed.conclusion, failed.state, failed.foundations) = (None, RunState::Failed, None);
    failed.inputs = None;
    failed.tree = whittle_optimizer::tree::Tree::default();
    failed.ledger = whittle_optimizer::budget::Ledger::default();
    failed.message =
        Some("the program does not compile: signatures.c:3:1: error: expected ';'".to_owned());
    [none, host, open, failed]
}

#[test]
fn the_json_of_a_run() {
    let report = Report::new(&id(), &example::record(8, 1, 1), &Texts::default());
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn the_json_reads_back() {
    let report = report(&example::record(24, 2, 2));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn the_result_in_a_terminal() {
    let mut all = vec![report::summary(&report(&example::record(12, 2, 2)))];
    all.extend(
        others()
            .iter()
            .map(|record| report::summary(&report(record))),
    );
    insta::assert_snapshot!(all.join("----\n"));
}

#[test]
fn a_terminal_is_not_told_anything_by_the_program() {
    let mut record = example::record(8, 1, 1);
    record.header.program.name = "a\u{1b}]0;owned\u{7}\r\nb".to_owned();
    let summary = report::summary(&report(&record));
    assert!(
        summary.chars().all(|c| c == '\n' || !c.is_control()),
        "{summary:?}"
    );
    assert!(summary.starts_with("a ]0;owned   b: "), "{summary:?}");
}

fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.schema.json")
}

fn schema() -> Value {
    let mut schema = schemars::schema_for!(Report).to_value();
    schema["title"] = json!("The report of a whittle run (report.json)");
    schema
}

#[test]
fn the_published_schema_is_the_types() {
    let wanted = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = schema_file();
    if std::env::var_os("WHITTLE_UPDATE_SCHEMA").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == wanted,
        "docs/report.schema.json is not what the types say; WHITTLE_UPDATE_SCHEMA=1 cargo test -p whittle-optimizer \
         published_schema writes it anew (and a change that readers would notice needs a new FORMAT)"
    );
}

#[test]
fn every_report_fits_the_published_schema() {
    let published: Value = serde_json::from_slice(&fs::read(schema_file()).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&published).unwrap();
    for record in [vec![example::record(24, 2, 2)], others().to_vec()].concat() {
        let value = serde_json::to_value(report(&record)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
}

#[test]
fn the_published_schema_refuses_what_is_no_report() {
    let published: Value = serde_json::from_slice(&fs::read(schema_file()).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&published).unwrap();
    let good = serde_json::to_value(report(&example::record(8, 1, 1))).unwrap();
    let changes: [(&str, Value); 6] = [
        ("/claims/0/ratio", json!(null)),
        ("/claims/0/verdict", json!("great")),
        ("/claims/0/interval", json!([1.0])),
        ("/candidates/1/outcome", json!({ "state": "timed" })),
        ("/winner/level", json!(3)),
        ("/foundations/noise/runs", json!(-1)),
    ];
    for (place, value) in changes {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        assert!(!validator.is_valid(&bad), "{place}");
    }
    let mut bad = good.clone();
    bad.as_object_mut().unwrap().remove("sentence");
    assert!(!validator.is_valid(&bad));
    assert!(validator.is_valid(&good));
}

#[test]
fn sentences_say_no_more_than_was_found() {
    let [none, host, open, failed] = others().map(|record| report(&record).sentence);
    assert_eq!(none, "no faster program found");
    assert!(
        host.starts_with("2.10× faster than clang -O3")
            && host.contains("nothing faster found that runs on every machine")
    );
    assert_eq!(open, "not finished: nothing is claimed");
    assert!(failed.starts_with("failed: the program does not compile"));
}
