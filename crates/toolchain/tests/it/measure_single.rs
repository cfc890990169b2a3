//! Single runs, noise and instruction counts of real programs.

use std::path::Path;
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::measure::{MeasureError, instruction_count, machine_noise, program_job};
use whittle_toolchain::sandbox::{End, Limits};

use crate::measure::{Programs, limits, sandbox, workload};

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
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..3 {
        let any = workload("any", &["x"], "");
        let job = program_job(&nosy, &any, folder.path(), limits(), &mut random);
        assert_eq!(sandbox().run(&job).unwrap().end, End::Exited(0));
    }
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
