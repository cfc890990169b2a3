//! The translation validator, spoken to through a stand-in with its output format.

use std::path::PathBuf;
use std::time::Duration;

use whittle_toolchain::sandbox::{Limits, Sandbox, SandboxOptions};
use whittle_toolchain::tools::{AliveOutcome, Found, Located, Store, Tool, ToolError, Toolchain};

use super::Bench;

fn with_stand_in(bench: &Bench) -> Toolchain {
    let mut found = Found::find(None).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/alive-tv");
    found.tools.insert(
        Tool::AliveTv,
        Located {
            path,
            version: "stand-in".to_owned(),
        },
    );
    let limits = Limits {
        wall: Duration::from_secs(2),
        ..Limits::COMPILE
    };
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    Toolchain::with_limits(
        found,
        sandbox,
        Store::open(bench.toolchain.store().root()).unwrap(),
        limits,
    )
    .unwrap()
}

fn module(comment: &str) -> String {
    format!("define i32 @f(i32 %x) {{ ; {comment}\n  ret i32 %x\n}}\n")
}

#[test]
fn what_the_validator_says_is_understood() {
    let bench = Bench::new();
    let tools = with_stand_in(&bench);
    let ask = |comment: &str| {
        tools
            .alive(&module("original"), &module(comment), 8)
            .unwrap()
    };
    assert_eq!(
        ask("fine"),
        AliveOutcome::Proved {
            functions: vec!["f".to_owned()],
            unroll: 8
        }
    );
    let AliveOutcome::Refuted {
        function,
        counterexample,
    } = ask("wrong")
    else {
        panic!()
    };
    assert_eq!(function, "f");
    assert!(
        counterexample.starts_with("ERROR: Value mismatch")
            && counterexample.contains("Target value")
    );
    assert_eq!(
        ask("hard"),
        AliveOutcome::Unknown {
            reason: "ERROR: Timeout".to_owned()
        }
    );
    assert_eq!(
        ask("slow"),
        AliveOutcome::Unknown {
            reason: "alive-tv was stopped after 2 s".to_owned()
        }
    );
    let AliveOutcome::Unknown { reason } = ask("crash") else {
        panic!()
    };
    assert!(
        reason.starts_with("alive-tv ended unexpectedly: signal 11"),
        "{reason}"
    );
    let refused = tools
        .alive(&module("original"), &module("fine"), 9)
        .unwrap();
    assert_eq!(
        refused,
        AliveOutcome::Unknown {
            reason: "alive-tv: Unknown command line argument '--src-unroll=9'.".to_owned()
        }
    );
}

#[test]
fn without_it_the_error_says_so() {
    let bench = Bench::new();
    if bench.toolchain.found().path(Tool::AliveTv).is_some() {
        return;
    }
    let error = bench.toolchain.alive("", "", 4).unwrap_err();
    assert!(matches!(error, ToolError::NotFound { .. }));
    insta::assert_snapshot!(error, @"alive-tv not found; install with: put alive-tv into a folder of PATH");
}
