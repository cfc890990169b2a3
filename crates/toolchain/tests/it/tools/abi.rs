//! The calling convention, checked on what clang writes and on what is broken in it.

use std::path::{Path, PathBuf};

use whittle_toolchain::tools::{
    AbiKind, Unit, assembly_excerpt, assembly_functions, check_abi, check_abi_all, ir_excerpt,
    ir_functions, normalized_assembly, splice_assembly, splice_ir, without_use_lists,
};

use super::{Bench, fixture, strings};

/// Ways in which frames, tables and vectors come out differently.
const FLAGS: [&[&str]; 16] = [
    &["-O0"],
    &["-O1"],
    &["-O2"],
    &["-O3"],
    &["-Os"],
    &["-Oz"],
    &["-O3", "-march=native"],
    &["-O3", "-march=x86-64-v4"],
    &["-O0", "-march=native", "-fno-omit-frame-pointer"],
    &["-O2", "-fno-omit-frame-pointer"],
    &["-O2", "-fstack-protector-all"],
    &["-O2", "-fcf-protection"],
    &["-O1", "-fno-pic", "-fno-pie"],
    &["-O2", "-fPIC", "-mno-red-zone"],
    &["-O2", "-fstack-clash-protection"],
    &[
        "-O0",
        "-fstack-protector-all",
        "-fstack-clash-protection",
        "-mstackrealign",
    ],
];

/// Programs of the repository, with the headers beside them.
pub(super) fn programs() -> Vec<Vec<Unit>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("examples/programs"), root.join("testdata")];
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let mut programs = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let is_source =
            |path: &PathBuf| path.extension().is_some_and(|end| end == "c" || end == "h");
        let units = paths.iter().filter(|path| is_source(path)).map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            Unit::new(name, std::fs::read_to_string(path).unwrap())
        });
        let units: Vec<Unit> = units.collect();
        if !units.is_empty() {
            programs.push(units);
        }
        folders.extend(paths.into_iter().filter(|path| path.is_dir()));
    }
    programs
}

#[test]
fn everything_clang_writes_is_clean() {
    let bench = Bench::new();
    let mut functions = 0;
    let mut faults = Vec::new();
    for units in programs() {
        for unit in units.iter().filter(|unit| unit.is_compiled()) {
            for flags in FLAGS {
                // Some fixtures are wrong on purpose.
                let Ok(compiled) =
                    bench
                        .toolchain
                        .compile_assembly(&units, &unit.name, &strings(flags))
                else {
                    continue;
                };
                functions += assembly_functions(&compiled.output).len();
                let found = check_abi_all(&compiled.output);
                faults.extend(
                    found
                        .iter()
                        .map(|problem| format!("{} {flags:?}: {problem}", unit.name)),
                );
            }
        }
    }
    println!("{functions} functions");
    assert!(functions > 1000, "{functions}");
    assert!(
        faults.is_empty(),
        "{} of {functions}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// A function with some of its lines changed.
fn mutants(asm: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = asm.lines().collect();
    let starts = |number: usize, word: &str| {
        lines
            .get(number)
            .is_some_and(|line| line.trim_start().starts_with(word))
    };
    let replaced = |from: usize, count: usize, new: &[&str]| {
        let mut changed = lines.clone();
        changed.splice(from..from + count, new.iter().copied());
        changed.join("\n") + "\n"
    };
    let mut mutants = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut add =
            |what: &str, text: String| mutants.push((format!("{what}: {}", line.trim()), text));
        if starts(number, "popq\t%r")
            && !starts(number, "popq\t%rax")
            && !starts(number, "popq\t%rcx")
        {
            add("dropped", replaced(number, 1, &[]));
            if let Some(next) = (number + 1..lines.len()).find(|next| !starts(*next, ".cfi"))
                && starts(next, "popq\t%r")
                && lines[next] != *line
                && !starts(next, "popq\t%rax")
                && !starts(next, "popq\t%rcx")
            {
                let between = &lines[number + 1..next];
                let new: Vec<&str> = [&[lines[next]], between, &[*line]].concat();
                add("swapped", replaced(number, next + 1 - number, &new));
            }
        }
        if starts(number, "pushq") || starts(number, "addq\t$") && line.contains(", %rsp") {
            add("dropped", replaced(number, 1, &[]));
        }
        if starts(number, "retq") {
            add(
                "clobbered before",
                replaced(number, 0, &["\tmovl\t$1, %r12d"]),
            );
            add("pushed before", replaced(number, 0, &["\tpushq\t%rax"]));
            add("std before", replaced(number, 0, &["\tstd"]));
            add(
                "ldmxcsr before",
                replaced(number, 0, &["\tldmxcsr\t-4(%rsp)"]),
            );
        }
        if starts(number, "callq") {
            add(
                "shifted before",
                replaced(number, 1, &["\tsubq\t$8, %rsp", line, "\taddq\t$8, %rsp"]),
            );
            add("left before", replaced(number, 0, &["\tretq"]));
            add(
                "tail call in place",
                replaced(number, 1, &["\tjmp\tputs@PLT"]),
            );
        }
    }
    mutants
}

#[test]
fn every_mutant_is_found() {
    let bench = Bench::new();
    let mut count = 0;
    let mut missed = Vec::new();
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-fno-omit-frame-pointer"]] {
        let units = [Unit::new("frames.c", fixture("frames.c"))];
        let asm = bench
            .toolchain
            .compile_assembly(&units, "frames.c", &strings(flags))
            .unwrap()
            .output;
        for function in assembly_functions(&asm) {
            let text = function.text(&asm);
            for (what, mutant) in mutants(text) {
                count += 1;
                let changed = asm.replace(text, &mutant);
                if !check_abi(&changed, &function.name)
                    .iter()
                    .any(|problem| problem.kind.is_certain())
                {
                    missed.push(format!("{flags:?} {}: {what}", function.name));
                }
            }
        }
    }
    println!("{count} mutants");
    assert!(count > 200, "{count}");
    assert!(
        missed.is_empty(),
        "{} of {count}:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

#[test]
fn other_processors_cannot_be_checked() {
    let bench = Bench::new();
    let units = [Unit::new(
        "frames.c",
        "int g(int); int f(int n) { return g(n) + 1; }\n",
    )];
    let flags = strings(&["-O2", "--target=aarch64-linux-gnu"]);
    let asm = bench
        .toolchain
        .compile_assembly(&units, "frames.c", &flags)
        .unwrap()
        .output;
    let kinds: Vec<AbiKind> = check_abi(&asm, "f")
        .iter()
        .map(|problem| problem.kind)
        .collect();
    assert_eq!(kinds, [AbiKind::Unchecked]);
}

/// Every function given back as it was shown leaves the program as it was.
#[test]
fn excerpts_can_be_given_back() {
    let bench = Bench::new();
    for units in programs() {
        for unit in units.iter().filter(|unit| unit.is_compiled()) {
            let flags = strings(&["-O2"]);
            let Ok(compiled) = bench.toolchain.compile_assembly(&units, &unit.name, &flags) else {
                continue;
            };
            let asm = compiled.output;
            for function in assembly_functions(&asm) {
                let excerpt = assembly_excerpt(&asm, &function.name).unwrap();
                assert!(excerpt.starts_with(function.text(&asm)));
                let spliced = splice_assembly(&asm, &function.name, &excerpt).unwrap();
                assert!(
                    normalized_assembly(&spliced) == normalized_assembly(&asm),
                    "{}",
                    function.name
                );
            }
            let Ok(front) = bench.toolchain.front_end(&units, &unit.name, &flags) else {
                continue;
            };
            let pipeline = bench.toolchain.clang_pipeline(&flags).unwrap();
            let ir = bench
                .toolchain
                .middle_end(&front.output, &pipeline, &[])
                .unwrap()
                .output;
            for function in ir_functions(&ir) {
                let excerpt = ir_excerpt(&ir, &function.name).unwrap();
                assert!(excerpt.ends_with(function.text(&ir)));
                let spliced = splice_ir(&ir, &function.name, &excerpt).unwrap();
                assert!(spliced == without_use_lists(&ir), "{}", function.name);
            }
        }
    }
}

const BITS: &str = "#include <stdio.h>
__attribute__((noinline)) int bits(unsigned n) {
    switch (n) {
    case 0: return printf(\"\");
    case 1: case 2: case 4: case 8: return puts(\"\") == 0 ? 9 : 1;
    case 3: return 2;
    case 5: return getchar() ? 2 : 3;
    }
    int count = 0;
    for (; n; n >>= 1) count += n & 1;
    return count;
}
__attribute__((noinline)) int twice(int n) { while (n % 7) n += 2; return n; }
int main(void) { printf(\"%d %d\\n\", bits(0xf0f1), twice(3)); return 0; }
";

/// New texts that bring constants, labels that others have, and an intrinsic, in programs that still run.
#[test]
fn spliced_programs_run() {
    let bench = Bench::new();
    let tools = &bench.toolchain;
    let units = [Unit::new("bits.c", BITS)];
    let flags = strings(&["-O1"]);
    let asm = tools
        .compile_assembly(&units, "bits.c", &flags)
        .unwrap()
        .output;
    let new = "\t.section .rodata
.Lnibbles:
\t.byte 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4
bits:
\tpushq %rbx
\txorl %eax, %eax
\tleaq .Lnibbles(%rip), %rdx
.LBB1_1:
\tmovl %edi, %ebx
\tandl $15, %ebx
\tmovzbl (%rdx,%rbx), %ecx
\taddl %ecx, %eax
\tshrl $4, %edi
\tjne .LBB1_1
\tpopq %rbx
\tretq
\t.size bits, .-bits
";
    let spliced = splice_assembly(&asm, "bits", new).unwrap();
    assert!(asm.contains(".LJTI0_0") && !spliced.contains(".LJTI0_0"));
    assert_eq!(check_abi_all(&spliced), []);
    let executable = tools
        .compile(&[Unit::new("bits.s", spliced)], &flags)
        .unwrap();
    assert_eq!(bench.stdout(&executable, &[], b""), "9 7\n");

    let ir = tools.front_end(&units, "bits.c", &flags).unwrap().output;
    let new = "@bits.more = private unnamed_addr constant [2 x i32] [i32 1, i32 0]
declare i32 @llvm.ctpop.i32(i32)
define dso_local i32 @bits(i32 %n) {
  %more = load i32, ptr @bits.more
  %count = call i32 @llvm.ctpop.i32(i32 %n)
  %sum = add i32 %count, %more
  ret i32 %sum
}
";
    let spliced = splice_ir(&ir, "bits", new).unwrap();
    let executable = tools
        .compile(&[Unit::new("bits.ll", spliced)], &flags)
        .unwrap();
    assert_eq!(bench.stdout(&executable, &[], b""), "10 7\n");
}
