//! Inputs: what they are, and where in the output folder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The inputs of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Share of the original's code regions that visible and held-out tests reach, 0 to 1.
    pub coverage: Option<f64>,
    /// Every input that was used.
    pub cases: Vec<Case>,
    /// Inputs that were not used.
    pub dropped: Vec<Dropped>,
    /// What the user should know about the inputs, in words.
    pub notes: Vec<String>,
}

/// What an input is for. No input is for two things.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CaseList {
    /// A test that agents may see.
    Visible,
    /// A test that no agent sees.
    HeldOut,
    /// Timed in the search.
    SearchTiming,
    /// Timed once, for the result.
    FinalTiming,
}

impl CaseList {
    /// All lists.
    pub const ALL: [Self; 4] = [
        Self::Visible,
        Self::HeldOut,
        Self::SearchTiming,
        Self::FinalTiming,
    ];

    /// Its folder under `inputs`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::HeldOut => "held-out",
            Self::SearchTiming => "search-timing",
            Self::FinalTiming => "final-timing",
        }
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// An input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// What it is for.
    pub list: CaseList,
    /// Its name.
    pub name: String,
    /// Where it stands in the output folder: add `.in` for standard input, `.out` for standard output, `.args` for the
    /// arguments, one per line.
    pub path: String,
    /// The arguments.
    pub arguments: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// The exit status that the original gives.
    pub status: i32,
    /// Size of standard input in bytes.
    pub input_bytes: u64,
    /// Its SHA-256.
    pub input_sha256: String,
    /// Size of the original's standard output in bytes.
    pub output_bytes: u64,
    /// Its SHA-256.
    pub output_sha256: String,
}

/// An input that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}
