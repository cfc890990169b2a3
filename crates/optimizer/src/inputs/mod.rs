//! Tests and inputs: given by the user, written by a generator, or made here; kept apart by what they are for.

use serde::{Deserialize, Serialize};

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
}
