//! `whittle bench`: how fast the engine is on random weights, beside what the machine allows and what other engines do.

mod bounds;
mod child;
mod grid;
pub(crate) mod one;
mod peer;
mod plot;
mod render;
mod report;
mod results;
mod rounds;
mod scale;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};

use crate::cli::Usage;
use crate::interrupt;
use crate::options::{policy_parser, positive, unit_interval};

use peer::Peer;
use rounds::Rounds;

/// Measure time and memory on a random-weight model.
///
/// Speed and memory do not depend on trained weights. Every prompt length is measured with every batch size: first our
/// own policies and budgets, then the peers, each in a process of its own, in several rounds. Times stand beside the
/// least that the machine's memory bandwidth and our best matrix product allow.
///
/// The shapes are Mistral decoders in bf16: s (175 M parameters) and m (567 M, 8 layers, 4 KV heads of 128).
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle bench
  whittle bench --prompts 1024,4096 --batches 1,4 --policies full,vl-cache,snapkv --budgets 0.05,0.1
  whittle bench --peer transformers,llama.cpp --python venv/bin/python --json --plot bench.svg
  whittle bench --shape s --measure matmul,vision --peer transformers")]
pub(crate) struct Arguments {
    /// Shape of the model
    #[arg(long, value_name = "NAME", default_value = "m", value_parser = shape_parser())]
    shape: String,
    /// What to measure
    #[arg(
        long,
        value_name = "PART",
        value_delimiter = ',',
        default_value = "grid"
    )]
    measure: Vec<Part>,
    /// Prompt lengths in tokens
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_value = "2048,8192", value_parser = positive)]
    prompts: Vec<usize>,
    /// Numbers of sequences that are decoded together
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = positive)]
    batches: Vec<usize>,
    /// Tokens to generate after each prompt
    #[arg(long, value_name = "N", default_value = "17", value_parser = two_or_more)]
    new_tokens: usize,
    /// Policies to measure
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "full,vl-cache", value_parser = policy_parser())]
    policies: Vec<String>,
    /// Fractions of the prompts' KV cache to keep, with every policy but full
    #[arg(long, value_name = "ALPHAS", value_delimiter = ',', default_value = "0.1", value_parser = unit_interval::<f64>)]
    budgets: Vec<f64>,
    /// Engines to measure beside ours; may be given several times. One that is not installed is left out with a warning
    #[arg(long = "peer", value_name = "NAME", value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Python interpreter that has the peers' packages
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// Rounds; the medians are reported
    #[arg(long, value_name = "N", default_value = "3", value_parser = positive)]
    repeat: usize,
    /// Threads that every engine computes with [default: all cores]
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// Where the random weights are kept (shape m: 1.1 GB, as much again for llama.cpp; a folder beside it with -vision
    /// at its end: 0.7 GB) [default: the folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    checkpoint: Option<PathBuf>,
    /// Write JSON instead of Markdown tables
    #[arg(long)]
    json: bool,
    /// Draw prefill and decode step over the prompt's length into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// A part of the bench.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Prompts and their continuations
    Grid,
    /// Matrix products of the model's layers
    Matmul,
    /// CLIP ViT-L/14 at 336 pixels and projector, over the five tiles of an image
    Vision,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.plot.is_some() && !arguments.measure.contains(&Part::Grid) {
        return Err(Usage("--plot draws the grid, which --measure leaves out".to_owned()).into());
    }
    interrupt::listen()?;
    let report = Rounds::new(arguments)?.run()?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", render::markdown(&report));
    }
    if let Some(file) = &arguments.plot {
        let title = format!("whittle bench, shape {}", arguments.shape);
        std::fs::write(file, plot::svg(&title, &report.grid))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The shapes; the one for tests is not shown.
fn shape_parser() -> PossibleValuesParser {
    let tiny = PossibleValue::new("tiny").hide(true);
    PossibleValuesParser::new([PossibleValue::new("s"), PossibleValue::new("m"), tiny])
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
