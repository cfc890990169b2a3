//! Measuring real programs in the sandbox. Effects are so large that no disturbance of the machine can hide them.
#![allow(clippy::unwrap_used)] // clippy allows it in test functions, but not in their helpers

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tempfile::TempDir;
use whittle_toolchain::measure::{
    Accept, Arm, CompareOptions, Comparison, Difference, MeasureError, Progress, Verdict, Workload,
    compare, compare_accepting, noise_floor,
};
use whittle_toolchain::sandbox::{End, Limits, Sandbox, SandboxOptions, SealedInput};

/// Reads a number, does that many thousand steps of work times `FACTOR`, prints the result.
pub(crate) const WORK: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    unsigned long n = 0, x = argc > 1 ? strtoul(argv[1], 0, 10) : 0, y = 1;
    if (scanf("%lu", &n) != 1) return 3;
    for (unsigned long i = 0; i < n * 1000; i++) x = x * 6364136223846793005UL + 1442695040888963407UL;
    for (unsigned long i = 0; i < n * 1000 * (FACTOR - 1); i++) y = y * 6364136223846793005UL + x;
    volatile unsigned long keep = y;
    (void)keep;
    printf("%lu\n", x);
    return 0;
}
"#;

/// A folder of compiled programs.
pub(crate) struct Programs {
    pub(crate) folder: TempDir,
}

impl Programs {
    pub(crate) fn new() -> Programs {
        Programs {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn compile(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let (file, executable) = (
            self.folder.path().join(format!("{name}.c")),
            self.folder.path().join(name),
        );
        fs::write(&file, source).unwrap();
        let status = Command::new("cc")
            .args(["-O1", "-o"])
            .args([&executable, &file])
            .args(flags)
            .status()
            .unwrap();
        assert!(status.success());
        executable
    }

    /// The working program, doing its work so many times.
    pub(crate) fn work(&self, factor: u32) -> PathBuf {
        self.compile(
            &format!("work{factor}"),
            WORK,
            &[&format!("-DFACTOR={factor}")],
        )
    }
}

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions::default()).unwrap()
}

pub(crate) fn workload(name: &str, arguments: &[&str], input: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        input: SealedInput::new(input.as_bytes()).unwrap(),
    }
}

pub(crate) fn limits() -> Limits {
    let most = Duration::from_secs(5);
    Limits {
        wall: most,
        cpu: most,
        memory: Some(1 << 30),
        processes: 64,
        output: 1 << 20,
    }
}

fn options() -> CompareOptions {
    CompareOptions {
        min_blocks: 12,
        max_blocks: 12,
        margin: 0.05,
        ..CompareOptions::new(limits(), 1)
    }
}

fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn compare_two(
    baseline: &Path,
    candidate: &Path,
    workloads: &[Workload],
) -> Result<Comparison, MeasureError> {
    compare_two_with(baseline, candidate, workloads, &options())
}

/// Compares one executable of each; a second layout is a copy of it.
fn compare_two_with(
    baseline: &Path,
    candidate: &Path,
    workloads: &[Workload],
    options: &CompareOptions,
) -> Result<Comparison, MeasureError> {
    let layouts = [baseline, candidate].map(|executable| {
        let copy = executable.with_extension("copy");
        fs::copy(executable, &copy).unwrap();
        [executable.to_owned(), copy]
    });
    let baseline = Arm {
        name: "old",
        layouts: &layouts[0],
    };
    let candidate = Arm {
        name: "new",
        layouts: &layouts[1],
    };
    compare(
        &sandbox(),
        &baseline,
        &candidate,
        workloads,
        options,
        &mut go_on,
    )
}

fn heavy() -> Vec<Workload> {
    vec![
        workload("heavy", &[], "12000"),
        workload("heavier", &["5"], "15000"),
    ]
}

#[test]
fn half_the_work_is_about_twice_as_fast() {
    let programs = Programs::new();
    let found = compare_two(&programs.work(2), &programs.work(1), &heavy()).unwrap();
    assert!(1.5 < found.ratio && found.ratio < 2.7, "{}", found.ratio);
    assert!(
        1.5 < found.cpu_ratio && found.cpu_ratio < 2.7,
        "{}",
        found.cpu_ratio
    );
    assert_eq!(
        (found.blocks, found.layouts, found.samples.len()),
        (12, 2, 48)
    );
    let names: Vec<&str> = found.per_workload.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["heavy", "heavier"]);
    assert!(
        found
            .per_workload
            .iter()
            .all(|w| w.baseline_seconds > w.candidate_seconds)
    );
    assert!(found.interval[0] <= found.ratio && found.ratio <= found.interval[1]);
    assert!(found.outputs_equal && found.slower_on.is_empty());
    let text = serde_json::to_string(&found).unwrap();
    let read: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (read.verdict, read.samples.len(), read.per_workload.len()),
        (found.verdict, 48, 2)
    );
}

#[test]
fn the_verdict_follows_with_several_layouts() {
    let programs = Programs::new();
    let executables = [programs.work(3), programs.work(1)];
    let layouts = executables.map(|executable| vec![executable; 4]);
    let arms = [0, 1].map(|i| Arm {
        name: "an arm",
        layouts: &layouts[i],
    });
    let workloads = [workload("heavy", &[], "10000")];
    let verdict = |a, b| {
        compare(&sandbox(), a, b, &workloads, &options(), &mut go_on)
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(&arms[0], &arms[1]), Verdict::Faster);
    assert_eq!(verdict(&arms[1], &arms[0]), Verdict::Slower);
}

#[test]
fn a_program_is_not_faster_than_itself() {
    let programs = Programs::new();
    let work = programs.work(1);
    assert_ne!(
        compare_two(&work, &work, &heavy()).unwrap().verdict,
        Verdict::Faster
    );
    let layouts = vec![work; 3];
    let floor = noise_floor(&sandbox(), &layouts, &heavy(), &options(), &mut go_on).unwrap();
    assert!(
        floor.half_width > 0.0 && floor.half_width.is_finite(),
        "{floor:?}"
    );
    assert!(floor.interval[0] <= floor.ratio && floor.ratio <= floor.interval[1]);
    assert_eq!((floor.blocks, floor.runs), (12, 4 + 2 * 6 + 48));
}

#[test]
fn another_output_or_status_ends_the_comparison() {
    let programs = Programs::new();
    let quick = [workload("small", &[], "1"), workload("empty", &[], "")];
    let work = programs.work(1);
    let wrong = WORK.replace("printf(\"%lu\\n\", x)", "printf(\"%lu\\n\", x + (n == 1))");
    let wrong = programs.compile("wrong", &wrong, &["-DFACTOR=1"]);
    match compare_two(&work, &wrong, &quick) {
        Err(MeasureError::OutputsDiffer {
            workload,
            arm,
            difference: Difference::Output,
        }) => {
            assert_eq!((workload.as_str(), arm.as_str()), ("small", "new"));
        }
        other => panic!("{other:?}"),
    }
    let status = programs.compile(
        "status",
        &WORK.replace("return 3", "return 4"),
        &["-DFACTOR=1"],
    );
    match compare_two(&work, &status, &quick) {
        Err(MeasureError::OutputsDiffer {
            workload,
            difference,
            ..
        }) => {
            assert_eq!(workload, "empty");
            assert_eq!(
                difference,
                Difference::Status {
                    expected: 3,
                    found: 4
                }
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_output_may_be_accepted_but_has_to_stay_the_same() {
    let programs = Programs::new();
    let (old, new) = (r#"printf("1.50\n")"#, r#"printf("1.5\n")"#);
    let print = |name, what: &str| {
        programs.compile(
            name,
            &format!("#include <stdio.h>\nint main(void) {{ {what}; return 0; }}"),
            &[],
        )
    };
    let random = r#"int x; printf("%p\n", (void *)&x)"#;
    let layouts = [
        [print("old", old)],
        [print("new", new)],
        [print("random", random)],
    ];
    let arms = layouts.each_ref().map(|layouts| Arm {
        name: "it",
        layouts,
    });
    let any = [workload("any", &[], "")];
    let compare = |candidate, accept: &Accept<'_>| {
        compare_accepting(
            &sandbox(),
            &arms[0],
            candidate,
            &any,
            &options(),
            accept,
            &mut go_on,
        )
    };
    let found = compare(&arms[1], &|workload, old, new| {
        assert_eq!(
            (workload.name.as_str(), old, new),
            ("any", &b"1.50\n"[..], &b"1.5\n"[..])
        );
        true
    });
    assert!(!found.unwrap().outputs_equal);
    assert!(matches!(
        compare(&arms[1], &|_, _, _| false),
        Err(MeasureError::OutputsDiffer { .. })
    ));
    assert!(matches!(
        compare(&arms[2], &|_, _, _| true),
        Err(MeasureError::OutputsDiffer { .. })
    ));
}

#[test]
fn a_baseline_that_disagrees_with_itself_is_named() {
    let programs = Programs::new();
    let random =
        "#include <stdio.h>\nint main(void) { int x; printf(\"%p\\n\", (void *)&x); return 0; }";
    let random = programs.compile("random", random, &[]);
    match compare_two(&random, &random, &[workload("any", &[], "")]) {
        Err(MeasureError::OutputsDiffer { arm, .. }) => assert_eq!(arm, "old"),
        other => panic!("{other:?}"),
    }
}

fn failure(source: &str) -> End {
    let programs = Programs::new();
    let fine = programs.compile("fine", "int main(void) { return 0; }", &[]);
    let bad = programs.compile("bad", source, &[]);
    let second = Duration::from_secs(1);
    let limits = Limits {
        wall: second,
        cpu: second,
        ..limits()
    };
    let options = CompareOptions {
        limits,
        ..options()
    };
    match compare_two_with(&fine, &bad, &[workload("any", &[], "")], &options) {
        Err(MeasureError::RunFailed { arm, workload, end }) => {
            assert_eq!((workload.as_str(), arm.as_str()), ("any", "new"));
            end
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crash_ends_the_comparison() {
    let end = failure("#include <stdlib.h>\nint main(void) { abort(); }");
    assert_eq!(end, End::Signalled(6));
}

#[test]
fn an_endless_loop_ends_the_comparison() {
    let end = failure("int main(void) { volatile int x = 1; while (x) { } return 0; }");
    // Whichever limit a busy loop meets first.
    assert!(matches!(end, End::WallTime | End::CpuTime), "{end:?}");
    assert_eq!(
        failure("#include <unistd.h>\nint main(void) { for (;;) pause(); }"),
        End::WallTime
    );
}

#[test]
fn arms_must_have_equally_many_layouts_and_something_to_run() {
    let layouts = vec![PathBuf::from("/bin/true"); 2];
    let (one, two) = (
        Arm {
            name: "one",
            layouts: &layouts[..1],
        },
        Arm {
            name: "two",
            layouts: &layouts,
        },
    );
    let any = [workload("any", &[], "")];
    let found = compare(&sandbox(), &one, &two, &any, &options(), &mut go_on).unwrap_err();
    assert_eq!(
        found.to_string(),
        "one has 1 link layouts, two has 2; they are compared in pairs"
    );
    let found = compare(&sandbox(), &one, &one, &[], &options(), &mut go_on);
    assert!(matches!(found, Err(MeasureError::Nothing)));
}

#[test]
fn observer_and_sandbox_can_cancel() {
    let programs = Programs::new();
    let layouts = [programs.work(1)];
    let arm = Arm {
        name: "it",
        layouts: &layouts,
    };
    let mut observer = |progress: &Progress| {
        assert_eq!((progress.blocks_done, progress.blocks_planned), (1, 12));
        ControlFlow::Break(())
    };
    let any = [workload("any", &[], "1")];
    let found = compare(&sandbox(), &arm, &arm, &any, &options(), &mut observer);
    assert!(matches!(found, Err(MeasureError::Cancelled)), "{found:?}");

    let cancel = Arc::new(AtomicBool::new(true));
    let sandbox = Sandbox::new(SandboxOptions {
        cancel,
        ..SandboxOptions::default()
    })
    .unwrap();
    let layouts = [programs.compile(
        "pause",
        "#include <unistd.h>\nint main(void) { for (;;) pause(); }",
        &[],
    )];
    let arm = Arm {
        name: "it",
        layouts: &layouts,
    };
    let found = compare(&sandbox, &arm, &arm, &any, &options(), &mut go_on);
    assert!(matches!(found, Err(MeasureError::Cancelled)), "{found:?}");
}
