//! `whittle show`.

mod node;
mod tree;

use std::fmt::Write as _;
use std::path::PathBuf;

use anstyle::Style;
use anyhow::{Context as _, Result};
use clap::Args;
use whittle_optimizer::archive::{RunId, RunRecord};
use whittle_optimizer::report::{self, Report, Texts};
use whittle_optimizer::tree::NodeId;

use super::runs::{local, state};
use crate::cli::Usage;
use crate::workplace::StoreArguments;

/// Show a run of whittle optimize: its result, what it rests on, everything that was tried.
///
/// Speed-ups in the tree are timings of the search: they steer it and claim nothing.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle show
  whittle show 20260102-0304
  whittle show latest --node 17
  whittle show popcount --json")]
pub(crate) struct Arguments {
    /// The run: its name, the beginning or a part of it, or latest
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
    /// Show one candidate: how it is built, what was changed, what came of it
    #[arg(long, value_name = "N")]
    node: Option<u32>,
    /// Write the run's report, or the candidate, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let no_runs = || -> Result<Usage> {
        let path = arguments.store.path()?;
        Ok(Usage(format!("there are no runs in {}", path.display())))
    };
    let Some(archive) = arguments.store.open_if_there()? else {
        return Err(no_runs()?.into());
    };
    let id = match arguments.run.as_str() {
        "latest" => match archive.runs()?.into_iter().next() {
            Some(newest) => newest.id,
            None => return Err(no_runs()?.into()),
        },
        wanted => archive.resolve(wanted)?,
    };
    let record = archive.load(&id)?;
    let report = Report::new(&id, &record, &Texts::default());
    let text = match arguments.node {
        Some(number) => {
            let node = record
                .tree
                .get(NodeId(number))
                .ok_or_else(|| no_such_node(&id, &record, number))?;
            if arguments.json {
                serde_json::to_string_pretty(node)?
            } else {
                node::text(node, &record, &report)
            }
        }
        None if arguments.json => serde_json::to_string_pretty(&report)?,
        None => whole(&id, &record, &report),
    };
    anstream::println!("{text}");
    Ok(())
}

fn no_such_node(id: &RunId, record: &RunRecord, number: u32) -> Usage {
    Usage(match record.tree.nodes().last() {
        Some(last) => format!(
            "run {id} has no candidate #{number}: the last one is {}",
            last.id
        ),
        None => format!("run {id} has no candidates"),
    })
}

fn whole(id: &RunId, record: &RunRecord, report: &Report) -> String {
    let (bold, faint) = (Style::new().bold(), Style::new().dimmed());
    let mut text = format!(
        "{bold}{id}{bold:#} {faint}{}, begun {}, {}{faint:#}\n{}",
        state(record.state),
        local(record.started),
        record.header.machine.cpu,
        report::summary(report),
    );
    if !record.tree.nodes().is_empty() {
        // The original is no result.
        let winner = report.winner.as_ref().map(|winner| winner.candidate);
        let tree = tree::text(&record.tree, winner.filter(|winner| *winner != 0));
        let _ = write!(text, "\n{bold}Tried{bold:#}\n{tree}");
    }
    if let Some(page) = page(id, record) {
        let _ = writeln!(text, "\nreport: {}", page.display());
    }
    text.trim_end().to_owned()
}

/// The run's page, if it lies where it usually does.
fn page(id: &RunId, record: &RunRecord) -> Option<PathBuf> {
    let folder = PathBuf::from(format!("{}.whittle", record.header.program.name));
    let report = std::fs::read(folder.join("report.json"))
        .context("no report")
        .and_then(|bytes| Ok(serde_json::from_slice::<Report>(&bytes)?));
    report
        .is_ok_and(|report| report.run == id.as_str())
        .then(|| folder.join("report.html"))
}
