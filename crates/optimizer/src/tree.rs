//! The tree of candidates of a run. Agents and guides learn from it and from nothing else, so that an interrupted run
//! resumes where it stood.

use serde::{Deserialize, Serialize};
use whittle_toolchain::tools::Digest;

use crate::candidate::Candidate;
use crate::evidence::Rejection;

/// The number of a node within its run, in the order of creation; the original is 0.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The original program under `clang -O3`.
    pub const ROOT: Self = Self(0);
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A candidate in the tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// What it was made from; `None` for the original.
    pub parent: Option<NodeId>,
    /// The agent that proposed it; empty for the original.
    pub agent: String,
    /// What was changed, in words.
    pub change: String,
    /// What the agent wants to remember of it, in the agent's own form.
    pub note: serde_json::Value,
    /// The candidate itself.
    pub candidate: Candidate,
    /// What came of it.
    pub outcome: Outcome,
    /// Extensions of the instruction set that its code needs and the program does not, by name. A recipe for this host has
    /// none of them listed: it may use whatever this host has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Seconds from the start of the run's search, over all its sessions.
    pub at_s: f64,
}

/// What came of a candidate during the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Outcome {
    /// It fell on a rung of the evidence ladder.
    Rejected {
        /// Where and why.
        rejection: Rejection,
    },
    /// Its machine code is the same as an earlier node's.
    Duplicate {
        /// That node.
        of: NodeId,
    },
    /// It passed the visible tests and was timed.
    Timed {
        /// Name of its machine code: the digest of its assembly without comments.
        code: Digest,
        /// Time of the original divided by its time in the search, geometric mean over the search's inputs.
        /// Good enough to steer by; never reported as a result.
        speedup: f64,
        /// Its seconds on each of the search's inputs.
        seconds: Vec<f64>,
    },
}

impl Node {
    /// What it is and what came of it, in a line.
    pub fn in_a_line(&self) -> String {
        let level = self.candidate.artifact.level.name();
        let by = match self.agent.as_str() {
            "" => String::new(),
            agent => format!(", by {agent}"),
        };
        let outcome = match &self.outcome {
            Outcome::Rejected { rejection } => {
                let first = rejection.reason.lines().next().unwrap_or_default();
                format!("rejected: {}", first.chars().take(200).collect::<String>())
            }
            Outcome::Duplicate { of } => format!("same machine code as {of}"),
            Outcome::Timed { speedup, .. } if !self.extensions.is_empty() => {
                format!("{speedup:.3} times, needs {}", self.extensions.join(", "))
            }
            Outcome::Timed { speedup, .. } => format!("{speedup:.3} times"),
        };
        format!("{} ({level}{by}): {}: {outcome}", self.id, self.change)
    }

    /// Whether it is for this host only, by its recipe or by the instructions in its code; else it runs wherever the program
    /// runs.
    pub fn is_for_host(&self) -> bool {
        self.candidate.recipe.host || !self.extensions.is_empty()
    }

    /// The speed-up seen in the search, if it came that far.
    pub fn speedup(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Timed { speedup, .. } => Some(speedup),
            _ => None,
        }
    }
}

/// A candidate has to be this much faster than what it was made from to count as a success: about the noise of a quick
/// timing.
pub(crate) const SUCCESS: f64 = 1.005;

/// Deeper nodes are indented no further.
const DEEPEST: usize = 12;

/// All nodes of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// The tree of these nodes; `None` unless they are numbered in order and each parent comes before its children.
    pub fn from_nodes(nodes: Vec<Node>) -> Option<Self> {
        let sound = nodes.iter().enumerate().all(|(index, node)| {
            node.id.0 as usize == index
                && node
                    .parent
                    .map_or(index == 0, |parent| (parent.0 as usize) < index)
        });
        sound.then_some(Self { nodes })
    }

    /// The nodes, in the order of creation.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of this number.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    /// By how much a node is faster than what it was made from, if it counts as a success.
    pub fn gain_of(&self, node: &Node) -> Option<f64> {
        let parent = node.parent.and_then(|parent| self.get(parent));
        let gain = node.speedup()? / parent.and_then(Node::speedup)?;
        (gain > SUCCESS).then_some(gain)
    }

    /// Nodes made directly from this one.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(move |node| node.parent == Some(id))
    }

    /// From the original down to the node.
    pub fn path(&self, id: NodeId) -> Vec<&Node> {
        let mut path: Vec<&Node> =
            std::iter::successors(self.get(id), |node| self.get(node.parent?)).collect();
        path.reverse();
        path
    }

    /// A node in a line, indented by its depth.
    pub fn line(&self, node: &Node) -> String {
        let depth = self.path(node.id).len().saturating_sub(1);
        format!("{}{}", "  ".repeat(depth.min(DEEPEST)), node.in_a_line())
    }

    /// Nodes that passed the visible tests, the fastest first.
    pub fn ranked(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self
            .nodes
            .iter()
            .filter(|node| node.speedup().is_some())
            .collect();
        nodes.sort_by(|a, b| {
            b.speedup()
                .partial_cmp(&a.speedup())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        nodes
    }

    /// The node with this machine code.
    pub fn with_code(&self, code: &Digest) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|node| matches!(&node.outcome, Outcome::Timed { code: c, .. } if c == code))
    }

    /// The number that the next node gets.
    pub fn next_id(&self) -> NodeId {
        NodeId(self.nodes.len() as u32)
    }

    /// Adds a node, which must carry [`Tree::next_id`].
    pub(crate) fn push(&mut self, node: Node) {
        debug_assert_eq!(node.id, self.next_id());
        self.nodes.push(node);
    }

    /// Puts another state of a node in its place.
    pub(crate) fn replace(&mut self, node: Node) {
        if let Some(place) = self.nodes.get_mut(node.id.0 as usize) {
            *place = node;
        }
    }
}
