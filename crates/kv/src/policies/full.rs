//! The full cache: nothing is dropped.

use super::PolicyEntry;
use crate::plan::all_positions;
use crate::{Kept, Needs, PlanError, Policy, PolicyOptions, PromptInfo, Statistics, Tolerances};

pub(super) const ENTRY: PolicyEntry = PolicyEntry {
    name: "full",
    summary: "Keep everything: the baseline without compression",
    build: |options| {
        Box::new(Full(PolicyOptions {
            alpha: 1.0,
            ..options.clone()
        }))
    },
};

struct Full(PolicyOptions);

impl Policy for Full {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn options(&self) -> &PolicyOptions {
        &self.0
    }

    fn needs(&self, prompt: &PromptInfo) -> Result<Needs, PlanError> {
        prompt.validate()?;
        Ok(Needs::default())
    }

    fn select(&self, statistics: &Statistics, _alpha: f64) -> Result<Kept, PlanError> {
        Ok(all_positions(
            statistics.prompt.len,
            statistics.layers.len(),
            statistics.kv_heads,
        ))
    }

    fn tolerates(&self) -> Tolerances {
        Tolerances {
            chunked_prefill: true,
            shared_prefix: true,
            decode_time: true,
        }
    }
}
