//! `whittle runs`.

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use whittle_optimizer::archive::RunSummary;
use whittle_optimizer::session::RunState;

use crate::format;
use crate::table::{self, number, text};
use crate::workplace::StoreArguments;

/// Longer results are cut in the table.
const LONGEST_RESULT: usize = 100;

/// List the runs of whittle optimize, the newest first.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle runs
  whittle runs --json")]
pub(crate) struct Arguments {
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
}

/// A run as JSON.
#[derive(Serialize)]
struct Run {
    id: String,
    started: Timestamp,
    program: String,
    state: RunState,
    candidates: usize,
    best_in_search: Option<f64>,
    result: String,
}

impl From<RunSummary> for Run {
    fn from(run: RunSummary) -> Self {
        Self {
            id: run.id.to_string(),
            started: run.started,
            program: run.program,
            state: run.state,
            candidates: run.nodes,
            best_in_search: run.best,
            result: run.result,
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let runs = match arguments.store.open_if_there()? {
        Some(archive) => archive.runs()?,
        None => Vec::new(),
    };
    let runs: Vec<Run> = runs.into_iter().map(Run::from).collect();
    if arguments.json {
        let json = serde_json::to_string_pretty(&runs).context("cannot write the list")?;
        println!("{json}");
    } else if runs.is_empty() {
        println!("no runs in {}", arguments.store.path()?.display());
    } else {
        println!("{}", render(&runs));
    }
    Ok(())
}

fn render(runs: &[Run]) -> String {
    let columns = [
        text("run"),
        text("begun"),
        text("program"),
        text("state"),
        number("candidates"),
        text("result"),
    ];
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.id.clone(),
                local(run.started),
                run.program.clone(),
                state(run.state).to_owned(),
                format::count(run.candidates as u64),
                cut(&run.result),
            ]
        })
        .collect();
    table::plain(&columns, &rows)
}

/// A time in this machine's time zone.
pub(super) fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// How far a run came, in a word.
pub(super) fn state(state: RunState) -> &'static str {
    match state {
        RunState::Open => "unfinished",
        RunState::Finished => "finished",
        RunState::Failed => "failed",
    }
}

/// The first line, if it is short.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(LONGEST_RESULT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks() {
        let run = |state, result: &str| Run {
            id: "20260102-0304-prog-0a1b".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            program: "prog".to_owned(),
            state,
            candidates: 1234,
            best_in_search: Some(1.5),
            result: result.to_owned(),
        };
        let runs = [
            run(RunState::Finished, "1.31× faster than clang -O3"),
            run(
                RunState::Failed,
                &format!("the program does not compile\n{}", "x".repeat(200)),
            ),
            run(RunState::Open, &"y".repeat(101)),
        ];
        let text = render(&runs).replace(&local(Timestamp::UNIX_EPOCH), "1970-01-01 00:00");
        insta::assert_snapshot!(text);
    }
}
