//! From the best of the search to what may be claimed: further evidence, then fresh measurements.

use std::time::Duration;

use whittle_toolchain::measure::{Comparison, MeasureError, Verdict, instruction_counts};
use whittle_toolchain::tools::Toolchain;

use crate::evidence::build::Builder;
use crate::evidence::ladder::{CheckError, Effort, Ladder};
use crate::evidence::{Evidence, Rejection, RejectionKind, Rung};
use crate::inputs::Inputs;
use crate::program::Program;
use crate::session::prepare::{Linked, Precision, compare};
use crate::session::{Claim, Conclusion, Event, EvidenceScope, SessionError};
use crate::tree::{Node, NodeId, Outcome, Tree};

/// Candidates of each kind that are considered for the result, the best of the search first. All of them share the
/// chance of a false claim: see [`Judge::precision`].
const FINALISTS: usize = 2;
/// The least that a candidate must have gained in the search.
const LEAST_GAIN: f64 = 1.005;

/// Share of a candidate's gain (its logarithm) that a simpler one on the way to it must have to stand for it.
const NEARLY_ALL: f64 = 0.97;

/// A candidate that was examined by itself.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The candidate, with what came of it in the search's checks.
    pub node: Node,
    /// How far it came, and why not further.
    pub evidence: Evidence,
    /// Its comparison with `-O3`, if it came that far.
    pub claim: Option<Claim>,
}

/// Takes note of a comparison: node, baseline, what was found.
pub(crate) type Record<'a> =
    dyn FnMut(Option<NodeId>, &str, &Comparison) -> Result<(), SessionError> + 'a;

/// Decides what is claimed.
pub(crate) struct Judge<'a> {
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) program: &'a Program,
    pub(crate) builder: &'a Builder<'a>,
    pub(crate) ladder: &'a Ladder<'a>,
    pub(crate) inputs: &'a Inputs,
    pub(crate) baseline: &'a Linked,
    pub(crate) margin: f64,
    pub(crate) noise: f64,
    pub(crate) tolerance: Option<f64>,
    pub(crate) seed: u64,
    /// What a candidate has to pass.
    pub(crate) scope: EvidenceScope,
    /// Time that the conclusion should take at most, more or less.
    pub(crate) time: Duration,
    pub(crate) observe: &'a mut dyn FnMut(Event<'_>),
    /// Told of each comparison, for the archive.
    pub(crate) record: &'a mut Record<'a>,
}

impl Judge<'_> {
    /// Considers the best portable candidates and the best for this host.
    pub(crate) fn conclude(&mut self, tree: &Tree, host: bool) -> Result<Conclusion, SessionError> {
        let mut conclusion = Conclusion::default();
        conclusion.portable = self.first_that_holds(finalists(tree, false), &mut conclusion)?;
        if host {
            conclusion.host = self.first_that_holds(finalists(tree, true), &mut conclusion)?;
            conclusion.native_alone = self.native_alone()?;
        }
        let best = [&conclusion.portable, &conclusion.host]
            .into_iter()
            .flatten()
            .max_by(|a, b| a.comparison.ratio.total_cmp(&b.comparison.ratio));
        conclusion.winner = best.map_or(NodeId::ROOT, |claim| claim.node);
        if let Some(node) = tree.get(conclusion.winner)
            && self.program.has_flags_of_its_own()
        {
            conclusion.user_flags = self.against_user_flags(node)?;
        }
        let mut root = Evidence {
            rung: Some(Rung::Reference),
            ..Evidence::default()
        };
        root.visible_tests = self.inputs.visible.len();
        root.held_out_tests = self.inputs.held_out.len();
        conclusion.evidence.insert(NodeId::ROOT, root);
        Ok(conclusion)
    }

    /// Takes every candidate of the tree as far as it comes.
    pub(crate) fn examine(
        &mut self,
        tree: &Tree,
        examined: &mut Vec<Examined>,
    ) -> Result<Conclusion, SessionError> {
        let mut conclusion = Conclusion::default();
        for node in tree.nodes().iter().filter(|node| node.id != NodeId::ROOT) {
            let mut evidence = Evidence::default();
            let mut claim = None;
            if let Outcome::Rejected { rejection } = &node.outcome {
                evidence.rejection = Some(rejection.clone());
            } else {
                claim = self.climb(node, &mut evidence)?;
            }
            conclusion.evidence.insert(node.id, evidence.clone());
            examined.push(Examined {
                node: node.clone(),
                evidence,
                claim,
            });
        }
        Ok(conclusion)
    }

    /// [`Judge::consider`] with a fall written into the evidence.
    fn climb(
        &mut self,
        node: &Node,
        evidence: &mut Evidence,
    ) -> Result<Option<Claim>, SessionError> {
        match self.consider(node, evidence) {
            Ok(claim) => Ok(Some(claim)),
            Err(SessionError::Check(CheckError::Rejected(rejection))) => {
                evidence.rejection = Some(rejection);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The first of the finalists that climbs the ladder and is faster on inputs that nobody has seen.
    fn first_that_holds(
        &mut self,
        finalists: Vec<&Node>,
        conclusion: &mut Conclusion,
    ) -> Result<Option<Claim>, SessionError> {
        for node in finalists {
            let mut evidence = Evidence::default();
            let claim = self.climb(node, &mut evidence)?;
            let why = match (&evidence.rejection, &claim) {
                (_, Some(claim)) if claim.comparison.verdict == Verdict::Faster => None,
                (_, Some(claim)) => Some(not_faster(&claim.comparison)),
                (Some(rejection), _) => Some(format!("rejected: {}", rejection.reason)),
                (None, None) => Some("not examined".to_owned()),
            };
            conclusion.evidence.insert(node.id, evidence);
            match why {
                None => return Ok(claim),
                Some(why) => conclusion.passed_over.push((node.id, why)),
            }
        }
        Ok(None)
    }

    fn consider(&mut self, node: &Node, evidence: &mut Evidence) -> Result<Claim, SessionError> {
        let name = node.id.to_string();
        (self.observe)(Event::Stage(
            "checks the best candidates on inputs that nobody has seen",
        ));
        let linked = Linked::candidate(self.builder, &node.candidate)?;
        self.builder
            .check_imports(linked.plain())
            .map_err(CheckError::from)?;
        if !node.is_for_host() {
            let demands = self.builder.demands(&node.candidate, &linked.built)?;
            demands.refuse().map_err(CheckError::from)?;
        }
        evidence.rung = Some(Rung::Builds);
        evidence.visible_tests = self.ladder.visible_tests(linked.plain())?;
        evidence.rung = Some(Rung::Tests);
        if self.scope == EvidenceScope::Full {
            let effort = Effort {
                fuzz: self.time / 12,
                fuzz_inputs: 2_000,
            };
            let original = self.baseline.plain();
            self.ladder
                .held_out(&node.candidate, linked.plain(), original, effort, evidence)?;
        }

        (self.observe)(Event::Stage("measures the best candidates afresh"));
        let baseline = ("-O3", self.baseline);
        let comparison = self.measure(
            Some(node.id),
            [baseline, (&name, &linked)],
            2 * self.time / 5,
        )?;
        evidence.compared_timing_runs = comparison.runs;
        if self.scope == EvidenceScope::Full {
            evidence.rung = Some(Rung::HeldOut);
            self.ladder
                .prove(&node.candidate, &linked.built, evidence)?;
        }
        let instructions = self.instructions(&linked)?;
        Ok(Claim {
            node: node.id,
            baseline: "-O3".to_owned(),
            comparison,
            instructions,
        })
    }

    fn against_user_flags(&mut self, node: &Node) -> Result<Option<Claim>, SessionError> {
        let flags = self.program.flags.join(" ");
        let user = Linked::baseline(self.builder, &self.program.flags)?;
        let linked = Linked::candidate(self.builder, &node.candidate)?;
        let name = node.id.to_string();
        let pair = [(flags.as_str(), &user), (name.as_str(), &linked)];
        let comparison = self.measure(Some(node.id), pair, self.time / 5);
        Ok(self.unless_rejected(comparison)?.map(|comparison| Claim {
            node: node.id,
            baseline: flags,
            comparison,
            instructions: None,
        }))
    }

    /// How much the instruction set alone gains; without fused operations where these give other results.
    fn native_alone(&mut self) -> Result<Option<Comparison>, SessionError> {
        for further in [None, Some("-ffp-contract=off")] {
            let mut flags = self.program.o3_flags();
            flags.push("-march=native".to_owned());
            flags.extend(further.map(str::to_owned));
            let native = Linked::baseline(self.builder, &flags)?;
            let name = flags.join(" ");
            let pair = [("-O3", self.baseline), (name.as_str(), &native)];
            let comparison = self.measure(None, pair, self.time / 5);
            if let Some(comparison) = self.unless_rejected(comparison)? {
                return Ok(Some(comparison));
            }
        }
        Ok(None)
    }

    /// A baseline that gives other results is no baseline: that is said, and the run goes on.
    fn unless_rejected(
        &mut self,
        comparison: Result<Comparison, SessionError>,
    ) -> Result<Option<Comparison>, SessionError> {
        match comparison {
            Ok(comparison) => Ok(Some(comparison)),
            Err(SessionError::Check(CheckError::Rejected(rejection))) => {
                (self.observe)(Event::Warning(rejection.reason));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn measure(
        &mut self,
        node: Option<NodeId>,
        pair: [(&str, &Linked); 2],
        time_limit: Duration,
    ) -> Result<Comparison, SessionError> {
        let precision = Precision {
            margin: self.margin,
            noise: self.noise,
            time_limit,
            seed: self.seed,
            // Each of the finalists of both kinds may be the one that is claimed by chance.
            confidence: 1.0 - 0.05 / (2 * FINALISTS) as f64,
            tolerance: self.tolerance,
        };
        let cases = &self.inputs.final_timing;
        let result = compare(self.toolchain, pair, cases, precision, self.observe);
        let comparison = result.map_err(blame)?;
        (self.record)(node, pair[0].0, &comparison)?;
        Ok(comparison)
    }

    /// Instructions of original and candidate on the first of the timing inputs, where they can be counted: counting is up
    /// to fifty times as slow as running, so one has to stand for all.
    fn instructions(&self, linked: &Linked) -> Result<Option<[u64; 2]>, SessionError> {
        let Some(case) = self.inputs.final_timing.first() else {
            return Ok(None);
        };
        let workload = case.workload()?;
        let count =
            |program: &Linked| instruction_counts(self.toolchain, &program.plain().path, &workload);
        let [Some(original), Some(candidate)] = [count(self.baseline), count(linked)] else {
            return Ok(None);
        };
        Ok(Some([original, candidate]))
    }
}

/// Why a candidate that is right is not taken.
fn not_faster(comparison: &Comparison) -> String {
    let Comparison {
        verdict,
        ratio,
        interval: [low, high],
        ..
    } = comparison;
    let slower = match comparison.slower_on.as_slice() {
        [] => String::new(),
        names => format!(", slower on {}", names.join(", ")),
    };
    format!("{verdict} when measured afresh: {ratio:.3}x ({low:.3} to {high:.3}){slower}")
}

/// The best of the search, with or without code for this host, each in its simplest form.
fn finalists(tree: &Tree, host: bool) -> Vec<&Node> {
    let mut finalists: Vec<&Node> = Vec::new();
    for node in tree.ranked() {
        let gained = node.speedup().is_some_and(|speedup| speedup >= LEAST_GAIN);
        if node.id == NodeId::ROOT || node.is_for_host() != host || !gained {
            continue;
        }
        let simplest = simplest_form(tree, node);
        if !finalists.iter().any(|finalist| finalist.id == simplest.id) {
            finalists.push(simplest);
        }
    }
    finalists.truncate(FINALISTS);
    finalists
}

/// The first on the way to a node that has nearly all of its gain: what came after added changes, and chances to be wrong,
/// for what may be noise.
fn simplest_form<'t>(tree: &'t Tree, node: &'t Node) -> &'t Node {
    let gain = |node: &Node| node.speedup().unwrap_or(1.0).ln();
    tree.path(node.id)
        .into_iter()
        .filter(|ancestor| ancestor.id != NodeId::ROOT)
        .filter(|ancestor| ancestor.is_for_host() == node.is_for_host())
        .find(|ancestor| gain(ancestor) >= NEARLY_ALL * gain(node))
        .unwrap_or(node)
}

/// What a candidate does wrong while it is timed is its own fault.
fn blame(error: SessionError) -> SessionError {
    let SessionError::Measure(error) = error else {
        return error;
    };
    let kind = match &error {
        MeasureError::OutputsDiffer { .. } => RejectionKind::Output,
        MeasureError::RunFailed { .. } => RejectionKind::Crash,
        MeasureError::Cancelled => return SessionError::Cancelled,
        _ => return SessionError::Measure(error),
    };
    let rejection = Rejection {
        rung: Rung::HeldOut,
        kind,
        reason: error.to_string(),
    };
    SessionError::Check(CheckError::Rejected(rejection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guides::testing::tree;

    #[test]
    fn the_simplest_with_nearly_all_of_the_gain_stands_for_what_came_after() {
        let tree = tree(&[
            (0, "a", 1.05),
            (1, "a", 10.8),
            (2, "a", 10.7),
            (3, "a", 11.1),
            (0, "b", 1.001),
        ]);
        let found: Vec<u32> = finalists(&tree, false)
            .iter()
            .map(|node| node.id.0)
            .collect();
        assert_eq!(found, [2, 1]);
        assert!(finalists(&tree, true).is_empty());
    }

    #[test]
    fn small_gains_are_not_given_away() {
        let tree = tree(&[(0, "a", 1.02), (1, "a", 1.03)]);
        let found: Vec<u32> = finalists(&tree, false)
            .iter()
            .map(|node| node.id.0)
            .collect();
        assert_eq!(found, [2, 1]);
    }
}
