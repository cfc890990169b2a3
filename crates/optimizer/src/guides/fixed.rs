//! A fixed schedule: the agents in turn, each from the best candidate so far.

use rand_chacha::ChaCha8Rng;

use crate::guides::{Action, Guide, GuideEntry, View};
use crate::tree::NodeId;

pub(super) const ENTRY: GuideEntry = GuideEntry {
    name: "fixed",
    summary: "the agents in turn, each from the fastest candidate so far",
    build: || Box::new(Fixed),
};

struct Fixed;

impl Guide for Fixed {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn next(&mut self, view: &View<'_>, _: &mut ChaCha8Rng) -> Action {
        // The last agent in the tree tells whose turn it is: nothing else has to be remembered.
        let last = view.tree.nodes().iter().rev().find(|node| !node.agent.is_empty());
        let place = last.and_then(|node| view.agents.iter().position(|a| a.name() == node.agent));
        let start = place.map_or(0, |place| place + 1);
        let root = view.tree.get(NodeId::ROOT).into_iter();
        let nodes: Vec<_> = view.tree.ranked().into_iter().chain(root).collect();
        let turn = view.agents.iter().cycle().skip(start).take(view.agents.len()).find_map(|agent| {
            let node = nodes.iter().find(|node| agent.applies(node, view.tree))?;
            Some(Action::Optimize { node: node.id, agent: agent.name().to_owned() })
        });
        turn.unwrap_or(Action::Stop)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::guides::testing::{agents, tree};

    fn next(past: &[(u32, &str, f64)]) -> Action {
        let (tree, agents) = (tree(past), agents(&["a", "b"]));
        let view = View { tree: &tree, agents: &agents, budget_left: 1.0 };
        Fixed.next(&view, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn agents_take_turns_from_the_best() {
        let optimize = |node, agent: &str| Action::Optimize { node: NodeId(node), agent: agent.to_owned() };
        assert_eq!(next(&[]), optimize(0, "a"));
        assert_eq!(next(&[(0, "a", 1.2)]), optimize(1, "b"));
        assert_eq!(next(&[(0, "a", 1.2), (1, "b", 0.8)]), optimize(1, "a"));
    }
}
