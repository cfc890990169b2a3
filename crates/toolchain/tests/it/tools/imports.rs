//! What an executable takes from outside.

use std::collections::BTreeMap;

use whittle_toolchain::tools::Unit;

use super::{Bench, strings, unit};

#[test]
fn imports_are_named() {
    let bench = Bench::new();
    let executable = bench
        .toolchain
        .compile(&[unit("sum.c")], &strings(&["-O2"]))
        .unwrap();
    let imports = bench.toolchain.imports(&executable).unwrap();
    for name in ["malloc", "realloc", "printf", "free"] {
        assert!(imports.contains(name), "{name} in {imports:?}");
    }
    assert!(!imports.contains("getenv") && imports.iter().all(|name| !name.contains('@')));
    let with_clock = Unit::new(
        "main.c",
        "#include <time.h>\nint main(void) { return clock() > 5; }\n",
    );
    let executable = bench.toolchain.compile(&[with_clock], &[]).unwrap();
    assert!(
        bench
            .toolchain
            .imports(&executable)
            .unwrap()
            .contains("clock")
    );
}

#[test]
fn special_instructions_are_counted() {
    let bench = Bench::new();
    let plain = bench
        .toolchain
        .compile(&[unit("sum.c")], &strings(&["-O2"]))
        .unwrap();
    assert_eq!(
        bench.toolchain.special_instructions(&plain).unwrap(),
        BTreeMap::new()
    );
    let main = Unit::new(
        "main.c",
        "#include <immintrin.h>\n#include <x86intrin.h>\nint main(void) {\n  unsigned a = 1, b = 0, c = 0, d = 0;\n  \
         __asm__ volatile(\"cpuid\" : \"+a\"(a), \"+b\"(b), \"+c\"(c), \"+d\"(d));\n  __asm__ volatile(\"syscall\");\n  \
         _mm_setcsr(_mm_getcsr() | 0x8000);\n  return (__rdtsc() + __rdtsc() + a) & 1;\n}\n",
    );
    if cfg!(target_arch = "x86_64") {
        let special = bench.toolchain.special_instructions(
            &bench
                .toolchain
                .compile(&[main], &strings(&["-O1"]))
                .unwrap(),
        );
        let expected = [("cpuid", 1), ("ldmxcsr", 1), ("rdtsc", 2), ("syscall", 1)];
        assert_eq!(
            special.unwrap(),
            expected
                .map(|(name, count)| (name.to_owned(), count))
                .into()
        );
    }
}

#[test]
fn more_code_is_larger() {
    let bench = Bench::new();
    let size = |flags: &[&str]| {
        let executable = bench
            .toolchain
            .compile(&[unit("nbody.c")], &strings(flags))
            .unwrap();
        bench.toolchain.code_size(&executable).unwrap()
    };
    let (small, large) = (size(&["-Oz"]), size(&["-O3", "-funroll-loops"]));
    assert!(
        small > 0x100 && small < large && large < 1 << 20,
        "{small} {large}"
    );
}
