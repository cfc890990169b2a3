//! A fixed schedule: the agents in turn, each from the best candidate so far.

use rand_chacha::ChaCha8Rng;

use crate::guides::{Action, Brief, Guide, GuideEntry, View};
use crate::tree::NodeId;

pub(super) const ENTRY: GuideEntry = GuideEntry {
    name: "fixed",
    summary: "the agents in turn, each from the fastest candidate so far",
    needs_model: false,
    build: || {
        Box::new(Fixed {
            nodes: 0,
            stalled: 0,
        })
    },
};

struct Fixed {
    /// Nodes at the last turn, and turns since then that came to nothing: without them an agent that has nothing to propose
    /// would be asked for ever.
    nodes: u32,
    stalled: usize,
}

impl Guide for Fixed {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn next(&mut self, view: &View<'_>, _: &mut ChaCha8Rng) -> Action {
        // The last agent in the tree tells whose turn it is: nothing else has to be remembered.
        let last = view
            .tree
            .nodes()
            .iter()
            .rev()
            .find(|node| !node.agent.is_empty());
        let place = last.and_then(|node| view.agents.iter().position(|a| a.name() == node.agent));
        let nodes = view.tree.next_id().0;
        self.stalled = if nodes == self.nodes {
            self.stalled + 1
        } else {
            0
        };
        self.nodes = nodes;
        let start = place.map_or(0, |place| place + 1) + self.stalled;
        let root = view.tree.get(NodeId::ROOT).into_iter();
        let nodes: Vec<_> = view.tree.ranked().into_iter().chain(root).collect();
        let turn = view
            .agents
            .iter()
            .cycle()
            .skip(start)
            .take(view.agents.len())
            .find_map(|agent| {
                let node = nodes
                    .iter()
                    .find(|node| view.applies(agent.as_ref(), node))?;
                Some(Action::Optimize {
                    node: node.id,
                    agent: agent.name().to_owned(),
                    brief: Brief::default(),
                })
            });
        turn.unwrap_or(Action::Stop)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::guides::testing::{agents, tree, view};

    fn next(past: &[(u32, &str, f64)]) -> Action {
        let (tree, agents) = (tree(past), agents(&["a", "b"]));
        let view = view(&tree, &agents);
        Fixed {
            nodes: 0,
            stalled: 0,
        }
        .next(&view, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn agents_take_turns_from_the_best() {
        let optimize = |node, agent: &str| Action::Optimize {
            node: NodeId(node),
            agent: agent.to_owned(),
            brief: Brief::default(),
        };
        assert_eq!(next(&[]), optimize(0, "a"));
        assert_eq!(next(&[(0, "a", 1.2)]), optimize(1, "b"));
        assert_eq!(next(&[(0, "a", 1.2), (1, "b", 0.8)]), optimize(1, "a"));
    }

    #[test]
    fn an_agent_without_ideas_does_not_hold_up_the_others() {
        let (tree, agents) = (tree(&[(0, "a", 1.2)]), agents(&["a", "b"]));
        let view = view(&tree, &agents);
        let mut guide = Fixed {
            nodes: 0,
            stalled: 0,
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let turns: Vec<Action> = (0..3).map(|_| guide.next(&view, &mut random)).collect();
        let agents = ["b", "a", "b"].map(|agent| Action::Optimize {
            node: NodeId(1),
            agent: agent.to_owned(),
            brief: Brief::default(),
        });
        assert_eq!(turns, agents);
    }
}
