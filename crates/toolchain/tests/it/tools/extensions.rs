//! Extensions of x86-64, found in what clang writes and held against what clang and the assembler say of them.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use whittle_toolchain::tools::{
    Extension, Unit, assembly_functions, extensions_declared, extensions_needed,
};

use super::abi::programs;
use super::{Bench, strings};

/// Loops that every vector extension makes another code of, and what has instructions of its own.
const KERNELS: &str = "
void add(int *a, const int *b, int n) { for (int i = 0; i < n; i++) a[i] += b[i]; }
void axpy(float *a, const float *b, float c, int n) { for (int i = 0; i < n; i++) a[i] += c * b[i]; }
void clamp(short *a, const short *b, int n) { for (int i = 0; i < n; i++) a[i] = a[i] < b[i] ? b[i] : a[i]; }
void pick(unsigned char *a, const unsigned char *b, int n) { for (int i = 0; i < n; i++) if (b[i] > 7) a[i] = b[i]; }
void gather(int *a, const int *b, const int *c, int n) { for (int i = 0; i < n; i++) a[i] = b[c[i]]; }
void convert(double *a, const unsigned long *b, int n) { for (int i = 0; i < n; i++) a[i] = (double)b[i]; }
void divide(double *a, const double *b, int n) { for (int i = 0; i < n; i++) a[i] /= b[i]; }
void half(_Float16 *a, const float *b, int n) { for (int i = 0; i < n; i++) a[i] = (_Float16)b[i]; }
void count(int *a, int n) { for (int i = 0; i < n; i++) a[i] = __builtin_popcount(a[i]); }
long long total(const long long *a, int n) { long long s = 0; for (int i = 0; i < n; i++) s += a[i] * a[i]; return s; }
int bits(unsigned long a) { return __builtin_popcountl(a) + __builtin_clzl(a) + __builtin_ctzl(a); }
unsigned long shifted(unsigned long a, int n) { return (a << n) + (a >> n); }
unsigned swapped(const unsigned *a) { return __builtin_bswap32(*a) & ~a[1]; }
double rounded(double a) { return __builtin_floor(a) + __builtin_fma(a, a, a); }
";

/// Targets, the first of which is what every processor has.
const TARGETS: [&str; 10] = [
    "x86-64",
    "x86-64-v2",
    "x86-64-v3",
    "x86-64-v4",
    "native",
    "btver2",
    "znver4",
    "skylake-avx512",
    "alderlake",
    "sapphirerapids",
];

fn all_programs() -> Vec<Vec<Unit>> {
    let mut all = programs();
    all.push(vec![Unit::new("kernels.c", KERNELS)]);
    all
}

/// What clang writes of every program for a target: IR before the middle end, and assembly.
fn compiled(bench: &Bench, target: &str) -> Vec<(String, String)> {
    let flags = strings(&["-O3", &format!("-march={target}"), "-w"]);
    let mut listings = Vec::new();
    for units in all_programs() {
        for unit in units.iter().filter(|unit| unit.is_compiled()) {
            // A few of the fixtures are no C that compiles.
            let compiled = bench.toolchain.compile_assembly(&units, &unit.name, &flags);
            let Ok(assembly) = compiled else { continue };
            let ir = bench.toolchain.front_end(&units, &unit.name, &flags);
            listings.push((ir.unwrap().output, assembly.output));
        }
    }
    listings
}

fn needed(asm: &str) -> BTreeSet<Extension> {
    let found = extensions_needed(asm).unwrap();
    found.into_iter().map(|found| found.extension).collect()
}

#[test]
fn code_needs_nothing_that_clang_was_not_told_of() {
    let bench = Bench::new();
    for target in TARGETS {
        let listings = compiled(&bench, target);
        assert!(listings.len() > 10, "{target}");
        for (ir, assembly) in &listings {
            let (declared, needed) = (extensions_declared(ir), needed(assembly));
            let beyond: Vec<_> = needed.difference(&declared).collect();
            assert!(beyond.is_empty(), "{target}: {beyond:?}");
        }
        let expected: &[&str] = match target {
            "x86-64" => &[],
            "x86-64-v2" => &["sse3", "sse4.1", "popcnt"],
            "x86-64-v3" => &[
                "avx", "avx2", "bmi", "bmi2", "fma", "lzcnt", "movbe", "f16c",
            ],
            "x86-64-v4" => &["avx512vl", "avx512bw", "avx512dq"],
            _ => continue,
        };
        let kernels = needed(&listings.last().unwrap().1);
        assert!(target != "x86-64" || kernels.is_empty(), "{kernels:?}");
        for name in expected {
            let extension = Extension::Known((*name).to_owned());
            assert!(
                kernels.contains(&extension),
                "{target}: {name} in {kernels:?}"
            );
        }
    }
}

/// The lines, from 0, that GNU's assembler refuses for processors that have the baseline alone; `None` where there is no
/// such assembler.
fn refused_by_as(asm: &str) -> Option<BTreeSet<usize>> {
    let mut assembler = Command::new("as")
        .args(["--64", "-march=generic64", "-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = assembler.stdin.take()?;
    let text = asm.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = assembler.wait_with_output().ok()?;
    let _ = writer.join();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = |line: &str| {
        let (place, error) = line.split_once(": Error: ")?;
        let is_meant = error.contains("not supported") || error.contains("no such instruction");
        let number = place.rsplit(':').next()?.parse::<usize>().ok()?;
        is_meant.then_some(number - 1)
    };
    Some(stderr.lines().filter_map(line).collect())
}

#[test]
fn the_assembler_refuses_the_same_functions() {
    let bench = Bench::new();
    let mut functions = 0;
    for target in ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        for (_, assembly) in compiled(&bench, target) {
            let Some(refused) = refused_by_as(&assembly) else {
                eprintln!("there is no assembler of GNU's to compare with");
                return;
            };
            for function in assembly_functions(&assembly) {
                let text = function.text(&assembly);
                let is_refused = refused.iter().any(|line| function.lines.contains(line));
                let needed = needed(&format!("\t.text\n{text}"));
                assert_eq!(
                    is_refused,
                    !needed.is_empty(),
                    "{target}: {needed:?}\n{text}"
                );
                functions += 1;
            }
        }
    }
    assert!(functions > 100, "{functions}");
}
