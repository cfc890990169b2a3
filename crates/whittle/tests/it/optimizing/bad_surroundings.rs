//! Wrong usage, missing tools, spoiled stores, foreign folders: nothing is lost.

use super::Place;
use crate::common::{failure, json};

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::with_tests();
    let cases: [(&[&str], &str); 10] = [
        (&["optimize"], "<FILE>..."),
        (
            &["optimize", "prog.c", "--budget-time", "soon"],
            "as in 90s, 2m or 1h30m",
        ),
        (
            &["optimize", "prog.c", "--budget-time", "0s"],
            "longer than nothing",
        ),
        (
            &["optimize", "prog.c", "--agents", "wizard"],
            "[possible values: ",
        ),
        (
            &["optimize", "prog.c", "--guide", "wizard"],
            "invalid value 'wizard'",
        ),
        (&["optimize", "prog.c", "--margin", "2"], "--margin"),
        (&["optimize", "prog.c", "--cflags", "-D'x"], "quote"),
        (&["optimize", "prog.c", "--resume"], "cannot be used with"),
        (&["show", "nothing"], "no runs"),
        (&["optimize", "--resume"], "no unfinished run"),
    ];
    for (arguments, message) in cases {
        let (code, text) = failure(&mut place.command(arguments));
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
}

#[test]
fn tests_that_are_none_are_named() {
    let place = Place::with_tests();
    std::fs::create_dir(place.path("empty")).unwrap();
    let (code, text) = failure(&mut place.optimize(&["--tests", "empty"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("empty has no tests"), "{text}");
    let (code, text) = failure(&mut place.optimize(&["--tests", "nowhere"]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("nowhere"), "{text}");
}

#[test]
fn a_generator_that_fails_is_named() {
    let place = Place::with_tests();
    let (code, text) = failure(&mut place.optimize(&["--gen", "echo gone wrong >&2; exit 3"]));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("the generator") && text.contains("gone wrong"),
        "{text}"
    );
}

#[test]
fn without_compilers_there_is_the_command_that_installs_them() {
    let place = Place::with_tests();
    std::fs::create_dir(place.path("empty")).unwrap();
    let (code, text) = failure(&mut place.optimize(&["--llvm-prefix", "empty"]));
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("clang") && text.contains("install with: "),
        "{text}"
    );
    let (code, _) = failure(&mut place.command(&["doctor", "--llvm-prefix", "empty"]));
    assert_eq!(code, 4);
    let mut doctor = place.command(&["doctor", "--llvm-prefix", "empty", "--json"]);
    let output = doctor.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ready"], false);
    assert!(
        report["problems"][0].as_str().unwrap().contains("clang"),
        "{report}"
    );
}

#[test]
fn a_spoiled_store_is_left_as_it_is() {
    let place = Place::with_tests();
    for spoiled in [&b"SQLite format 3\0 and then nonsense"[..], &[7; 5000]] {
        place.write("runs.sqlite", spoiled);
        for arguments in [&["optimize", "prog.c"][..], &["runs"], &["show", "latest"]] {
            let (code, text) = failure(&mut place.command(arguments));
            assert_eq!(code, 5, "{arguments:?}: {text}");
            assert!(
                text.contains("runs.sqlite") && text.contains("--store"),
                "{text}"
            );
        }
        assert_eq!(std::fs::read(place.path("runs.sqlite")).unwrap(), spoiled);
    }
}

#[test]
fn a_foreign_folder_is_left_as_it_is() {
    let place = Place::with_tests();
    std::fs::create_dir(place.path("mine")).unwrap();
    place.write("mine/thesis.tex", "years of work");
    let (code, text) = failure(&mut place.optimize(&["--tests", "tests", "--out", "mine"]));
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("mine") && text.contains("--out"), "{text}");
    assert_eq!(std::fs::read_dir(place.path("mine")).unwrap().count(), 1);
    // It is said before any work is done.
    assert_eq!(
        json(&mut place.command(&["runs", "--json"])),
        serde_json::json!([])
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::with_tests();
    for (flag, value) in [
        ("--store", "prog.c/runs.sqlite"),
        ("--cache", "prog.c/cache"),
    ] {
        let (code, text) = failure(&mut place.optimize(&["--tests", "tests", flag, value]));
        assert_eq!(code, 5, "{flag}: {text}");
        assert!(text.contains("prog.c"), "{flag}: {text}");
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_the_run_goes_on_later() {
    let place = Place::with_tests();
    std::fs::create_dir(place.path("disk")).unwrap();
    let whittle = env!("CARGO_BIN_EXE_whittle");
    // A disk of its own, for this process and its children only; it is too small for a whole run, and then grows.
    let script = format!(
        "mount -t tmpfs -o size=160k none disk || exit 77
         '{whittle}' optimize prog.c --tests tests --budget-time 16s --budget-candidates 3 --portable --quiet
         echo code $?
         mount -o remount,size=16m none disk
         '{whittle}' runs --json
         '{whittle}' optimize --resume --quiet
         echo code $?"
    );
    let mut inside = assert_cmd::Command::new("unshare");
    inside.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let mut inside = place.settle(inside);
    inside.env("WHITTLE_STORE", place.path("disk/runs.sqlite"));
    let Ok(output) = inside.output() else {
        println!("left out: there is no unshare");
        return;
    };
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    if output.status.code() == Some(77) || err.contains("unshare") {
        println!("left out: namespaces are not allowed here: {err}");
        return;
    }
    assert!(err.contains("no room left for the run store"), "{out}{err}");
    assert!(
        out.starts_with("code 5\n") && out.contains("\"open\""),
        "{out}{err}"
    );
    assert!(out.ends_with("code 0\n"), "{out}{err}");
}
