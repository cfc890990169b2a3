//! StreamingLLM (arXiv 2309.17453): the first tokens (attention sinks) and the most recent ones.
//!
//! By default nine tenths of the budget lie at the front, as in EffiVLM-Bench; [`PolicyOptions::sinks`] gives the
//! paper's scheme: a few sinks, all the rest recent.

use std::sync::Arc;

use super::PolicyEntry;
use crate::budget::flat;
use crate::select::sinks_and_recent;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "streaming",
    summary: "StreamingLLM: the first tokens and the most recent ones, whatever they hold",
    build: |options| Box::new(Streaming(options.clone())),
};

struct Streaming(PolicyOptions);

impl Policy for Streaming {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn options(&self) -> &PolicyOptions {
        &self.0
    }

    fn needs(&self, prompt: &PromptInfo) -> Result<Needs, PlanError> {
        Needs::retained_mass(prompt, &self.0)
    }

    fn select(&self, statistics: &Statistics, alpha: f64) -> Result<Kept, PlanError> {
        let len = statistics.prompt.len;
        let budget = flat(len, alpha, self.0.recent);
        let kept = budget.scored + budget.window;
        let sinks = self.0.sinks.unwrap_or(budget.scored);
        let positions: Arc<[u32]> = sinks_and_recent(len, kept, sinks).into();
        Ok(vec![
            vec![positions; statistics.kv_heads];
            statistics.layers.len()
        ])
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: true,
        }
    }
}
