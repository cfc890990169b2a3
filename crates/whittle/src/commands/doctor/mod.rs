//! `whittle doctor`.

mod machine;
mod render;
mod timing;

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use whittle_toolchain::sandbox::{Layers, Sandbox, SandboxOptions, SealedInput};
use whittle_toolchain::tools::{
    Found, Inventory, Sanitizer, SanitizerOutcome, Store, Toolchain, Unit,
};

use crate::failure::{MISSING, Said};
use crate::processor::Processor;
use crate::workplace::{StoreArguments, ToolArguments};
use machine::Disk;
use timing::Timing;

/// Show what whittle optimize needs and finds on this machine.
///
/// That is tools, sandbox, processor, disk, and how even times are. Takes a few seconds, since it measures. The exit code is 4 if something is missing that `whittle optimize` needs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle doctor
  whittle doctor --llvm-prefix /usr/lib/llvm-17
  whittle doctor --json")]
pub(crate) struct Arguments {
    /// Write JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    tools: ToolArguments,
}

/// Everything that is found out.
#[derive(Serialize)]
struct Examination {
    /// Whether `whittle optimize` can run here.
    ready: bool,
    /// What is in its way, in words.
    problems: Vec<String>,
    tools: Inventory,
    sandbox: SandboxState,
    sanitizers: Option<Vec<SanitizerState>>,
    processor: Processor,
    timing: Option<Timing>,
    disks: Vec<Disk>,
}

/// What the sandbox consists of.
#[derive(Serialize)]
struct SandboxState {
    holds: bool,
    layers: Layers,
}

/// Whether programs can be built and run under a sanitizer.
#[derive(Serialize)]
struct SanitizerState {
    name: &'static str,
    works: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let examination = examine(arguments)?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&examination).context("cannot write the report")?
        );
    } else {
        anstream::println!("{}", render::text(&examination));
    }
    if examination.ready {
        Ok(())
    } else {
        Err(Said(MISSING).into())
    }
}

fn examine(arguments: &Arguments) -> Result<Examination> {
    let (store, cache) = (arguments.store.path()?, arguments.tools.cache()?);
    let tools = Inventory::take(arguments.tools.prefix().as_deref());
    let mut problems = Vec::new();
    let found = tools
        .clone()
        .into_found()
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    let sandbox = Sandbox::new(SandboxOptions {
        allow_none: arguments.tools.unsafe_no_sandbox,
        ..SandboxOptions::default()
    });
    let holds = sandbox.is_ok();
    let sandbox = sandbox
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    let mut sanitizers = None;
    let mut timing = None;
    if let (Some(found), Some(sandbox)) = (found, sandbox) {
        match try_out(found, sandbox, &cache) {
            Ok((states, measured)) => {
                if let Some(broken) = states.iter().find(|state| !state.works) {
                    let name = broken.name;
                    problems.push(format!(
                        "programs cannot be built and run under the {name} sanitizer"
                    ));
                }
                (sanitizers, timing) = (Some(states), Some(measured));
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    let mut disks = Vec::new();
    for (what, path) in [("run store", &store), ("artifacts", &cache)] {
        match Disk::look_at(what, path) {
            Ok(disk) => disks.push(disk),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    Ok(Examination {
        ready: problems.is_empty(),
        problems,
        tools,
        sandbox: SandboxState {
            holds,
            layers: Layers::detect(),
        },
        sanitizers,
        processor: Processor::here(),
        timing,
        disks,
    })
}

/// Builds and runs something.
fn try_out(found: Found, sandbox: Sandbox, cache: &Path) -> Result<(Vec<SanitizerState>, Timing)> {
    let toolchain = Toolchain::new(found, sandbox, Store::open(cache)?)?;
    let unit = Unit {
        name: "main.c".to_owned(),
        text: "int main(void) { return 0; }\n".to_owned(),
    };
    let kinds = [
        ("address, undefined", Sanitizer::AddressUndefined),
        ("memory", Sanitizer::Memory),
    ];
    let nothing = SealedInput::new(&[])?;
    let states = kinds.map(|(name, kind)| {
        let outcome = toolchain
            .sanitized(std::slice::from_ref(&unit), &[], kind)
            .and_then(|executable| toolchain.run_sanitized(&executable, &nothing, &[]));
        let works = matches!(outcome, Ok(SanitizerOutcome::Clean));
        SanitizerState { name, works }
    });
    let timing = timing::measure(&toolchain).context("cannot measure how even times are")?;
    Ok((states.into(), timing))
}
