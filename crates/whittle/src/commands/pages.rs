//! `whittle pages`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use whittle_pages::{EVALUATION_SEED, Page};

use crate::interrupt;
use crate::options::positive;

/// Write generated pages and their questions.
///
/// Writes page-SEED.png for every page, and questions.jsonl with one line per question.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle pages --count 10 --out pages
  whittle pages --seed 42 --count 1 --out pages")]
pub(crate) struct Arguments {
    /// Folder to write to; made if missing
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
    /// Seed of the first page; the following pages count up [default: where held-out pages start]
    #[arg(long, value_name = "N", default_value_t = EVALUATION_SEED, hide_default_value = true)]
    seed: u64,
    /// How many pages
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    count: usize,
}

/// A line of questions.jsonl.
#[derive(Serialize)]
struct Line<'a> {
    image: &'a str,
    seed: u64,
    task: &'static str,
    question: &'a str,
    answer: &'a str,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let folder = &arguments.out;
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let list = folder.join("questions.jsonl");
    let cannot_write = || format!("cannot write {}", list.display());
    let mut lines = BufWriter::new(File::create(&list).with_context(cannot_write)?);
    let last = arguments
        .seed
        .checked_add(arguments.count as u64 - 1)
        .context("--seed and --count are too large")?;
    let progress = crate::commands::progress(arguments.count as u64, "pages");
    let mut questions = 0;
    for seed in arguments.seed..=last {
        interrupt::check()?;
        let page = Page::generate(seed);
        let image = format!("page-{seed}.png");
        let file = folder.join(&image);
        page.image
            .save(&file)
            .with_context(|| format!("cannot write {}", file.display()))?;
        for question in &page.questions {
            let line = Line {
                image: &image,
                seed,
                task: question.task.name(),
                question: &question.text,
                answer: &question.answer,
            };
            writeln!(lines, "{}", serde_json::to_string(&line)?).with_context(cannot_write)?;
            questions += 1;
        }
        progress.inc(1);
    }
    lines.flush().with_context(cannot_write)?;
    progress.finish_and_clear();
    println!(
        "{} pages, {questions} questions in {}",
        arguments.count,
        folder.display()
    );
    Ok(())
}
