//! The guides, one file each, and their registry: what to do next with what is left of the budget.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::agents::Agent;
use crate::tree::{NodeId, Tree};

mod fixed;
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
    },
    /// The node's text at the next level down becomes a node of its own.
    Lower {
        /// The node.
        node: NodeId,
        /// The pass pipeline on the way to IR; `None` is the node's own.
        pipeline: Option<String>,
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

/// What a guide sees.
pub struct View<'a> {
    /// Everything tried so far.
    pub tree: &'a Tree,
    /// The agents of this run.
    pub agents: &'a [Box<dyn Agent>],
    /// Share of the budget left, from 1 down to 0.
    pub budget_left: f64,
}

/// Picks the next action. Like an agent it keeps nothing but what it can find in the tree again.
pub trait Guide: Send {
    /// Name on the command line and in reports.
    fn name(&self) -> &'static str;
    /// The next action.
    fn next(&mut self, view: &View<'_>, random: &mut ChaCha8Rng) -> Action;
}

/// A line of the registry.
#[derive(Clone, Copy)]
pub struct GuideEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence for help texts.
    pub summary: &'static str,
    /// Makes the guide.
    pub build: fn() -> Box<dyn Guide>,
}

/// All guides, the default first. A new one is a file and a line here.
static REGISTRY: &[GuideEntry] = &[thompson::ENTRY, fixed::ENTRY, random::ENTRY];

/// All guides, in the order in which to show them.
pub fn registry() -> &'static [GuideEntry] {
    REGISTRY
}

/// Trees and agents for the guides' tests.
#[cfg(test)]
pub(crate) mod testing {
    use whittle_toolchain::tools::Digest;

    use crate::agents::{Agent, TurnEnded, Workbench};
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
                at_s: 0.0,
            });
        }
        tree
    }
}
