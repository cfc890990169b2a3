//! The agents, one file each, and their registry.
//!
//! An agent proposes candidates from one node and learns at once what came of them. It keeps nothing between turns: what
//! it has to remember stands in the notes of the tree's nodes, so that a run resumes with nothing lost.

use rand_chacha::ChaCha8Rng;
use whittle_chat::{ChatError, ChatReply, ChatRequest};
use whittle_toolchain::tools::Toolchain;

use crate::candidate::{Candidate, Level, Recipe};
use crate::evidence::insight::Insight;
use crate::guides::Brief;
use crate::inputs::Case;
use crate::program::Program;
use crate::session::ModelUse;
use crate::tree::{Node, NodeId, Tree};

mod flags;
pub(crate) mod level;
mod passes;
mod recipes;
#[cfg(test)]
mod tests;

/// A candidate that an agent proposes.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The candidate.
    pub candidate: Candidate,
    /// What was changed, in words, for people.
    pub change: String,
    /// What the agent wants to find again in [`Node::note`].
    pub note: serde_json::Value,
}

/// What an agent may use during a turn.
pub trait Workbench {
    /// The program.
    fn program(&self) -> &Program;
    /// The node to start from.
    fn node(&self) -> &Node;
    /// Everything tried so far.
    fn tree(&self) -> &Tree;
    /// The compilers.
    fn toolchain(&self) -> &Toolchain;
    /// The pass pipeline that a recipe really runs over source: its own, or clang's for its flags of the front end, for this
    /// host's instruction set and with the passes that read the profile where the recipe wants them.
    fn pipeline(&self, recipe: &Recipe) -> Result<String, TurnEnded>;
    /// The run's source of chance.
    fn random(&mut self) -> &mut ChaCha8Rng;
    /// Share of the budget left, from 1 down to 0.
    fn budget_left(&self) -> f64;
    /// The name of the agent whose turn it is.
    fn agent(&self) -> &'static str;
    /// What the guide wants of this turn.
    fn brief(&self) -> &Brief;
    /// Names this turn within the run; the same again when an interrupted turn is taken up.
    fn turn(&self) -> u32;
    /// The node's candidate as it is edited at a level; in words why it has no such form.
    fn editable(&self, level: Level) -> Result<Result<Candidate, String>, TurnEnded>;
    /// What can be learned of the original's and a candidate's code without running it.
    fn insight(&self) -> Insight<'_>;
    /// How the run's language model is used; `None` without one.
    fn model(&self) -> Option<&ModelUse>;
    /// Asks the run's language model; all requests at the same time, answers in their order.
    fn ask(
        &mut self,
        requests: Vec<ChatRequest>,
    ) -> Result<Vec<Result<ChatReply, ChatError>>, TurnEnded>;
    /// Notes that nothing could be made of a reply.
    fn unusable(&mut self, label: &str, why: &str) -> Result<(), TurnEnded>;
    /// The visible test of this name.
    fn visible_test(&self, name: &str) -> Option<&Case>;
    /// Builds, checks and times a proposal, and adds it to the tree under [`Workbench::node`]: its outcome is in the node.
    fn submit(&mut self, proposal: Proposal) -> Result<NodeId, TurnEnded>;
}

/// Why a turn is over before the agent is done.
#[derive(Debug, thiserror::Error)]
pub enum TurnEnded {
    /// The budget is spent or the user stopped the run.
    #[error("the run is over")]
    Over,
    /// Something failed that is not the candidate's fault; the run must end.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Proposes candidates from a node.
pub trait Agent: Send {
    /// Name on the command line and in reports.
    fn name(&self) -> &'static str;
    /// The level at which it works.
    fn level(&self) -> Level;
    /// Whether it asks a language model.
    fn asks_model(&self) -> bool {
        false
    }
    /// Whether it could do anything from this node that it has not done yet.
    fn applies(&self, node: &Node, tree: &Tree) -> bool;
    /// One turn: usually one to four proposals.
    fn work(&mut self, bench: &mut dyn Workbench) -> Result<(), TurnEnded>;
}

/// What agents are told when they are made.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Whether code for this host's instruction set may be proposed.
    pub host: bool,
}

/// A line of the registry.
#[derive(Clone, Copy)]
pub struct AgentEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence for help texts.
    pub summary: &'static str,
    /// Whether it asks a language model.
    pub needs_model: bool,
    /// Makes the agent.
    pub build: fn(&AgentOptions) -> Box<dyn Agent>,
}

/// All agents. A new one is a file and a line here.
static REGISTRY: &[AgentEntry] = &[
    passes::ENTRY,
    flags::ENTRY,
    level::SOURCE,
    level::IR,
    level::ASSEMBLY,
];

/// All agents, in the order in which to show them.
pub fn registry() -> &'static [AgentEntry] {
    REGISTRY
}

/// The names of all agents that need no language model.
pub fn built_in() -> Vec<String> {
    let entries = REGISTRY.iter().filter(|entry| !entry.needs_model);
    entries.map(|entry| entry.name.to_owned()).collect()
}
