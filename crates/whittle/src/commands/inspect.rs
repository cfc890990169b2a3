//! `whittle inspect`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use whittle_engine::memory;
use whittle_models::ModelDescription;

use crate::format;
use crate::options::{ModelArguments, positive, unit_interval};
use crate::session;
use crate::table::{self, number};

/// Show what a checkpoint is and how much memory it takes.
///
/// Sizes of the cache are calculated from the model's shape; `whittle bench` measures them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle inspect
  whittle inspect --model ~/models/llava-v1.6-mistral-7b-hf --context 2048,8192,32768
  whittle inspect --json")]
pub(crate) struct Arguments {
    /// Prompt lengths to calculate memory for [default: some up to the model's longest]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', value_parser = positive)]
    context: Vec<usize>,
    /// Fraction of the KV cache kept with compression
    #[arg(long, value_name = "ALPHA", default_value = "0.1", value_parser = unit_interval::<f64>)]
    kv_budget: f64,
    /// Write JSON instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
}

/// Everything that is shown.
#[derive(Serialize)]
struct Inspection {
    folder: String,
    architecture: String,
    parameters: u64,
    weight_bytes: u64,
    max_positions: usize,
    vocabulary: usize,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    query_heads: usize,
    kv_heads: usize,
    head_dim: usize,
    cache_type: String,
    cache_bytes_per_token: usize,
    vision: Option<Vision>,
    kv_budget: f64,
    contexts: Vec<Context>,
    policies: Vec<Policy>,
}

#[derive(Serialize)]
struct Vision {
    layers: usize,
    hidden: usize,
    tile: usize,
    patch: usize,
}

#[derive(Serialize)]
struct Context {
    tokens: usize,
    full_cache_bytes: u64,
    compressed_cache_bytes: u64,
    prefill_peak_bytes: u64,
}

#[derive(Serialize)]
struct Policy {
    name: &'static str,
    summary: &'static str,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (_, model) = session::load(&arguments.model)?;
    let inspection = inspect(model.description(), &arguments.context, arguments.kv_budget);
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&inspection).context("cannot write the report")?
        );
    } else {
        println!("{}", render(&inspection));
    }
    Ok(())
}

fn inspect(model: &ModelDescription, contexts: &[usize], kv_budget: f64) -> Inspection {
    let default: Vec<usize> = [512, 2048, 8192, 32_768, 131_072]
        .into_iter()
        .filter(|tokens| *tokens < model.max_positions)
        .collect();
    let contexts = if contexts.is_empty() {
        [default, vec![model.max_positions]].concat()
    } else {
        contexts.to_vec()
    };
    let context = |tokens: usize| Context {
        tokens,
        full_cache_bytes: memory::full_cache_bytes(model, tokens),
        compressed_cache_bytes: (memory::full_cache_bytes(model, tokens) as f64 * kv_budget) as u64,
        prefill_peak_bytes: memory::prefill_bytes(model, tokens),
    };
    Inspection {
        folder: model.folder.display().to_string(),
        architecture: model.architecture.clone(),
        parameters: model.parameters,
        weight_bytes: model.weight_bytes,
        max_positions: model.max_positions,
        vocabulary: model.text.vocabulary,
        hidden: model.text.hidden,
        intermediate: model.text.intermediate,
        layers: model.cache.layers,
        query_heads: model.cache.query_heads,
        kv_heads: model.cache.kv_heads,
        head_dim: model.cache.head_dim,
        cache_type: format!("{:?}", model.cache.dtype).to_lowercase(),
        cache_bytes_per_token: model.cache.bytes_per_token(),
        vision: model.vision.as_ref().map(|vision| Vision {
            layers: vision.layers,
            hidden: vision.hidden,
            tile: vision.tile,
            patch: vision.patch,
        }),
        kv_budget,
        contexts: contexts.into_iter().map(context).collect(),
        policies: whittle_kv::registry()
            .iter()
            .map(|entry| Policy {
                name: entry.name,
                summary: entry.summary,
            })
            .collect(),
    }
}

fn render(inspection: &Inspection) -> String {
    let i = inspection;
    let vision = i.vision.as_ref().map_or_else(
        || "none (text only)".to_owned(),
        |v| {
            format!(
                "{} layers of width {}, tiles of {} px, patches of {} px",
                v.layers, v.hidden, v.tile, v.patch
            )
        },
    );
    let facts = [
        ("architecture", i.architecture.clone()),
        (
            "weights",
            format!(
                "{} parameters, {}",
                format::count(i.parameters),
                format::bytes(i.weight_bytes)
            ),
        ),
        ("vision", vision),
        (
            "decoder",
            format!(
                "{} layers of width {}, MLP {}, vocabulary {}",
                i.layers,
                i.hidden,
                i.intermediate,
                format::count(i.vocabulary as u64)
            ),
        ),
        (
            "heads",
            format!(
                "{} query, {} KV, of {}",
                i.query_heads, i.kv_heads, i.head_dim
            ),
        ),
        ("positions", format::count(i.max_positions as u64)),
        (
            "KV cache",
            format!(
                "{} per token in {}",
                format::bytes(i.cache_bytes_per_token as u64),
                i.cache_type
            ),
        ),
    ];
    let mut out = format!("{}\n", i.folder);
    for (name, value) in facts {
        let _ = writeln!(out, "  {name:<13} {value}");
    }
    let kept = format::percent(i.kv_budget);
    let rows: Vec<Vec<String>> = i
        .contexts
        .iter()
        .map(|context| {
            vec![
                format::count(context.tokens as u64),
                format::bytes(context.full_cache_bytes),
                format::bytes(context.compressed_cache_bytes),
                format::bytes(context.prefill_peak_bytes),
            ]
        })
        .collect();
    let columns = [
        number("prompt tokens"),
        number("full cache"),
        number("compressed"),
        number("prefill peak"),
    ];
    let table = table::plain(&columns, &rows);
    let _ = writeln!(
        out,
        "\nMemory, calculated; compressed to {kept}, weights not counted\n{table}"
    );
    out += "\nPolicies\n";
    for policy in &i.policies {
        let _ = writeln!(out, "  {:<20} {}", policy.name, policy.summary);
    }
    out.trim_end().to_owned()
}
