//! `whittle suite`: killed, gone on with, told of other options; wrong usage.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;
use super::interrupted::{finish, signal, spawn};
use crate::common::{failure, json};

const SUITE: [&str; 6] = ["suite", "all", "--budget-time", "4s", "--out", "out"];
const RUNS: [&str; 4] = ["runs", "--json", "--store", "out/runs.sqlite"];

/// With the program of two files in all/sum, and its tests.
fn place() -> Place {
    let place = Place::new("");
    std::fs::create_dir_all(place.path("all/sum/tests")).unwrap();
    place.write(
        "all/sum/main.c",
        "#include <stdio.h>\nunsigned add(unsigned, unsigned);\n\
         int main(void) {\n  unsigned n, sum = 0;\n  if (scanf(\"%u\", &n) != 1 || n > 100000000) return 1;\n  \
         for (unsigned i = 0; i < n; i++) sum = add(sum, i);\n  printf(\"%u\\n\", sum);\n  return 0;\n}\n",
    );
    place.write(
        "all/sum/add.c",
        "unsigned add(unsigned a, unsigned b) { return a * STEP + b; }\n",
    );
    place.write("all/sum/program.json", "{\"cflags\": \"-DSTEP=3\"}");
    for n in ["0", "1", "1000", "2000000", "30000000"] {
        place.write(&format!("all/sum/tests/{n}.in"), n);
    }
    place
}

/// Begins a comparison and kills it once the store has this many runs.
fn kill_at(place: &Place, arguments: &[&str], runs: usize) {
    let mut child = spawn(place, arguments);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !place.path("out/runs.sqlite").exists()
        || json(&mut place.command(&RUNS)).as_array().unwrap().len() < runs
    {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(Instant::now() < deadline, "no run was begun");
        std::thread::sleep(Duration::from_millis(50));
    }
    signal(&child, "-KILL");
    assert_eq!(finish(child).0, None, "it was killed");
}

#[test]
fn a_run_is_gone_on_with_and_made_again_only_when_something_is_different() {
    let place = place();
    kill_at(&place, &SUITE, 1);
    let begun = json(&mut place.command(&RUNS));
    let compare = || json(place.command(&SUITE).arg("--json"));
    let first: Value = compare();
    assert_eq!(first["runs"][0]["program"], "sum");
    assert_eq!(first["runs"][0]["error"], Value::Null);
    assert_eq!(first["runs"][0]["run"], begun[0]["id"]);
    assert_eq!(first["conditions"]["budget"]["limits"]["seconds"], 4.0);
    assert_eq!(compare(), first);
    let report = place.path("out/sum.builtin/report.json");
    std::fs::remove_dir_all(report.parent().unwrap()).unwrap();
    assert_eq!(compare(), first);
    assert!(report.is_file());

    kill_at(&place, &[&SUITE[..], &["--seed", "1"]].concat(), 2);
    place.write("all/sum/tests/1000.in", "1001");
    kill_at(&place, &SUITE, 3);
    place.write("all/sum/tests/1000.in", "1000");
    assert_eq!(compare(), first);
}

#[test]
fn what_cannot_be_compared_is_named_before_anything_is_made() {
    let place = place();
    std::fs::create_dir(place.path("empty")).unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["suite", "empty"], 2, "empty holds no program"),
        (&["suite", "nowhere.c"], 1, "nowhere.c"),
        (&["suite", "all", "all"], 2, "two programs are named sum"),
        (&["suite", "all", "--modes", "paper"], 2, "--model"),
        (&["suite", "all", "--only", "ir"], 2, "--only"),
        (&["suite", "all/sum/program.json"], 2, "not a C file"),
    ];
    for (arguments, expected, message) in cases {
        let (code, text) = failure(&mut place.command(arguments));
        assert_eq!(code, expected, "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
    assert!(!place.path("suite.whittle").exists());
}
