//! `kill -9` in the middle of writing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use whittle_optimizer::archive::{Archive, ArchiveError, RunId};
use whittle_optimizer::tree::{Node, NodeId};

use crate::report_example as example;

/// Tells the test binary, started again, to be the process that is killed.
const VICTIM: &str = "WHITTLE_TEST_STORE_TO_WRITE";

/// Acts in the victim only: writes nodes as long as it lives and says so after each.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let mut archive = Archive::open(Path::new(&path)).unwrap();
    let id = archive.create_run(&example::header()).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nrun {id}").unwrap();
    for number in 0.. {
        archive.add_node(&id, &node(number)).unwrap();
        archive
            .log(&id, &"x".repeat(number as usize % 5_000))
            .unwrap();
        writeln!(out, "node {number}").unwrap();
        out.flush().unwrap();
    }
}

fn node(number: u32) -> Node {
    let mut node = example::record(6, 1, 1).tree.nodes()[1].clone();
    node.id = NodeId(number);
    node.parent = number.checked_sub(1).map(NodeId);
    node.change = format!("change {number}");
    node
}

fn start_victim(path: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "archive_kill::victim", "--nocapture"])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

#[test]
fn what_was_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    for wanted in [1, 20, 57] {
        let (mut child, out) = start_victim(&path);
        let (mut id, mut acknowledged) = (None, 0);
        for line in out.lines().map_while(Result::ok) {
            if let Some(name) = line.strip_prefix("run ") {
                id = Some(name.to_owned());
            } else if line.starts_with("node ") {
                acknowledged += 1;
            }
            if acknowledged == wanted {
                // SIGKILL; what it wrote until then is still read.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let id: RunId = serde_json::from_value(id.unwrap().into()).unwrap();

        let mut archive = Archive::open(&path).unwrap();
        let tree = archive.load(&id).unwrap().tree;
        assert!(
            tree.nodes().len() >= acknowledged,
            "{} of {acknowledged}",
            tree.nodes().len()
        );
        for (number, found) in (0..).zip(tree.nodes()) {
            assert_eq!(found, &node(number));
        }
        archive.take_over(&id).unwrap();
        archive
            .add_node(&id, &node(tree.nodes().len() as u32))
            .unwrap();
    }
    assert_eq!(Archive::open(&path).unwrap().runs().unwrap().len(), 3);
}

#[test]
fn a_living_process_keeps_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let (mut child, out) = start_victim(&path);
    let mut lines = out.lines().map_while(Result::ok);
    let id = lines
        .find_map(|line| line.strip_prefix("run ").map(str::to_owned))
        .unwrap();
    let id: RunId = serde_json::from_value(id.into()).unwrap();
    let mut archive = Archive::open(&path).unwrap();
    let refused = archive.take_over(&id);
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(refused, Err(ArchiveError::InUse { pid: Some(p), .. }) if p == pid),
        "{refused:?}"
    );
    archive.take_over(&id).unwrap();
}
