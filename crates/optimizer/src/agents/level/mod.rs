//! The level agents: a language model rewrites the program in C, a function of its IR, or a function of its assembly.
//!
//! n samples are asked for at the same time, and each may go on for k rounds: compiler and verifier errors, failing
//! tests and times go back to it (arXiv 2604.04238). A round in which a candidate is faster than its parent is the last.

mod feedback;
mod view;

use serde::{Deserialize, Serialize};
use whittle_chat::{ChatRequest, Finish, Message};

use crate::agents::{Agent, AgentEntry, Proposal, TurnEnded, Workbench};
use crate::candidate::{Candidate, Level};
use crate::edit::{self, Edit};
use crate::session::EvidenceScope;
use crate::tree::{Node, Outcome, Tree};
use view::Shown;

pub(crate) use view::mark_for;

pub(super) const SOURCE: AgentEntry = AgentEntry {
    name: "source",
    summary: "a language model rewrites the program in C",
    needs_model: true,
    build: |_| Box::new(LevelAgent(Level::Source)),
};

pub(super) const IR: AgentEntry = AgentEntry {
    name: "ir",
    summary: "a language model rewrites a hot function in LLVM IR",
    needs_model: true,
    build: |_| Box::new(LevelAgent(Level::Ir)),
};

pub(super) const ASSEMBLY: AgentEntry = AgentEntry {
    name: "assembly",
    summary: "a language model rewrites a hot function in assembly",
    needs_model: true,
    build: |_| Box::new(LevelAgent(Level::Assembly)),
};

/// Most samples and rounds that a guide may ask for.
const MOST: u32 = 8;

/// What the agent wants to find again in a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LevelNote {
    /// The call whose reply it was made of.
    pub(crate) label: String,
    /// The turn, by its number in the run.
    pub(crate) turn: u32,
    /// Name and version of the prompt.
    pub(crate) prompt: String,
    /// The function in focus, below source.
    pub(crate) focus: Option<String>,
}

struct LevelAgent(Level);

/// A conversation with the model.
struct Sample {
    number: u32,
    messages: Vec<Message>,
    open: bool,
}

/// What a reply came to.
enum Fate {
    /// The model is told, and may try again.
    Again(String),
    /// Right and faster than before, or, where only tests count, right.
    Success,
    /// It has no further idea.
    GivenUp,
}

impl Agent for LevelAgent {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn level(&self) -> Level {
        self.0
    }

    fn asks_model(&self) -> bool {
        true
    }

    fn applies(&self, node: &Node, _: &Tree) -> bool {
        node.candidate.artifact.level <= self.0
    }

    fn work(&mut self, bench: &mut dyn Workbench) -> Result<(), TurnEnded> {
        let Some(options) = bench.model().cloned() else {
            return Ok(());
        };
        let brief = bench.brief().clone();
        let start = match bench.editable(self.0)? {
            Ok(start) => start,
            Err(why) => return bench.unusable(&format!("turn {}", bench.turn()), &why),
        };
        let shown = Shown::new(bench, &start, &brief);
        let count = brief.samples.unwrap_or(options.samples).clamp(1, MOST);
        let rounds = brief.rounds.unwrap_or(options.rounds).clamp(1, MOST);
        let mut samples: Vec<Sample> = (1..=count)
            .map(|number| Sample {
                number,
                messages: shown.messages.clone(),
                open: true,
            })
            .collect();
        for round in 1..=rounds {
            let open: Vec<&mut Sample> = samples.iter_mut().filter(|sample| sample.open).collect();
            if open.is_empty() || self.round(bench, &start, &shown, open, round)? {
                break;
            }
        }
        Ok(())
    }
}

impl LevelAgent {
    /// One round of all open samples; whether it was the last.
    fn round(
        &self,
        bench: &mut dyn Workbench,
        start: &Candidate,
        shown: &Shown,
        samples: Vec<&mut Sample>,
        round: u32,
    ) -> Result<bool, TurnEnded> {
        let requests = samples
            .iter()
            .map(|sample| self.request(bench, sample, round))
            .collect();
        let mut succeeded = false;
        for (sample, answer) in samples.into_iter().zip(bench.ask(requests)?) {
            let label = self.label(bench.turn(), sample.number, round);
            let Ok(reply) = answer else {
                sample.open = false;
                continue;
            };
            sample.messages.push(Message::Assistant {
                text: reply.text.clone(),
                tool_calls: Vec::new(),
            });
            let edit = match (edit::parse(&reply.text), reply.finish) {
                (Edit::Malformed(_), Finish::Refused) => Edit::Nothing,
                (Edit::Malformed(why), Finish::Length) => {
                    Edit::Malformed(format!("{why}; the reply was cut off at its length limit"))
                }
                (edit, _) => edit,
            };
            let note = LevelNote {
                label,
                turn: bench.turn(),
                prompt: shown.prompt.to_owned(),
                focus: shown.focus.clone(),
            };
            match propose(bench, start, &edit, change(&reply.text, shown), &note)? {
                Fate::Again(text) => sample.messages.push(Message::User { text }),
                Fate::GivenUp => sample.open = false,
                Fate::Success => {
                    sample.open = false;
                    succeeded = true;
                }
            }
        }
        Ok(succeeded)
    }

    fn request(&self, bench: &dyn Workbench, sample: &Sample, round: u32) -> ChatRequest {
        let (max_tokens, temperature) = bench
            .model()
            .map_or((4096, None), |model| (model.max_tokens, model.temperature));
        ChatRequest {
            label: self.label(bench.turn(), sample.number, round),
            messages: sample.messages.clone(),
            tools: Vec::new(),
            max_tokens,
            temperature,
            seed: Some(u64::from(sample.number)),
        }
    }

    fn label(&self, turn: u32, sample: u32, round: u32) -> String {
        format!("turn {turn}/{}/sample {sample}/round {round}", self.name())
    }
}

/// Applies an edit and submits what comes of it.
fn propose(
    bench: &mut dyn Workbench,
    start: &Candidate,
    edit: &Edit,
    change: String,
    note: &LevelNote,
) -> Result<Fate, TurnEnded> {
    if *edit == Edit::Nothing {
        return Ok(Fate::GivenUp);
    }
    let artifact = match edit::apply(&start.artifact, note.focus.as_deref(), edit) {
        Ok(artifact) => artifact,
        Err(error) => {
            let why = error.to_string();
            bench.unusable(&note.label, &why)?;
            return Ok(Fate::Again(feedback::not_applied(&why)));
        }
    };
    let candidate = Candidate {
        artifact,
        recipe: start.recipe.clone(),
    };
    let id = bench.submit(Proposal {
        candidate,
        change,
        // Plain data: strings and numbers.
        note: serde_json::to_value(note).unwrap_or_default(),
    })?;
    let Some(node) = bench.tree().get(id).cloned() else {
        return Ok(Fate::GivenUp);
    };
    let only_tests = bench
        .model()
        .is_some_and(|model| model.evidence == EvidenceScope::Tests);
    let is_right = matches!(node.outcome, Outcome::Timed { .. });
    if bench.tree().gain_of(&node).is_some() || (only_tests && is_right) {
        return Ok(Fate::Success);
    }
    Ok(Fate::Again(feedback::of(bench, &node)))
}

/// The note of a node; empty for another kind of agent's.
pub(crate) fn note_of(node: &Node) -> LevelNote {
    serde_json::from_value(node.note.clone()).unwrap_or_default()
}

/// What the model says that it changes, in a line for people.
fn change(reply: &str, shown: &Shown) -> String {
    let said = reply
        .lines()
        .find_map(|line| line.trim().strip_prefix("CHANGE:"))
        .map(edit::one_line)
        .unwrap_or_default();
    match (said.is_empty(), &shown.focus) {
        (false, _) => said,
        (true, Some(function)) => format!("rewrites {function}"),
        (true, None) => "rewrites the program".to_owned(),
    }
}

#[cfg(test)]
mod tests;
