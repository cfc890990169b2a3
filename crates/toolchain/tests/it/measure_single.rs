//! Quick times, noise and instruction counts of real programs.

use std::path::Path;
use std::time::Duration;

use whittle_toolchain::measure::{
    Difference, MeasureError, QuickOptions, instruction_count, machine_noise, quick_time,
};
use whittle_toolchain::sandbox::{End, Limits};

use crate::measure::{Programs, WORK, limits, sandbox, workload};

#[test]
fn the_program_sees_nothing_of_its_place_or_ours() {
    let programs = Programs::new();
    let nosy = r#"
        #include <stdio.h>
        #include <string.h>
        #include <stdlib.h>
        extern char **environ;
        int main(int argc, char **argv) {
            int variables = 0;
            while (environ[variables]) variables++;
            printf("%s %d %d %s\n", argv[0], argc, variables, getenv("LC_ALL"));
            return strcmp(argv[0], "program") || variables != 2 || argc != 2;
        }"#;
    let nosy = programs.compile("nosy", nosy, &[]);
    let options = QuickOptions {
        repeats: 3,
        give_up_above: 2.0,
        seed: 0,
        limits: limits(),
    };
    let found = quick_time(
        &sandbox(),
        "nosy",
        &nosy,
        &[workload("any", &["x"], "")],
        &options,
        None,
    )
    .unwrap();
    assert_eq!(found.workloads[0].status, 0);
}

#[test]
fn quick_times_give_up_on_what_is_hopeless() {
    let programs = Programs::new();
    let workloads = [
        workload("first", &[], "10000"),
        workload("second", &[], "10000"),
    ];
    let options = QuickOptions {
        repeats: 3,
        give_up_above: 2.0,
        seed: 0,
        limits: limits(),
    };
    let time = |factor, reference| {
        quick_time(
            &sandbox(),
            "it",
            &programs.work(factor),
            &workloads,
            &options,
            reference,
        )
        .unwrap()
    };
    let reference = time(1, None);
    assert!(!reference.gave_up && reference.workloads.len() == 2);
    let slow = time(8, Some(&reference));
    assert!(slow.gave_up && slow.workloads.len() == 1, "{slow:?}");
    assert!(slow.ratio(&reference) < 0.5 && reference.ratio(&slow) > 2.0);

    let other = programs.compile("other", &WORK.replace("%lu\\n", "%lx\\n"), &["-DFACTOR=1"]);
    let found = quick_time(
        &sandbox(),
        "other",
        &other,
        &workloads,
        &options,
        Some(&reference),
    );
    assert!(matches!(
        found,
        Err(MeasureError::OutputsDiffer {
            difference: Difference::Output,
            ..
        })
    ));
}

#[test]
fn machine_noise_is_described() {
    let programs = Programs::new();
    let found = machine_noise(
        &sandbox(),
        &programs.work(1),
        &workload("any", &[], "1000"),
        limits(),
        5,
    )
    .unwrap();
    assert!(
        found.runs == 5 && found.median_seconds > 0.0 && found.coefficient_of_variation > 0.0,
        "{found:?}"
    );
    assert!((0.0..=0.5).contains(&found.disturbed));
}

#[test]
fn callgrind_counts_the_same_every_time() {
    let valgrind = Path::new("/usr/bin/valgrind");
    if !valgrind.exists() {
        eprintln!("skipped: no valgrind");
        return;
    }
    let programs = Programs::new();
    let limits = Limits {
        memory: Some(8 << 30),
        wall: Duration::from_secs(60),
        cpu: Duration::from_secs(60),
        ..limits()
    };
    let count = |program: &Path, input: &str| {
        instruction_count(
            &sandbox(),
            valgrind,
            program,
            &workload("any", &["7"], input),
            limits,
        )
    };
    let (one, two) = (programs.work(1), programs.work(2));
    let once = count(&one, "100").unwrap();
    assert!(once > 200_000, "{once}");
    assert_eq!(count(&one, "100").unwrap(), once);
    assert!(count(&two, "100").unwrap() > once + 200_000);
    assert!(count(&one, "200").unwrap() > once + 200_000);
    let text = programs.folder.path().join("work1.c");
    assert!(matches!(
        count(&text, ""),
        Err(MeasureError::NoCount { .. })
    ));
    let crash = programs.compile(
        "crash",
        "#include <stdlib.h>\nint main(void) { abort(); }",
        &[],
    );
    assert!(matches!(
        count(&crash, ""),
        Err(MeasureError::RunFailed {
            end: End::Signalled(6),
            ..
        })
    ));
}
