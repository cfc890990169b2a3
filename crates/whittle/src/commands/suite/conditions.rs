//! Under what a comparison was made.

use std::fmt;

use serde::Serialize;
use whittle_optimizer::budget::{Budget, Resource};
use whittle_optimizer::session::Machine;

/// What all runs of a comparison share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Conditions {
    pub(crate) machine: Machine,
    /// Of each run.
    pub(crate) budget: Budget,
    pub(crate) seed: u64,
    pub(crate) model: Option<String>,
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            cpu, cores, llvm, ..
        } = &self.machine;
        write!(f, "{cpu}, {cores} cores, {llvm}; each run:")?;
        for resource in Resource::ALL {
            if let Some(limit) = self.budget.limit(resource) {
                write!(f, " {limit} {},", resource.name())?;
            }
        }
        write!(f, " seed {}", self.seed)?;
        match &self.model {
            Some(model) => write!(f, ", {model}"),
            None => Ok(()),
        }
    }
}
