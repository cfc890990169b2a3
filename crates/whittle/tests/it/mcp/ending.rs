//! However a client goes, nothing goes on without it, and nothing is lost.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Client, Place, RIGHT};
use crate::common::json as run_json;

/// The state of the only run of a place.
fn state(place: &Place) -> String {
    let runs = run_json(&mut place.command(&["runs", "--json"]));
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    runs[0]["state"].as_str().unwrap().to_owned()
}

/// All processes, with their parents and when they began.
fn processes() -> Vec<(u32, u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // Processes end while we look.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        if fields[0] != "Z" {
            found.push((process, fields[1].parse().unwrap(), fields[19].to_owned()));
        }
    }
    found
}

/// What the server started, and what that started, each as number and time of beginning.
fn descendants(client: &Client) -> BTreeSet<(u32, String)> {
    let all = processes();
    let mut parents = BTreeSet::from([client.child.id()]);
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (process, parent, began) in &all {
            if parents.contains(parent) {
                parents.insert(*process);
                found.insert((*process, began.clone()));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Opens a program without waiting for the answer; waits until something runs for it.
fn begin(client: &mut Client) -> BTreeSet<(u32, String)> {
    client.send(
        "tools/call",
        json!({"name": "open_program", "arguments": {"paths": ["bits.c"], "tests": "tests"}}),
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let running = descendants(client);
        if !running.is_empty() {
            return running;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing happened");
}

fn assert_all_ended(started: &BTreeSet<(u32, String)>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left: Vec<_> = processes()
            .into_iter()
            .filter(|(process, _, began)| started.contains(&(*process, began.clone())))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?} go on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn interrupt(client: &Client) {
    let sent = Command::new("kill")
        .args(["-INT", &client.child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn hanging_up_in_the_middle_of_a_call_ends_the_server_and_all_that_it_started() {
    let place = Place::new();
    let mut client = place.connect(&[]);
    let started = begin(&mut client);
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
    assert_all_ended(&started);
    assert_eq!(state(&place), "open");
}

#[test]
fn an_interrupt_ends_the_server_and_all_that_it_started() {
    let place = Place::new();
    let mut client = place.connect(&[]);
    let started = begin(&mut client);
    interrupt(&client);
    assert_eq!(client.wait(), Some(130), "{}", place.log());
    assert_all_ended(&started);
    assert_eq!(state(&place), "open");
}

#[test]
fn an_interrupt_while_nothing_happens_ends_the_server_as_well() {
    let place = Place::new();
    let mut client = place.connect(&[]);
    interrupt(&client);
    assert_eq!(client.wait(), Some(130), "{}", place.log());
}

#[test]
fn what_a_client_found_before_it_went_is_not_lost() {
    let place = Place::new();
    let mut client = place.connect(&["--budget-time", "60s", "--budget-candidates", "3"]);
    client.open(60);
    client.submit(RIGHT, "count bits at once").unwrap();
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
    assert_eq!(state(&place), "open");

    let mut resume = place.command(&["optimize", "--resume", "--json"]);
    let report: Value = run_json(&mut resume);
    assert_eq!(report["candidates"][1]["change"], "count bits at once");
    assert!(
        report["sentence"]
            .as_str()
            .unwrap()
            .contains("faster than clang -O3"),
        "{report}"
    );
    assert_eq!(state(&place), "finished");
}

#[test]
fn a_result_that_cannot_be_written_is_not_lost() {
    let place = Place::new();
    let mut client = place.connect(&["--budget-time", "30s"]);
    client.open(30);
    client.submit(RIGHT, "count bits at once").unwrap();
    // As little can be written there as on a disk that is full.
    std::fs::remove_dir(place.path("out")).unwrap();
    place.write("out", "");
    let why = client.call("export", json!({})).unwrap_err();
    assert!(why.contains("kept in the run store"), "{why}");
    assert!(
        place.log().contains("whittle optimize --resume"),
        "{}",
        place.log()
    );
    assert_eq!(client.hang_up(), Some(0), "{}", place.log());
    assert_eq!(state(&place), "open");

    let resume = ["optimize", "--resume", "--json"];
    let report: Value = run_json(&mut place.command(&resume));
    assert_eq!(report["candidates"][1]["change"], "count bits at once");
    assert_eq!(state(&place), "finished");
}
