//! What is stored, as it is handed out.

use std::fmt;

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use whittle_chat::{ChatReply, ChatRequest};
use whittle_toolchain::measure::Comparison;

use crate::budget::Ledger;
use crate::guides::Action;
use crate::inputs::Inputs;
use crate::session::{Conclusion, Foundations, RunHeader, RunState};
use crate::tree::{NodeId, Tree};

/// The name of a run: when it began, the program, four hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub(super) String);

impl RunId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn new(now: &Zoned, program: &str) -> Self {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let program: String = program.chars().map(plain).take(24).collect();
        let program = match program.trim_matches('-') {
            "" => "program",
            program => program,
        };
        let tail: u16 = rand::random();
        Self(format!(
            "{}-{program}-{tail:04x}",
            now.strftime("%Y%m%d-%H%M")
        ))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A comparison that was made in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementRecord {
    /// The candidate; `None` if it is none of the tree.
    pub node: Option<NodeId>,
    /// What was measured, in words.
    pub kind: String,
    /// What came out.
    pub comparison: Comparison,
}

impl MeasurementRecord {
    /// Puts a record together.
    pub fn new(node: Option<NodeId>, kind: &str, comparison: &Comparison) -> Self {
        Self {
            node,
            kind: kind.to_owned(),
            comparison: comparison.clone(),
        }
    }
}

/// A call of a model that was paid for: a run that goes on does not make it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call's name within the run, see [`ChatRequest::label`].
    pub label: String,
    /// Who asked.
    pub agent: String,
    /// The model.
    pub model: String,
    /// What was asked.
    pub request: ChatRequest,
    /// What it answered.
    pub reply: ChatReply,
}

/// An action of the guide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// What was to be done.
    pub action: Action,
    /// The number of the first candidate that could come of it.
    pub first_node: NodeId,
    /// What came of it, in words; `None` while it is being done.
    pub result: Option<String>,
}

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// Everything stored of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// When it began.
    pub started: Timestamp,
    /// The version of whittle that began it.
    pub version: String,
    /// What it was asked to do.
    pub header: RunHeader,
    /// How far it came.
    pub state: RunState,
    /// What stood before the search, once it does.
    pub foundations: Option<Foundations>,
    /// The inputs, once they are collected.
    pub inputs: Option<Inputs>,
    /// The candidates.
    pub tree: Tree,
    /// What was spent.
    pub ledger: Ledger,
    /// The comparisons, in the order in which they were made.
    pub measurements: Vec<MeasurementRecord>,
    /// The result of a finished run.
    pub conclusion: Option<Conclusion>,
    /// Why a failed run failed.
    pub message: Option<String>,
    /// What the run noted.
    pub log: Vec<LogLine>,
    /// The calls of models, in the order of their replies.
    pub calls: Vec<CallRecord>,
    /// What the guide asked for, in order.
    pub actions: Vec<ActionRecord>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// Its name.
    pub id: RunId,
    /// When it began.
    pub started: Timestamp,
    /// The program.
    pub program: String,
    /// How far it came.
    pub state: RunState,
    /// Candidates tried; the original is not one of them.
    pub nodes: usize,
    /// The best speed-up seen in the search, which is not a result.
    pub best: Option<f64>,
    /// What came of it, in a sentence.
    pub result: String,
}
