//! The guides, one file each, and their registry: what to do next with what is left of the budget.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use whittle_chat::{ChatError, ChatReply, ChatRequest};

use crate::agents::Agent;
use crate::archive::ActionRecord;
use crate::budget::{Budget, Ledger};
use crate::evidence::insight::Insight;
use crate::tree::{Node, NodeId, Tree};

mod fixed;
mod model;
mod random;
mod thompson;

/// What a guide can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// A turn of an agent from a node.
    Optimize {
        /// The node to start from.
        node: NodeId,
        /// The agent's name.
        agent: String,
        /// What the agent is told beyond the node.
        #[serde(default, skip_serializing_if = "Brief::is_empty")]
        brief: Brief,
    },
    /// The IR of a node in source, before the middle end, becomes a node of its own.
    FrontEnd {
        /// The node.
        node: NodeId,
    },
    /// A node's IR after the middle end becomes a node of its own.
    MiddleEnd {
        /// The node, in source or IR.
        node: NodeId,
        /// The pass pipeline; `None` is the node's own.
        pipeline: Option<String>,
    },
    /// A node's assembly becomes a node of its own.
    BackEnd {
        /// The node, in source or IR.
        node: NodeId,
    },
    /// What comes next starts from this node unless it says otherwise.
    GoTo {
        /// The node.
        node: NodeId,
    },
    /// Optimization remarks, listing statistics and the machine model's view of a node, into the run's log.
    Analyze {
        /// The node.
        node: NodeId,
    },
    /// More inputs for a node: fuzzing against the original.
    Test {
        /// The node.
        node: NodeId,
        /// How many inputs.
        inputs: u32,
    },
    /// Another timing of a node, replacing its speed-up in the search.
    Measure {
        /// The node.
        node: NodeId,
    },
    /// The search is over.
    Stop,
}

impl Action {
    /// The node that it is about.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Optimize { node, .. }
            | Self::FrontEnd { node }
            | Self::MiddleEnd { node, .. }
            | Self::BackEnd { node }
            | Self::GoTo { node }
            | Self::Analyze { node }
            | Self::Test { node, .. }
            | Self::Measure { node } => Some(*node),
            Self::Stop => None,
        }
    }

    /// What it is, in words.
    pub fn in_words(&self) -> String {
        let node = self
            .node()
            .map_or_else(String::new, |node| format!(" {node}"));
        let name = match self {
            Self::Optimize { agent, brief, .. } => {
                let focus = brief
                    .focus
                    .as_ref()
                    .map_or_else(String::new, |focus| format!(", {focus}"));
                let told = brief
                    .instructions
                    .as_ref()
                    .map_or_else(String::new, |text| format!(": {text}"));
                return format!("optimize{node} with {agent}{focus}{told}");
            }
            Self::FrontEnd { .. } => "front end of",
            Self::MiddleEnd { pipeline: None, .. } => "middle end of",
            Self::MiddleEnd {
                pipeline: Some(passes),
                ..
            } => return format!("middle end of{node} through {passes}"),
            Self::BackEnd { .. } => "back end of",
            Self::GoTo { .. } => "go to",
            Self::Analyze { .. } => "analyze",
            Self::Test { .. } => "test",
            Self::Measure { .. } => "measure",
            Self::Stop => "stop",
        };
        format!("{name}{node}")
    }
}

/// What an agent that asks a language model is told by the guide; what is `None` is as the run's options say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Brief {
    /// Samples asked for at the same time: n of the paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Rounds with feedback: k of the paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// The function to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// What to try, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl Brief {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Asks the run's language model; `None` when there is none or the budget does not allow it.
pub type Ask<'a> =
    dyn FnMut(ChatRequest) -> Result<Option<Result<ChatReply, ChatError>>, GuideError> + 'a;

/// A guide failed in a way that ends the run.
pub type GuideError = Box<dyn std::error::Error + Send + Sync>;

/// What a guide sees.
pub struct View<'a> {
    /// Everything tried so far.
    pub tree: &'a Tree,
    /// The agents of this run.
    pub agents: &'a [Box<dyn Agent>],
    /// Share of the budget left, from 1 down to 0.
    pub budget_left: f64,
    /// What was asked for so far, with what came of it.
    pub actions: &'a [ActionRecord],
    /// The limits, and what was spent.
    pub budget: (&'a Budget, &'a Ledger),
    /// The program's name.
    pub program: &'a str,
    /// What can be learned of its code.
    pub insight: Option<Insight<'a>>,
}

/// Turns of an agent that asks a model from one node after which it should look elsewhere.
const MODEL_TURNS: usize = 2;

impl View<'_> {
    /// Whether an agent has something to do at a node.
    fn applies(&self, agent: &dyn Agent, node: &Node) -> bool {
        let is_such_a_turn = |record: &&ActionRecord| matches!(&record.action, Action::Optimize { node: n, agent: a, .. } if *n == node.id && a == agent.name());
        let is_tired =
            agent.asks_model() && self.actions.iter().filter(is_such_a_turn).count() >= MODEL_TURNS;
        !is_tired && agent.applies(node, self.tree)
    }
}

/// Picks the next action. Like an agent it keeps nothing but what it can find in the tree again.
pub trait Guide: Send {
    /// Name on the command line and in reports.
    fn name(&self) -> &'static str;
    /// The next action.
    fn next(&mut self, view: &View<'_>, random: &mut ChaCha8Rng) -> Action;

    /// The next action of a guide that asks a language model first; others need not care.
    fn consult(
        &mut self,
        view: &View<'_>,
        random: &mut ChaCha8Rng,
        _ask: &mut Ask<'_>,
    ) -> Result<Action, GuideError> {
        Ok(self.next(view, random))
    }
}

/// A line of the registry.
#[derive(Clone, Copy)]
pub struct GuideEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence for help texts.
    pub summary: &'static str,
    /// Whether it asks a language model.
    pub needs_model: bool,
    /// Makes the guide.
    pub build: fn() -> Box<dyn Guide>,
}

/// All guides, the default first. A new one is a file and a line here.
static REGISTRY: &[GuideEntry] = &[thompson::ENTRY, fixed::ENTRY, random::ENTRY, model::ENTRY];

/// All guides, in the order in which to show them.
pub fn registry() -> &'static [GuideEntry] {
    REGISTRY
}

/// The guide of a run with or without a language model, unless another is wanted.
pub fn usual(with_model: bool) -> &'static str {
    let mut fitting = REGISTRY
        .iter()
        .filter(|entry| entry.needs_model == with_model);
    fitting.next().map_or("", |entry| entry.name)
}

/// Trees and agents for the guides' tests.
#[cfg(test)]
pub(crate) mod testing {
    use whittle_toolchain::tools::Digest;

    use super::View;
    use crate::agents::{Agent, TurnEnded, Workbench};
    use crate::budget::{Budget, Ledger};
    use crate::candidate::{Artifact, Candidate, Level, Recipe};
    use crate::tree::{Node, NodeId, Outcome, Tree};

    struct Idle(&'static str);

    impl Agent for Idle {
        fn name(&self) -> &'static str {
            self.0
        }

        fn level(&self) -> Level {
            Level::Ir
        }

        fn applies(&self, _: &Node, _: &Tree) -> bool {
            true
        }

        fn work(&mut self, _: &mut dyn Workbench) -> Result<(), TurnEnded> {
            Ok(())
        }
    }

    /// What guides see that look at tree and agents only.
    pub(crate) fn view<'a>(tree: &'a Tree, agents: &'a [Box<dyn Agent>]) -> View<'a> {
        static NOTHING: std::sync::OnceLock<(Budget, Ledger)> = std::sync::OnceLock::new();
        let (budget, ledger) = NOTHING.get_or_init(Default::default);
        View {
            tree,
            agents,
            budget_left: 1.0,
            actions: &[],
            budget: (budget, ledger),
            program: "test",
            insight: None,
        }
    }

    /// Agents that do nothing.
    pub(crate) fn agents(names: &[&'static str]) -> Vec<Box<dyn Agent>> {
        names
            .iter()
            .map(|name| Box::new(Idle(name)) as Box<dyn Agent>)
            .collect()
    }

    /// The original, and below it nodes by (parent, agent, speed-up).
    pub(crate) fn tree(nodes: &[(u32, &str, f64)]) -> Tree {
        let mut tree = Tree::default();
        let original = [(None, "", 1.0)];
        let others = nodes
            .iter()
            .map(|(parent, agent, speedup)| (Some(NodeId(*parent)), *agent, *speedup));
        for (parent, agent, speedup) in original.into_iter().chain(others) {
            let id = tree.next_id();
            let artifact = Artifact {
                level: Level::Source,
                units: Vec::new(),
            };
            tree.push(Node {
                id,
                parent,
                agent: agent.to_owned(),
                change: String::new(),
                note: serde_json::Value::Null,
                candidate: Candidate {
                    artifact,
                    recipe: Recipe::default(),
                },
                outcome: Outcome::Timed {
                    code: Digest::of(&[&id.0.to_le_bytes()]),
                    speedup,
                    seconds: Vec::new(),
                },
                extensions: Vec::new(),
                at_s: 0.0,
            });
        }
        tree
    }
}
