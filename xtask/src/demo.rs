//! `cargo xtask demo`: two pages, a few questions each, a tenth of the KV cache; then a C program, made faster.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::llvm::{self, Llvm};

/// Pages shown, and questions asked about each.
const PAGES: usize = 2;
const QUESTIONS: usize = 3;
/// The program that is optimized, and for how long.
const PROGRAM: &str = "popcount";
const BUDGET: &str = "45s";

/// A question of `examples/images/questions.jsonl` with the answer that is printed on the page.
struct Example {
    task: String,
    question: String,
    answer: String,
}

/// Builds the release binary, asks it about the first pages of `examples/images`, and lets it optimize a program of
/// `examples/programs`.
pub(crate) fn run() -> Result<()> {
    let root = crate::root();
    let model = root.join("models/reader");
    let images = root.join("examples/images");
    if !model.join("config.json").is_file() {
        bail!(
            "the bundled model is missing: {} (is the clone complete?)",
            model.display()
        );
    }
    let pages = examples(&images.join("questions.jsonl"))?;

    let llvm = llvm::ensure();
    let whittle = crate::release_binary()?;

    for (image, examples) in pages.iter().take(PAGES) {
        println!("\nexamples/images/{image}");
        for example in pick(examples) {
            println!("\n  Q  {}", example.question);
            let mut ask = Command::new(&whittle);
            ask.arg("ask")
                .arg("--model")
                .arg(&model)
                .arg("--image")
                .arg(images.join(image));
            ask.args(["--json", &example.question]);
            let output = ask
                .output()
                .with_context(|| format!("cannot start {}", whittle.display()))?;
            if !output.status.success() {
                bail!(
                    "whittle ask failed: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
            }
            print_answer(&output.stdout, &example.answer)?;
        }
    }
    println!(
        "\nAsk yourself: {} ask --image FILE \"question\"",
        whittle.display()
    );
    match llvm {
        Llvm::Ready if cfg!(target_os = "linux") => optimize(&whittle),
        Llvm::Ready => {
            println!(
                "\nOptimizing C programs works on Linux only; that part of the demo is left out."
            );
            Ok(())
        }
        Llvm::Missing { remedy } => {
            println!(
                "\nThe other half, making C programs faster, is left out: it needs LLVM 16 or newer, which is missing; {remedy}"
            );
            Ok(())
        }
    }
}

/// Optimizes a program; the last line says where the report is.
fn optimize(whittle: &Path) -> Result<()> {
    let root = crate::root();
    let program = root.join("examples/programs").join(PROGRAM);
    let folder = crate::target().join("demo");
    let output = folder.join(format!("{PROGRAM}.whittle"));
    println!("\nexamples/programs/{PROGRAM}: looking for a faster program for {BUDGET} ...\n");
    let mut command = Command::new(whittle);
    command
        .arg("optimize")
        .arg(program.join(format!("{PROGRAM}.c")))
        .arg("--tests")
        .arg(program.join("tests"))
        .args(["--budget-time", BUDGET])
        .arg("--out")
        .arg(&output)
        .arg("--store")
        .arg(folder.join("runs.sqlite"))
        .arg("--cache")
        .arg(folder.join("cache"));
    crate::run(&mut command)?;
    println!(
        "\nOptimize yourself: {} optimize FILE.c --tests FOLDER\nReport: {}",
        whittle.display(),
        output.join("report.html").display()
    );
    Ok(())
}

/// The questions by image, in the order of the images' names.
fn examples(file: &Path) -> Result<BTreeMap<String, Vec<Example>>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut pages: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line)
            .with_context(|| format!("{}, line {}", file.display(), number + 1))?;
        let field = |name: &str| {
            value[name].as_str().map(str::to_owned).with_context(|| {
                format!(
                    "{}, line {}: no field \"{name}\"",
                    file.display(),
                    number + 1
                )
            })
        };
        pages.entry(field("image")?).or_default().push(Example {
            task: field("task")?,
            question: field("question")?,
            answer: field("answer")?,
        });
    }
    Ok(pages)
}

/// One question per task first, then the rest, at most [`QUESTIONS`].
fn pick(examples: &[Example]) -> Vec<&Example> {
    let mut picked: Vec<&Example> = Vec::new();
    for fresh_task in [true, false] {
        for example in examples {
            let seen = picked.iter().any(|p| p.task == example.task);
            let taken = picked.iter().any(|p| p.question == example.question);
            if picked.len() < QUESTIONS && !taken && seen != fresh_task {
                picked.push(example);
            }
        }
    }
    picked
}

fn print_answer(json: &[u8], expected: &str) -> Result<()> {
    let report: Value = serde_json::from_slice(json).context("whittle ask --json wrote no JSON")?;
    let number = |path: &str| {
        report
            .pointer(path)
            .and_then(Value::as_f64)
            .with_context(|| format!("no {path} in the report"))
    };
    let answer = report["answer"]
        .as_str()
        .context("no answer in the report")?
        .trim();
    let verdict = if answer == expected {
        String::new()
    } else {
        format!("   (the page says {expected})")
    };
    println!("  A  {answer}{verdict}");
    println!(
        "     kept {:.0} of {:.0} cache entries, {:.0} of {:.0} kB, mass {:.1} %, prefill {:.0} ms, decode {:.0} ms",
        number("/cache/kept_entries")?,
        number("/cache/prompt_entries")?,
        number("/cache/bytes_after")? / 1e3,
        number("/cache/bytes_before")? / 1e3,
        100.0 * number("/cache/retained_mass")?,
        1e3 * number("/times/prefill_s")?,
        1e3 * number("/times/decode_s")?,
    );
    Ok(())
}
