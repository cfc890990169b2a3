//! Chores of the workspace: `cargo xtask demo`, `cargo xtask test`, `cargo xtask golden`.

mod demo;
mod golden;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

/// Chores of the Whittle workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build in release mode and answer questions about two images of `examples/images`.
    Demo,
    /// Run all tests of the workspace. Arguments after `--` go to `cargo test`.
    Test {
        /// Passed on to `cargo test --workspace`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Copy the reference data that the tests need from `../shared/golden` into `testdata/golden`.
    Golden,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Demo => demo::run(),
        Chore::Test { arguments } => test(&arguments),
        Chore::Golden => golden::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every test of the workspace; the last line is cargo test's own.
fn test(arguments: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace"]).args(arguments);
    run(&mut command)
}

/// The root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cargo that runs this chore, started in the root of the checkout.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    Ok(())
}
