//! `whittle optimize`.

mod stopping;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use whittle_chat::ChatModel;
use whittle_optimizer::archive::{Archive, RunId};
use whittle_optimizer::budget::{Budget, Resource};
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::report;
use whittle_optimizer::session::{
    self, Event, Finished, RunOptions, RunState, SessionError, Setup,
};

use crate::cli::{Interrupted, Usage};
use crate::commands::model::{ModelArguments, ModelBudget, agent_parser, guide_parser};
use crate::failure;
use crate::interrupt;
use crate::options::{positive, unit_interval};
use crate::progress::{Detail, Progress};
use crate::workplace::{StoreArguments, ToolArguments};
use stopping::Stopping;

/// Make a C program faster, with evidence.
///
/// Compilers search for a faster program: pass pipelines, flags, profiles; with --model, a language model rewrites source,
/// IR and assembly, too. What they find must behave like the original on tests, held-out and fuzzed inputs; the best is measured afresh on inputs that the search never saw. The
/// program reads standard input and arguments and writes standard output; it runs in a sandbox. The result goes to a
/// folder: the winner, a script that rebuilds it, report.html and report.json. That nothing faster was found is a
/// result, too.
///
/// Ctrl-C ends the search and reports the best so far; once more ends at once, and --resume goes on later.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle optimize prog.c
  whittle optimize main.c table.c --tests tests --ldflags -lm --budget-time 10m
  whittle optimize prog.c --gen './generate.sh' --cflags '-O2 -DNDEBUG' --portable
  whittle optimize prog.c --json > report.json
  whittle optimize prog.c --model anthropic:claude-sonnet-5 --budget-usd 2 --dry-run
  whittle optimize prog.c --model openai:qwen3-coder@http://localhost:8000/v1 --budget-time 20m
  whittle optimize --resume")]
pub(crate) struct Arguments {
    /// The C files; headers that they include with quotes are found beside them
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    files: Vec<PathBuf>,
    /// Flags that you build with; -O3 is always compared with, other flags are then a second baseline
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = words, default_value = "",
          hide_default_value = true)]
    cflags: Words,
    /// Flags for the linker
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true, value_parser = words, default_value = "",
          hide_default_value = true)]
    ldflags: Words,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    budget: BudgetArguments,
    #[command(flatten)]
    search: SearchArguments,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Go on with a run that was interrupted or killed [default: the latest unfinished one]; of a finished run, write the
    /// result again
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = LATEST, help_heading = "Store",
          conflicts_with_all = NEW_RUN)]
    resume: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    tools: ToolArguments,
}

/// Names the latest run.
const LATEST: &str = "latest";
/// What only a new run can be given: a resumed one goes on as it was begun.
const NEW_RUN: [&str; 23] = [
    "files",
    "cflags",
    "ldflags",
    "tests",
    "generator",
    "time",
    "runs",
    "candidates",
    "agents",
    "guide",
    "portable",
    "margin",
    "fp_tolerance",
    "seed",
    "aa",
    "model",
    "paper",
    "only",
    "calls",
    "requests",
    "tokens",
    "dollars",
    "dry_run",
];

#[derive(Args)]
#[command(next_help_heading = "Tests and inputs")]
struct InputArguments {
    /// Folder with tests: NAME.in is standard input, NAME.args has an argument per line, NAME.out what must come out;
    /// .args and .out may be missing
    #[arg(long, value_name = "FOLDER")]
    tests: Option<PathBuf>,
    /// Shell command that writes an input to its standard output. Its two last arguments are a seed and a size (also in
    /// `$WHITTLE_SEED` and `$WHITTLE_SIZE`), and what it writes may depend on nothing else. It runs in the sandbox and may read
    /// the current folder
    #[arg(long = "gen", value_name = "COMMAND")]
    generator: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Budget")]
struct BudgetArguments {
    /// Wall time for search, evidence and measurements, as in 90s, 2m or 1h30m; preparation comes on top
    #[arg(long = "budget-time", value_name = "TIME", default_value = "2m", value_parser = duration)]
    time: Duration,
    /// Most timed runs of the program in the search
    #[arg(long = "budget-runs", value_name = "N", value_parser = positive)]
    runs: Option<usize>,
    /// Most candidates to try
    #[arg(long = "budget-candidates", value_name = "N", value_parser = positive)]
    candidates: Option<usize>,
    #[command(flatten)]
    model: ModelBudget,
}

#[derive(Args)]
#[command(next_help_heading = "Search")]
struct SearchArguments {
    /// Who proposes candidates [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = agent_parser(),
          conflicts_with = "paper")]
    agents: Vec<String>,
    /// Who decides what to try next
    /// [default: the model if there is one, else thompson]
    #[arg(long, value_name = "NAME", value_parser = guide_parser())]
    guide: Option<String>,
    /// Only code that runs on every machine of this architecture
    #[arg(long)]
    portable: bool,
    /// A gain counts only beyond this share: 0.01 is 1 %
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = unit_interval::<f64>)]
    margin: f64,
    /// Let numbers in the output differ by this share of their size; without it, outputs must be equal to the byte
    #[arg(long, value_name = "SHARE", value_parser = unit_interval::<f64>)]
    fp_tolerance: Option<f64>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,
    /// Search nothing: compare the original with itself, which must not come out as faster
    #[arg(long)]
    aa: bool,
    /// Say what the run would ask of the model at most, and end
    #[arg(long, requires = "model")]
    dry_run: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
struct OutputArguments {
    /// Folder for the result [default: NAME.whittle, after the first file]
    #[arg(long, short, alias = "output", value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write the report to standard output and show no progress
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    // What is wrong with the arguments is said before anything is opened or made.
    let program = match arguments.resume {
        Some(_) => None,
        None => Some(arguments.program()?),
    };
    let mut model = arguments
        .model
        .model
        .as_deref()
        .map(|spec| arguments.model.open(spec))
        .transpose()?;
    if let (true, Some(program), Some(model)) = (arguments.search.dry_run, &program, &model) {
        return arguments.tell_estimate(program, model.as_ref());
    }
    let toolchain = arguments.tools.toolchain(Arc::default())?;
    let archive = arguments.store.open()?;
    let job = match (program, &arguments.resume) {
        (Some(program), _) => Job::New(program),
        (None, wanted) => Job::resume(&archive, wanted.as_deref().unwrap_or(LATEST))?,
    };
    if let Job::Resume(run, _) = &job {
        // It goes on with the model with which it was begun.
        let options = archive.load(run)?.header.options;
        model = options
            .model
            .map(|model| arguments.model.open(&model.spec))
            .transpose()?;
    }
    let output = arguments
        .output
        .out
        .clone()
        .unwrap_or_else(|| job.usual_output());
    report::check_output(&output)?;
    let mut setup = Setup {
        toolchain,
        archive,
        stop: Arc::new(AtomicBool::new(false)),
        output,
        model,
    };
    let mut progress = Progress::new(arguments.output.detail());
    let stopping = Stopping {
        stop: setup.stop.clone(),
        bar: progress.bar(),
        how_to_resume: arguments.how_to_resume(),
    };
    // There is nothing to go on with before the inputs are there.
    let mut resumable = arguments.resume.is_some();
    stopping.listen(resumable);
    let result = job.run(arguments, &mut setup, &mut |event| {
        if matches!(event, Event::Inputs(_)) {
            resumable = true;
            stopping.listen(resumable);
        }
        progress.show(&event);
    });
    progress.finish();
    match result {
        Ok(finished) => tell(arguments, &finished),
        Err(error) if error.is_interruption() => {
            let kept = stopping.what_is_kept(resumable);
            anstream::eprintln!("stopped before anything was found; {kept}");
            Err(Interrupted.into())
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            if resumable && failure::code(&error) == Some(failure::STORAGE) {
                anstream::eprintln!("{}", stopping.what_is_kept(resumable));
            }
            Err(error)
        }
    }
}

/// What there is to do.
enum Job {
    New(Program),
    Resume(RunId, String),
}

impl Job {
    /// The run that the user wants to go on with.
    fn resume(archive: &Archive, wanted: &str) -> Result<Self> {
        let runs = archive.runs()?;
        let run = if wanted == LATEST {
            let open = runs.into_iter().find(|run| run.state == RunState::Open);
            open.ok_or_else(|| {
                Usage(format!(
                    "there is no unfinished run in {}",
                    archive.path().display()
                ))
            })?
        } else {
            let id = archive.resolve(wanted)?;
            let run = runs.into_iter().find(|run| run.id == id);
            run.with_context(|| format!("run {id} is gone"))?
        };
        Ok(Self::Resume(run.id, run.program))
    }

    /// Where the result goes unless the user says otherwise.
    fn usual_output(&self) -> PathBuf {
        let (Self::New(Program { name, .. }) | Self::Resume(_, name)) = self;
        format!("{name}.whittle").into()
    }

    fn run(
        self,
        arguments: &Arguments,
        setup: &mut Setup,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Finished, SessionError> {
        match self {
            Self::Resume(run, _) => session::resume(setup, &run, observe),
            Self::New(program) => {
                let options = arguments.options(setup.model.as_deref());
                let inputs = arguments.input_options();
                if arguments.search.aa {
                    session::check_against_itself(setup, program, options, &inputs, observe)
                } else {
                    session::optimize(setup, program, options, &inputs, observe)
                }
            }
        }
    }
}

impl Arguments {
    fn program(&self) -> Result<Program> {
        let (flags, link_flags) = (self.cflags.0.clone(), self.ldflags.0.clone());
        Ok(Program::read(&self.files, flags, link_flags)?)
    }

    fn options(&self, model: Option<&dyn ChatModel>) -> RunOptions {
        let search = &self.search;
        let guide = search.guide.clone();
        RunOptions {
            seed: search.seed,
            guide: guide.unwrap_or_else(|| self.model.guide().to_owned()),
            agents: if search.agents.is_empty() {
                self.model.agents()
            } else {
                search.agents.clone()
            },
            budget: self
                .budget
                .model
                .limit(self.budget.budget(), self.model.paper()),
            host: !search.portable,
            margin: search.margin,
            fp_tolerance: search.fp_tolerance,
            model: model.map(|model| self.model.usage(model)),
        }
    }

    /// `--dry-run`.
    fn tell_estimate(&self, program: &Program, model: &dyn ChatModel) -> Result<()> {
        let estimate = session::estimate(program, &self.options(Some(model)), model);
        let mut out = anstream::stdout().lock();
        if self.output.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&estimate)?)
        } else {
            writeln!(out, "{}: {estimate}", model.name())
        }
        .context("cannot write the estimate")
    }

    fn input_options(&self) -> InputOptions {
        InputOptions {
            tests: self.inputs.tests.clone(),
            generator: self.inputs.generator.clone(),
            seed: self.search.seed,
            ..InputOptions::for_run_of(self.budget.time)
        }
    }

    /// What to type to go on.
    fn how_to_resume(&self) -> String {
        let flag = |name: &str, value: &Option<PathBuf>| {
            value.as_ref().map_or_else(String::new, |path| {
                let path = path.to_string_lossy();
                let quoted =
                    shlex::try_quote(&path).map_or(path.clone(), |text| text.into_owned().into());
                format!(" --{name} {quoted}")
            })
        };
        let (store, out) = (
            flag("store", &self.store.store),
            flag("out", &self.output.out),
        );
        format!("go on with: whittle optimize --resume{store}{out}")
    }
}

impl BudgetArguments {
    fn budget(&self) -> Budget {
        budget_of(self.time, self.runs, self.candidates)
    }
}

/// What a run may spend beside what a language model costs.
pub(super) fn budget_of(time: Duration, runs: Option<usize>, candidates: Option<usize>) -> Budget {
    Budget::of_time(time).with_those([
        (Resource::Runs, runs.map(|n| n as f64)),
        (Resource::Candidates, candidates.map(|n| n as f64)),
    ])
}

impl OutputArguments {
    fn detail(&self) -> Detail {
        match (self.quiet, self.json) {
            (true, _) => Detail::Nothing,
            (false, true) => Detail::Warnings,
            (false, false) => Detail::All,
        }
    }
}

/// Prints the result.
fn tell(arguments: &Arguments, finished: &Finished) -> Result<()> {
    let mut out = anstream::stdout().lock();
    if arguments.output.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&finished.report)?)
    } else {
        let summary = report::summary(&finished.report);
        writeln!(out, "{summary}\n{}", where_it_is(&finished.output))
    }
    .context("cannot write the result")?;
    if finished.interrupted && !arguments.output.quiet {
        anstream::eprintln!("stopped early: the search had not used up its budget");
    }
    Ok(())
}

/// What is where in the output folder.
pub(super) fn where_it_is(output: &Path) -> String {
    let place = |name: &str| output.join(name).display().to_string();
    format!(
        "  report      {}\n  rebuild     sh {}\n  check again whittle verify {}",
        place("report.html"),
        place("rebuild.sh"),
        place("report.json"),
    )
}

/// Words of a shell.
#[derive(Clone)]
pub(super) struct Words(pub(super) Vec<String>);

pub(super) fn words(text: &str) -> Result<Words, String> {
    shlex::split(text)
        .map(Words)
        .ok_or_else(|| "a quote is not closed, or nothing follows a backslash".to_owned())
}

/// A time as people write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "not a time, as in 90s, 2m or 1h30m".to_owned())?;
    match Duration::try_from(time) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        _ => Err("must be longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("90s", 90),
            ("2m", 120),
            ("1h30m", 5400),
            ("1h 1s", 3601),
            ("1 min", 60),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        for text in ["", "90", "0s", "-1m", "soon", "1 parsec"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flags_are_words_of_a_shell() {
        let split = |text| words(text).map(|words| words.0);
        assert_eq!(split("-O2  -D'A=b c'").unwrap(), ["-O2", "-DA=b c"]);
        assert!(split("").unwrap().is_empty());
        assert!(split("-D'A").is_err());
    }
}
