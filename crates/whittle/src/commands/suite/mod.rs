//! `whittle suite`: modes of optimization compared at equal budget.

mod conditions;
mod mode;
mod outcome;
mod programs;
mod render;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use whittle_chat::ChatModel;
use whittle_optimizer::archive::{Archive, RunId};
use whittle_optimizer::budget::Budget;
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::session::{
    self, Event, EvidenceScope, Machine, RunHeader, RunOptions, RunState, SessionError, Setup,
};

use crate::cli::{FAILED, Interrupted, Usage};
use crate::commands::model::{ModelArguments, ModelBudget};
use crate::commands::optimize::{Words, duration, words};
use crate::failure;
use crate::interrupt;
use crate::progress::{Detail, Progress};
use crate::workplace::ToolArguments;
use conditions::Conditions;
use mode::Mode;
use outcome::Outcome;
use programs::{CommonFlags, Entry};
use summary::Summary;

/// Compare ways to optimize on several programs, at equal budget.
///
/// Every program is optimized in every mode, one run after the other. What comes out: how much faster (geometric mean over
/// all programs, 1 where nothing faster was found), the share of programs improved, how many proposals of each level were
/// wrong and how far up the evidence ladder proposals got, and what it cost.
///
/// A C file is a program; its tests are in a folder NAME.tests beside NAME.c. A folder with a folder `tests` or a file
/// program.json in it is one program, too: all its C files, those tests, and the flags in that file, as in
/// {"cflags": "-DN=8", "ldflags": "-lm"}. Any other folder stands for the C files and the program folders in it.
///
/// Ctrl-C ends at once, and the same command goes on later. A finished run is not made again as long as program, tests,
/// flags, budget, seed, model, machine and version of whittle are the same.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle suite examples/programs --modes builtin,fixed,random --budget-time 1m
  whittle suite a.c b.c --model anthropic:claude-sonnet-5 --modes default,paper,source,ir,asm --budget-calls 10 --budget-usd 5")]
pub(crate) struct Arguments {
    /// C files, folders of a program, and folders of both
    #[arg(value_name = "PROGRAM", required = true)]
    programs: Vec<PathBuf>,
    /// What to compare [default: builtin, and with --model also default, paper, source, ir and asm]
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Flags that you build all programs with; -O3 is what is compared with
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = words, default_value = "",
          hide_default_value = true)]
    cflags: Words,
    /// Flags for the linker, for all programs
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = words, default_value = "",
          hide_default_value = true)]
    ldflags: Words,
    /// Code for this host's instruction set, too; the paper's modes never try it
    #[arg(long)]
    host: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Folder for the run store and the runs' reports
    #[arg(long, short, value_name = "FOLDER", default_value = "suite.whittle")]
    out: PathBuf,
    /// Write the comparison as JSON
    #[arg(long)]
    json: bool,
    /// Write the tables as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Wall time for each run, as in 90s, 2m or 1h30m; preparation comes on top
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration, help_heading = "Budget")]
    budget_time: Duration,
    #[command(flatten)]
    budget: ModelBudget,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    tools: ToolArguments,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    // What is wrong with the arguments is said before anything is opened or made.
    let flags = CommonFlags {
        compiler: &arguments.cflags.0,
        linker: &arguments.ldflags.0,
    };
    let programs = programs::read(&arguments.programs, &flags)?;
    let modes = arguments.modes()?;
    let model = arguments
        .model
        .model
        .as_deref()
        .map(|spec| arguments.model.open(spec))
        .transpose()?;
    let mut setup = arguments.setup()?;
    let stop = setup.stop.clone();
    interrupt::stops(move || stop.store(true, Ordering::SeqCst), None);
    let mut outcomes = Vec::new();
    for entry in &programs {
        for mode in &modes {
            let outcome = arguments.one(&mut setup, entry, *mode, model.clone());
            outcomes.push(outcome.inspect_err(tell_how_to_go_on)?);
        }
    }
    let summaries: Vec<_> = modes
        .iter()
        .map(|mode| Summary::of(&mode.name(), &outcomes))
        .collect();
    let conditions = arguments.conditions(&setup, model.as_deref());
    let mut out = anstream::stdout().lock();
    if arguments.json {
        let json =
            serde_json::json!({"conditions": conditions, "modes": summaries, "runs": outcomes});
        writeln!(out, "{}", serde_json::to_string_pretty(&json)?)
    } else {
        let tables = render::tables(&conditions, &outcomes, &summaries, arguments.markdown);
        writeln!(out, "{tables}")
    }
    .context("cannot write the comparison")
}

impl Arguments {
    fn modes(&self) -> Result<Vec<Mode>> {
        if self.model.only.is_some() {
            let why = "--only is for whittle optimize: here the modes source, ir and asm say it";
            return Err(Usage(why.to_owned()).into());
        }
        let with_model = self.model.model.is_some();
        if self.modes.is_empty() {
            let all = [
                Mode::Builtin,
                Mode::Default,
                Mode::Paper,
                Mode::Source,
                Mode::Ir,
                Mode::Asm,
            ];
            return Ok(all
                .into_iter()
                .filter(|mode| with_model || !mode.needs_model())
                .collect());
        }
        let mut modes: Vec<Mode> = Vec::new();
        for mode in &self.modes {
            if mode.needs_model() && !with_model {
                let name = mode.name();
                let why = format!("mode {name} asks a language model: --model says which");
                return Err(Usage(why).into());
            }
            if !modes.contains(mode) {
                modes.push(*mode);
            }
        }
        Ok(modes)
    }

    /// What all runs share.
    fn setup(&self) -> Result<Setup> {
        let stop = Arc::new(AtomicBool::new(false));
        Ok(Setup {
            // A run that is stopped ends without a result, and stays open.
            toolchain: self.tools.toolchain(stop.clone())?,
            archive: Archive::open(&self.out.join("runs.sqlite"))?,
            stop,
            output: self.out.clone(),
            model: None,
        })
    }

    /// One run: found in the store, gone on with, or made. A program that is refused is an outcome, too.
    fn one(
        &self,
        setup: &mut Setup,
        entry: &Entry,
        mode: Mode,
        model: Option<Arc<dyn ChatModel>>,
    ) -> Result<Outcome> {
        let name = entry.program.name.clone();
        setup.output = self.out.join(format!("{name}.{}", mode.name()));
        setup.model = model.filter(|_| mode != Mode::Builtin);
        let options = self.options(mode, setup.model.as_deref());
        let inputs = InputOptions {
            tests: entry.tests.clone(),
            seed: self.seed,
            ..InputOptions::for_run_of(self.budget_time)
        };
        let header = RunHeader::new(&setup.toolchain, entry.program.clone(), options, &inputs)?;
        let run = match setup.archive.find(&header)? {
            Some(run)
                if run.state == RunState::Finished && is_report_of(&setup.output, &run.id) =>
            {
                run.id
            }
            found => match work(setup, header, &inputs, found.map(|run| run.id), mode) {
                Ok(run) => run,
                Err(error) if error.is_interruption() => return Err(Interrupted.into()),
                Err(error) => {
                    let error = about_the_program(error)?;
                    return Ok(Outcome::failed(name, mode.name(), error.to_string()));
                }
            },
        };
        let record = setup.archive.load(&run)?;
        Ok(Outcome::of(name, mode.name(), run.to_string(), &record))
    }

    fn options(&self, mode: Mode, model: Option<&dyn ChatModel>) -> RunOptions {
        let mut using = model.map(|model| self.model.usage(model));
        if let Some(using) = &mut using {
            using.evidence = if mode.is_papers() {
                EvidenceScope::Tests
            } else {
                EvidenceScope::Full
            };
        }
        RunOptions {
            seed: self.seed,
            guide: mode.guide().to_owned(),
            agents: mode.agents(model.is_some()),
            budget: self.budget(),
            host: self.host && !mode.is_papers(),
            margin: 0.01,
            fp_tolerance: None,
            model: using,
        }
    }

    fn budget(&self) -> Budget {
        self.budget
            .limit(Budget::of_time(self.budget_time), self.model.paper())
    }

    fn conditions(&self, setup: &Setup, model: Option<&dyn ChatModel>) -> Conditions {
        Conditions {
            machine: Machine::of(&setup.toolchain),
            budget: self.budget(),
            seed: self.seed,
            model: model.map(|model| model.name().to_owned()),
        }
    }
}

fn tell_how_to_go_on(_: &anyhow::Error) {
    anstream::eprintln!("not finished; what was found is kept, and the same command goes on");
}

/// Makes a run, or goes on with the one that is there.
fn work(
    setup: &mut Setup,
    header: RunHeader,
    inputs: &InputOptions,
    found: Option<RunId>,
    mode: Mode,
) -> Result<RunId, SessionError> {
    anstream::eprintln!("{}, {}", header.program.name, mode.name());
    let mut progress = Progress::new(Detail::Warnings);
    let mut observe = |event: Event<'_>| progress.show(&event);
    let finished = match found {
        Some(run) => session::resume(setup, &run, &mut observe),
        None => session::optimize(setup, header.program, header.options, inputs, &mut observe),
    };
    progress.finish();
    Ok(finished?.run)
}

/// The error, if a run with another program may go better: else the comparison ends with it.
fn about_the_program(error: SessionError) -> Result<anyhow::Error> {
    let is_store = matches!(error, SessionError::Archive(_));
    let error = anyhow::Error::from(error);
    match failure::code(&error) {
        Some(failure::REFUSED | FAILED) | None if !is_store => Ok(error),
        _ => Err(error),
    }
}

/// Whether a folder has this run's report: runs with other options write to the same one.
fn is_report_of(folder: &Path, run: &RunId) -> bool {
    #[derive(Deserialize)]
    struct Marker {
        run: String,
    }
    let file = File::open(folder.join("report.json")).map(BufReader::new);
    let marker = file
        .ok()
        .and_then(|file| serde_json::from_reader::<_, Marker>(file).ok());
    marker.is_some_and(|marker| marker.run == run.as_str())
}
