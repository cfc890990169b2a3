//! Ablation: VL-Cache's layer budgets with H2O's token scores.

use super::PolicyEntry;
use crate::budget::{Weights, sparsity, vl_cache};
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "sparsity-h2o",
    summary: "Ablation: VL-Cache's layer budgets, tokens by H2O's score",
    build: |options| Box::new(SparsityH2o(options.clone())),
};

struct SparsityH2o(PolicyOptions);

impl Policy for SparsityH2o {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn options(&self) -> &PolicyOptions {
        &self.0
    }

    fn needs(&self, prompt: &PromptInfo) -> Result<Needs, PlanError> {
        Ok(Needs {
            column_sums: true,
            ..Needs::retained_mass(prompt, &self.0)?
        })
    }

    fn select(&self, statistics: &Statistics, alpha: f64) -> Result<Kept, PlanError> {
        let sparsity = sparsity(&statistics.post_vision()?);
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
        Ok(selector.select_layers(statistics.column_sums()?, budgets))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: false,
        }
    }
}
