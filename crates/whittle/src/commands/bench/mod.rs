//! `whittle bench`: what compression costs and saves, measured on random weights.
//!
//! Every point runs in a process of its own, so that peaks of memory don't mix; runs with and without compression
//! alternate, so that a change of the machine's speed meets both.

pub(crate) mod one;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;
use whittle_models::random::{RandomShape, write_random_checkpoint};

use crate::options::{policy_parser, positive, unit_interval};
use crate::report::seconds;
use crate::table::{self, Column, number, text};
use crate::{format, interrupt};

use super::compare::FULL;
use one::Point;

/// Measure time and memory on a random-weight model.
///
/// Speed and memory do not depend on trained weights. The shapes: s (94 M parameters of decoder) and m (567 M
/// parameters, bf16, 8 layers, 4 KV heads of 128).
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle bench
  whittle bench --shape s --prompts 1024 --repeat 5 --json")]
pub(crate) struct Arguments {
    /// Shape of the model
    #[arg(long, value_name = "NAME", default_value = "m", value_parser = ["s", "m"])]
    shape: String,
    /// Prompt lengths in tokens
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_value = "2048,8192", value_parser = positive)]
    prompts: Vec<usize>,
    /// Tokens to generate after each prompt
    #[arg(long, value_name = "N", default_value = "17", value_parser = two_or_more)]
    new_tokens: usize,
    /// Policy to measure against the full cache
    #[arg(long, value_name = "NAME", default_value = "vl-cache", value_parser = policy_parser())]
    policy: String,
    /// Fraction of the prompt's KV cache to keep
    #[arg(long, value_name = "ALPHA", default_value = "0.1", value_parser = unit_interval::<f64>)]
    kv_budget: f64,
    /// Runs per point; the medians are reported
    #[arg(long, value_name = "N", default_value = "3", value_parser = positive)]
    repeat: usize,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// Where the random weights are kept (shape m: 1.1 GB) [default: the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    checkpoint: Option<PathBuf>,
    /// Write JSON instead of a Markdown table
    #[arg(long)]
    json: bool,
}

/// A point of the report: medians over the runs.
#[derive(Serialize, Debug, Clone, PartialEq)]
struct Row {
    policy: String,
    budget: f64,
    prompt_tokens: usize,
    runs: usize,
    #[serde(flatten)]
    median: Point,
    /// Statistics, planning and compaction as a share of the rest of prefill, median over the runs.
    overhead: f64,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let checkpoint = checkpoint(arguments)?;
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let settings = [
        (FULL, 1.0),
        (arguments.policy.as_str(), arguments.kv_budget),
    ];
    let points = (arguments.prompts.len() * arguments.repeat * settings.len()) as u64;
    let progress = super::progress(points, "runs");
    let mut runs = Vec::new();
    for _ in 0..arguments.repeat {
        for tokens in &arguments.prompts {
            for (policy, budget) in settings {
                interrupt::check()?;
                runs.push((
                    (policy, *tokens),
                    budget,
                    one_run(&program, arguments, &checkpoint, policy, budget, *tokens)?,
                ));
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();

    let mut rows = Vec::new();
    for tokens in &arguments.prompts {
        for (policy, budget) in settings {
            let of_point = runs.iter().filter(|(key, _, _)| *key == (policy, *tokens));
            let points: Vec<Point> = of_point.map(|(_, _, point)| point.clone()).collect();
            rows.push(row(policy, budget, *tokens, &points));
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("{}", render(&rows));
    }
    Ok(())
}

/// The folder of the random weights, written if it is not there yet.
fn checkpoint(arguments: &Arguments) -> Result<PathBuf> {
    let shape = RandomShape::named(&arguments.shape).context("no such shape")?;
    let folder = arguments
        .checkpoint
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("whittle-bench-{}", arguments.shape)));
    if folder.join("config.json").is_file() {
        return Ok(folder);
    }
    let cannot_write = || format!("cannot write the random weights to {}", folder.display());
    // Under another name until it is complete.
    let unfinished = folder.with_extension("unfinished");
    let progress = super::progress(0, "bytes of random weights");
    write_random_checkpoint(&unfinished, &shape, 0, |done, total| {
        progress.set_length(total);
        progress.set_position(done);
    })
    .with_context(cannot_write)?;
    progress.finish_and_clear();
    std::fs::rename(&unfinished, &folder).with_context(cannot_write)?;
    Ok(folder)
}

fn one_run(
    program: &Path,
    arguments: &Arguments,
    checkpoint: &Path,
    policy: &str,
    budget: f64,
    tokens: usize,
) -> Result<Point> {
    let mut command = Command::new(program);
    command.arg("bench-one").arg("--model").arg(checkpoint);
    command.args(["--policy", policy, "--kv-budget", &budget.to_string()]);
    command.args([
        "--prompt-tokens",
        &tokens.to_string(),
        "--new-tokens",
        &arguments.new_tokens.to_string(),
    ]);
    if let Some(threads) = arguments.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the measuring process")?;
    interrupt::check()?;
    if !output.status.success() {
        bail!(
            "measuring {policy} at {tokens} tokens failed: {}",
            output.status
        );
    }
    serde_json::from_slice(&output.stdout).context("the measuring process wrote no result")
}

fn row(policy: &str, budget: f64, prompt_tokens: usize, runs: &[Point]) -> Row {
    let of = |get: fn(&Point) -> f64| median(runs.iter().map(get).collect());
    let bytes =
        |get: fn(&Point) -> u64| median(runs.iter().map(|run| get(run) as f64).collect()) as u64;
    let optional = |get: fn(&Point) -> Option<u64>| {
        let values: Option<Vec<f64>> = runs
            .iter()
            .map(|run| get(run).map(|value| value as f64))
            .collect();
        values.map(|values| median(values) as u64)
    };
    let median = Point {
        model_s: of(|run| run.model_s),
        statistics_s: of(|run| run.statistics_s),
        compress_s: of(|run| run.compress_s),
        decode_step_s: of(|run| run.decode_step_s),
        cache_bytes_before: bytes(|run| run.cache_bytes_before),
        cache_bytes_after: bytes(|run| run.cache_bytes_after),
        weight_bytes: bytes(|run| run.weight_bytes),
        prefill_peak_bytes: optional(|run| run.prefill_peak_bytes),
        decode_peak_bytes: optional(|run| run.decode_peak_bytes),
    };
    let overhead = of(|run| (run.statistics_s + run.compress_s) / run.model_s);
    Row {
        policy: policy.to_owned(),
        budget,
        prompt_tokens,
        runs: runs.len(),
        median,
        overhead,
    }
}

/// The first token comes from prefill, so a decode step takes a second one.
fn two_or_more(text: &str) -> Result<usize, String> {
    positive(text).and_then(|count| {
        if count < 2 {
            Err("must be at least 2".to_owned())
        } else {
            Ok(count)
        }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

fn render(rows: &[Row]) -> String {
    const COLUMNS: [Column; 10] = [
        number("prompt"),
        text("policy"),
        number("budget"),
        number("prefill"),
        number("compression"),
        number("share"),
        number("decode step"),
        number("KV cache"),
        number("peak in prefill"),
        number("peak in decode"),
    ];
    let memory = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), format::bytes);
    let cells = rows.iter().map(|row| {
        let point = &row.median;
        vec![
            format::count(row.prompt_tokens as u64),
            row.policy.clone(),
            row.budget.to_string(),
            seconds(point.model_s + point.statistics_s + point.compress_s),
            seconds(point.statistics_s + point.compress_s),
            format!("{:.2} %", 100.0 * row.overhead),
            seconds(point.decode_step_s),
            format::bytes(point.cache_bytes_after),
            memory(point.prefill_peak_bytes),
            memory(point.decode_peak_bytes),
        ]
    });
    table::markdown(&COLUMNS, &cells.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn table_looks() {
        let run = |model_s: f64| Point {
            model_s,
            statistics_s: 0.05,
            compress_s: 0.01,
            decode_step_s: 0.0312,
            cache_bytes_before: 33_554_432,
            cache_bytes_after: 3_400_000,
            weight_bytes: 1_134_000_000,
            prefill_peak_bytes: Some(1_300_000_000),
            decode_peak_bytes: None,
        };
        let row = row("vl-cache", 0.1, 2048, &[run(6.0), run(5.0), run(12.0)]);
        assert!(
            (row.overhead - 0.01).abs() < 1e-12,
            "median of 1 %, 1.2 % and 0.5 %"
        );
        insta::assert_snapshot!(render(&[row]));
    }
}
