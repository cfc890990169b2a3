//! `whittle suite`: modes of optimization compared at equal budget.

mod outcome;
mod render;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use whittle_chat::ChatModel;
use whittle_optimizer::agents;
use whittle_optimizer::archive::Archive;
use whittle_optimizer::budget::Budget;
use whittle_optimizer::candidate::Level;
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{self, EvidenceScope, RunOptions, Setup};

use crate::cli::{Interrupted, Usage};
use crate::commands::model::{ModelArguments, ModelBudget};
use crate::commands::optimize::{Words, duration, words};
use crate::interrupt;
use crate::progress::{Detail, Progress};
use crate::workplace::ToolArguments;
use outcome::Outcome;

/// Compare ways to optimize on several programs, at equal budget.
///
/// Every program is optimized in every mode, one run after the other. What comes out: how much faster (geometric mean over
/// all programs, 1 where nothing faster was found), the share of programs improved, how many proposals of each level were
/// wrong and how far up the evidence ladder proposals got, and what it cost. A run that is finished is not made again: the
/// same command goes on where it was stopped.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle suite programs --modes builtin,random --budget-time 1m
  whittle suite a.c b.c --model anthropic:claude-sonnet-5 --modes default,paper,source,ir,asm --budget-calls 10 --budget-usd 5")]
pub(crate) struct Arguments {
    /// C files, each a program, or folders of them; tests in a folder NAME.tests beside NAME.c are used
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What to compare [default: builtin, and with --model also default, paper, source, ir and asm]
    #[arg(long, value_name = "MODES", value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Wall time for each run, as in 90s, 2m or 1h30m; preparation comes on top
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration, help_heading = "Budget of a run")]
    budget_time: Duration,
    #[command(flatten)]
    budget: ModelBudget,
    #[command(flatten)]
    model: ModelArguments,
    /// Flags for the linker
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = words, default_value = "",
          hide_default_value = true)]
    ldflags: Words,
    /// Code for this host's instruction set, too; the paper's modes never try it
    #[arg(long)]
    host: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Folder for the results and the runs' reports
    #[arg(long, short, value_name = "FOLDER", default_value = "suite.whittle")]
    out: PathBuf,
    /// Write the comparison as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tools: ToolArguments,
}

/// A way to optimize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mode {
    /// Built-in agents alone, the bandit as guide
    Builtin,
    /// Model agents and built-in agents under the full ladder, the model as guide
    Default,
    /// The same with the bandit as guide
    Bandit,
    /// The same with a fixed schedule
    Fixed,
    /// The same by chance
    Random,
    /// The paper's system: model agents at all levels, tests as the only evidence
    Paper,
    /// The paper's system with the source agent alone
    Source,
    /// The paper's system with the IR agent alone
    Ir,
    /// The paper's system with the assembly agent alone
    Asm,
}

impl Mode {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn needs_model(self) -> bool {
        matches!(
            self,
            Self::Default | Self::Paper | Self::Source | Self::Ir | Self::Asm
        )
    }

    fn is_papers(self) -> bool {
        matches!(self, Self::Paper | Self::Source | Self::Ir | Self::Asm)
    }

    fn guide(self) -> &'static str {
        match self {
            Self::Builtin | Self::Bandit => "thompson",
            Self::Fixed => "fixed",
            Self::Random => "random",
            _ => "model",
        }
    }

    /// The agents of this mode.
    fn agents(self, with_model: bool) -> Vec<String> {
        let level = match self {
            Self::Source => Some(Level::Source),
            Self::Ir => Some(Level::Ir),
            Self::Asm => Some(Level::Assembly),
            _ => None,
        };
        agents::registry()
            .iter()
            .filter(|entry| {
                if entry.needs_model {
                    with_model && self != Self::Builtin
                } else {
                    !self.is_papers()
                }
            })
            .filter(|entry| level.is_none_or(|level| level.name() == entry.name))
            .map(|entry| entry.name.to_owned())
            .collect()
    }
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let programs = programs(&arguments.files)?;
    let model = arguments
        .model
        .model
        .as_deref()
        .map(|spec| arguments.model.open(spec))
        .transpose()?;
    let modes = arguments.modes(model.is_some())?;
    fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make the folder {}", arguments.out.display()))?;
    let file = arguments.out.join("suite.jsonl");
    let mut outcomes = read(&file)?;
    let done: BTreeSet<(String, String)> = outcomes
        .iter()
        .map(|outcome| (outcome.program.clone(), outcome.mode.clone()))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = append_to(&file)?;
    for path in &programs {
        for mode in &modes {
            let name = path.display().to_string();
            if done.contains(&(name.clone(), mode.name())) {
                continue;
            }
            anstream::eprintln!("{name}, {}", mode.name());
            let outcome = arguments.one(path, *mode, model.clone(), &stop)?;
            if stop.load(Ordering::SeqCst) {
                return Err(Interrupted.into());
            }
            writeln!(writer, "{}", serde_json::to_string(&outcome)?)
                .and_then(|()| writer.sync_data())
                .with_context(|| format!("cannot write {}", file.display()))?;
            outcomes.push(outcome);
        }
    }
    let asked: BTreeSet<String> = modes.iter().map(|mode| mode.name()).collect();
    let names: BTreeSet<String> = programs
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    outcomes.retain(|outcome| asked.contains(&outcome.mode) && names.contains(&outcome.program));
    let summaries: Vec<_> = modes
        .iter()
        .map(|mode| summary::Summary::of(&mode.name(), &outcomes))
        .collect();
    let mut out = anstream::stdout().lock();
    if arguments.json {
        let json = serde_json::json!({"modes": summaries, "runs": outcomes});
        writeln!(out, "{}", serde_json::to_string_pretty(&json)?)
    } else {
        writeln!(out, "{}", render::tables(&outcomes, &summaries))
    }
    .context("cannot write the comparison")
}

impl Arguments {
    fn modes(&self, with_model: bool) -> Result<Vec<Mode>> {
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
        match self
            .modes
            .iter()
            .find(|mode| mode.needs_model() && !with_model)
        {
            Some(mode) => Err(Usage(format!(
                "mode {} asks a language model: --model says which",
                mode.name()
            ))
            .into()),
            None => Ok(self.modes.clone()),
        }
    }

    /// One run. A program that is refused is an outcome, too.
    fn one(
        &self,
        path: &Path,
        mode: Mode,
        model: Option<Arc<dyn ChatModel>>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Outcome> {
        let program = Program::read(&[path.to_owned()], Vec::new(), self.ldflags.0.clone())?;
        let model = model.filter(|_| mode != Mode::Builtin);
        let options = self.options(mode, model.as_deref());
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut setup = Setup {
            toolchain: self.tools.toolchain(Arc::default())?,
            archive: Archive::open(&self.out.join("runs.sqlite"))?,
            stop: stop.clone(),
            output: self.out.join(format!("{name}.{}", mode.name())),
            model,
        };
        let set = stop.clone();
        interrupt::stops(move || set.store(true, Ordering::SeqCst), None);
        let tests = path.with_extension("tests");
        let inputs = InputOptions {
            tests: tests.is_dir().then_some(tests),
            seed: self.seed,
            ..InputOptions::for_run_of(self.budget_time)
        };
        let mut progress = Progress::new(Detail::Warnings);
        let result = session::optimize(&mut setup, program, options, &inputs, &mut |event| {
            progress.show(&event);
        });
        progress.finish();
        let (path, mode) = (path.display().to_string(), mode.name());
        match result {
            Ok(finished) => {
                let record = setup.archive.load(&finished.run)?;
                Ok(Outcome::of(path, mode, finished.run.to_string(), &record))
            }
            Err(error) => Ok(Outcome::failed(path, mode, error.to_string())),
        }
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
            budget: self
                .budget
                .limit(Budget::of_time(self.budget_time), self.model.paper()),
            host: self.host && !mode.is_papers(),
            margin: 0.01,
            fp_tolerance: None,
            model: using,
        }
    }
}

/// The programs: the files, and the C files in the folders.
fn programs(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for file in files {
        if !file.is_dir() {
            programs.push(file.clone());
            continue;
        }
        let entries = fs::read_dir(file)
            .with_context(|| format!("cannot read the folder {}", file.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "c") {
                found.push(path);
            }
        }
        found.sort();
        programs.extend(found);
    }
    if programs.is_empty() {
        return Err(Usage("there is no C file to optimize".to_owned()).into());
    }
    Ok(programs)
}

/// What earlier calls found. A line that was cut off when the machine died is left out.
fn read(file: &Path) -> Result<Vec<Outcome>> {
    let reader = match File::open(file) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut outcomes = Vec::new();
    for line in reader.lines() {
        let line = line.with_context(|| format!("cannot read {}", file.display()))?;
        outcomes.extend(serde_json::from_str::<Outcome>(&line).ok());
    }
    Ok(outcomes)
}

/// Opens the file to add lines; one that was cut off gets its end.
fn append_to(file: &Path) -> Result<File> {
    let failed = || format!("cannot write {}", file.display());
    let before = fs::read(file).unwrap_or_default();
    let mut opened = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .with_context(failed)?;
    if before.last().is_some_and(|byte| *byte != b'\n') {
        opened.write_all(b"\n").with_context(failed)?;
    }
    Ok(opened)
}
