//! Which programs and inputs have a right answer.

use std::time::Duration;

use whittle_optimizer::evidence::reference::{
    Judgement, Reference, ReferenceError, ReferenceOptions,
};
use whittle_optimizer::inputs::{Origin, RawCase};
use whittle_optimizer::program::Program;

use crate::common::Scratch;

/// A program that stands in a file named prog.c.
pub(crate) fn program(scratch: &Scratch, source: &str) -> Program {
    Program::read(&[scratch.file("prog.c", source)], vec![], vec![]).unwrap()
}

fn reference(scratch: &Scratch, source: &str) -> Reference {
    Reference::new(&scratch.toolchain(), &program(scratch, source)).unwrap()
}

fn raw(name: &str, input: &str) -> RawCase {
    RawCase {
        name: name.to_owned(),
        arguments: Vec::new(),
        input: input.into(),
        declared_output: None,
        origin: Origin::User,
    }
}

/// Why an input is unfit.
fn reason(source: &str, input: &str) -> String {
    let scratch = Scratch::new();
    match reference(&scratch, source)
        .judge(&raw("it", input))
        .unwrap()
    {
        Judgement::Unfit(reason) => reason,
        Judgement::Fit(case) => panic!("fit: {case:?}"),
    }
}

const SUM: &str = r#"#include <stdio.h>
int main(int argc, char **argv) {
    long sum = argc, value;
    while (scanf("%ld", &value) == 1)
        sum += value;
    printf("%ld\n", sum);
    return sum % 7;
}
"#;

#[test]
fn a_sound_program_is_fit_whatever_its_exit_status() {
    let scratch = Scratch::new();
    let reference = reference(&scratch, SUM);
    let mut case = raw("sum", "1 2 3\n");
    case.arguments = vec!["a".to_owned(), "b c".to_owned()];
    let Judgement::Fit(case) = reference.judge(&case).unwrap() else {
        panic!("unfit")
    };
    assert_eq!(case.expected.stdout, b"9\n");
    assert_eq!(case.expected.status, 2);
    let fitness = reference.fitness();
    assert_eq!(fitness.optimization_levels, ["-O0", "-O2", "-O3"]);
    assert!(fitness.runs > 8 && fitness.layouts == 3, "{fitness:?}");
    let clean = [
        "AddressSanitizer",
        "UndefinedBehaviorSanitizer",
        "MemorySanitizer",
    ];
    assert!(
        clean
            .iter()
            .all(|name| fitness.sanitizers.iter().any(|ran| ran == name)),
        "{fitness:?}"
    );
    assert!(reference.time_of(&case) < Duration::from_secs(5));
}

#[test]
fn nothing_is_claimed_before_anything_was_run() {
    let scratch = Scratch::new();
    let fitness = reference(&scratch, SUM).fitness();
    assert!(fitness.sanitizers.is_empty() && fitness.optimization_levels.is_empty());
    assert_eq!(
        (fitness.runs, fitness.layouts, fitness.second_compiler),
        (0, 0, None)
    );
}

#[test]
fn undefined_behaviour_is_reported_with_its_place() {
    let overflow = "#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n    int n;\n    if (scanf(\"%d\", &n) != 1) return 1;\n    \
                    int *p = malloc(4 * sizeof *p);\n    p[n] = 7;\n    printf(\"%d\\n\", p[n]);\n    free(p);\n}\n";
    let found = reason(overflow, "4");
    assert!(
        found.contains("heap-buffer-overflow at prog.c:7"),
        "{found}"
    );
    let signed = "#include <stdio.h>\nint main(void) {\n    int n;\n    if (scanf(\"%d\", &n) != 1) return 1;\n    printf(\"%d\\n\", n + 1);\n}\n";
    let found = reason(signed, "2147483647");
    assert!(
        found.contains("signed integer overflow") && found.contains("prog.c:5"),
        "{found}"
    );
    let unwritten = "#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n    int *p = malloc(4000);\n    p[0] = 1;\n    if (p[500])\n        puts(\"yes\");\n    free(p);\n}\n";
    let found = reason(unwritten, "");
    assert!(
        found.contains("use-of-uninitialized-value at prog.c:6"),
        "{found}"
    );
}

#[test]
fn an_input_may_be_unfit_and_another_fit() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) {\n    int a[4] = {1, 2, 3, 4}, n;\n    if (scanf(\"%d\", &n) != 1) return 1;\n    \
                  printf(\"%d\\n\", a[n]);\n}\n";
    let reference = reference(&scratch, source);
    assert!(matches!(
        reference.judge(&raw("inside", "3")).unwrap(),
        Judgement::Fit(_)
    ));
    assert!(matches!(
        reference.judge(&raw("outside", "4")).unwrap(),
        Judgement::Unfit(_)
    ));
}

#[test]
fn programs_that_are_not_deterministic_are_recognised() {
    let clock = "#include <stdio.h>\n#include <time.h>\nint main(void) { printf(\"%ld\\n\", (long)time(NULL)); }\n";
    let found = reason(clock, "");
    assert!(
        found.contains("not deterministic (it imports time)"),
        "{found}"
    );
    let chance = "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nint main(void) { srand(time(NULL)); printf(\"%d\\n\", rand()); }\n";
    let found = reason(chance, "");
    assert!(found.contains("(it imports time, rand)"), "{found}");
    let address = "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { void *p = malloc(1); printf(\"%p\\n\", p); free(p); }\n";
    let found = reason(address, "");
    assert!(
        found.contains("something else") && found.contains("line 1: expected"),
        "{found}"
    );
}

#[test]
fn what_the_sandbox_forbids_is_named() {
    let fork = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { if (fork() == 0) return 1; puts(\"parent\"); }\n";
    let found = reason(fork, "");
    assert!(
        found.contains("forbidden") && found.contains("(it imports fork)"),
        "{found}"
    );
    let socket = "#include <stdio.h>\n#include <sys/socket.h>\nint main(void) { printf(\"%d\\n\", socket(AF_INET, SOCK_STREAM, 0)); }\n";
    let found = reason(socket, "");
    assert!(found.contains("(it imports socket)"), "{found}");
}

#[test]
fn programs_that_do_not_end_well_are_told_apart() {
    let crash =
        "#include <stdlib.h>\nint main(void) {\n    int *volatile p = NULL;\n    return *p;\n}\n";
    let found = reason(crash, "");
    assert!(
        found.contains("SIGSEGV") && found.contains("prog.c:4"),
        "{found}"
    );
    let abort = "#include <stdlib.h>\nint main(void) { abort(); }\n";
    assert!(reason(abort, "").contains("SIGABRT"));
    let flood = "#include <stdio.h>\nint main(void) { for (;;) puts(\"flood\"); }\n";
    assert!(reason(flood, "").contains("writes more than 64 MiB"));
    let scratch = Scratch::new();
    let eternal = "int main(void) { volatile int i = 0; for (;;) i++; }\n";
    let options = ReferenceOptions {
        wall: Duration::from_millis(500),
        ..ReferenceOptions::default()
    };
    let judgement = reference(&scratch, eternal)
        .with_options(options)
        .judge(&raw("it", ""))
        .unwrap();
    let Judgement::Unfit(found) = judgement else {
        panic!("fit")
    };
    assert!(found.contains("still running after 0.5 s"), "{found}");
}

#[test]
fn a_program_that_does_not_compile_is_refused_with_the_compilers_words() {
    let scratch = Scratch::new();
    let program = program(&scratch, "int main(void) {\n    return x;\n}\n");
    let error = Reference::new(&scratch.toolchain(), &program).unwrap_err();
    assert!(matches!(error, ReferenceError::Compile(_)));
    let text = error.to_string();
    assert!(
        text.starts_with("the program does not compile") && text.contains("prog.c:2:12"),
        "{text}"
    );
}

#[test]
fn an_expected_output_that_does_not_come_is_an_error_with_the_line() {
    let scratch = Scratch::new();
    let reference = reference(&scratch, SUM);
    let declared = |output: &str| {
        let mut case = raw("some-test", "1 2 3\n");
        case.declared_output = Some(output.into());
        reference.judge(&case)
    };
    assert!(matches!(declared("7\n").unwrap(), Judgement::Fit(_)));
    assert!(matches!(declared("7").unwrap(), Judgement::Fit(_)));
    let text = declared("8\n").unwrap_err().to_string();
    assert!(
        text.contains("some-test") && text.contains("line 1: expected \"8\", got \"7\""),
        "{text}"
    );
}

/// Prints another number when another compiler builds it, as rounding may.
const ROUNDING: &str = "#include <stdio.h>\nint main(void) {\n#ifdef __OPTIMIZE__\n    double x = 0.1;\n#else\n    double x = 0.1 + 1e-15;\n#endif\n    \
                        printf(\"x = %.17g\\n\", x);\n}\n";

#[test]
fn floating_point_may_differ_within_a_tolerance_only() {
    let scratch = Scratch::new();
    let found = reason(ROUNDING, "");
    assert!(
        found.contains("-O0") && found.contains("only floating-point"),
        "{found}"
    );
    let with = |tolerance| {
        let options = ReferenceOptions {
            fp_tolerance: Some(tolerance),
            ..ReferenceOptions::default()
        };
        let reference = reference(&scratch, ROUNDING).with_options(options);
        let judgement = reference.judge(&raw("it", "")).unwrap();
        (
            matches!(judgement, Judgement::Fit(_)),
            reference.fitness().lowered,
        )
    };
    let (fit, lowered) = with(1e-9);
    assert!(
        fit && lowered
            .iter()
            .any(|why| why.contains("-O0") && why.contains("tolerance")),
        "{lowered:?}"
    );
    assert!(!with(1e-18).0);
}

#[test]
fn what_is_too_slow_to_check_is_said_and_drops_nothing() {
    let scratch = Scratch::new();
    let busy = "#include <stdio.h>\nint main(void) {\n    unsigned x = 1;\n    for (volatile int i = 0; i < 40000000; i++) x = x * 3 + i;\n    printf(\"%u\\n\", x);\n}\n";
    let options = ReferenceOptions {
        slow_total: Duration::ZERO,
        ..ReferenceOptions::default()
    };
    let reference = reference(&scratch, busy).with_options(options);
    assert!(matches!(
        reference.judge(&raw("big", "")).unwrap(),
        Judgement::Fit(_)
    ));
    let fitness = reference.fitness();
    assert!(fitness.sanitizers.is_empty(), "{fitness:?}");
    assert_eq!(fitness.optimization_levels, ["-O2", "-O3"]);
    let is_said = |name: &str| {
        fitness
            .lowered
            .iter()
            .any(|why| why.contains(name) && why.contains("big"))
    };
    assert!(is_said("MemorySanitizer") && is_said("-O0"), "{fitness:?}");
}

#[test]
fn a_program_that_only_clang_takes_is_not_checked_with_another_compiler() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\n__attribute__((overloadable)) int f(int x) { return x; }\n__attribute__((overloadable)) double f(double x) { return x; }\n\
                  int main(void) { printf(\"%d %g\\n\", f(1), f(2.5)); }\n";
    let reference = reference(&scratch, source);
    assert!(matches!(
        reference.judge(&raw("it", "")).unwrap(),
        Judgement::Fit(_)
    ));
    let fitness = reference.fitness();
    assert_eq!(fitness.second_compiler, None);
    assert!(
        fitness
            .lowered
            .iter()
            .any(|why| why.contains("second compiler")),
        "{fitness:?}"
    );
}
