//! Uniform chance over all candidates and agents: what every other guide has to beat.

use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::guides::{Action, Brief, Guide, GuideEntry, View};

pub(super) const ENTRY: GuideEntry = GuideEntry {
    name: "random",
    summary: "any agent from any candidate that passed its tests, by chance",
    needs_model: false,
    build: || Box::new(Random),
};

struct Random;

impl Guide for Random {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn next(&mut self, view: &View<'_>, random: &mut ChaCha8Rng) -> Action {
        let choices: Vec<_> = view
            .tree
            .ranked()
            .into_iter()
            .flat_map(|node| {
                let agents = view
                    .agents
                    .iter()
                    .filter(|agent| view.applies(agent.as_ref(), node));
                agents.map(|agent| (node.id, agent.name()))
            })
            .collect();
        choices
            .choose(random)
            .map_or(Action::Stop, |(node, agent)| Action::Optimize {
                node: *node,
                agent: (*agent).to_owned(),
                brief: Brief::default(),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;

    use super::*;
    use crate::guides::testing::{agents, tree, view};

    #[test]
    fn everything_that_passed_gets_its_turn() {
        let (tree, agents) = (tree(&[(0, "a", 1.2), (0, "b", 0.5)]), agents(&["a", "b"]));
        let view = view(&tree, &agents);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let seen: BTreeSet<String> = (0..200)
            .map(|_| format!("{:?}", Random.next(&view, &mut random)))
            .collect();
        assert_eq!(seen.len(), 6);
    }
}
