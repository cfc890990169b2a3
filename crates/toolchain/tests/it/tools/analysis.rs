//! Remarks, listings and the model of the processor.

use whittle_toolchain::tools::{
    DEBUG_LINES, RemarkKind, ToolError, assembly_functions, assembly_statistics, ir_functions,
    ir_statistics, without_use_lists,
};

use super::{Bench, strings, unit};

#[test]
fn remarks_name_lines() {
    let bench = Bench::new();
    let flags = strings(&["-O3", DEBUG_LINES]);
    let tools = &bench.toolchain;
    let ir = tools
        .front_end(&[unit("sum.c")], "sum.c", &flags)
        .unwrap()
        .output;
    let pipeline = tools.clang_pipeline(&flags).unwrap();
    let remarks = tools.optimization_remarks(&ir, &pipeline, &[]).unwrap();
    let vectorized = remarks
        .iter()
        .find(|remark| remark.pass == "loop-vectorize" && remark.kind == RemarkKind::Passed);
    let vectorized = vectorized.unwrap();
    assert_eq!(
        (vectorized.file.as_deref(), vectorized.function.as_str()),
        (Some("sum.c"), "main")
    );
    assert!(
        vectorized.message.starts_with("vectorized loop"),
        "{vectorized}"
    );
    let missed = remarks
        .iter()
        .find(|remark| remark.name == "NoDefinition" && remark.message.starts_with("malloc"));
    assert_eq!(
        missed.unwrap().to_string(),
        "sum.c:17: inline (missed, in main): malloc will not be inlined into main because its definition is unavailable"
    );

    let ir = tools
        .front_end(&[unit("sum.c")], "sum.c", &strings(&["-O3"]))
        .unwrap()
        .output;
    let remarks = tools.optimization_remarks(&ir, &pipeline, &[]).unwrap();
    assert!(!remarks.is_empty() && remarks.iter().all(|remark| remark.line.is_none()));
    assert_eq!(
        tools
            .optimization_remarks(&ir, "no-op-module", &[])
            .unwrap(),
        []
    );
    assert!(matches!(
        tools.optimization_remarks(&ir, "nonsense", &[]),
        Err(ToolError::Failed { .. })
    ));
}

#[test]
fn line_tables_change_no_code() {
    let bench = Bench::new();
    let asm = |flags: &[&str]| {
        let asm = bench
            .toolchain
            .compile_assembly(&[unit("sum.c")], "sum.c", &strings(flags))
            .unwrap()
            .output;
        let statistics = assembly_statistics(&asm);
        (
            statistics.instructions,
            statistics.branches,
            statistics.vector_instructions,
        )
    };
    assert_eq!(asm(&["-O3"]), asm(&["-O3", DEBUG_LINES]));
}

#[test]
fn real_listings_are_counted() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let flags = strings(&["-O0"]);
    let ir = tools
        .front_end(&[unit("sum.c")], "sum.c", &flags)
        .unwrap()
        .output;
    let names = |ir: &str| {
        ir_functions(ir)
            .into_iter()
            .map(|function| function.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&ir), ["main", "bits"]);
    let before = ir_statistics(&ir);
    assert!(
        before.allocas > 8 && before.vector_operations == 0,
        "{before:?}"
    );

    let ir = tools
        .front_end(&[unit("sum.c")], "sum.c", &strings(&["-O3"]))
        .unwrap()
        .output;
    let ir = tools.middle_end(&ir, "default<O3>", &[]).unwrap().output;
    assert_eq!(names(&ir), ["main"]);
    let after = ir_statistics(&ir);
    // `n` of scanf's is in the array.
    assert!(
        after.allocas < 2 && after.vector_operations > 0 && after.calls >= 5,
        "{after:?}"
    );
    tools.verify(&without_use_lists(&ir)).unwrap();

    let asm = tools.back_end(&ir, &[]).unwrap().output;
    let functions = assembly_functions(&asm);
    assert_eq!(functions.len(), 1);
    let text = functions[0].text(&asm);
    assert!(
        text.starts_with("main:") && text.trim_end().ends_with("retq"),
        "{text}"
    );
    assert_eq!(
        assembly_statistics(text).calls,
        assembly_statistics(&asm).calls
    );
}

#[test]
fn the_processor_is_modelled() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let body = "\taddl\t%eax, %ebx\n\taddl\t%ebx, %eax\n";
    let analysis = tools.machine_code_analysis(body, Some("znver3")).unwrap();
    assert_eq!(
        (
            analysis.cpu.as_str(),
            analysis.instructions,
            analysis.iterations
        ),
        ("znver3", 2, 100)
    );
    // Each addition waits for the one before.
    assert!(
        (analysis.cycles_per_iteration() - 2.0).abs() < 0.1,
        "{analysis:?}"
    );
    assert!(
        analysis.pressure.len() > 1 && analysis.pressure[0].cycles >= analysis.pressure[1].cycles
    );
    assert!(
        analysis
            .pressure
            .iter()
            .all(|pressure| pressure.resource.chars().all(|c| c.is_ascii_graphic()))
    );
    let view = tools.machine_code_view(body, Some("znver3")).unwrap();
    assert!(
        view.contains("Timeline view:") && view.contains("addl"),
        "{view}"
    );
}

#[test]
fn a_whole_function_is_modelled_for_this_machine() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let asm = tools
        .compile_assembly(&[unit("nbody.c")], "nbody.c", &strings(&["-O3"]))
        .unwrap()
        .output;
    let functions = assembly_functions(&asm);
    let analysis = tools
        .machine_code_analysis(functions[0].text(&asm), None)
        .unwrap();
    assert_eq!(
        analysis.instructions,
        assembly_statistics(functions[0].text(&asm)).instructions
    );
}

#[test]
fn what_cannot_be_modelled() {
    let bench = Bench::new();
    let analyze = |asm: &str, cpu: Option<&str>| {
        bench
            .toolchain
            .machine_code_analysis(asm, cpu)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(
        [
            analyze("\tfoo\t%eax\n", Some("znver3")),
            analyze("", Some("znver3")),
            analyze("\tnop\n", Some("my-processor")),
        ]
        .join("\n")
    );
}
