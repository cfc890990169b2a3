//! The script builds, byte for byte, what was measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::{Sandbox, SandboxOptions, SealedInput};
use whittle_toolchain::tools::{Digest, Found, Store, Toolchain, Unit};

use super::{Report, Texts};
use crate::archive::{RunId, RunRecord};
use crate::budget::{Budget, Ledger};
use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::evidence::build::{Builder, Built};
use crate::program::Program;
use crate::session::{Conclusion, Machine, RunHeader, RunOptions, RunState};
use crate::tree::{Node, NodeId, Outcome, Tree};

const MAIN: &str = "#include <stdio.h>\n#include \"lib/sum.h\"\nint main(void) {\n    long n;\n    if (scanf(\"%ld\", &n) != 1) return 1;\n    \
                    printf(\"%ld %s\\n\", sum(n), WORD);\n    return 0;\n}\n";
const SUM: &str = "#include \"lib/sum.h\"\n#include <math.h>\nlong sum(long n) {\n    double total = 0;\n    \
                   for (long i = 0; i < n; i++) total += sqrt((double)(i * i % 7));\n    return lround(total);\n}\n";

fn program() -> Program {
    Program {
        name: "two files".to_owned(),
        units: vec![
            Unit::new("main.c", MAIN),
            Unit::new("lib/sum.h", "long sum(long n);\n"),
            Unit::new("sum.c", SUM),
        ],
        flags: vec!["-DWORD=\"it's $5\"".to_owned(), "-I.".to_owned()],
        link_flags: vec!["-lm".to_owned(), "-Wl,-z,now".to_owned()],
    }
}

fn toolchain() -> &'static (tempfile::TempDir, Toolchain) {
    static TOOLCHAIN: OnceLock<(tempfile::TempDir, Toolchain)> = OnceLock::new();
    TOOLCHAIN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let found = Found::find(None)
            .expect("the tests need LLVM 16 or newer: cargo xtask test installs it");
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        let toolchain = Toolchain::new(found, sandbox, store).unwrap();
        (folder, toolchain)
    })
}

fn node(id: u32, candidate: Candidate) -> Node {
    Node {
        id: NodeId(id),
        parent: id.checked_sub(1).map(NodeId),
        agent: String::new(),
        change: String::new(),
        note: serde_json::Value::Null,
        candidate,
        outcome: Outcome::Timed {
            code: Digest::of(&[]),
            speedup: 1.0,
            seconds: Vec::new(),
        },
        extensions: Vec::new(),
        at_s: 0.0,
    }
}

fn record(program: &Program, winner: &Candidate) -> RunRecord {
    let artifact = Artifact {
        level: Level::Source,
        units: program.units.clone(),
    };
    let recipe = Recipe {
        front_end: program.o3_flags(),
        ..Recipe::default()
    };
    let nodes = vec![
        node(0, Candidate { artifact, recipe }),
        node(1, winner.clone()),
    ];
    RunRecord {
        started: jiff::Timestamp::UNIX_EPOCH,
        version: "0".to_owned(),
        header: RunHeader {
            program: program.clone(),
            inputs: None,
            tests: None,
            options: RunOptions {
                seed: 1,
                guide: String::new(),
                agents: Vec::new(),
                budget: Budget::default(),
                host: true,
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
        },
        state: RunState::Finished,
        foundations: None,
        inputs: None,
        tree: Tree::from_nodes(nodes).unwrap(),
        ledger: Ledger::default(),
        measurements: Vec::new(),
        conclusion: Some(Conclusion {
            winner: NodeId(1),
            ..Conclusion::default()
        }),
        message: None,
        log: Vec::new(),
        calls: Vec::new(),
        actions: Vec::new(),
    }
}

/// What our own calls build, and an output folder with the candidate as the winner.
fn measured_and_written(level: Level, recipe: Recipe, folder: &Path) -> (Vec<u8>, PathBuf) {
    let (_, toolchain) = toolchain();
    let program = program();
    let input = SealedInput::new(b"40\n").unwrap();
    let training = vec![Workload {
        name: "forty".to_owned(),
        arguments: Vec::new(),
        input,
    }];
    let builder = Builder::new(toolchain, &program, training);
    let source = Candidate {
        artifact: Artifact {
            level: Level::Source,
            units: program.units.clone(),
        },
        recipe: Recipe {
            front_end: recipe.front_end.clone(),
            ..Recipe::default()
        },
    };
    let lowered: Built = builder.build(&source).unwrap();
    let units = match level {
        Level::Source => program.units.clone(),
        Level::Ir => lowered.ir,
        Level::Assembly => lowered.assembly,
    };
    let candidate = Candidate {
        artifact: Artifact { level, units },
        recipe,
    };
    let built = builder.build(&candidate).unwrap();
    let executable = builder
        .link(&built, &candidate.recipe, 1)
        .unwrap()
        .remove(0);
    let expected = std::fs::read(&executable.path).unwrap();

    let record = record(&program, &candidate);
    let texts = Texts {
        winner_ir: built.ir,
        winner_assembly: built.assembly,
        ..Texts::default()
    };
    let id: RunId = serde_json::from_value("19700101-0000-two-files-0000".into()).unwrap();
    let report = Report::new(&id, &record, &texts);
    let profile = candidate
        .recipe
        .profile
        .then(|| builder.profile().unwrap().path.clone());
    let output = folder.join("out put");
    super::write(
        &output,
        &report,
        &record,
        &texts,
        profile.as_deref(),
        toolchain,
    )
    .unwrap();
    (expected, output)
}

fn run(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

fn check(level: Level, recipe: Recipe) {
    let folder = tempfile::tempdir().unwrap();
    let (expected, output) = measured_and_written(level, recipe, folder.path());
    let printed = run(Command::new("sh")
        .arg(output.join("rebuild.sh"))
        .current_dir("/"));
    let executable = PathBuf::from(printed.lines().last().unwrap());
    assert_eq!(
        executable,
        std::fs::canonicalize(&output)
            .unwrap()
            .join("build/two_files")
    );
    assert!(
        std::fs::read(&executable).unwrap() == expected,
        "the script builds something else"
    );
    // And elsewhere, by a relative name.
    let printed = run(Command::new("sh")
        .args(["out put/rebuild.sh", "copy"])
        .current_dir(folder.path()));
    assert_eq!(printed.lines().last(), folder.path().join("copy").to_str());
    assert!(std::fs::read(folder.path().join("copy")).unwrap() == expected);
}

fn strings(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

fn o3() -> Recipe {
    Recipe {
        front_end: program().o3_flags(),
        ..Recipe::default()
    }
}

#[test]
fn the_original() {
    check(Level::Source, o3());
}

#[test]
fn every_step_with_flags_of_its_own() {
    check(
        Level::Source,
        Recipe {
            merge: true,
            pipeline: Some("default<O2>,function(loop(loop-unroll-full))".to_owned()),
            middle_end: strings(&["-unroll-threshold=400", "-inline-threshold=500"]),
            back_end: strings(&["-align-all-nofallthru-blocks=5", "-relocation-model=pic"]),
            link: strings(&["-Wl,--hash-style=gnu"]),
            ..o3()
        },
    );
}

#[test]
fn a_profile_and_the_hosts_instructions() {
    check(
        Level::Source,
        Recipe {
            profile: true,
            host: true,
            ..o3()
        },
    );
}

#[test]
fn ir_as_it_is_and_optimized_again() {
    check(Level::Ir, o3());
    check(
        Level::Ir,
        Recipe {
            pipeline: Some("function(instcombine,simplifycfg)".to_owned()),
            ..o3()
        },
    );
}

#[test]
fn assembly() {
    check(Level::Assembly, o3());
}

#[test]
fn make_builds_it_once() {
    if Command::new("make").arg("--version").output().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (expected, output) = measured_and_written(Level::Source, o3(), folder.path());
    // make cannot have blanks in names.
    let plain = folder.path().join("plain");
    std::fs::rename(output, &plain).unwrap();
    std::fs::write(
        folder.path().join("Makefile"),
        "include plain/winner.mk\nall: $(WHITTLE_WINNER)\n",
    )
    .unwrap();
    let make = || {
        run(Command::new("make")
            .arg("all")
            .env("LC_ALL", "C")
            .current_dir(folder.path()))
    };
    make();
    assert!(std::fs::read(plain.join("build/two_files")).unwrap() == expected);
    assert!(make().contains("Nothing to be done"));
    run(Command::new("make")
        .args(["-B", "-f", "winner.mk"])
        .current_dir(&plain));
}
