//! VL-Cache (arXiv 2410.23317): layer budgets by post-vision sparsity, tokens by post-vision attention.

use super::PolicyEntry;
use crate::budget::{Weights, sparsity, vl_cache};
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "vl-cache",
    summary: "VL-Cache: dense layers get more, tokens by the attention of what follows the image",
    build: |options| Box::new(VlCache(options.clone())),
};

struct VlCache(PolicyOptions);

impl Policy for VlCache {
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
        let scores = statistics.post_vision()?;
        let sparsity = sparsity(&scores);
        let budgets = vl_cache(
            Weights::Sparsity(&sparsity),
            statistics.prompt.len,
            alpha,
            &self.0,
        )?;
        let selector = Selector {
            head_adaptive: self.0.head_adaptive,
            pool: 1,
        };
        Ok(selector.select_layers(scores, budgets))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: false,
        }
    }
}
