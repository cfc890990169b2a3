//! H2O (arXiv 2306.14048): the heavy hitters, scored by the attention accumulated over all rows, and a recent window.
//!
//! Plain column sums as in EffiVLM-Bench, so early positions collect from more rows.

use super::PolicyEntry;
use crate::budget::flat;
use crate::select::Selector;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "h2o",
    summary: "H2O: most attention over all rows, and a recent window",
    build: |options| Box::new(H2o(options.clone())),
};

struct H2o(PolicyOptions);

impl Policy for H2o {
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
        let budget = flat(statistics.prompt.len, alpha, self.0.recent);
        let selector = Selector {
            head_adaptive: self.0.head_adaptive,
            pool: 1,
        };
        Ok(selector.select_layers(statistics.column_sums()?, std::iter::repeat(budget)))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: false,
            decode_time: true,
        }
    }
}
