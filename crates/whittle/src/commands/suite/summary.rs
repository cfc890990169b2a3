//! All runs of a mode, together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::outcome::{Outcome, Proposals};

/// What a mode came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) mode: String,
    /// Programs that were fit to be optimized.
    pub(crate) programs: usize,
    /// Programs that were refused or whose run failed.
    pub(crate) failed: usize,
    /// Geometric mean of the ratios.
    pub(crate) geomean: f64,
    /// Share of the programs for which something faster was found.
    pub(crate) improved: f64,
    pub(crate) levels: BTreeMap<String, Proposals>,
    pub(crate) spent: BTreeMap<String, f64>,
}

impl Summary {
    pub(crate) fn of(mode: &str, outcomes: &[Outcome]) -> Self {
        let (fit, failed): (Vec<&Outcome>, Vec<&Outcome>) = outcomes
            .iter()
            .filter(|outcome| outcome.mode == mode)
            .partition(|outcome| outcome.error.is_none());
        let count = fit.len().max(1) as f64;
        let mut summary = Self {
            mode: mode.to_owned(),
            programs: fit.len(),
            failed: failed.len(),
            geomean: (fit.iter().map(|outcome| outcome.ratio.ln()).sum::<f64>() / count).exp(),
            improved: fit
                .iter()
                .filter(|outcome| outcome.interval.is_some())
                .count() as f64
                / count,
            levels: BTreeMap::new(),
            spent: BTreeMap::new(),
        };
        for outcome in fit {
            for (level, proposals) in &outcome.levels {
                summary
                    .levels
                    .entry(level.clone())
                    .or_default()
                    .add(proposals);
            }
            for (resource, spent) in &outcome.spent {
                *summary.spent.entry(resource.clone()).or_default() += spent;
            }
        }
        summary
    }
}
