//! Thompson sampling over (node, agent): what has paid so far is tried more, what is not known yet now and then.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};

use crate::agents::Agent;
use crate::guides::{Action, Brief, Guide, GuideEntry, View};
use crate::tree::{Node, NodeId, Tree};

pub(super) const ENTRY: GuideEntry = GuideEntry {
    name: "thompson",
    summary: "Thompson sampling over candidates and agents: tries more of what has paid so far",
    needs_model: false,
    build: || Box::new(Thompson),
};

/// Nodes of each kind (portable, for this host) that are considered, the fastest of the search. The original is always
/// among them.
const NODES: usize = 5;
/// What an agent's record elsewhere in the tree is worth at a node where it has not been.
const TRANSFER: f64 = 0.3;
/// The gain expected of a success before there was any.
const FIRST_GAIN: f64 = 0.03;

pub(super) struct Thompson;

/// What an agent has achieved.
#[derive(Default)]
struct Record {
    successes: f64,
    failures: f64,
    /// Sum of the logarithms of the successes' gains.
    gain: f64,
}

impl Record {
    fn of<'t>(children: impl Iterator<Item = &'t Node>, tree: &Tree) -> Self {
        let mut record = Self::default();
        for child in children {
            match tree.gain_of(child) {
                Some(gain) => {
                    record.successes += 1.0;
                    record.gain += gain.ln();
                }
                None => record.failures += 1.0,
            }
        }
        record
    }

    /// The logarithm of the gain that a success brings.
    fn mean_gain(&self) -> f64 {
        (self.gain + FIRST_GAIN) / (self.successes + 1.0)
    }
}

impl Thompson {
    /// A draw of the logarithm of the speed-up that a turn of this agent from this node leads to, against `best`.
    fn draw(
        node: &Node,
        best: f64,
        agent: &dyn Agent,
        tree: &Tree,
        random: &mut ChaCha8Rng,
    ) -> f64 {
        let of_agent = |child: &&Node| child.agent == agent.name();
        let everywhere = Record::of(tree.nodes().iter().filter(of_agent), tree);
        let here = Record::of(tree.children(node.id).filter(of_agent), tree);
        let successes = 1.0 + here.successes + TRANSFER * everywhere.successes;
        let failures = 1.0 + here.failures + TRANSFER * everywhere.failures;
        // Both parameters are at least 1, so the distribution exists.
        let chance = Beta::new(successes, failures).map_or(0.5, |beta| beta.sample(random));
        (node.speedup().unwrap_or(1.0) / best).ln() + chance * everywhere.mean_gain()
    }
}

/// The nodes to go on from, each with the best speed-up of its kind: what is portable and what is for this host are two
/// results, and neither may starve the other.
fn open_nodes(tree: &Tree) -> Vec<(&Node, f64)> {
    let ranked = tree.ranked();
    let mut nodes = Vec::new();
    for host in [false, true] {
        let kind = ranked
            .iter()
            .copied()
            .filter(|node| node.is_for_host() == host);
        let best = kind.clone().next().and_then(Node::speedup).unwrap_or(1.0);
        nodes.extend(kind.take(NODES).map(|node| (node, best)));
        let root = tree.get(NodeId::ROOT).filter(|_| !host);
        nodes.extend(root.map(|root| (root, best)));
    }
    nodes.dedup_by_key(|(node, _)| node.id);
    nodes
}

impl Guide for Thompson {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn next(&mut self, view: &View<'_>, random: &mut ChaCha8Rng) -> Action {
        let mut best: Option<(f64, NodeId, &'static str)> = None;
        for (node, best_of_kind) in open_nodes(view.tree) {
            for agent in view
                .agents
                .iter()
                .filter(|agent| view.applies(agent.as_ref(), node))
            {
                let draw = Self::draw(node, best_of_kind, agent.as_ref(), view.tree, random);
                if best.is_none_or(|(highest, ..)| draw > highest) {
                    best = Some((draw, node.id, agent.name()));
                }
            }
        }
        best.map_or(Action::Stop, |(_, node, agent)| Action::Optimize {
            node,
            agent: agent.to_owned(),
            brief: Brief::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::guides::testing::{agents, tree, view};

    /// How often each agent is chosen in 300 draws.
    fn shares(speedups: &[(u32, &str, f64)]) -> [usize; 2] {
        let (tree, agents) = (tree(speedups), agents(&["a", "b"]));
        let view = view(&tree, &agents);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0, 0];
        for _ in 0..300 {
            match Thompson.next(&view, &mut random) {
                Action::Optimize { agent, .. } => counts[usize::from(agent == "b")] += 1,
                other => panic!("{other:?}"),
            }
        }
        counts
    }

    #[test]
    fn nothing_known_means_both() {
        let [a, b] = shares(&[]);
        assert!(a > 100 && b > 100, "{a} {b}");
    }

    #[test]
    fn what_pays_is_preferred_but_not_alone() {
        // From the original: five failures of a, and five successes of b that are no better to go on from.
        let mut past = vec![(0, "a", 0.9); 6];
        past.extend([(0, "b", 1.02); 6]);
        let [a, b] = shares(&past);
        assert!(b > 2 * a, "{a} {b}");
    }

    #[test]
    fn the_same_chance_gives_the_same_choice() {
        let past = [(0, "a", 1.1), (0, "b", 0.9), (1, "a", 1.2)];
        assert_eq!(shares(&past), shares(&past));
    }

    #[test]
    fn no_agent_that_applies_means_stop() {
        let tree = tree(&[]);
        let view = view(&tree, &[]);
        assert_eq!(
            Thompson.next(&view, &mut ChaCha8Rng::seed_from_u64(1)),
            Action::Stop
        );
    }
}
