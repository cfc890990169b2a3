//! What came of one run, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::budget::Resource;
use whittle_optimizer::evidence::Rung;
use whittle_optimizer::tree::{Node, Outcome as NodeOutcome};
use whittle_toolchain::measure::Verdict;

/// A run of a program in a mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// The program's name.
    pub(crate) program: String,
    /// The mode.
    pub(crate) mode: String,
    /// The run in the store of the suite; empty if it was refused.
    pub(crate) run: String,
    /// Why it was refused or failed.
    pub(crate) error: Option<String>,
    /// Time of `-O3` over time of the winner, measured afresh; 1 where nothing faster was found.
    pub(crate) ratio: f64,
    /// The interval of the ratio, where there is a winner.
    pub(crate) interval: Option<[f64; 2]>,
    /// Proposals by the level of what was proposed.
    pub(crate) levels: BTreeMap<String, Proposals>,
    /// What was spent, by resource.
    pub(crate) spent: BTreeMap<String, f64>,
}

/// Proposals of one level, lowering by the guide not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Proposals {
    /// All, unusable replies included.
    pub(crate) all: u32,
    /// Replies that nothing could be made of.
    pub(crate) unusable: u32,
    /// Rejected anywhere on the ladder.
    pub(crate) wrong: u32,
    /// Reached the rungs 0 (fell at once) to 4.
    pub(crate) reached: [u32; 5],
}

impl Proposals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.all += other.all;
        self.unusable += other.unusable;
        self.wrong += other.wrong;
        for (sum, more) in self.reached.iter_mut().zip(other.reached) {
            *sum += more;
        }
    }

    /// Share of the proposals that were wrong or unusable.
    pub(crate) fn wrong_share(&self) -> Option<f64> {
        (self.all > 0).then(|| f64::from(self.wrong + self.unusable) / f64::from(self.all))
    }
}

impl Outcome {
    pub(crate) fn failed(program: String, mode: String, error: String) -> Self {
        Self {
            program,
            mode,
            error: Some(error),
            ratio: 1.0,
            ..Self::default()
        }
    }

    pub(crate) fn of(program: String, mode: String, run: String, record: &RunRecord) -> Self {
        let conclusion = record.conclusion.as_ref();
        let claims = conclusion.map(|conclusion| [&conclusion.portable, &conclusion.host]);
        let best = claims
            .into_iter()
            .flatten()
            .flatten()
            .filter(|claim| claim.comparison.verdict == Verdict::Faster)
            .max_by(|a, b| a.comparison.ratio.total_cmp(&b.comparison.ratio));
        let mut outcome = Self {
            program,
            mode,
            run,
            error: None,
            ratio: best.map_or(1.0, |claim| claim.comparison.ratio),
            interval: best.map(|claim| claim.comparison.interval),
            levels: BTreeMap::new(),
            spent: BTreeMap::new(),
        };
        for node in record
            .tree
            .nodes()
            .iter()
            .filter(|node| !node.agent.is_empty())
        {
            let proposals = outcome.levels.entry(level(node)).or_default();
            let evidence = conclusion.and_then(|conclusion| conclusion.evidence.get(&node.id));
            let fell = evidence.is_some_and(|evidence| evidence.rejection.is_some());
            let rung = evidence.and_then(|evidence| evidence.rung);
            proposals.all += 1;
            proposals.wrong +=
                u32::from(fell || matches!(node.outcome, NodeOutcome::Rejected { .. }));
            proposals.reached[reached(node).max(rung.map_or(0, Rung::number)) as usize] += 1;
        }
        for agent in ["source", "ir", "assembly"] {
            let unusable = record.ledger.spent_by(agent, Resource::Unusable) as u32;
            if unusable > 0 {
                let proposals = outcome.levels.entry(agent.to_owned()).or_default();
                proposals.all += unusable;
                proposals.unusable += unusable;
            }
        }
        for resource in Resource::ALL {
            let spent = record.ledger.spent(resource);
            if spent > 0.0 {
                outcome.spent.insert(resource.name().to_owned(), spent);
            }
        }
        outcome
    }
}

fn level(node: &Node) -> String {
    node.candidate.artifact.level.name().to_owned()
}

/// The rung that a node reached in the search.
fn reached(node: &Node) -> u8 {
    match &node.outcome {
        NodeOutcome::Rejected { rejection } => rejection.rung.number().saturating_sub(1),
        NodeOutcome::Duplicate { .. } => Rung::Builds.number(),
        NodeOutcome::Timed { .. } => Rung::Tests.number(),
    }
}
