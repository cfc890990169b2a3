//! Source → IR → assembly → executable, and the plain driver beside it.

use std::path::Path;

use whittle_toolchain::tools::{ToolError, Unit, normalized_assembly};

use super::{Bench, fixture, strings, unit};

/// Through our own tools, as far as assembly.
fn through_the_tools(bench: &Bench, units: &[Unit], name: &str, flags: &[String]) -> String {
    let tools = &bench.toolchain;
    let ir = tools.front_end(units, name, flags).unwrap().output;
    let pipeline = tools.clang_pipeline(flags).unwrap();
    let ir = tools.middle_end(&ir, &pipeline, &[]).unwrap().output;
    let level: Vec<String> = flags
        .iter()
        .filter(|flag| flag.starts_with("-O"))
        .cloned()
        .collect();
    tools.back_end(&ir, &level).unwrap().output
}

#[test]
fn the_parts_generate_what_clang_generates() {
    let bench = Bench::new();
    for flags in [
        &["-O3"][..],
        &["-O2"],
        &["-O1"],
        &["-O3", "-march=native"],
        &["-O3", "-fno-pic", "-ffast-math"],
    ] {
        for name in ["sum.c", "nbody.c"] {
            let flags = strings(flags);
            let expected = bench
                .toolchain
                .compile_assembly(&[unit(name)], name, &flags)
                .unwrap()
                .output;
            let asm = through_the_tools(&bench, &[unit(name)], name, &flags);
            assert!(
                normalized_assembly(&expected) == normalized_assembly(&asm),
                "{name} with {flags:?}"
            );
        }
    }
}

/// Programs whose code hangs on the order of uses are among them.
#[test]
fn the_parts_generate_what_clang_generates_for_the_examples() {
    let bench = Bench::new();
    let flags = strings(&["-O3"]);
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/programs");
    let mut compared = 0;
    for folder in std::fs::read_dir(programs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let units = units_in(&folder);
        for unit in units.iter().filter(|unit| unit.is_compiled()) {
            let expected = bench
                .toolchain
                .compile_assembly(&units, &unit.name, &flags)
                .unwrap()
                .output;
            let asm = through_the_tools(&bench, &units, &unit.name, &flags);
            assert!(
                normalized_assembly(&expected) == normalized_assembly(&asm),
                "{}",
                unit.name
            );
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

/// The source files in a folder.
fn units_in(folder: &Path) -> Vec<Unit> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "c" || extension == "h")
    });
    let unit = |path: std::path::PathBuf| {
        Unit::new(
            path.file_name().unwrap().to_str().unwrap(),
            std::fs::read_to_string(&path).unwrap(),
        )
    };
    sources.map(unit).collect()
}

#[test]
fn what_the_parts_build_runs() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let asm = through_the_tools(&bench, &[unit("sum.c")], "sum.c", &strings(&["-O3"]));
    let executable = tools
        .link(&[tools.assemble(&asm).unwrap()], 0, &[])
        .unwrap();
    let baseline = tools.compile(&[unit("sum.c")], &strings(&["-O3"])).unwrap();
    let expected = bench.stdout(&baseline, &["3"], b"1 2 3 4 5 -7 300");
    assert_eq!(expected, "1232\n");
    assert_eq!(
        bench.stdout(&executable, &["3"], b"1 2 3 4 5 -7 300"),
        expected
    );
}

#[test]
fn the_mathematical_library_is_there_for_those_who_use_it() {
    let bench = Bench::new();
    let executable = bench
        .toolchain
        .compile(&[unit("nbody.c")], &strings(&["-O2"]))
        .unwrap();
    assert!(bench.stdout(&executable, &[], b"10").contains('.'));
}

#[test]
fn another_layout_moves_the_code_and_changes_nothing() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let object = tools
        .assemble(&through_the_tools(
            &bench,
            &[unit("sum.c")],
            "sum.c",
            &strings(&["-O3"]),
        ))
        .unwrap();
    let gc = strings(&["-Wl,--gc-sections", "-no-pie"]);
    let mut entries = std::collections::BTreeSet::new();
    for layout in 0..6 {
        let executable = tools
            .link(std::slice::from_ref(&object), layout, &gc)
            .unwrap();
        assert_eq!(bench.stdout(&executable, &[], b"1 2 3"), "12\n");
        entries.insert(address_of_main(&std::fs::read(&executable.path).unwrap()));
    }
    assert_eq!(entries.len(), 6, "{entries:x?}");
}

/// From the symbol table of a 64-bit little-endian ELF file.
fn address_of_main(elf: &[u8]) -> u64 {
    let number = |at: usize, size: usize| {
        elf[at..at + size]
            .iter()
            .rev()
            .fold(0u64, |n, &byte| n << 8 | u64::from(byte))
    };
    let (sections, size, count) = (
        number(40, 8) as usize,
        number(58, 2) as usize,
        number(60, 2) as usize,
    );
    let section = |index: usize| sections + index * size;
    let table = (0..count)
        .map(section)
        .find(|&at| number(at + 4, 4) == 2)
        .unwrap();
    let names = number(section(number(table + 40, 4) as usize) + 24, 8) as usize;
    let (start, length) = (
        number(table + 24, 8) as usize,
        number(table + 32, 8) as usize,
    );
    let symbols = (start..start + length).step_by(24);
    let main = symbols
        .into_iter()
        .find(|&at| elf[names + number(at, 4) as usize..].starts_with(b"main\0"))
        .unwrap();
    number(main + 8, 8)
}

#[test]
fn several_files_headers_and_levels_make_one_program() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let main = Unit::new(
        "main.c",
        "#include \"lib/twice.h\"\n#include <stdio.h>\nint main(void){printf(\"%d\\n\", twice(21));}",
    );
    let header = Unit::new("lib/twice.h", "int twice(int);\n");
    let source = Unit::new(
        "lib/twice.c",
        "#include \"twice.h\"\nint twice(int x){return 2 * x;}\n",
    );
    let units = [main.clone(), header.clone(), source.clone()];
    let flags = strings(&["-O3"]);

    let executable = tools.compile(&units, &flags).unwrap();
    assert_eq!(bench.stdout(&executable, &[], b""), "42\n");

    let irs =
        ["main.c", "lib/twice.c"].map(|name| tools.front_end(&units, name, &flags).unwrap().output);
    let merged = tools.merge_whole_program(&[&irs[0], &irs[1]]).unwrap();
    assert!(merged.contains("define internal i32 @twice"), "{merged}");
    let optimized = tools
        .middle_end(&merged, "default<O3>", &[])
        .unwrap()
        .output;
    assert!(!optimized.contains("@twice"), "{optimized}");

    let asm = tools.back_end(&irs[1], &[]).unwrap().output;
    let mixed = [main, header, Unit::new("twice.s", asm)];
    assert_eq!(
        bench.stdout(&tools.compile(&mixed, &flags).unwrap(), &[], b""),
        "42\n"
    );
}

#[test]
fn cplusplus_finds_its_library() {
    let bench = Bench::new();
    let main = Unit::new(
        "main.cpp",
        "#include <iostream>\nint main(){std::cout << 6 * 7 << '\\n';}",
    );
    let executable = bench
        .toolchain
        .compile(&[main], &strings(&["-O1"]))
        .unwrap();
    assert_eq!(bench.stdout(&executable, &[], b""), "42\n");
}

#[test]
fn warnings_come_with_the_output() {
    let bench = Bench::new();
    let main = Unit::new("main.c", "int main(void){int unused; return 0;}\n");
    let compiled = bench
        .toolchain
        .front_end(&[main], "main.c", &strings(&["-O3", "-Wall"]))
        .unwrap();
    let said: Vec<String> = compiled
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        ["main.c:1:20: warning: unused variable 'unused' [-Wunused-variable]"]
    );
}

/// What each of the failures says, one under the other.
fn failures<const N: usize>(results: [(&str, Result<(), ToolError>); N]) -> String {
    let said = results.into_iter().map(|(what, result)| {
        let error = result
            .err()
            .unwrap_or_else(|| panic!("{what} did not fail"));
        assert!(error.is_about_the_input(), "{error}");
        format!("{what}: {error}\n")
    });
    said.collect()
}

#[test]
fn bad_source() {
    let bench = Bench::new();
    let flags = strings(&["-O3"]);
    let front_end = |name: &str, text: &str| {
        bench
            .toolchain
            .front_end(&[Unit::new("main.c", text)], name, &flags)
            .map(drop)
    };
    let compile = |text: &str| {
        bench
            .toolchain
            .compile(&[Unit::new("main.c", text)], &flags)
            .map(drop)
    };
    let syntax = "int main(void) {\n  return x + y\n}\n";
    insta::assert_snapshot!(failures([
        ("compile", compile(syntax)),
        ("front end", front_end("main.c", syntax)),
        (
            "missing header",
            front_end("main.c", "#include \"nowhere.h\"\n")
        ),
        ("missing file", front_end("other.c", "")),
        (
            "missing function",
            compile("int f(void); int main(void){return f();}")
        ),
        ("missing main", compile("int f(void){return 0;}")),
    ]));
}

#[test]
fn bad_ir() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let unparsable = "define i32 @f(i32 %x) {\n  ret i32 %y\n}\n";
    let broken = "define i32 @f(i32 %x) {\nentry:\n  br label %b\nb:\n  %p = phi i32 [ %x, %b ]\n  ret i32 %p\n}\n";
    let fine = "define i32 @f(i32 %x) {\n  ret i32 %x\n}\n";
    tools.verify(fine).unwrap();
    insta::assert_snapshot!(failures([
        ("verify, not parsable", tools.verify(unparsable)),
        (
            "back end, not parsable",
            tools.back_end(unparsable, &[]).map(drop)
        ),
        (
            "middle end, not parsable",
            tools.middle_end(unparsable, "default<O3>", &[]).map(drop)
        ),
        ("verify, broken", tools.verify(broken)),
        (
            "middle end, broken",
            tools.middle_end(broken, "default<O3>", &[]).map(drop)
        ),
        ("merge, defined twice", tools.merge(&[fine, fine]).map(drop)),
    ]));
}

#[test]
fn bad_pipelines_and_flags() {
    let bench = Bench::new();
    let ir = "define i32 @f(i32 %x) {\n  ret i32 %x\n}\n";
    let run = |pipeline: &str, flags: &[&str]| {
        bench
            .toolchain
            .middle_end(ir, pipeline, &strings(flags))
            .map(drop)
    };
    let sum = [unit("sum.c")];
    insta::assert_snapshot!(failures([
        ("unknown pass", run("no-such-pass", &[])),
        ("unbalanced", run("function(sroa", &[])),
        ("unknown flag", run("function(sroa)", &["-no-such-flag"])),
        (
            "clang, unknown flag",
            bench
                .toolchain
                .compile(&sum, &strings(&["-O3", "-fno-such-flag"]))
                .map(drop)
        ),
        (
            "someone else's file",
            bench
                .toolchain
                .compile(&sum, &strings(&["-fprofile-use=/etc/passwd"]))
                .map(drop)
        ),
    ]));
}

#[test]
fn bad_assembly() {
    let bench = Bench::new();
    insta::assert_snapshot!(failures([(
        "assemble",
        bench.toolchain.assemble("\tfoo %eax\n\tmov\n").map(drop)
    ),]));
}

#[test]
fn assembly_and_source_see_no_files_of_the_machine() {
    let bench = Bench::new();
    let secret = bench.toolchain.store().root().join("secret");
    std::fs::write(&secret, "int secret = 1;\n").unwrap();
    let secret = secret.display();
    assert!(
        bench
            .toolchain
            .assemble(&format!("\t.incbin \"{secret}\"\n"))
            .is_err()
    );
    assert!(
        bench
            .toolchain
            .assemble("\t.incbin \"/etc/passwd\"\n")
            .is_err()
    );
    let main = Unit::new(
        "main.c",
        format!("#include \"{secret}\"\nint main(void){{return secret;}}\n"),
    );
    assert!(bench.toolchain.compile(&[main], &[]).is_err());
}

#[test]
fn outputs_name_no_path_of_this_machine() {
    let bench = Bench::new();
    let flags = strings(&["-O1", "-g"]);
    let ir = bench
        .toolchain
        .front_end(&[Unit::new("sum.c", fixture("sum.c"))], "sum.c", &flags)
        .unwrap()
        .output;
    let temporary = std::env::temp_dir();
    assert!(!ir.contains(temporary.to_str().unwrap()));
    let executable = bench.toolchain.compile(&[unit("sum.c")], &flags).unwrap();
    let bytes = std::fs::read(&executable.path).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"/whittle-"));
}
