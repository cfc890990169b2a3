//! The actions that no built-in guide asks for, but that guides may.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use whittle_toolchain::sandbox::{Sandbox, SandboxOptions};
use whittle_toolchain::tools::{Found, Store, Toolchain, Unit};

use crate::archive::Archive;
use crate::budget::Budget;
use crate::candidate::Level;
use crate::guides::{Action, Brief, Guide, View};
use crate::inputs::InputOptions;
use crate::program::Program;
use crate::session::run::{Steps, begin};
use crate::session::{RunOptions, Setup};
use crate::tree::{NodeId, Outcome};

const PROGRAM: &str = "\
#include <stdio.h>
int main(void) {
    unsigned n, sum = 0;
    if (scanf(\"%u\", &n) != 1 || n > 90000000) return 1;
    for (unsigned i = 0; i < n; i++) sum = sum * 31 + (i ^ sum >> 3);
    printf(\"%u\\n\", sum);
    return 0;
}
";

struct Scripted(std::vec::IntoIter<Action>);

impl Guide for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn next(&mut self, _: &View<'_>, _: &mut ChaCha8Rng) -> Action {
        self.0.next().unwrap_or(Action::Stop)
    }
}

fn toolchain(folder: &std::path::Path) -> Toolchain {
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let store = Store::open(folder.join("store")).unwrap();
    Toolchain::new(Found::find(None).unwrap(), sandbox, store).unwrap()
}

#[test]
fn every_action_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup {
        toolchain: toolchain(folder.path()),
        archive: Archive::open(&folder.path().join("runs.sqlite")).unwrap(),
        stop: Arc::new(AtomicBool::new(false)),
        output: folder.path().join("output"),
        model: None,
    };
    let tests = folder.path().join("tests");
    std::fs::create_dir(&tests).unwrap();
    for n in [0, 1, 7, 1000, 20_000_000, 30_000_000] {
        std::fs::write(tests.join(format!("{n}.in")), format!("{n}\n")).unwrap();
    }
    let program = Program {
        name: "sum".to_owned(),
        units: vec![Unit::new("sum.c", PROGRAM)],
        flags: Vec::new(),
        link_flags: Vec::new(),
    };
    let options = RunOptions {
        seed: 1,
        guide: "thompson".to_owned(),
        agents: Vec::new(),
        budget: Budget::of_time(Duration::from_secs(60)),
        host: false,
        margin: 0.05,
        fp_tolerance: None,
        model: None,
    };
    let inputs = InputOptions {
        tests: Some(tests),
        effort: Duration::from_secs(1),
        ..InputOptions::default()
    };
    let (root, ir) = (NodeId::ROOT, NodeId(1));
    let script = vec![
        Action::MiddleEnd {
            node: root,
            pipeline: None,
        },
        Action::BackEnd { node: ir },
        Action::Analyze { node: root },
        Action::Test {
            node: ir,
            inputs: 20,
        },
        Action::Measure { node: ir },
        Action::Optimize {
            node: NodeId(77),
            agent: "nobody".to_owned(),
            brief: Brief::default(),
        },
        Action::Stop,
    ];
    let mut guide = Scripted(script.into_iter());
    let mut steps = Steps {
        search: &mut |search| search.run(&mut guide, &mut Vec::new()),
        conclude: &mut |judge, tree| judge.conclude(tree, false),
    };
    let finished = begin(
        &mut setup,
        program,
        options,
        &inputs,
        &mut steps,
        &mut |_| {},
    )
    .unwrap();
    let record = setup.archive.load(&finished.run).unwrap();
    let levels: Vec<Level> = record
        .tree
        .nodes()
        .iter()
        .map(|node| node.candidate.artifact.level)
        .collect();
    assert_eq!(levels, [Level::Source, Level::Ir, Level::Assembly]);
    for node in record.tree.nodes() {
        assert!(
            matches!(node.outcome, Outcome::Timed { .. }),
            "{:?}",
            node.outcome
        );
    }
    let log: String = record
        .log
        .iter()
        .map(|line| line.text.clone() + "\n")
        .collect();
    for expected in [
        "basic blocks",
        "instructions per cycle",
        "optimizations missed",
        "more inputs give the same results",
    ] {
        assert!(log.contains(expected), "{expected} is not in:\n{log}");
    }
}
