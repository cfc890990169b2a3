//! What a plan did to a cache.

use std::sync::Arc;

use whittle_kv::{KvCache, Plan, Policy, Statistics};

use crate::EngineError;

/// What became of the cache after prefill.
#[derive(Debug, Clone)]
pub struct Compression {
    /// Bytes allocated for the cache before.
    pub bytes_before: u64,
    /// Bytes allocated for the cache after.
    pub bytes_after: u64,
    /// Which positions were kept, per layer and KV head.
    pub plan: Arc<Plan>,
}

impl Compression {
    /// Lets the policy plan, applies the plan to the full cache and frees the dropped memory.
    pub(crate) fn apply(
        policy: &dyn Policy,
        statistics: &Statistics,
        cache: &mut KvCache,
    ) -> Result<Self, EngineError> {
        let plan = policy.plan(statistics)?;
        let bytes_before = cache.bytes() as u64;
        cache.apply(&plan)?;
        Ok(Self {
            bytes_before,
            bytes_after: cache.bytes() as u64,
            plan: Arc::new(plan),
        })
    }

    /// Entries after prefill: prompt tokens × layers × KV heads.
    pub fn prompt_entries(&self) -> u64 {
        (self.plan.prompt_len() * self.plan.layers() * self.plan.kv_heads()) as u64
    }

    /// Entries kept of them.
    pub fn kept_entries(&self) -> u64 {
        self.plan.kept_total() as u64
    }

    /// The retained attention mass of every layer. A cache that keeps everything retains everything, measured or not;
    /// otherwise empty if it was not measured.
    pub fn retained_mass(&self) -> Vec<f64> {
        let measured = self.plan.retained_mass();
        if measured.is_empty() && self.kept_entries() == self.prompt_entries() {
            vec![1.0; self.plan.layers()]
        } else {
            measured.to_vec()
        }
    }

    /// Its mean over the layers.
    pub fn mean_mass(&self) -> Option<f64> {
        let mass = self.retained_mass();
        (!mass.is_empty()).then(|| mass.iter().sum::<f64>() / mass.len() as f64)
    }
}
