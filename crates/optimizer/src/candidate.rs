//! Candidates: an artifact at some level, and the recipe that makes an executable of it.

use serde::{Deserialize, Serialize};
use whittle_toolchain::tools::{Digest, Unit};

/// The levels of a program, from the highest down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// C.
    Source,
    /// LLVM IR.
    Ir,
    /// Assembly of the host's architecture.
    Assembly,
}

/// How far down a candidate is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// IR before the middle end, with variables in registers; the recipe's pipeline is still to come.
    FrontEnd,
    /// IR after the middle end.
    MiddleEnd {
        /// The pass pipeline; `None` is the recipe's own.
        pipeline: Option<String>,
    },
    /// Assembly.
    BackEnd,
}

/// The text of the program at one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The level.
    pub level: Level,
    /// C files and headers, IR modules (`.ll`) or assembly files (`.s`).
    pub units: Vec<Unit>,
}

/// How an artifact becomes an executable. Steps above the artifact's level do not apply to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Flags of the front end (source → IR), with the `-O`.
    pub front_end: Vec<String>,
    /// Whether the modules are linked into one before the middle end, all but `main` made internal.
    pub merge: bool,
    /// The pass pipeline of the middle end; `None` is clang's own for the front end's flags.
    /// For an IR artifact `None` means that it is optimized already.
    pub pipeline: Option<String>,
    /// Further flags of the middle end, such as `-unroll-threshold=400`.
    pub middle_end: Vec<String>,
    /// Further flags of the back end (IR → assembly).
    pub back_end: Vec<String>,
    /// Further flags of the linker.
    pub link: Vec<String>,
    /// Whether the front end uses an execution profile, measured on the visible tests and the inputs of the search.
    pub profile: bool,
    /// Whether code is generated for this host's instruction set (`-march=native`).
    pub host: bool,
}

impl Level {
    /// Its name on the command line and in prompts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Ir => "ir",
            Self::Assembly => "assembly",
        }
    }
}

impl Default for Recipe {
    /// `clang -O3`.
    fn default() -> Self {
        Self {
            front_end: vec!["-O3".to_owned()],
            merge: false,
            pipeline: None,
            middle_end: Vec::new(),
            back_end: Vec::new(),
            link: Vec::new(),
            profile: false,
            host: false,
        }
    }
}

/// Artifact and recipe: what is built, checked and measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The text.
    pub artifact: Artifact,
    /// What makes an executable of it.
    pub recipe: Recipe,
}

impl Candidate {
    /// A name for exactly this text with exactly this recipe.
    pub fn digest(&self) -> Digest {
        // Both are plain data: strings, lists and flags.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(&[&text])
    }
}
