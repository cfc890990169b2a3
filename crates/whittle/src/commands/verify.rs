//! `whittle verify`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result};
use clap::Args;
use whittle_optimizer::session::{self, Verification};

use super::optimize::duration;
use crate::failure::{NOT_CONFIRMED, Said};
use crate::format::printable;
use crate::interrupt;
use crate::progress::{Detail, Progress};
use crate::workplace::ToolArguments;

/// Check a report's claim again on this machine.
///
/// Rebuilds the winner, runs its tests and measures it against clang -O3. The exit code is 0 if the claim holds here and 6 if it does not: some test fails, or the winner is not faster than
/// -O3 by the margin. The speed-up may be another one; both are shown.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle verify prog.whittle/report.json
  whittle verify prog.whittle --time 2m
  whittle verify prog.whittle --json")]
pub(crate) struct Arguments {
    /// report.json in the output folder of whittle optimize, or the folder
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// Time to measure for, as in 90s or 2m
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    time: Duration,
    /// Write JSON, and show no progress
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tools: ToolArguments,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let cancel = Arc::new(AtomicBool::new(false));
    let toolchain = arguments.tools.toolchain(cancel.clone())?;
    interrupt::stops(move || cancel.store(true, Ordering::SeqCst), None);
    let detail = if arguments.json {
        Detail::Warnings
    } else {
        Detail::All
    };
    let mut progress = Progress::new(detail);
    let result = session::verify(
        &toolchain,
        &arguments.report,
        arguments.time,
        &mut |event| {
            progress.show(&event);
        },
    );
    progress.finish();
    // After Ctrl-C whatever failed did so because it was ended.
    interrupt::check()?;
    let verification = result?;
    if arguments.json {
        let json =
            serde_json::to_string_pretty(&verification).context("cannot write the result")?;
        println!("{json}");
    } else {
        anstream::println!("{}", render(&verification));
    }
    if verification.confirmed {
        Ok(())
    } else {
        Err(Said(NOT_CONFIRMED).into())
    }
}

fn render(verification: &Verification) -> String {
    let speed = |[ratio, low, high]: [f64; 3]| format!("{ratio:.3}x ({low:.3} to {high:.3})");
    let (style, word) = if verification.confirmed {
        (AnsiColor::Green.on_default().bold(), "confirmed")
    } else {
        (AnsiColor::Red.on_default().bold(), "not confirmed")
    };
    let mut text = format!("{style}{word}{style:#}: run {}\n", verification.run);
    let mut fact = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    match verification.claimed {
        Some(claimed) => fact("claimed", speed(claimed)),
        None => fact("claimed", "nothing: no faster program was found".to_owned()),
    }
    if let Some(comparison) = &verification.comparison {
        let [low, high] = comparison.interval;
        let here = speed([comparison.ratio, low, high]);
        fact("here", format!("{here}, {}", comparison.verdict));
        fact("tests", format!("{} passed", verification.tests_passed));
    }
    if let Some(noise) = verification.noise {
        fact("noise", crate::format::percent(noise));
    }
    for problem in &verification.problems {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        fact("problem", format!("{red}{}{red:#}", printable(problem)));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks() {
        let mut verification = Verification {
            run: "20260102-0304-prog-0a1b".to_owned(),
            confirmed: false,
            problems: vec!["test a: line 1 is \"1\", not \"2\"".to_owned()],
            tests_passed: 33,
            claimed: Some([1.3, 1.25, 1.35]),
            comparison: None,
            noise: Some(0.004),
        };
        let plain = |verification: &Verification| {
            anstream::adapter::strip_str(&render(verification)).to_string()
        };
        insta::assert_snapshot!("not_confirmed", plain(&verification));
        verification.confirmed = true;
        verification.problems.clear();
        (verification.claimed, verification.noise) = (None, None);
        insta::assert_snapshot!("nothing_claimed", plain(&verification));
    }
}
