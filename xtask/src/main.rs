//! Chores of the workspace: `cargo xtask demo`, `test`, `programs`, `golden`.

mod apt;
mod demo;
mod golden;
mod llvm;
mod programs;
mod python;

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
    /// Build in release mode, answer questions about two images of `examples/images`, and optimize a program of
    /// `examples/programs`. Installs LLVM if it is missing and this user may.
    Demo,
    /// Run all tests of the workspace. Arguments after `--` go to `cargo test`. Installs LLVM if it is missing and this
    /// user may, and makes a Python environment with an MCP client in the target folder.
    Test {
        /// Passed on to `cargo test --workspace`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Optimize every program of `examples/programs` and write docs/optimization-results.md.
    Programs(programs::Arguments),
    /// Copy the reference data that the tests need from `../shared/golden` into `testdata/golden`.
    Golden,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Demo => demo::run(),
        Chore::Test { arguments } => test(&arguments),
        Chore::Programs(arguments) => programs::run(&arguments),
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
    llvm::ensure().required()?;
    let mut command = cargo();
    if cfg!(target_os = "linux") {
        command.env(python::VARIABLE, python::ensure()?);
    }
    command.args(["test", "--workspace"]).args(arguments);
    run(&mut command)
}

/// The root of the checkout.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// Builds `whittle` in release mode and says where it is.
fn release_binary() -> Result<PathBuf> {
    println!("Building in release mode (the first time takes a few minutes) ...");
    run(cargo().args(["build", "--release", "--package", "whittle"]))?;
    Ok(target()
        .join("release")
        .join(format!("whittle{}", std::env::consts::EXE_SUFFIX)))
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
