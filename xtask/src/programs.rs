//! `cargo xtask programs`: every program of `examples/programs`, optimized, and the table of what came out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::llvm;

/// Where the results are kept, a line of JSON per program.
const RESULTS: &str = "docs/optimization-results.jsonl";
const AA_RESULTS: &str = "docs/optimization-aa.jsonl";
/// The page that is made of both.
const PAGE: &str = "docs/optimization-results.md";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Wall time for each program
    #[arg(long, value_name = "TIME", default_value = "60s")]
    budget_time: String,
    /// Compare each program with itself instead: nothing may come out as faster
    #[arg(long)]
    aa: bool,
    /// Only these programs [default: all]
    #[arg(value_name = "PROGRAM")]
    only: Vec<String>,
}

/// Runs the programs one after the other and writes the page anew.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    llvm::ensure().required()?;
    let whittle = crate::release_binary()?;
    let file = crate::root().join(if arguments.aa { AA_RESULTS } else { RESULTS });
    let mut results = read(&file)?;
    for folder in folders(&arguments.only)? {
        let result = one(&whittle, &folder, arguments)?;
        println!(
            "{}: {}",
            text(&result["program"]),
            text(&result["sentence"])
        );
        results.retain(|old| old["program"] != result["program"]);
        results.push(result);
        results.sort_by_key(|result| text(&result["program"]).to_owned());
        // What was measured is kept, whatever comes after.
        let lines: Vec<String> = results.iter().map(Value::to_string).collect();
        write(&file, &(lines.join("\n") + "\n"))?;
    }
    let page = crate::root().join(PAGE);
    let (found, aa) = (
        read(&crate::root().join(RESULTS))?,
        read(&crate::root().join(AA_RESULTS))?,
    );
    write(&page, &render(&found, &aa))?;
    println!("{}", page.display());
    if let Some(wrong) = results
        .iter()
        .find(|result| arguments.aa && result["faster"] == true)
    {
        bail!("{} came out as faster than itself", text(&wrong["program"]));
    }
    Ok(())
}

/// The folders of the programs.
fn folders(only: &[String]) -> Result<Vec<PathBuf>> {
    let all = crate::root().join("examples/programs");
    let mut folders = Vec::new();
    for entry in fs::read_dir(&all).with_context(|| format!("cannot read {}", all.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.join("tests").is_dir() && (only.is_empty() || only.iter().any(|o| *o == name)) {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() || (!only.is_empty() && folders.len() != only.len()) {
        bail!("{} has no program of this name", all.display());
    }
    Ok(folders)
}

/// Optimizes one program and takes from its report what the page shows.
fn one(whittle: &Path, folder: &Path, arguments: &Arguments) -> Result<Value> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let place = crate::target().join("programs");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
    // The file with main gives the run its name.
    files.sort_by_key(|file| (file.file_stem() != folder.file_name(), file.clone()));
    let mut command = Command::new(whittle);
    command.arg("optimize").args(&files);
    command.arg("--tests").arg(folder.join("tests"));
    command.args([
        "--ldflags",
        "-lm",
        "--json",
        "--budget-time",
        &arguments.budget_time,
    ]);
    command
        .arg("--out")
        .arg(place.join(format!("{name}.whittle")));
    command.arg("--store").arg(place.join("runs.sqlite"));
    command.arg("--cache").arg(place.join("cache"));
    if arguments.aa {
        command.arg("--aa");
    }
    let start = Instant::now();
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", whittle.display()))?;
    if !output.status.success() {
        bail!(
            "whittle optimize failed for {name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let report: Value =
        serde_json::from_slice(&output.stdout).context("whittle optimize --json wrote no JSON")?;
    Ok(excerpt(&name, &report, start.elapsed().as_secs_f64()))
}

/// What the page shows of a report.
fn excerpt(name: &str, report: &Value, wall_s: f64) -> Value {
    let claim = |kind: &str| {
        let found = list(&report["claims"])
            .iter()
            .find(|claim| claim["kind"] == kind);
        found.map_or(Value::Null, |claim| {
            json!({
                "candidate": claim["candidate"],
                "ratio": claim["ratio"],
                "interval": claim["interval"],
                "verdict": claim["verdict"],
                "rung": rung(report, &claim["candidate"]),
                "change": changes(report, &claim["candidate"]),
            })
        })
    };
    let passed_over: Vec<&str> = list(&report["passed_over"])
        .iter()
        .map(|passed| text(&passed["why"]))
        .collect();
    json!({
        "program": name,
        "sentence": report["sentence"],
        "faster": list(&report["claims"]).iter().any(|c| c["kind"] != "native-alone" && c["verdict"] == "faster"),
        "portable": claim("portable"),
        "host": claim("host"),
        "native_alone": claim("native-alone"),
        "passed_over": passed_over,
        "candidates": list(&report["candidates"]).len().saturating_sub(1),
        "noise": report["foundations"]["noise"]["half_width"],
        "wall_s": wall_s.round(),
        "machine": report["machine"],
        "version": report["version"],
    })
}

/// The highest rung that a candidate reached.
fn rung(report: &Value, candidate: &Value) -> Value {
    let found = list(&report["evidence"])
        .iter()
        .find(|e| e["candidate"] == *candidate);
    found.map_or(Value::Null, |evidence| evidence["rung"].clone())
}

/// What was changed, step by step from the original.
fn changes(report: &Value, candidate: &Value) -> Vec<String> {
    let candidates = list(&report["candidates"]);
    let mut steps = Vec::new();
    let mut next = candidate;
    while let Some(step) = candidates.iter().find(|c| c["id"] == *next) {
        if step["parent"].is_null() {
            break;
        }
        steps.push(text(&step["change"]).to_owned());
        next = &step["parent"];
    }
    steps.reverse();
    steps
}

fn render(found: &[Value], aa: &[Value]) -> String {
    let mut page = "# What the optimizer finds\n\n\
        The eight programs of [examples/programs](../examples/programs), with compilers alone. `cargo xtask programs` makes \
        the first table, `cargo xtask programs --aa` the second; [optimization.md](optimization.md) says what the numbers \
        mean.\n"
        .to_owned();
    if !found.is_empty() {
        page += "\nSpeed-up over `clang -O3`, measured afresh on inputs that the search had not seen, with the interval at \
            the confidence that all finalists share. \"Host\" may use this host's instruction set; \"`-march=native` alone\" \
            is `-O3` with that flag and nothing else.\n\n";
        page += &machine(found);
        page += "| program | any machine | rung | what was changed | host | rung | what was changed | `-march=native` alone \
            | tried | time |\n|---|---|---|---|---|---|---|---|---|---|\n";
        for result in found {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} s |",
                text(&result["program"]),
                statement(&result["portable"]),
                number(&result["portable"]["rung"]),
                steps(&result["portable"]),
                statement(&result["host"]),
                number(&result["host"]["rung"]),
                steps(&result["host"]),
                statement(&result["native_alone"]),
                number(&result["candidates"]),
                result["wall_s"].as_f64().unwrap_or_default(),
            );
        }
    }
    if !aa.is_empty() {
        page += "\n## Each program against itself\n\n\
            The original again as if it were a candidate that the search had found. Whatever is called faster here is wrong.\n\n";
        page += &machine(aa);
        page +=
            "| program | called faster | what was measured | noise floor |\n|---|---|---|---|\n";
        for result in aa {
            let called = if result["faster"] == true {
                "**yes**"
            } else {
                "no"
            };
            let measured = match list(&result["passed_over"]).first() {
                Some(why) => text(why).to_owned(),
                None => statement(&result["portable"]),
            };
            let noise = 100.0 * result["noise"].as_f64().unwrap_or_default();
            let name = text(&result["program"]);
            let _ = writeln!(page, "| {name} | {called} | {measured} | ±{noise:.1} % |");
        }
    }
    page
}

/// Where the results were measured.
fn machine(results: &[Value]) -> String {
    let mut machines: Vec<String> = results
        .iter()
        .map(|result| {
            let machine = &result["machine"];
            format!(
                "{}, {} cores, {}",
                text(&machine["cpu"]),
                machine["cores"],
                text(&machine["llvm"])
            )
        })
        .collect();
    machines.dedup();
    format!("{}\n\n", machines.join("; "))
}

/// A claim in a cell.
fn statement(claim: &Value) -> String {
    match (
        claim["ratio"].as_f64(),
        claim["interval"][0].as_f64(),
        claim["interval"][1].as_f64(),
    ) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.3} ({low:.3} to {high:.3})"),
        _ => "nothing faster".to_owned(),
    }
}

fn steps(claim: &Value) -> String {
    let steps: Vec<&str> = list(&claim["change"]).iter().map(text).collect();
    steps.join("; ").replace('|', "\\|")
}

fn number(value: &Value) -> String {
    if value.is_null() {
        String::new()
    } else {
        value.to_string()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The lines of a file of results; none if it is not there.
fn read(file: &Path) -> Result<Vec<Value>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("cannot read {}", file.display()))
        })
        .collect()
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        json!({
            "sentence": "1.30x faster", "version": "0.1.0",
            "machine": {"cpu": "a CPU", "cores": 2, "kernel": "6.1", "llvm": "clang 19"},
            "foundations": {"noise": {"half_width": 0.004}},
            "claims": [
                {"kind": "portable", "candidate": 2, "ratio": 1.3, "interval": [1.25, 1.35], "verdict": "faster"},
                {"kind": "native-alone", "candidate": null, "ratio": 1.0, "interval": [0.99, 1.01],
                 "verdict": "no-difference"}],
            "evidence": [{"candidate": 0, "rung": 0}, {"candidate": 2, "rung": 3}],
            "passed_over": [{"candidate": 1, "why": "undecided"}],
            "candidates": [
                {"id": 0, "parent": null, "change": "the original"},
                {"id": 1, "parent": 0, "change": "profile"},
                {"id": 2, "parent": 1, "change": "a | b"}],
        })
    }

    #[test]
    fn a_report_becomes_a_row() {
        let result = excerpt("prog", &report(), 61.4);
        assert_eq!(result["faster"], true);
        assert_eq!(result["candidates"], 2);
        let page = render(std::slice::from_ref(&result), &[]);
        let row = page.lines().last().unwrap_or_default();
        assert_eq!(
            row,
            "| prog | 1.300 (1.250 to 1.350) | 3 | profile; a \\| b | nothing faster |  |  | 1.000 (0.990 to 1.010) | 2 | 61 s |"
        );
    }

    #[test]
    fn the_instruction_set_alone_is_no_false_claim() {
        let mut report = report();
        report["claims"] = json!([{"kind": "native-alone", "candidate": null, "ratio": 1.2,
                                   "interval": [1.1, 1.3], "verdict": "faster"}]);
        let result = excerpt("prog", &report, 1.0);
        assert_eq!(result["faster"], false);
        let page = render(&[], &[result]);
        assert!(
            page.ends_with("| prog | no | undecided | ±0.4 % |\n"),
            "{page}"
        );
    }
}
