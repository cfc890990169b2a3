//! `SnapKV` (arXiv 2404.14469): scores of an observation window at the prompt's end, pooled over neighbours.
//!
//! The window is a tenth of the budget as in EffiVLM-Bench, or [`PolicyOptions::recent`] tokens.

use super::PolicyEntry;
use crate::budget::flat;
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "snapkv",
    summary: "SnapKV: most attention from a window at the end, pooled over neighbours",
    build: |options| Box::new(SnapKv(options.clone())),
};

struct SnapKv(PolicyOptions);

impl Policy for SnapKv {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn options(&self) -> &PolicyOptions {
        &self.0
    }

    fn needs(&self, prompt: &PromptInfo) -> Result<Needs, PlanError> {
        Needs::observation_window(prompt, &self.0)
    }

    /// The observed rows stay those of the requested budget when a quality floor makes `alpha` grow.
    fn select(&self, statistics: &Statistics, alpha: f64) -> Result<Kept, PlanError> {
        let budget = flat(statistics.prompt.len, alpha, self.0.recent);
        let selector = Selector {
            head_adaptive: self.0.head_adaptive,
            pool: self.0.pool,
        };
        Ok(selector.select_layers(statistics.tail()?, std::iter::repeat(budget)))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: false,
        }
    }
}
