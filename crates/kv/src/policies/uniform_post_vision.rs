//! Ablation: VL-Cache's token scores with the same budget for every layer.

use super::PolicyEntry;
use crate::budget::{Weights, vl_cache};
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "uniform-post-vision",
    summary: "Ablation: VL-Cache's token scores, the same budget for every layer",
    build: |options| Box::new(UniformPostVision(options.clone())),
};

struct UniformPostVision(PolicyOptions);

impl Policy for UniformPostVision {
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
        let weights = Weights::Uniform {
            layers: scores.len(),
        };
        let budgets = vl_cache(weights, statistics.prompt.len, alpha, &self.0)?;
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
