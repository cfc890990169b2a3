//! `whittle`: ask a vision-language model with a tenth of its KV cache; make C programs faster, with evidence.

mod cli;
mod commands;
#[cfg(target_os = "linux")]
mod failure;
mod find;
mod format;
mod interrupt;
mod interval;
mod kept;
mod options;
mod plot;
mod processor;
#[cfg(target_os = "linux")]
mod progress;
mod report;
mod session;
mod table;
#[cfg(target_os = "linux")]
mod workplace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version come this way too; clap knows which stream and which exit code.
        Err(error) => error.exit(),
    };
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (code, message) = cli::explain(&error);
            if let Some(message) = message {
                anstream::eprint!("{message}");
            }
            ExitCode::from(code)
        }
    }
}
