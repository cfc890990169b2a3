//! Identical work is done once, and what was spoiled is done again.

use std::fs;
use std::time::Duration;

use whittle_toolchain::sandbox::{Job, Sandbox, SandboxOptions};
use whittle_toolchain::tools::{Found, Store, ToolError, Toolchain, Unit};

use super::{Bench, strings, unit};

#[test]
fn an_identical_call_is_answered_from_the_store() {
    let bench = Bench::new();
    let flags = strings(&["-O3"]);
    let first = bench.toolchain.compile(&[unit("sum.c")], &flags).unwrap();
    let calls = bench.files("calls");
    assert_eq!(calls.len(), 1);
    let written = fs::metadata(&first.path).unwrap().modified().unwrap();
    let second = bench.again().compile(&[unit("sum.c")], &flags).unwrap();
    assert_eq!(second, first);
    assert_eq!(bench.files("calls"), calls);
    assert_eq!(
        fs::metadata(&second.path).unwrap().modified().unwrap(),
        written
    );
    bench
        .toolchain
        .compile(&[unit("sum.c")], &strings(&["-O2"]))
        .unwrap();
    assert_eq!(bench.files("calls").len(), 2);
}

#[test]
fn two_stores_hold_the_same_bytes() {
    let flags = strings(&["-O2", "-g"]);
    let digests = [Bench::new(), Bench::new()].map(|bench| {
        bench
            .toolchain
            .compile(&[unit("sum.c")], &flags)
            .unwrap()
            .digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn compile_errors_are_remembered() {
    let bench = Bench::new();
    let main = [Unit::new("main.c", "int main(void) { return x; }\n")];
    let first = bench.toolchain.compile(&main, &[]).unwrap_err();
    assert_eq!(bench.files("calls").len(), 1);
    let second = bench.again().compile(&main, &[]).unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
    let (
        ToolError::Failed {
            diagnostics: first, ..
        },
        ToolError::Failed {
            diagnostics: second,
            ..
        },
    ) = (first, second)
    else {
        panic!("not a compile error");
    };
    assert_eq!(first, second);
}

#[test]
fn a_spoiled_artifact_is_made_anew() {
    let bench = Bench::new();
    let flags = strings(&["-O3"]);
    let ir = || {
        bench
            .toolchain
            .front_end(&[unit("sum.c")], "sum.c", &flags)
            .unwrap()
            .output
    };
    let first = ir();
    for object in bench.files("objects") {
        let bytes = fs::read(&object).unwrap();
        fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(ir(), first);
    for object in bench.files("objects") {
        fs::remove_file(object).unwrap();
    }
    assert_eq!(ir(), first);
    for call in bench.files("calls") {
        fs::write(call, "{ \"status\": 0, ").unwrap();
    }
    assert_eq!(ir(), first);
}

#[test]
fn a_time_out_is_not_remembered() {
    let bench = Bench::new();
    let slow = [Unit::new("main.c", slow_to_compile())];
    let flags = strings(&["-O3"]);
    let mut limits = Job::compile("", "").limits;
    limits.wall = Duration::from_millis(60);
    let hurried = Toolchain::with_limits(
        Found::find(None).unwrap(),
        Sandbox::new(SandboxOptions::default()).unwrap(),
        Store::open(bench.toolchain.store().root()).unwrap(),
        limits,
    );
    let error = hurried.unwrap().compile(&slow, &flags).unwrap_err();
    assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
    assert_eq!(bench.files("calls").len(), 0);
    bench.toolchain.compile(&slow, &flags).unwrap();
}

/// Takes a second or so.
fn slow_to_compile() -> String {
    let line = |i| format!("for (int i = 0; i < n; i++) a[i * {i} % 97] += a[i] * b[i + {i}];");
    let lines = (0..600).map(line).collect::<Vec<_>>().join("\n");
    format!("int a[100000], b[100000];\nint main(int n, char **v) {{\n{lines}  return a[3];\n}}\n")
}

#[test]
fn what_a_store_without_room_says() {
    // Root may write anywhere, so a file stands where the folder of objects should be.
    let bench = Bench::new();
    let objects = bench.toolchain.store().root().join("objects");
    fs::remove_dir(&objects).unwrap();
    fs::write(&objects, "").unwrap();
    let error = bench.toolchain.compile(&[unit("sum.c")], &[]).unwrap_err();
    assert!(matches!(error, ToolError::Store { .. }), "{error}");
    assert!(
        error.to_string().contains(objects.to_str().unwrap()),
        "{error}"
    );
    assert!(!error.is_about_the_input());
}
