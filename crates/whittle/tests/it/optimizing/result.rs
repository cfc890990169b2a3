//! A run from beginning to end, and everything that can be asked about it.

use serde_json::Value;

use super::Place;
use crate::common::{failure, json, stdout};

fn schema() -> jsonschema::Validator {
    let file = whittle_testing::workspace().join("docs/report.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn a_run_its_report_and_its_verification() {
    let place = Place::with_tests();
    let report = json(&mut place.optimize(&["--tests", "tests", "--portable", "--json"]));
    let errors: Vec<String> = schema()
        .iter_errors(&report)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(report["state"], "finished");
    // The original, and no more candidates than the budget allows.
    let tried = report["candidates"].as_array().unwrap().len();
    assert!((2..=4).contains(&tried), "{tried}");
    let id = report["run"].as_str().unwrap();

    // The folder has what the report says.
    let folder = place.path("prog.whittle");
    let written: Value =
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(id));
    for file in report["winner"]["files"].as_array().unwrap() {
        assert!(
            folder.join(file["path"].as_str().unwrap()).is_file(),
            "{file}"
        );
    }

    // The run store knows it, by every name.
    let runs = json(&mut place.command(&["runs", "--json"]));
    assert_eq!(runs.as_array().unwrap().len(), 1);
    assert_eq!(
        (&runs[0]["id"], &runs[0]["state"]),
        (&report["run"], &Value::from("finished"))
    );
    assert_eq!(runs[0]["candidates"], tried - 1);
    assert!(stdout(&mut place.command(&["runs"])).contains(id));
    for name in [id, &id[..10], "prog", "latest"] {
        let shown = json(&mut place.command(&["show", name, "--json"]));
        assert_eq!(shown["run"], report["run"], "{name}");
        assert_eq!(shown["claims"], report["claims"], "{name}");
    }
    let text = stdout(&mut place.command(&["show"]));
    for word in [
        id,
        "finished",
        "#0 1.000x the original",
        "└─ #",
        "prog.whittle/report.html",
    ] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    let text = stdout(&mut place.command(&["show", "--node", "1"]));
    for word in [
        "#1 ",
        "agent",
        "path       #0 → #1",
        "Recipe against #0",
        "+  ",
    ] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    let (code, text) = failure(&mut place.command(&["show", "--node", "99"]));
    assert_eq!(code, 2);
    assert!(text.contains("has no candidate #99"), "{text}");

    verification(&place, &report);
}

/// Whatever the report claims is tried here.
fn verification(place: &Place, report: &Value) {
    let output = place
        .command(&["verify", "prog.whittle", "--time", "2s", "--json"])
        .output()
        .unwrap();
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["run"], report["run"]);
    let code = if verified["confirmed"] == true { 0 } else { 6 };
    assert_eq!(output.status.code(), Some(code), "{verified}");
    assert_eq!(
        verified["claimed"].is_null(),
        report["winner"]["candidate"] == 0
    );

    // A claim that nobody measured, and a test with another result than the program's.
    let mut boast = report.clone();
    boast["winner"]["candidate"] = 1.into();
    boast["claims"] = serde_json::json!([{
        "kind": "portable", "candidate": 1, "baseline": "-O3", "ratio": 50.0, "interval": [49.0, 51.0],
        "confidence": 0.95, "verdict": "faster", "margin": 0.01, "slower_on": [], "cpu_ratio": 50.0,
        "instructions": null, "blocks": 20, "runs": 80, "layouts": 5, "inputs": [],
    }]);
    place.write("prog.whittle/boast.json", boast.to_string());
    place.write("prog.whittle/inputs/visible/small.out", "something else\n");
    let verify = ["verify", "prog.whittle/boast.json", "--time", "1s"];
    let (code, text) = failure(&mut place.command(&verify));
    assert_eq!(code, 1, "a file that is not what the report says: {text}");
    assert!(text.contains("small.out"), "{text}");

    let cases = boast["inputs"]["cases"].as_array_mut().unwrap();
    let case = cases
        .iter_mut()
        .find(|case| case["path"] == "inputs/visible/small")
        .unwrap();
    case["output_bytes"] = 15.into();
    case["output_sha256"] =
        "a1621be95040239ee14362c16e20510ddc20f527d772d823b2a1679b33f5cd74".into();
    place.write("prog.whittle/boast.json", boast.to_string());
    let (code, _) = failure(&mut place.command(&verify));
    assert_eq!(code, 6);
    let output = place.command(&verify).arg("--json").output().unwrap();
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["claimed"][0], 50.0);
    assert!(verified["tests_passed"].as_u64() >= Some(3), "{verified}");
    assert!(
        verified["problems"][0].as_str().unwrap().contains("small"),
        "{verified}"
    );

    let (code, text) = failure(&mut place.command(&["verify", "prog.whittle/nowhere.json"]));
    assert_eq!(code, 1);
    assert!(text.contains("nowhere.json"), "{text}");
    place.write("prog.whittle/nonsense.json", "{}");
    let (code, text) = failure(&mut place.command(&["verify", "prog.whittle/nonsense.json"]));
    assert_eq!(code, 1);
    assert!(text.contains("nonsense.json"), "{text}");
}

#[test]
fn a_program_is_not_faster_than_itself_and_progress_is_a_few_plain_lines() {
    let place = Place::with_tests();
    let assert = place
        .optimize(&["--tests", "tests", "--aa"])
        .assert()
        .success();
    let output = assert.get_output();
    let (out, err) = (
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    );
    for word in [
        "prog: no faster program found",
        "tried",
        "prog.whittle/report.html",
        "sh prog.whittle/rebuild.sh",
    ] {
        assert!(out.contains(word), "no {word:?} in: {out}");
    }
    // No terminal is there.
    for word in ["checks the original", "tests for the search", "searches"] {
        assert!(err.contains(word), "no {word:?} in: {err}");
    }
    assert!(
        !err.contains('\u{1b}') && !err.contains('\r') && err.lines().count() < 40,
        "{err}"
    );
    let report = std::fs::read(place.path("prog.whittle/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["winner"]["candidate"], 0);
    assert_eq!(report["candidates"][1]["agent"], "twin");
}
