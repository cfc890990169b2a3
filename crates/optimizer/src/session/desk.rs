//! A search that somebody else drives, step by step: what `whittle mcp` offers to a coding agent.
//!
//! The desk shows texts and takes edits; tests, times, budget and acceptance stay on this side of it, and held-out inputs
//! are not to be had from it.

use whittle_toolchain::tools::{assembly_excerpt, ir_excerpt};

use crate::agents::Proposal;
use crate::agents::level::LevelNote;
use crate::archive::RunId;
use crate::budget::Resource;
use crate::candidate::{Candidate, Level, Stage};
use crate::edit::{self, Edit, c_functions};
use crate::evidence::build::BuildError;
use crate::evidence::insight::Insight;
use crate::evidence::{Rejection, Rung};
use crate::guides::{Action, Brief};
use crate::inputs::InputOptions;
use crate::program::Program;
use crate::prompts::cut;
use crate::report;
use crate::session::run::{Steps, begin};
use crate::session::search::Search;
use crate::session::{Event, Finished, RunOptions, SessionError, Setup};
use crate::tree::{Node, NodeId, Outcome};

/// Longest text that is shown at a time, in bytes.
const LONGEST: usize = 64 << 10;
/// In whose name candidates are submitted.
const CLIENT: &str = "client";
/// What is said of a candidate that fails the last checks.
const UNSEEN: &str = "rejected: it fails on an input that nobody may see";

/// What somebody who drives a search can do.
pub struct Desk<'d, 'a> {
    search: &'d mut Search<'a>,
}

/// A request cannot be met; the message is for whoever asked, and the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Declined(pub String);

/// What a request comes to: an answer, a reason why not, or the end of the run.
pub type Answer<T> = Result<Result<T, Declined>, SessionError>;

/// A run in which `work` takes the place of guide and agents; what it found is then checked and measured as ever.
pub fn drive(
    setup: &mut Setup,
    program: Program,
    options: RunOptions,
    input_options: &InputOptions,
    work: &mut dyn FnMut(&mut Desk<'_, '_>) -> Result<(), SessionError>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, SessionError> {
    let host = options.host;
    let mut steps = Steps {
        search: &mut |search| work(&mut Desk { search }),
        conclude: &mut |judge, tree| judge.conclude(tree, host),
    };
    begin(setup, program, options, input_options, &mut steps, observe)
}

/// What whoever drove a run may know of its end: all but what the inputs are that it must not see.
pub fn told(finished: &Finished) -> String {
    let mut report = finished.report.clone();
    for passed in &mut report.passed_over {
        if passed.why.starts_with("rejected: ") {
            UNSEEN.clone_into(&mut passed.why);
        }
    }
    report::summary(&report)
}

impl Desk<'_, '_> {
    /// All candidates so far, a line each, indented by depth.
    pub fn tree(&self) -> String {
        let tree = &self.search.tree;
        let lines: Vec<String> = tree.nodes().iter().map(|node| tree.line(node)).collect();
        lines.join("\n")
    }

    /// The run's name in the store.
    pub fn run(&self) -> &RunId {
        &self.search.run
    }

    /// How many tests each candidate has to pass.
    pub fn visible_tests(&self) -> usize {
        self.search.ladder.inputs().visible.len()
    }

    /// A candidate's text at a level at or below its own: the whole, or one function with what it refers to.
    pub fn show(&self, node: NodeId, level: Level, function: Option<&str>) -> Answer<String> {
        let candidate = match self.start(node, level)? {
            Ok(candidate) => candidate,
            Err(declined) => return Ok(Err(declined)),
        };
        let units = &candidate.artifact.units;
        let Some(function) = function else {
            let whole: Vec<String> = units
                .iter()
                .map(|unit| format!("--- {}\n{}", unit.name, unit.text))
                .collect();
            return Ok(Ok(cut(&whole.join("\n"), LONGEST)));
        };
        let text = units.iter().find_map(|unit| match level {
            Level::Source => {
                let functions = c_functions(&unit.text);
                let found = functions.into_iter().find(|f| f.name == function)?;
                unit.text.get(found.range).map(str::to_owned)
            }
            Level::Ir => ir_excerpt(&unit.text, function),
            Level::Assembly => assembly_excerpt(&unit.text, function),
        });
        Ok(text.map(|text| cut(&text, LONGEST)).ok_or_else(|| {
            Declined(format!(
                "{node} has no function named {function:?} at this level"
            ))
        }))
    }

    /// What the passes wanted to do and could not, for a candidate in source.
    pub fn remarks(&self, node: NodeId, function: Option<&str>) -> Result<Vec<String>, Declined> {
        let node = self.node(node)?;
        Ok(self.insight().missed(&node.candidate, function, 40))
    }

    /// Where the original spends its time, by execution counts on visible tests and timing inputs of the search.
    pub fn profile(&self) -> String {
        self.insight().hot_lines(usize::MAX).join("\n")
    }

    /// A candidate at a lower stage becomes a candidate of its own.
    pub fn lower(&mut self, node: NodeId, stage: &Stage) -> Answer<NodeId> {
        if self.search.must_end_turn() {
            return Ok(Err(spent()));
        }
        if let Err(declined) = self.node(node) {
            return Ok(Err(declined));
        }
        let action = match stage {
            Stage::FrontEnd => Action::FrontEnd { node },
            Stage::MiddleEnd { pipeline } => Action::MiddleEnd {
                node,
                pipeline: pipeline.clone(),
            },
            Stage::BackEnd => Action::BackEnd { node },
        };
        let before = self.search.tree.next_id();
        self.search.begin(action.clone(), &[])?;
        self.search.act(&action, &mut [])?;
        self.search.end()?;
        if self.search.tree.get(before).is_some() {
            return Ok(Ok(before));
        }
        let last = self
            .search
            .actions
            .last()
            .and_then(|record| record.result.clone());
        Ok(Err(Declined(last.unwrap_or_default())))
    }

    /// An edit of a candidate at a level: SEARCH/REPLACE blocks or whole functions in fenced code. It is applied exactly,
    /// built, tested and timed; the answer is the new candidate, whatever came of it.
    pub fn submit(
        &mut self,
        node: NodeId,
        level: Level,
        function: Option<&str>,
        edit: &str,
        change: &str,
    ) -> Answer<NodeId> {
        if self.search.must_end_turn() {
            return Ok(Err(spent()));
        }
        let start = match self.start(node, level)? {
            Ok(start) => start,
            Err(declined) => return Ok(Err(declined)),
        };
        let edit = match edit::parse(edit) {
            Edit::Malformed(why) => return self.unusable(why),
            edit => edit,
        };
        let artifact = match edit::apply(&start.artifact, function, &edit) {
            Ok(artifact) => artifact,
            Err(error) => return self.unusable(error.to_string()),
        };
        let Some(parent) = self.search.tree.get(node).cloned() else {
            return Ok(Err(Declined(format!("there is no candidate {node}"))));
        };
        self.search.begin(
            Action::Optimize {
                node,
                agent: CLIENT.to_owned(),
                brief: Brief::default(),
            },
            &[],
        )?;
        let note = LevelNote {
            turn: self.search.actions.len() as u32,
            focus: function.map(str::to_owned),
            ..LevelNote::default()
        };
        let change = edit::one_line(change);
        let proposal = Proposal {
            candidate: Candidate {
                artifact,
                recipe: start.recipe,
            },
            change: if change.is_empty() {
                "an edit".to_owned()
            } else {
                change
            },
            note: serde_json::to_value(note).unwrap_or_default(),
        };
        let id = self.search.submit(&parent, CLIENT, proposal, false)?;
        self.search.end()?;
        Ok(Ok(id))
    }

    /// What came of a candidate so far, in words. What is said of held-out inputs is that it failed there, never on what.
    pub fn verdict(&self, node: NodeId) -> Result<String, Declined> {
        let node = self.node(node)?;
        Ok(match &node.outcome {
            Outcome::Rejected { rejection } => rejected(rejection),
            Outcome::Duplicate { of } => format!("compiles to the same machine code as {of}"),
            Outcome::Timed { speedup, .. } => format!(
                "passes the {} visible tests; {speedup:.3} times the original's speed in the search's timing (under one percent is \
                 noise). Whether it holds on held-out inputs is checked, and its speed measured afresh, at the end.",
                self.visible_tests()
            ),
        })
    }

    /// What is left of the budget, in words.
    pub fn budget(&self) -> String {
        let ledger = self.search.ledger_now();
        let lines: Vec<String> = Resource::ALL
            .into_iter()
            .filter_map(|resource| {
                let spent = ledger.spent(resource);
                match self.search.budget.limit(resource) {
                    Some(limit) => Some(format!(
                        "{}: {spent:.1} of {limit:.1} spent",
                        resource.name()
                    )),
                    None if spent > 0.0 => {
                        Some(format!("{}: {spent:.1} spent, no limit", resource.name()))
                    }
                    None => None,
                }
            })
            .collect();
        lines.join("\n")
    }

    fn insight(&self) -> Insight<'_> {
        Insight::new(self.search.builder, &self.search.hot)
    }

    fn node(&self, id: NodeId) -> Result<&Node, Declined> {
        let node = self.search.tree.get(id);
        node.ok_or_else(|| Declined(format!("there is no candidate {id}")))
    }

    /// The candidate as it is edited at a level: IR before the middle end where it comes from source.
    fn start(&self, node: NodeId, level: Level) -> Answer<Candidate> {
        let candidate = match self.node(node) {
            Ok(node) => &node.candidate,
            Err(declined) => return Ok(Err(declined)),
        };
        match self.search.builder.editable(candidate, level) {
            Ok(candidate) => Ok(Ok(candidate)),
            Err(BuildError::Rejected(rejection)) => Ok(Err(Declined(rejection.reason))),
            Err(BuildError::Tool(error)) => Err(error.into()),
        }
    }

    fn unusable<T>(&mut self, why: String) -> Answer<T> {
        self.search.spend(CLIENT, Resource::Unusable, 1.0)?;
        Ok(Err(Declined(why)))
    }
}

fn spent() -> Declined {
    Declined("the budget is spent; export is all that is left".to_owned())
}

fn rejected(rejection: &Rejection) -> String {
    match rejection.rung {
        Rung::HeldOut | Rung::Proved => UNSEEN.to_owned(),
        _ => format!("rejected: {}", cut(&rejection.reason, 3000)),
    }
}
