//! Runs that are killed or stopped: nothing is lost.

use std::io::Read as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;
use crate::common::json;

/// A run that goes on until somebody stops it.
pub(super) fn spawn(place: &Place, arguments: &[&str]) -> Child {
    let template = place.command(arguments);
    let mut command = Command::new(template.get_program());
    command
        .args(template.get_args())
        .current_dir(place.path(""));
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(super) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The only run of a place, once it has this many candidates.
fn wait_for_candidates(place: &Place, child: &mut Child, number: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            panic!("the run ended by itself, {status}: {text}");
        }
        if place.path("runs.sqlite").exists() {
            let runs = json(&mut place.command(&["runs", "--json"]));
            if runs[0]["candidates"].as_u64() >= Some(number) {
                return runs[0].clone();
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("there were no {number} candidates in time");
}

pub(super) fn finish(child: Child) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn claims(report: &[u8]) -> Value {
    let report: Value = serde_json::from_slice(report).unwrap();
    report["claims"].clone()
}

#[test]
fn after_kill_9_a_run_goes_on_and_after_ctrl_c_it_is_finished() {
    let place = Place::with_tests();
    let begin = [
        "optimize",
        "prog.c",
        "--tests",
        "tests",
        "--budget-time",
        "3m",
        "--portable",
    ];
    let mut child = spawn(&place, &begin);
    let killed = wait_for_candidates(&place, &mut child, 2);
    signal(&child, "-KILL");
    assert_eq!(finish(child).0, None, "it was killed");
    assert_eq!(killed["state"], "open");
    let before = json(&mut place.command(&["show", "--json"]));
    let tried = before["candidates"].as_array().unwrap().len() as u64;

    let mut child = spawn(&place, &["optimize", "--resume", "--quiet"]);
    let resumed = wait_for_candidates(&place, &mut child, tried + 1);
    assert_eq!(resumed["id"], killed["id"]);
    signal(&child, "-INT");
    let (code, stdout, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Ctrl-C again ends at once"), "{stderr}");
    assert!(
        stdout.contains("report.html") && stdout.contains("rebuild.sh"),
        "{stdout}"
    );
    assert!(place.path("prog.whittle/report.html").is_file());

    let after = json(&mut place.command(&["show", "--json"]));
    assert_eq!(after["state"], "finished");
    let (old, new) = (
        before["candidates"].as_array().unwrap(),
        after["candidates"].as_array().unwrap(),
    );
    assert!(new.len() > old.len());
    for (old, new) in old.iter().zip(new) {
        assert_eq!(old["change"], new["change"]);
        assert_eq!(old["outcome"]["state"], new["outcome"]["state"]);
    }
    // The result of a finished run can be written again.
    let report = std::fs::read(place.path("prog.whittle/report.json")).unwrap();
    std::fs::remove_dir_all(place.path("prog.whittle")).unwrap();
    let id = killed["id"].as_str().unwrap();
    let resume = &mut place.command(&["optimize", "--resume", id]);
    resume.assert().success();
    let again = std::fs::read(place.path("prog.whittle/report.json")).unwrap();
    assert_eq!(claims(&report), claims(&again));
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_says_how_to_go_on() {
    let place = Place::with_tests();
    let mut child = spawn(
        &place,
        &[
            "optimize",
            "prog.c",
            "--tests",
            "tests",
            "--budget-time",
            "3m",
        ],
    );
    wait_for_candidates(&place, &mut child, 1);
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    let (code, stdout, stderr) = finish(child);
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("whittle optimize --resume"), "{stderr}");
    assert_eq!(stdout, "");
    let runs = json(&mut place.command(&["runs", "--json"]));
    assert_eq!(runs[0]["state"], "open");
    assert!(runs[0]["candidates"].as_u64() >= Some(1));
}
