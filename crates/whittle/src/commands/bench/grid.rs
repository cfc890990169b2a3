//! Which points are measured.

use serde::Serialize;

use crate::commands::compare::FULL;

use super::peer::Peer;

/// A policy with a budget.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// Name of the policy.
    pub(super) policy: String,
    /// Fraction of the cache to keep.
    pub(super) budget: f64,
}

/// What an engine is given to do.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Length of every prompt in tokens.
    pub(super) prompt_tokens: usize,
    /// Sequences that are decoded together.
    pub(super) batch: usize,
}

/// An engine, with a setting if it is ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Engine {
    /// Ours.
    Ours(Setting),
    /// Another one, with its full cache.
    Peer(Peer),
}

impl Engine {
    /// Name of the policy or the peer.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Ours(setting) => &setting.policy,
            Self::Peer(peer) => peer.name(),
        }
    }

    /// Fraction of the cache that is kept.
    pub(super) fn budget(&self) -> f64 {
        match self {
            Self::Ours(setting) => setting.budget,
            Self::Peer(_) => 1.0,
        }
    }
}

/// Every policy with every budget; the full cache once. The first mention of a setting counts.
pub(super) fn settings(policies: &[String], budgets: &[f64]) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for policy in policies {
        let budgets = if policy == FULL { &[1.0] } else { budgets };
        for &budget in budgets {
            let setting = Setting {
                policy: policy.clone(),
                budget,
            };
            if !settings.contains(&setting) {
                settings.push(setting);
            }
        }
    }
    settings
}

/// Every prompt length with every batch size.
pub(super) fn loads(prompts: &[usize], batches: &[usize]) -> Vec<Load> {
    let mut loads = Vec::new();
    for &batch in batches {
        for &prompt_tokens in prompts {
            let load = Load {
                prompt_tokens,
                batch,
            };
            if !loads.contains(&load) {
                loads.push(load);
            }
        }
    }
    loads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_cache_has_one_budget() {
        let policies = ["full", "h2o", "vl-cache", "h2o"].map(str::to_owned);
        let settings = settings(&policies, &[0.1, 0.2]);
        let named: Vec<_> = settings
            .iter()
            .map(|setting| format!("{} {}", setting.policy, setting.budget))
            .collect();
        assert_eq!(
            named,
            [
                "full 1",
                "h2o 0.1",
                "h2o 0.2",
                "vl-cache 0.1",
                "vl-cache 0.2"
            ]
        );
    }

    #[test]
    fn loads_are_crossed() {
        let loads = loads(&[8, 16, 8], &[1, 4]);
        let pairs: Vec<_> = loads.iter().map(|l| (l.prompt_tokens, l.batch)).collect();
        assert_eq!(pairs, [(8, 1), (16, 1), (8, 4), (16, 4)]);
    }
}
