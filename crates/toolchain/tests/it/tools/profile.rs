//! Profiles and coverage.

use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::SealedInput;
use whittle_toolchain::tools::{
    GapKind, JointCoverage, Seen, ToolError, Unit, assembly_statistics, normalized_assembly,
};

use super::{Bench, strings, unit};

pub(crate) fn workload(name: &str, arguments: &[&str], input: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        arguments: strings(arguments),
        input: SealedInput::new(input.as_bytes()).unwrap(),
    }
}

#[test]
fn the_parts_use_a_profile_as_clang_does() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let numbers = (0..500)
        .map(|i| (i * i).to_string())
        .collect::<Vec<_>>()
        .join(" ");
    let runs = [
        workload("small", &["3"], "1 2 3"),
        workload("large", &[], &numbers),
    ];
    let plain = strings(&["-O3"]);
    let profile = tools.profile(&[unit("sum.c")], &plain, &runs).unwrap();
    let again = bench
        .again()
        .profile(&[unit("sum.c")], &plain, &runs)
        .unwrap();
    assert_eq!(profile, again);

    let flags = [plain.clone(), vec![profile.clang_flag()]].concat();
    let pipeline = tools.clang_pipeline(&flags).unwrap();
    assert!(pipeline.contains("pgo-instr-use"));
    let ir = tools
        .front_end(&[unit("sum.c")], "sum.c", &flags)
        .unwrap()
        .output;
    let ir = tools
        .middle_end(&ir, &pipeline, &[profile.middle_end_flag()])
        .unwrap()
        .output;
    let asm = tools.back_end(&ir, &[]).unwrap().output;
    let expected = tools
        .compile_assembly(&[unit("sum.c")], "sum.c", &flags)
        .unwrap()
        .output;
    assert!(normalized_assembly(&asm) == normalized_assembly(&expected));
    let without = tools
        .compile_assembly(&[unit("sum.c")], "sum.c", &plain)
        .unwrap()
        .output;
    assert!(normalized_assembly(&without) != normalized_assembly(&expected));

    let executable = tools.compile(&[unit("sum.c")], &flags).unwrap();
    assert_eq!(bench.stdout(&executable, &["3"], b"1 2 3"), "24\n");
    assert!(assembly_statistics(&asm).instructions > 0);
}

#[test]
fn a_program_that_is_killed_leaves_no_profile() {
    let bench = Bench::new();
    let main = [Unit::new(
        "main.c",
        "#include <stdlib.h>\nint main(void) { abort(); }\n",
    )];
    let error = bench
        .toolchain
        .profile(&main, &strings(&["-O3"]), &[workload("w", &[], "")])
        .unwrap_err();
    insta::assert_snapshot!(error, @r#"the instrumented program left no profile on workload "w": it was ended by signal 6"#);
    let covered = bench
        .toolchain
        .instrumented_for_coverage(&main, &[])
        .unwrap();
    let error = bench
        .toolchain
        .coverage(&covered, &workload("w", &[], ""))
        .unwrap_err();
    assert!(matches!(error, ToolError::NoProfile { .. }), "{error}");
}

#[test]
fn inputs_that_reach_more_are_new() {
    let bench = Bench::new();
    let program = bench
        .toolchain
        .instrumented_for_coverage(&[unit("sum.c")], &strings(&["-O1"]))
        .unwrap();
    let cover = |input: &str| {
        bench
            .toolchain
            .coverage(&program, &workload("w", &[], input))
            .unwrap()
    };
    let mut seen = Seen::default();
    assert!(seen.is_empty());
    let nothing = cover("");
    assert!(seen.add(&nothing) > 0);
    let few = cover("1 2 3");
    assert!(few.is_new_against(&seen));
    seen.add(&few);
    assert!(!cover("1 2 3").is_new_against(&seen));
    assert!(!cover("2 1 3").is_new_against(&seen));
    // Over the first capacity.
    let many = cover("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    assert!(many.is_new_against(&seen));
    assert!(
        many.points
            .iter()
            .any(|point| point.function.contains("bits")
                && point.counter == 0
                && point.bucket == 5)
    );
}

/// What runs of a program reach together.
fn joint(bench: &Bench, text: &str) -> impl Fn(&[&str]) -> Option<JointCoverage> {
    let units = [Unit::new("main.c", text)];
    let program = bench
        .toolchain
        .instrumented_for_coverage(&units, &[])
        .unwrap();
    move |inputs| {
        let workloads: Vec<_> = inputs
            .iter()
            .map(|input| workload(input, &[], input))
            .collect();
        bench
            .toolchain
            .joint_coverage(&program, &units, &workloads)
            .unwrap()
    }
}

#[test]
fn shares_are_of_all_runs_together() {
    let bench = Bench::new();
    let text = "#include <stdio.h>\n#include <stdlib.h>\nint main(void) {\n  int c = getchar();\n  if (c == 'a')\n    puts(\"a\");\n  if (c == 'b')\n    puts(\"b\");\n  if (c == 'c')\n    abort();\n  return 0;\n}\n";
    let joint = joint(&bench, text);
    let share = |inputs: &[&str]| joint(inputs).map(|joint| joint.share);
    assert_eq!(
        ["a", "b", "c"].map(|input| share(&[input]).is_some()),
        [true, true, false]
    );
    let (both, one) = (share(&["a", "b", "c"]).unwrap(), share(&["a"]).unwrap());
    assert!(
        both.lines.share() > one.lines.share() && both.lines.share() < 1.0,
        "{both:?} {one:?}"
    );
    assert_eq!((both.functions.count, both.functions.covered), (1, 1));
    assert!(both.branches.covered < both.branches.count);
    assert!(share(&["c"]).is_none());
}

#[test]
fn what_no_run_has_reached_is_named() {
    let bench = Bench::new();
    let text = "#include <stdio.h>\nstatic int twice(int x) {\n  return 2 * x;\n}\nint main(void) {\n  int c = getchar();\n  if (c == 'a')\n    puts(\"a\");\n  if (c != 'x')\n    putchar('.');\n  else\n    c = twice(c);\n  return c == 7;\n}\n";
    let joint = joint(&bench, text);
    let gaps = |inputs: &[&str]| {
        let gaps = joint(inputs).unwrap().gaps;
        assert!(gaps.iter().all(|gap| gap.unit == "main.c"), "{gaps:?}");
        let shown = gaps
            .into_iter()
            .map(|gap| (gap.function, gap.start.0, gap.kind));
        shown.collect::<Vec<_>>()
    };
    let [twice, main] = ["twice", "main"].map(str::to_owned);
    assert_eq!(
        gaps(&["b"]),
        [
            (twice.clone(), 2, GapKind::Function),
            (main.clone(), 8, GapKind::Code),
            (main.clone(), 9, GapKind::False),
            (main.clone(), 12, GapKind::Code),
        ]
    );
    assert_eq!(gaps(&["a"])[..1], [(twice, 2, GapKind::Function)]);
    assert_eq!(gaps(&["a", "x"]), []);
    assert_eq!(joint(&[]), None);
}
