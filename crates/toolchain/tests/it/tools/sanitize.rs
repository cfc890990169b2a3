//! Programs with faults under the sanitizers.

use whittle_toolchain::sandbox::SealedInput;
use whittle_toolchain::tools::{Sanitizer, SanitizerOutcome, Unit};

use super::{Bench, strings, unit};

/// What the sanitizer says of `int main(int argc, char **argv)` with this body and one argument.
fn outcome(bench: &Bench, sanitizer: Sanitizer, body: &str) -> SanitizerOutcome {
    let text = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <limits.h>\n\
         static int get(const int *p, int i) {{ return p[i]; }}\n\
         int main(int argc, char **argv) {{\n  (void)get; (void)argv;\n{body}\n  return 0;\n}}\n"
    );
    run(bench, sanitizer, &[Unit::new("main.c", text)], b"")
}

fn run(bench: &Bench, sanitizer: Sanitizer, units: &[Unit], input: &[u8]) -> SanitizerOutcome {
    let program = bench
        .toolchain
        .sanitized(units, &strings(&["-O3"]), sanitizer)
        .unwrap();
    let input = SealedInput::new(input).unwrap();
    bench
        .toolchain
        .run_sanitized(&program, &input, &strings(&["3"]))
        .unwrap()
}

fn shown(outcome: &SanitizerOutcome) -> String {
    match outcome {
        SanitizerOutcome::Clean => "clean".to_owned(),
        SanitizerOutcome::Stopped { how } => format!("stopped: {how}"),
        SanitizerOutcome::Report { text, .. } => text.clone(),
    }
}

#[test]
fn a_sound_program_is_clean() {
    let bench = Bench::new();
    for sanitizer in [
        Sanitizer::Address,
        Sanitizer::Undefined,
        Sanitizer::Memory,
        Sanitizer::AddressUndefined,
    ] {
        let outcome = run(
            &bench,
            sanitizer,
            &[unit("sum.c")],
            b"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
        );
        assert_eq!(outcome, SanitizerOutcome::Clean, "{sanitizer}");
    }
}

#[test]
fn faults_are_found_and_placed() {
    let bench = Bench::new();
    let cases = [
        (
            Sanitizer::Address,
            "int *p = malloc(16);\nprintf(\"%d\\n\", get(p, 3 + argc / 2));",
        ),
        (
            Sanitizer::AddressUndefined,
            "int *p = malloc(16); free(p);\nprintf(\"%d\\n\", get(p, argc));",
        ),
        (
            Sanitizer::Address,
            "char b[4];\nmemset(b, 0, argc * 4);\nputs(b);",
        ),
        (
            Sanitizer::Address,
            "free(malloc(argc));\nint *p = malloc(4); free(p);\nfree(p);",
        ),
        (
            Sanitizer::Undefined,
            "int x = INT_MAX;\nprintf(\"%d\\n\", x + argc);",
        ),
        (
            Sanitizer::AddressUndefined,
            "printf(\"%d\\n\", 1 << (30 + argc));",
        ),
        (
            Sanitizer::Undefined,
            "int *p = argc > 1 ? NULL : &argc;\nreturn *p;",
        ),
        (
            Sanitizer::Memory,
            "int *p = malloc(16);\nif (p[argc]) puts(\"odd\");",
        ),
        (
            Sanitizer::Memory,
            "int x;\nif (argc > 5) x = 1;\nif (x) puts(\"odd\");",
        ),
    ];
    let texts: Vec<String> = cases
        .iter()
        .map(|(sanitizer, body)| {
            let outcome = outcome(&bench, *sanitizer, body);
            let SanitizerOutcome::Report {
                place: Some(place), ..
            } = &outcome
            else {
                panic!("{sanitizer}: {body}: {outcome:?}");
            };
            assert_eq!(place.file, "main.c");
            // Addresses come and go with the allocator.
            let text = shown(&outcome);
            let words = text.split(' ').map(|word| {
                if word.starts_with("0x") {
                    "ADDRESS"
                } else {
                    word
                }
            });
            format!("{sanitizer}: {}", words.collect::<Vec<_>>().join(" "))
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_deep_recursion_is_a_report() {
    let bench = Bench::new();
    let text = "static int deep(int n) { volatile char room[512]; room[0] = n; return n ? deep(n + 1) + room[0] : 0; }\nint main(void) { return deep(1); }\n";
    let outcome = run(
        &bench,
        Sanitizer::Address,
        &[Unit::new("main.c", text)],
        b"",
    );
    let SanitizerOutcome::Report { kind, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(kind, "stack-overflow");
}

#[test]
fn what_a_program_writes_itself_is_no_report() {
    let bench = Bench::new();
    let body = "fputs(\"main.c:1:1: runtime error: no\\n==1==ERROR: AddressSanitizer: no\\n\", stderr);\nexit(99);";
    assert_eq!(
        outcome(&bench, Sanitizer::AddressUndefined, body),
        SanitizerOutcome::Clean
    );
}

#[test]
fn a_program_that_does_not_end_by_itself() {
    let bench = Bench::new();
    let said = outcome(&bench, Sanitizer::Undefined, "abort();");
    assert_eq!(shown(&said), "stopped: it was ended by signal 6");
}
