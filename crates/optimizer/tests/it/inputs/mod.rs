//! Inputs from files, from a command, and made here.

mod held_out;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use whittle_optimizer::evidence::reference::{Reference, ReferenceError, ReferenceOptions};
use whittle_optimizer::inputs::{self, Case, InputError, InputOptions, Inputs, Origin};
use whittle_toolchain::sandbox::{Sandbox, SandboxOptions};
use whittle_toolchain::tools::{Found, Store, Toolchain};

use crate::common::Scratch;
use crate::reference::program;

fn gather_with(
    toolchain: &Toolchain,
    scratch: &Scratch,
    source: &str,
    options: &InputOptions,
) -> Result<Inputs, InputError> {
    let program = program(scratch, source);
    let limits = ReferenceOptions {
        wall: Duration::from_secs(2),
        ..ReferenceOptions::default()
    };
    let reference = Reference::new(toolchain, &program)?.with_options(limits);
    let mut observe = |_: &_| ControlFlow::Continue(());
    inputs::gather(toolchain, &program, &reference, options, &mut observe)
}

fn gather(scratch: &Scratch, source: &str, options: &InputOptions) -> Result<Inputs, InputError> {
    gather_with(&scratch.toolchain(), scratch, source, options)
}

/// Writes tests into a folder.
fn tests(scratch: &Scratch, files: &[(&str, &str)]) -> InputOptions {
    for (name, content) in files {
        scratch.file(&format!("tests/{name}"), content);
    }
    InputOptions {
        tests: Some(scratch.path("tests")),
        effort: Duration::from_secs(2),
        ..InputOptions::default()
    }
}

fn all(inputs: &Inputs) -> impl Iterator<Item = &Case> {
    let tests = inputs.visible.iter().chain(&inputs.held_out);
    tests
        .chain(&inputs.search_timing)
        .chain(&inputs.final_timing)
}

/// No input is in two lists, no name is given twice, and no list is empty.
fn assert_kept_apart(inputs: &Inputs) {
    let count = all(inputs).count();
    let different: BTreeSet<_> = all(inputs)
        .map(|case| (&case.arguments, &case.input))
        .collect();
    let names: BTreeSet<_> = all(inputs).map(|case| &case.name).collect();
    assert_eq!((different.len(), names.len()), (count, count));
    let lists = [
        &inputs.visible,
        &inputs.held_out,
        &inputs.search_timing,
        &inputs.final_timing,
    ];
    assert!(
        lists.iter().all(|list| !list.is_empty()),
        "{:?}",
        lists.map(Vec::len)
    );
}

fn numbers(case: &Case) -> Vec<i64> {
    let text = String::from_utf8_lossy(&case.input).into_owned();
    text.split_whitespace()
        .map(|token| token.parse().unwrap())
        .collect()
}

const SORT: &str = r#"#include <stdio.h>
#include <stdlib.h>
static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}
int main(void) {
    int n;
    if (scanf("%d", &n) != 1 || n < 0 || n > 3000000)
        return 1;
    int *a = malloc(((size_t)n + 1) * sizeof *a);
    for (int i = 0; i < n; i++)
        if (scanf("%d", &a[i]) != 1) {
            free(a);
            return 2;
        }
    qsort(a, (size_t)n, sizeof *a, compare);
    unsigned long long sum = 0;
    for (int i = 0; i < n; i++)
        sum = sum * 31 + (unsigned)a[i];
    printf("%llu\n", sum);
    free(a);
}
"#;

#[test]
fn without_tests_inputs_grow_until_a_run_takes_long_enough() {
    let scratch = Scratch::new();
    let inputs = gather(&scratch, SORT, &InputOptions::default()).unwrap();
    assert_kept_apart(&inputs);
    assert!(inputs.notes.is_empty(), "{:?}", inputs.notes);
    for case in inputs.search_timing.iter().chain(&inputs.final_timing) {
        let numbers = numbers(case);
        assert!(
            numbers[0] > 10_000,
            "{} has {} numbers",
            case.name,
            numbers[0]
        );
        assert!(numbers.len() as i64 > numbers[0]);
        assert_eq!(case.expected.status, 0);
    }
    assert!(inputs.visible.len() + inputs.held_out.len() >= 20);
    assert!(all(&inputs).all(|case| case.origin == Origin::BuiltIn));
    // Empty input, and numbers below zero, are among what is checked.
    let tests = || inputs.visible.iter().chain(&inputs.held_out);
    assert!(tests().any(|case| case.input.is_empty()));
    assert!(tests().any(|case| case.input.contains(&b'-')));
}

/// Commands, each with its own ways to fail; every way prints another letter.
const PARSER: &str = r#"#include <stdio.h>
#include <string.h>
int main(void) {
    char word[16];
    long stack[8], value;
    int depth = 0;
    while (scanf("%15s", word) == 1) {
        if (strcmp(word, "push") == 0) {
            if (scanf("%ld", &value) != 1) {
                puts("A");
                return 1;
            }
            if (depth == 8) {
                puts("B");
                return 2;
            }
            stack[depth++] = value % 1000;
            puts(value < 0 ? "C" : value > 100000 ? "D" : "E");
        } else if (strcmp(word, "add") == 0) {
            if (depth < 2) {
                puts("F");
                return 3;
            }
            depth--;
            stack[depth - 1] += stack[depth];
            puts("G");
        } else if (strcmp(word, "print") == 0) {
            if (depth == 0)
                puts("H");
            else
                printf("I %ld\n", stack[depth - 1]);
        } else {
            puts("J");
            return 4;
        }
    }
    puts("K");
    return 0;
}
"#;

#[test]
fn without_tests_all_branches_of_a_small_parser_are_reached() {
    let scratch = Scratch::new();
    let options = InputOptions {
        effort: Duration::from_secs(60),
        attempts: 1_500,
        timing_seconds: 0.03,
        ..InputOptions::default()
    };
    let inputs = gather(&scratch, PARSER, &options).unwrap();
    let printed: BTreeSet<char> = inputs
        .visible
        .iter()
        .chain(&inputs.held_out)
        .flat_map(|case| case.expected.stdout.iter().map(|&byte| char::from(byte)))
        .filter(char::is_ascii_uppercase)
        .collect();
    assert_eq!(printed.into_iter().collect::<String>(), "ABCDEFGHIJK");
    assert_eq!(inputs.coverage, Some(1.0));
}

#[test]
fn the_same_seed_finds_the_same_tests() {
    let find = |seed| {
        let scratch = Scratch::new();
        let options = InputOptions {
            seed,
            effort: Duration::from_secs(120),
            attempts: 64,
            timing_seconds: 0.02,
            visible: 4,
            held_out: 8,
            search_timing: 1,
            final_timing: 1,
            ..tests(
                &scratch,
                &[
                    ("a.in", "3\n3 1 2\n"),
                    ("b.in", "0\n"),
                    ("c.in", "4\n-1 5 5 0\n"),
                ],
            )
        };
        let inputs = gather(&scratch, SORT, &options).unwrap();
        assert_kept_apart(&inputs);
        (inputs.visible, inputs.held_out)
    };
    let first = find(1);
    assert_eq!(first, find(1));
    assert_ne!(first, find(2));
}

#[test]
fn tests_of_the_user_are_kept_apart_and_large_ones_are_timed() {
    let scratch = Scratch::new();
    let large = |seed: i64| {
        let values: Vec<String> = (0..400_000)
            .map(|i| (i * 7919 * seed % 1_000_003).to_string())
            .collect();
        format!("400000\n{}\n", values.join(" "))
    };
    let mut options = tests(
        &scratch,
        &[
            ("empty.in", ""),
            ("one.in", "1\n5\n"),
            ("same.in", "1\n5\n"),
            ("three.in", "3\n3 1 2\n"),
            ("three.out", "1026\n"),
            ("wrong.in", "x\n"),
            ("large-1.in", &large(1)),
            ("large-2.in", &large(2)),
        ],
    );
    options.visible = 3;
    let inputs = gather(&scratch, SORT, &options).unwrap();
    assert_kept_apart(&inputs);
    let timed = |list: &[Case]| -> Vec<String> {
        list.iter()
            .filter(|case| case.origin == Origin::User)
            .map(|case| case.name.clone())
            .collect()
    };
    let mut users: Vec<String> = timed(&inputs.search_timing);
    assert_eq!(users.len(), 1);
    users.extend(timed(&inputs.final_timing));
    users.sort();
    assert_eq!(users, ["large-1", "large-2"]);
    // Of each there is another as large in the other list.
    for case in inputs.search_timing.iter().chain(&inputs.final_timing) {
        assert_eq!(numbers(case)[0], 400_000, "{}", case.name);
    }
    assert!(
        inputs
            .visible
            .iter()
            .all(|case| case.origin == Origin::User)
    );
    assert_eq!(inputs.dropped[0].name, "same");
    assert!(inputs.coverage.unwrap() > 0.8);
}

#[test]
fn tests_on_which_the_original_is_undefined_are_dropped_with_the_reason() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) {\n    int a[4] = {1, 2, 3, 4}, n;\n    if (scanf(\"%d\", &n) != 1) return 1;\n    \
                  printf(\"%d\\n\", a[n]);\n}\n";
    let options = tests(&scratch, &[("good.in", "2\n"), ("bad.in", "4\n")]);
    let inputs = gather(&scratch, source, &options).unwrap();
    assert!(all(&inputs).any(|case| case.name == "good"));
    assert!(all(&inputs).all(|case| case.name != "bad"));
    let bad = inputs
        .dropped
        .iter()
        .find(|dropped| dropped.name == "bad")
        .unwrap();
    assert!(bad.reason.contains("prog.c:5"), "{}", bad.reason);
}

#[test]
fn a_program_without_one_fit_input_is_refused_with_the_reason() {
    let refused = |source: &str| {
        let scratch = Scratch::new();
        let options = InputOptions {
            effort: Duration::from_secs(2),
            ..InputOptions::default()
        };
        let error = gather(&scratch, source, &options).unwrap_err();
        assert!(
            matches!(error, InputError::Reference(ReferenceError::Unfit { .. })),
            "{error}"
        );
        error.to_string()
    };
    let text = refused(
        "#include <stdio.h>\n#include <time.h>\nint main(void) { printf(\"%ld\\n\", (long)time(NULL)); }\n",
    );
    assert!(
        text.contains("not deterministic (it imports time)"),
        "{text}"
    );
    let text = refused("#include <unistd.h>\nint main(void) { fork(); return 0; }\n");
    assert!(
        text.contains("forbidden") && text.contains("fork"),
        "{text}"
    );
    let text = refused(
        "int main(void) {\n    int a[2] = {0};\n    for (volatile int i = 0; i < 3; i++)\n        a[i]++;\n    return a[1];\n}\n",
    );
    assert!(text.contains("prog.c:4"), "{text}");
    let text = refused("int main(void) { volatile int i = 0; for (;;) i++; }\n");
    assert!(text.contains("still running"), "{text}");
}

#[test]
fn all_tests_unfit_is_refused_although_others_could_be_made() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) {\n    int a[4] = {0}, n = 0;\n    if (scanf(\"%d\", &n) != 1) return 1;\n    \
                  printf(\"%d\\n\", a[n]);\n}\n";
    let error = gather(
        &scratch,
        source,
        &tests(&scratch, &[("x.in", "9"), ("y.in", "7")]),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("none of 2 inputs") && text.contains("on x") && text.contains("prog.c:5"),
        "{text}"
    );
}

#[test]
fn a_program_that_needs_files_is_refused() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) {\n    FILE *f = fopen(\"data.txt\", \"r\");\n    if (!f) {\n        \
                  fprintf(stderr, \"cannot open data.txt\\n\");\n        return 1;\n    }\n    int c;\n    while ((c = fgetc(f)) != EOF)\n        putchar(c);\n    fclose(f);\n}\n";
    let options = InputOptions {
        effort: Duration::from_secs(2),
        ..InputOptions::default()
    };
    let error = gather(&scratch, source, &options).unwrap_err();
    assert!(
        matches!(
            error,
            InputError::Reference(ReferenceError::NeedsFiles { .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("fopen"), "{error}");
}

#[test]
fn an_expected_output_that_does_not_come_ends_the_collection() {
    let scratch = Scratch::new();
    let options = tests(&scratch, &[("a.in", "1\n5\n"), ("a.out", "6\n")]);
    let text = gather(&scratch, SORT, &options).unwrap_err().to_string();
    assert!(
        text.contains("test a:") && text.contains("expected \"6\", got \"5\""),
        "{text}"
    );
}

#[test]
fn a_program_without_input_has_tests_and_timings_all_the_same() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) {\n    unsigned x = 1;\n    for (volatile int i = 0; i < 20000000; i++) x = x * 3 + i;\n    printf(\"%u\\n\", x);\n}\n";
    let options = InputOptions {
        effort: Duration::from_secs(2),
        ..InputOptions::default()
    };
    let inputs = gather(&scratch, source, &options).unwrap();
    assert_kept_apart(&inputs);
}

#[test]
fn a_program_with_arguments_only_is_given_arguments() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\n#include <stdlib.h>\nint main(int argc, char **argv) {\n    if (argc < 2) return 1;\n    long n = atol(argv[1]);\n    \
                  if (n < 0 || n > 1000000000) return 2;\n    unsigned x = 1;\n    for (long i = 0; i < n; i++) x ^= x << 5 ^ (unsigned)i;\n    printf(\"%u\\n\", x);\n}\n";
    let options = InputOptions {
        effort: Duration::from_secs(3),
        held_out: 8,
        search_timing: 1,
        final_timing: 2,
        ..InputOptions::default()
    };
    let inputs = gather(&scratch, source, &options).unwrap();
    assert_kept_apart(&inputs);
    for case in inputs.search_timing.iter().chain(&inputs.final_timing) {
        assert!(
            case.arguments[0].parse::<i64>().unwrap() > 1_000_000,
            "{:?}",
            case.arguments
        );
    }
    assert!(inputs.notes.is_empty(), "{:?}", inputs.notes);
}

#[test]
fn a_command_makes_inputs_of_growing_size() {
    let scratch = Scratch::new();
    let script = "awk -v seed=\"$1\" -v n=\"$2\" 'BEGIN { srand(seed); print n; for (i = 0; i < n; i++) print int(rand() * 1000000) }'\n";
    let file = scratch.file("generate.sh", script);
    let options = InputOptions {
        generator: Some(format!("sh {}", file.display())),
        effort: Duration::from_secs(2),
        ..InputOptions::default()
    };
    // The command may read its own folder only.
    let error = gather(&scratch, SORT, &options).unwrap_err();
    assert!(matches!(error, InputError::Generator(_)), "{error}");
    let options = InputOptions {
        generator: Some(format!("f() {{ {}; }}; f", script.trim_end())),
        ..options
    };
    let inputs = gather(&scratch, SORT, &options).unwrap();
    assert_kept_apart(&inputs);
    for case in inputs.search_timing.iter().chain(&inputs.final_timing) {
        assert_eq!(case.origin, Origin::Generator);
        assert!(numbers(case)[0] > 10_000, "{}", case.name);
    }
    assert!(
        inputs
            .visible
            .iter()
            .any(|case| case.origin == Origin::Generator)
    );
}

#[test]
fn a_command_that_fails_or_is_not_deterministic_is_refused() {
    let refused = |command: &str| {
        let scratch = Scratch::new();
        let options = InputOptions {
            generator: Some(command.to_owned()),
            ..InputOptions::default()
        };
        gather(&scratch, SORT, &options).unwrap_err().to_string()
    };
    let text = refused("echo oh no >&2; exit 3;");
    assert!(text.contains("exit status 3: \"oh no\""), "{text}");
    let text = refused("od -An -N8 -tu8 /dev/urandom #");
    assert!(text.contains("another input"), "{text}");
    let text = refused("no-such-command");
    assert!(text.contains("exit status 127"), "{text}");
}

#[test]
fn the_user_can_stop_at_any_time() {
    let scratch = Scratch::new();
    let toolchain = scratch.toolchain();
    let program = program(&scratch, SORT);
    let reference = Reference::new(&toolchain, &program).unwrap();
    for patience in [0, 3, 20] {
        let mut left = patience;
        let mut observe = |_: &_| {
            left -= 1;
            if left < 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = InputOptions::default();
        let result = inputs::gather(&toolchain, &program, &reference, &options, &mut observe);
        assert!(matches!(result, Err(InputError::Cancelled)));
    }
}

#[test]
fn a_folder_without_tests_is_an_error() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("tests")).unwrap();
    let text = gather(&scratch, SORT, &tests(&scratch, &[]))
        .unwrap_err()
        .to_string();
    assert!(text.contains("has no tests"), "{text}");
}

#[test]
fn what_is_stopped_in_the_middle_of_a_run_is_told_as_such() {
    let scratch = Scratch::new();
    let cancel = Arc::new(AtomicBool::new(false));
    let options = SandboxOptions {
        cancel: cancel.clone(),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::new(options).unwrap();
    let store = Store::open(scratch.path("store")).unwrap();
    let toolchain = Toolchain::new(Found::find(None).unwrap(), sandbox, store).unwrap();
    let program = program(&scratch, SORT);
    let reference = Reference::new(&toolchain, &program).unwrap();
    let mut left = 12;
    let mut observe = |_: &_| {
        left -= 1;
        cancel.store(left < 0, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let options = InputOptions::default();
    let result = inputs::gather(&toolchain, &program, &reference, &options, &mut observe);
    assert!(matches!(result, Err(InputError::Cancelled)), "{result:?}");
}
