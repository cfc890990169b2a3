//! `whittle eval`.

mod measure;
mod results;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use whittle_engine::Limits;
use whittle_pages::{EVALUATION_SEED, Task};

use crate::options::{
    ModelArguments, TuningArguments, model_name, policy_parser, positive, unit_interval,
};
use crate::{interrupt, session};
use measure::Measurement;
use results::Results;

use super::compare::settings;

/// Measure accuracy per task, policy and budget on generated pages.
///
/// Every question is a full request of its own. One prefill serves all policies that need the same attention rows;
/// each then compresses its own copy of the cache and decodes. An answer counts only if it is exact.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle eval --pages 50
  whittle eval --pages 1000 --budgets 0.05,0.1,0.2 --json eval.json --plot eval.svg
  whittle eval --tasks form,grid --policies vl-cache,snapkv --questions-per-page 8")]
pub(crate) struct Arguments {
    /// How many pages
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pages: usize,
    /// Seed of the first page [default: where held-out pages start]
    #[arg(long, value_name = "N", default_value_t = EVALUATION_SEED, hide_default_value = true)]
    seed_start: u64,
    /// At most this many questions about each page
    #[arg(long, value_name = "N", default_value = "4", value_parser = positive)]
    questions_per_page: usize,
    /// Only these tasks [default: all]
    #[arg(long, value_name = "TASKS", value_delimiter = ',', value_parser = task_parser())]
    tasks: Vec<Task>,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", default_value = "48", value_parser = positive)]
    max_tokens: usize,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
    /// Write all numbers as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw accuracy over budget
    #[arg(long, value_name = "SVG", value_parser = svg_file)]
    plot: Option<PathBuf>,
    /// Policies beside the full cache [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = policy_parser(),
          help_heading = "Compression")]
    policies: Vec<String>,
    /// Fractions of the prompt's KV cache to keep
    #[arg(long, value_name = "ALPHAS", value_delimiter = ',', default_value = "0.05,0.1,0.2",
          value_parser = unit_interval::<f64>, help_heading = "Compression")]
    budgets: Vec<f64>,
    #[command(flatten)]
    tuning: TuningArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let last = arguments.seed_start.checked_add(arguments.pages as u64 - 1);
    last.context("--seed-start and --pages are too large")?;
    let (folder, model) = session::load(&arguments.model)?;
    let settings = settings(&arguments.policies, &arguments.budgets, &arguments.tuning);
    let measurement = Measurement {
        model: &*model,
        settings: &settings,
        tasks: if arguments.tasks.is_empty() {
            &Task::ALL
        } else {
            &arguments.tasks
        },
        seed_start: arguments.seed_start,
        pages: arguments.pages,
        questions_per_page: arguments.questions_per_page,
        limits: Limits {
            max_tokens: arguments.max_tokens,
            ..Limits::default()
        },
        memory_limit: arguments.model.memory_limit,
    };
    let workers = arguments
        .model
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
        .unwrap_or(1)
        .min(arguments.pages);
    let progress = super::progress(arguments.pages as u64, "pages");
    let tallies = measurement.run(workers, &progress)?;
    progress.finish_and_clear();

    let results = Results::new(&model_name(&folder), &measurement, &tallies);
    // Files first: the table on a closed terminal must not cost an hour's numbers.
    if let Some(file) = &arguments.json {
        let json = serde_json::to_string_pretty(&results)? + "\n";
        std::fs::write(file, json)
            .with_context(|| format!("cannot write --json {}", file.display()))?;
    }
    if let Some(file) = &arguments.plot {
        std::fs::write(file, results.plot())
            .with_context(|| format!("cannot write --plot {}", file.display()))?;
    }
    println!("{}", results.table(arguments.markdown));
    Ok(())
}

fn task_parser() -> impl clap::builder::TypedValueParser<Value = Task> {
    PossibleValuesParser::new(Task::ALL.map(Task::name)).try_map(|name| {
        Task::ALL
            .into_iter()
            .find(|task| task.name() == name)
            .ok_or_else(|| format!("there is no task {name}"))
    })
}

fn svg_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    let svg = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    if svg {
        Ok(file)
    } else {
        Err("must end in .svg".to_owned())
    }
}
