//! `PyramidKV` (arXiv 2406.02069): `SnapKV`'s scores with layer budgets that shrink linearly with depth.

use super::PolicyEntry;
use crate::budget::pyramid;
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "pyramidkv",
    summary: "PyramidKV: SnapKV's scores, with budgets that shrink from the first layer to the last",
    build: |options| Box::new(PyramidKv(options.clone())),
};

struct PyramidKv(PolicyOptions);

impl Policy for PyramidKv {
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
        let budgets = pyramid(
            statistics.layers.len(),
            statistics.prompt.len,
            alpha,
            &self.0,
        );
        let selector = Selector {
            head_adaptive: self.0.head_adaptive,
            pool: self.0.pool,
        };
        Ok(selector.select_layers(statistics.tail()?, budgets))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: false,
        }
    }
}
