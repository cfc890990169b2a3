//! The policies, one file each, and their registry.

use crate::{PlanError, Policy, PolicyOptions};

mod full;
mod h2o;
mod pyramidkv;
mod snapkv;
mod sparsity_h2o;
mod streaming;
mod uniform_post_vision;
mod vl_cache;

/// A line of the registry.
#[derive(Debug, Clone, Copy)]
pub struct PolicyEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence for help texts.
    pub summary: &'static str,
    /// Builds the policy; the options are already checked.
    build: fn(&PolicyOptions) -> Box<dyn Policy>,
}

/// All policies. A new one is a file and a line here.
static REGISTRY: &[PolicyEntry] = &[
    full::ENTRY,
    streaming::ENTRY,
    h2o::ENTRY,
    snapkv::ENTRY,
    pyramidkv::ENTRY,
    vl_cache::ENTRY,
    uniform_post_vision::ENTRY,
    sparsity_h2o::ENTRY,
];

/// All policies, in the order in which to show them.
pub fn registry() -> &'static [PolicyEntry] {
    REGISTRY
}

/// Builds the policy of this name.
pub fn policy(name: &str, options: &PolicyOptions) -> Result<Box<dyn Policy>, PlanError> {
    let entry = REGISTRY
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| PlanError::UnknownPolicy {
            name: name.into(),
            known: REGISTRY
                .iter()
                .map(|entry| entry.name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    entry.build(options)
}

impl PolicyEntry {
    /// Checks the options and builds the policy.
    pub fn build(&self, options: &PolicyOptions) -> Result<Box<dyn Policy>, PlanError> {
        options.validate()?;
        Ok((self.build)(options))
    }
}
