//! The arguments of `whittle`, its exit codes and how errors look.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Parser, Subcommand};

use crate::commands::{ask, bench, compare, eval, inspect, pages};
#[cfg(target_os = "linux")]
use crate::commands::{doctor, mcp, optimize, runs, show, suite, verify};

/// Exit code of an error while running.
pub(crate) const FAILED: u8 = 1;
/// Exit code of wrong usage, as clap has it.
pub(crate) const USAGE: u8 = 2;
/// Exit code after Ctrl-C: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Take away what is not needed: most of a vision-language model's KV cache, most of a C program's time.
///
/// ask and its companions answer questions about images: right after reading the prompt, they keep the cache entries that
/// the question looks at (VL-Cache, arXiv 2410.23317) and give the memory of the rest back. optimize and its companions
/// make C programs faster, with evidence that they still do the same.
#[derive(Parser)]
#[command(name = "whittle", version, styles = STYLES, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Exit codes:
  0    success; that no faster program was found is one, too
  1    error while running
  2    wrong usage
  3    optimize refuses the program: undefined behaviour, not repeatable, fails its tests ...
  4    optimize, mcp, verify, doctor: compilers or sandbox are missing
  5    run store, cache, output folder or disk
  6    verify: not confirmed
  130  interrupted
Colours are off when NO_COLOR is set or the output is not a terminal.";

/// What `whittle` can do. The texts stand at each subcommand's arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    Ask(ask::Arguments),
    Compare(compare::Arguments),
    Eval(eval::Arguments),
    Inspect(inspect::Arguments),
    Bench(bench::Arguments),
    #[command(hide = true)]
    BenchOne(bench::one::Arguments),
    Pages(pages::Arguments),
    #[cfg(target_os = "linux")]
    Optimize(Box<optimize::Arguments>),
    #[cfg(target_os = "linux")]
    Suite(Box<suite::Arguments>),
    #[cfg(target_os = "linux")]
    Mcp(mcp::Arguments),
    #[cfg(target_os = "linux")]
    Runs(runs::Arguments),
    #[cfg(target_os = "linux")]
    Show(show::Arguments),
    #[cfg(target_os = "linux")]
    Verify(verify::Arguments),
    #[cfg(target_os = "linux")]
    Doctor(doctor::Arguments),
}

/// Wrong usage that clap cannot see, as a conflict between a flag and a file.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// The user pressed Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Interrupted {}

/// The exit code of an error and what to print: the error and its chain of causes.
pub(crate) fn explain(error: &anyhow::Error) -> (u8, Option<String>) {
    if error.is::<Interrupted>() {
        return (INTERRUPTED, None);
    }
    #[cfg(target_os = "linux")]
    if let Some(code) = crate::failure::said(error) {
        return (code, None);
    }
    // A reader that went away (`whittle ask ... | head`) is not an error worth a message.
    let broken_pipe = error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if broken_pipe {
        return (FAILED, None);
    }
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let mut text = format!("{red}error:{red:#} {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Errors that repeat their source's text would print it twice.
        if !last.contains(&cause) {
            let _ = writeln!(text, "  caused by: {cause}");
        }
        last = cause;
    }
    (code(error), Some(text))
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return USAGE;
    }
    #[cfg(target_os = "linux")]
    if let Some(code) = crate::failure::code(error) {
        return code;
    }
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn errors_print_their_chain_once() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = Err::<(), _>(io)
            .context("cannot read config.json")
            .context("cannot load the model")
            .unwrap_err();
        let (code, text) = explain(&error);
        assert_eq!(code, FAILED);
        let text = anstream::adapter::strip_str(&text.unwrap()).to_string();
        assert_eq!(
            text,
            "error: cannot load the model\n  caused by: cannot read config.json\n  caused by: no such file\n"
        );
    }

    #[test]
    fn exit_codes() {
        assert_eq!(
            explain(&anyhow::Error::new(Usage("--x needs --y".into()))).0,
            USAGE
        );
        assert_eq!(
            explain(&anyhow::Error::new(Interrupted)),
            (INTERRUPTED, None)
        );
        let pipe = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
            .context("cannot write");
        assert_eq!(explain(&pipe), (FAILED, None));
    }
}
