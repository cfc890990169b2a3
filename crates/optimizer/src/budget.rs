//! What a run may spend: each resource with its own limit, enforced and reported by agent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What can be spent. A new resource is a line here and one in [`Resource::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Seconds of wall time in the search.
    Seconds,
    /// Timed runs of programs.
    Runs,
    /// Candidates proposed, duplicates included.
    Candidates,
    /// Turns of level agents: the budget b of the paper.
    AgentCalls,
    /// Requests to language models.
    ModelCalls,
    /// Tokens of requests and replies.
    Tokens,
    /// US dollars for language models.
    Dollars,
    /// Replies of models that nothing could be made of.
    Unusable,
}

impl Resource {
    /// All resources, in the order in which to show them.
    pub const ALL: [Self; 8] = [
        Self::Seconds,
        Self::Runs,
        Self::Candidates,
        Self::AgentCalls,
        Self::ModelCalls,
        Self::Tokens,
        Self::Dollars,
        Self::Unusable,
    ];

    /// Whether only runs with a language model spend it.
    pub fn is_for_models(self) -> bool {
        !matches!(self, Self::Seconds | Self::Runs | Self::Candidates)
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Runs => "measured runs",
            Self::Candidates => "candidates",
            Self::AgentCalls => "agent calls",
            Self::ModelCalls => "model calls",
            Self::Tokens => "tokens",
            Self::Dollars => "dollars",
            Self::Unusable => "unusable replies",
        }
    }
}

/// Limits by resource; what is not named has none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    limits: BTreeMap<Resource, f64>,
}

impl Budget {
    /// A budget of wall time alone.
    pub fn of_time(time: Duration) -> Self {
        Self::default().with(Resource::Seconds, time.as_secs_f64())
    }

    /// Sets a limit.
    #[must_use]
    pub fn with(mut self, resource: Resource, limit: f64) -> Self {
        self.limits.insert(resource, limit);
        self
    }

    /// Sets the limits that are there.
    #[must_use]
    pub fn with_those(self, limits: impl IntoIterator<Item = (Resource, Option<f64>)>) -> Self {
        let there = limits
            .into_iter()
            .filter_map(|(resource, limit)| Some((resource, limit?)));
        there.fold(self, |budget, (resource, limit)| {
            budget.with(resource, limit)
        })
    }

    /// The same without a limit of this resource.
    #[must_use]
    pub fn without(&self, resource: Resource) -> Self {
        let mut budget = self.clone();
        budget.limits.remove(&resource);
        budget
    }

    /// The limit of a resource.
    pub fn limit(&self, resource: Resource) -> Option<f64> {
        self.limits.get(&resource).copied()
    }
}

/// What was spent, by agent; what no agent asked for (the original's timing, the final evidence) stands under "".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    spent: BTreeMap<String, BTreeMap<Resource, f64>>,
}

impl Ledger {
    /// Adds to what was spent.
    pub fn spend(&mut self, agent: &str, resource: Resource, amount: f64) {
        *self
            .spent
            .entry(agent.to_owned())
            .or_default()
            .entry(resource)
            .or_default() += amount;
    }

    /// What an agent spent of a resource.
    pub fn spent_by(&self, agent: &str, resource: Resource) -> f64 {
        self.spent
            .get(agent)
            .and_then(|spent| spent.get(&resource))
            .copied()
            .unwrap_or(0.0)
    }

    /// What all spent of a resource.
    pub fn spent(&self, resource: Resource) -> f64 {
        self.spent
            .values()
            .filter_map(|spent| spent.get(&resource))
            .sum()
    }

    /// What is left of a resource; `None` without a limit.
    pub fn left(&self, budget: &Budget, resource: Resource) -> Option<f64> {
        budget
            .limit(resource)
            .map(|limit| (limit - self.spent(resource)).max(0.0))
    }

    /// Everything, by agent.
    pub fn by_agent(&self) -> &BTreeMap<String, BTreeMap<Resource, f64>> {
        &self.spent
    }

    /// What is left under a budget: the smallest share over the limited resources, 0 when one is used up, 1 without limits.
    pub fn share_left(&self, budget: &Budget) -> f64 {
        budget
            .limits
            .iter()
            .map(|(resource, limit)| {
                if *limit > 0.0 {
                    (1.0 - self.spent(*resource) / limit).clamp(0.0, 1.0)
                } else {
                    0.0
                }
            })
            .fold(1.0, f64::min)
    }

    /// The first resource that is used up.
    pub fn exhausted(&self, budget: &Budget) -> Option<Resource> {
        budget
            .limits
            .iter()
            .find(|(resource, limit)| self.spent(**resource) >= **limit)
            .map(|(resource, _)| *resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_enforced_by_itself() {
        let budget = Budget::of_time(Duration::from_secs(100)).with(Resource::Candidates, 4.0);
        let mut ledger = Ledger::default();
        assert_eq!(ledger.share_left(&budget), 1.0);
        ledger.spend("passes", Resource::Seconds, 30.0);
        ledger.spend("flags", Resource::Candidates, 3.0);
        assert_eq!(ledger.share_left(&budget), 0.25);
        assert_eq!(ledger.exhausted(&budget), None);
        ledger.spend("passes", Resource::Candidates, 1.0);
        assert_eq!(ledger.exhausted(&budget), Some(Resource::Candidates));
        assert_eq!(ledger.spent(Resource::Candidates), 4.0);
        assert_eq!(ledger.spent_by("flags", Resource::Candidates), 3.0);
        assert_eq!(ledger.share_left(&Budget::default()), 1.0);
    }

    #[test]
    fn a_budget_of_nothing_is_used_up_at_once() {
        let budget = Budget::default().with(Resource::Runs, 0.0);
        assert_eq!(Ledger::default().exhausted(&budget), Some(Resource::Runs));
        assert_eq!(Ledger::default().share_left(&budget), 0.0);
    }
}
