//! Tests and inputs: given by the user, written by a generator, or made here; kept apart by what they are for.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::SealedInput;
use whittle_toolchain::tools::ToolError;

use crate::evidence::reference::ReferenceError;

mod columns;
mod command;
mod directory;
mod explore;
pub mod fuzz;
mod gather;
mod growth;
mod guesses;
mod mutate;
mod select;
mod shape;
mod source;
mod testing;
mod timing;

pub use command::GeneratorError;
pub use directory::{DirectoryError, digest_of_tests};
pub use gather::gather;
pub(crate) use gather::gather_asking;
pub(crate) use testing::Tester;

/// One input of the program, with what the original does on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Name for people: a file's stem, or how it was made.
    pub name: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: Vec<u8>,
    /// What the original answers.
    pub expected: Expected,
    /// Where it comes from.
    pub origin: Origin,
}

/// An input as the measurement and every run take it.
pub(crate) fn workload(
    name: &str,
    arguments: &[String],
    input: &[u8],
) -> std::io::Result<Workload> {
    Ok(Workload {
        name: name.to_owned(),
        arguments: arguments.to_vec(),
        input: SealedInput::new(input)?,
    })
}

impl RawCase {
    /// See [`workload`].
    pub(crate) fn workload(&self) -> std::io::Result<Workload> {
        workload(&self.name, &self.arguments, &self.input)
    }
}

impl Case {
    /// See [`workload`].
    pub(crate) fn workload(&self) -> std::io::Result<Workload> {
        workload(&self.name, &self.arguments, &self.input)
    }

    /// The same input, to be judged again.
    pub(crate) fn as_raw(&self) -> RawCase {
        RawCase {
            name: self.name.clone(),
            arguments: self.arguments.clone(),
            input: self.input.clone(),
            declared_output: None,
            origin: self.origin,
        }
    }
}

/// What the original does on an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Exit status.
    pub status: i32,
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A file of `--tests`.
    User,
    /// `--gen`.
    Generator,
    /// The built-in generator.
    BuiltIn,
    /// The testing agent: a language model.
    Model,
}

/// An input of which it is not known yet what the original does on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCase {
    /// Name for people.
    pub name: String,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Standard input.
    pub input: Vec<u8>,
    /// What the user says must come out.
    pub declared_output: Option<Vec<u8>>,
    /// Where it comes from.
    pub origin: Origin,
}

/// An input that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// All inputs of a run, kept apart. No input is in two of the lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Tests that agents may see.
    pub visible: Vec<Case>,
    /// Tests that no agent sees.
    pub held_out: Vec<Case>,
    /// Inputs timed in the search.
    pub search_timing: Vec<Case>,
    /// Inputs timed once, for the result.
    pub final_timing: Vec<Case>,
    /// What was not used.
    pub dropped: Vec<Dropped>,
    /// Share of the original's code regions that the visible and held-out tests reach, from 0 to 1.
    pub coverage: Option<f64>,
    /// What else people should know of the inputs, in words.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Where inputs come from, and how many are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputOptions {
    /// Folder with NAME.in, NAME.args and NAME.out.
    pub tests: Option<PathBuf>,
    /// Shell command that writes an input; it is given a seed and a size.
    pub generator: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Longest time for making inputs by mutation.
    pub effort: Duration,
    /// Most inputs tried in that time.
    pub attempts: usize,
    /// One run of a timing input should take about this long.
    pub timing_seconds: f64,
    /// Tests that agents may see.
    pub visible: usize,
    /// Tests that no agent sees.
    pub held_out: usize,
    /// Inputs timed in the search.
    pub search_timing: usize,
    /// Inputs timed for the result.
    pub final_timing: usize,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self {
            tests: None,
            generator: None,
            seed: 1,
            effort: Duration::from_secs(5),
            attempts: 2_000,
            timing_seconds: 0.1,
            visible: 10,
            held_out: 24,
            search_timing: 2,
            final_timing: 3,
        }
    }
}

impl InputOptions {
    /// Inputs for a run of this wall time: two minutes leave five seconds for mutations, less time leaves less.
    pub fn for_run_of(time: Duration) -> Self {
        let effort = time / 24;
        Self {
            effort: effort.clamp(Duration::from_secs(1), Duration::from_secs(30)),
            ..Self::default()
        }
    }
}

/// How far the collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatherProgress {
    /// What is done, in words.
    pub stage: &'static str,
    /// Steps done of this stage.
    pub done: usize,
    /// Steps of this stage at most.
    pub total: usize,
}

/// There are no inputs to work with.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The original is no reference.
    #[error(transparent)]
    Reference(ReferenceError),
    /// The folder of tests cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The generator cannot be used.
    #[error(transparent)]
    Generator(GeneratorError),
    /// A compiler or one of its companions failed.
    #[error(transparent)]
    Tool(ToolError),
    /// An input could not be held in memory.
    #[error("cannot hold an input in memory")]
    Memory(#[from] std::io::Error),
    /// The testing agent's model cannot be asked in a way that ends the run.
    #[error("the testing agent failed")]
    Model(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user stopped.
    #[error("the collection of inputs was stopped")]
    Cancelled,
}

// However deep down a run was stopped, it is the same for the caller.
impl From<ReferenceError> for InputError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Cancelled => Self::Cancelled,
            error => Self::Reference(error),
        }
    }
}

impl From<GeneratorError> for InputError {
    fn from(error: GeneratorError) -> Self {
        match error {
            GeneratorError::Cancelled => Self::Cancelled,
            error => Self::Generator(error),
        }
    }
}

impl From<ToolError> for InputError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Cancelled { .. } => Self::Cancelled,
            error => Self::Tool(error),
        }
    }
}
