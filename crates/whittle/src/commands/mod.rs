//! One file per subcommand.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod compare;
#[cfg(target_os = "linux")]
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod inspect;
#[cfg(target_os = "linux")]
pub(crate) mod mcp;
#[cfg(target_os = "linux")]
pub(crate) mod model;
#[cfg(target_os = "linux")]
pub(crate) mod optimize;
pub(crate) mod pages;
#[cfg(target_os = "linux")]
pub(crate) mod runs;
#[cfg(target_os = "linux")]
pub(crate) mod show;
#[cfg(target_os = "linux")]
pub(crate) mod suite;
#[cfg(target_os = "linux")]
pub(crate) mod verify;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Arguments, Command};

/// Runs the chosen subcommand.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Ask(arguments) => ask::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchOne(arguments) => bench::one::run(&arguments),
        Command::Pages(arguments) => pages::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Optimize(arguments) => optimize::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Mcp(arguments) => mcp::run(arguments),
        #[cfg(target_os = "linux")]
        Command::Runs(arguments) => runs::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Show(arguments) => show::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Verify(arguments) => verify::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Doctor(arguments) => doctor::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Suite(arguments) => suite::run(&arguments),
    }
}

/// A progress bar on standard error; hidden where that is no terminal.
pub(crate) fn progress(length: u64, what: &'static str) -> ProgressBar {
    // The template is a constant; should it not parse, the default look does.
    let template =
        format!("{{bar:32}} {{pos}} of {{len}} {what}, {{elapsed}}, {{eta}} left {{msg}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
