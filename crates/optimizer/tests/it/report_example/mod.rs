//! A run as it might have been, always the same: what the tests of store and report work on.

use std::collections::BTreeMap;

use whittle_optimizer::archive::{LogLine, MeasurementRecord, RunRecord};
use whittle_optimizer::budget::{Budget, Ledger, Resource};
use whittle_optimizer::candidate::{Artifact, Candidate, Level, Recipe};
use whittle_optimizer::evidence::{Evidence, Rejection, RejectionKind, Rung};
use whittle_optimizer::inputs::{Case, Dropped, Expected, Inputs, Origin};
use whittle_optimizer::program::Program;
use whittle_optimizer::report::Texts;
use whittle_optimizer::session::{Claim, Conclusion, Machine, RunHeader, RunOptions, RunState};
use whittle_optimizer::tree::{Node, NodeId, Outcome, Tree};
use whittle_toolchain::measure::{ArmName, Comparison, Sample, Verdict, WorkloadComparison};
use whittle_toolchain::tools::{Digest, Unit};

mod foundations;

const BEFORE: &str = include_str!("before.c");
const AFTER: &str = include_str!("after.c");

/// Numbers that look random.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to below 1, with four digits.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % 10_000) as f64 / 10_000.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() * bound as f64) as usize
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn header() -> RunHeader {
    RunHeader {
        tests: None,
        program: Program {
            name: "signatures".to_owned(),
            units: vec![Unit::new("signatures.c", BEFORE)],
            flags: strings(&["-O2", "-DNDEBUG"]),
            link_flags: Vec::new(),
        },
        inputs: None,
        options: RunOptions {
            seed: 7,
            guide: "thompson".to_owned(),
            agents: strings(&["passes", "flags", "source"]),
            budget: Budget::default()
                .with(Resource::Seconds, 300.0)
                .with(Resource::Runs, 4_000.0),
            host: true,
            margin: 0.01,
            fp_tolerance: None,
            model: None,
        },
        machine: Machine {
            cpu: "AMD EPYC 9R14 96-Core Processor".to_owned(),
            cores: 8,
            kernel: "6.8.0-45-generic".to_owned(),
            llvm: "Debian clang version 19.1.7 (3+b1)".to_owned(),
        },
    }
}

/// The run with this many candidates, each final input timed under so many layouts in so many blocks.
pub(crate) fn record(candidates: u32, layouts: usize, blocks: usize) -> RunRecord {
    let tree = tree(candidates);
    let (winner, host) = (
        tree.nodes()[candidates as usize - 2].id,
        tree.nodes()[candidates as usize].id,
    );
    let conclusion = conclusion(winner, host, layouts, blocks);
    let measurements = [&conclusion.portable, &conclusion.host]
        .into_iter()
        .flatten()
        .map(|claim| MeasurementRecord::new(Some(claim.node), "against -O3", &claim.comparison))
        .collect();
    let line = |at: &str, text: &str| LogLine {
        at: at.parse().unwrap(),
        text: text.to_owned(),
    };
    RunRecord {
        started: "2026-02-11T09:31:07Z".parse().unwrap(),
        version: "0.1.0".to_owned(),
        header: header(),
        state: RunState::Finished,
        foundations: Some(foundations::foundations()),
        inputs: Some(inputs()),
        ledger: ledger(&tree),
        tree,
        measurements,
        conclusion: Some(conclusion),
        message: None,
        log: vec![
            line(
                "2026-02-11T09:31:20Z",
                "#0: 2 remarks: distance not vectorized (while loop of unknown length)",
            ),
            line(
                "2026-02-11T09:33:41Z",
                "#9: 40 more inputs give the same results",
            ),
        ],
        calls: Vec::new(),
        actions: Vec::new(),
    }
}

pub(crate) fn texts() -> Texts {
    Texts {
        baseline_ir: vec![Unit::new("signatures.ll", include_str!("before.ll"))],
        winner_ir: vec![Unit::new("signatures.ll", include_str!("after.ll"))],
        baseline_assembly: vec![Unit::new("signatures.s", include_str!("before.s"))],
        winner_assembly: vec![Unit::new("signatures.s", include_str!("after.s"))],
    }
}

fn original() -> Candidate {
    let units = vec![Unit::new("signatures.c", BEFORE)];
    let recipe = Recipe {
        front_end: strings(&["-DNDEBUG", "-O3"]),
        ..Recipe::default()
    };
    Candidate {
        artifact: Artifact {
            level: Level::Source,
            units,
        },
        recipe,
    }
}

/// Agents with what they change.
const CHANGES: [(&str, &str); 10] = [
    ("passes", "adds loop-interchange before loop-vectorize"),
    ("passes", "drops simplifycfg #3"),
    ("passes", "runs gvn twice"),
    ("passes", "unroll-threshold 300 → 400 in loop-unroll"),
    ("flags", "-inline-threshold=600"),
    ("flags", "uses an execution profile"),
    ("flags", "-force-vector-width=4"),
    ("flags", "-align-all-nofallthru-blocks=5"),
    ("passes", "moves licm before indvars"),
    ("source", "marks the inner pointers restrict"),
];

const SOURCE_CHANGE: &str = "count_bits counts with __builtin_popcountll instead of bit by bit";

/// The last four are: the winner's ancestor's child that wins, one that is wrong, the host's winner.
fn tree(candidates: u32) -> Tree {
    let mut chance = Chance::new(11);
    let mut nodes = vec![Node {
        id: NodeId::ROOT,
        parent: None,
        agent: String::new(),
        change: "the original".to_owned(),
        note: serde_json::Value::Null,
        candidate: original(),
        outcome: timed(0, 1.0),
        extensions: Vec::new(),
        at_s: 0.0,
    }];
    let mut best = NodeId::ROOT;
    for id in 1..=candidates {
        let best_speedup = nodes[best.0 as usize].speedup().unwrap();
        let (agent, change, mut candidate);
        let outcome;
        let mut parent = if chance.next() < 0.55 {
            best
        } else {
            nodes[chance.below(nodes.len())].id
        };
        if nodes[parent.0 as usize].speedup().is_none() {
            parent = NodeId::ROOT;
        }
        if id == candidates || id + 2 == candidates {
            parent = best;
            candidate = nodes[best.0 as usize].candidate.clone();
            candidate.artifact.units = vec![Unit::new("signatures.c", AFTER)];
            candidate.recipe.host = id == candidates;
            (agent, change) = ("source", SOURCE_CHANGE);
            outcome = timed(id, if id == candidates { 2.183 } else { 1.342 });
        } else {
            let kind = chance.below(CHANGES.len());
            (agent, change) = CHANGES[kind];
            candidate = nodes[parent.0 as usize].candidate.clone();
            candidate
                .recipe
                .middle_end
                .push(format!("-unroll-threshold={}", 100 + 10 * id));
            candidate.recipe.profile |= kind == 5;
            outcome = match chance.next() {
                x if x < 0.16 => Outcome::Duplicate {
                    of: nodes[chance.below(nodes.len())].id,
                },
                x if x < 0.27 => rejected(kind),
                x if x < 0.36 => timed(id, best_speedup.min(1.22) + 0.004 + 0.03 * chance.next()),
                _ => timed(id, (0.86 + 0.16 * chance.next()) * best_speedup.min(1.22)),
            };
        }
        let node = Node {
            id: NodeId(id),
            parent: Some(parent),
            agent: agent.to_owned(),
            change: change.to_owned(),
            note: serde_json::json!({ "edit": id }),
            candidate,
            outcome,
            extensions: Vec::new(),
            at_s: (f64::from(id) * 178.0 / f64::from(candidates) * 1e3).round() / 1e3,
        };
        if node.speedup() > nodes[best.0 as usize].speedup() && id + 2 < candidates {
            best = node.id;
        }
        nodes.push(node);
    }
    Tree::from_nodes(nodes).unwrap()
}

fn timed(id: u32, speedup: f64) -> Outcome {
    let speedup = (speedup * 1e4).round() / 1e4;
    let seconds = [0.0831, 0.2214]
        .map(|s| (s / speedup * 1e6).round() / 1e6)
        .to_vec();
    Outcome::Timed {
        code: Digest::of(&[&id.to_le_bytes()]),
        speedup,
        seconds,
    }
}

fn rejected(kind: usize) -> Outcome {
    let (rung, kind, reason) = match kind % 3 {
        0 => (
            Rung::Tests,
            RejectionKind::Output,
            "input small-two: line 1: expected \"71\", got \"72\"",
        ),
        1 => (
            Rung::Builds,
            RejectionKind::Build,
            "opt: error: unknown pass name 'loop-interchang'",
        ),
        _ => (
            Rung::Tests,
            RejectionKind::Time,
            "input medium-four: still running after 2.0 s",
        ),
    };
    Outcome::Rejected {
        rejection: Rejection {
            rung,
            kind,
            reason: reason.to_owned(),
        },
    }
}

fn ledger(tree: &Tree) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.spend("", Resource::Seconds, 84.2);
    ledger.spend("", Resource::Runs, 1_310.0);
    let mut before = 0.0;
    for node in &tree.nodes()[1..] {
        ledger.spend(&node.agent, Resource::Seconds, node.at_s - before);
        ledger.spend(&node.agent, Resource::Candidates, 1.0);
        ledger.spend(
            &node.agent,
            Resource::Runs,
            node.speedup().map_or(0.0, |_| 16.0),
        );
        before = node.at_s;
    }
    ledger
}

fn case(name: &str, input: &str, stdout: &str, origin: Origin) -> Case {
    Case {
        name: name.to_owned(),
        arguments: if name == "small-two" {
            strings(&["-v", "two words"])
        } else {
            Vec::new()
        },
        input: input.as_bytes().to_vec(),
        expected: Expected {
            stdout: stdout.as_bytes().to_vec(),
            status: i32::from(stdout.is_empty()),
        },
        origin,
    }
}

fn inputs() -> Inputs {
    let many = |word: &str, range: std::ops::Range<u32>| {
        range
            .map(|i| {
                case(
                    &format!("{word} {i}"),
                    &format!("{i} {}\n", i % 5),
                    &format!("{}\n", i * 31),
                    Origin::BuiltIn,
                )
            })
            .collect()
    };
    let mut visible: Vec<Case> = many("mutated", 1..15);
    visible.push(case("small-two", "2 1\n", "31\n", Origin::User));
    visible.push(case("small-none", "0 0\n", "", Origin::User));
    Inputs {
        visible,
        held_out: many("mutated", 15..27),
        search_timing: many("grown", 40..42),
        final_timing: many("grown", 50..54),
        dropped: vec![Dropped {
            name: "mutated 9b".to_owned(),
            reason: "undefined behaviour: signed integer overflow in signatures.c:31".to_owned(),
        }],
        coverage: Some(0.962),
        notes: strings(&["no test was given: all inputs but two were made"]),
    }
}

/// Times as they scatter around what they should be.
pub(crate) fn comparison(ratios: [f64; 4], layouts: usize, blocks: usize) -> Comparison {
    let mut chance = Chance::new((ratios[0] * 1e4) as u64);
    let baselines = [0.0412, 0.1033, 0.2571, 0.4108];
    let mut samples = Vec::new();
    for block in 0..4 * layouts * blocks {
        let (workload, layout) = (block % 4, block / 4 % layouts);
        for arm in [
            ArmName::Baseline,
            ArmName::Candidate,
            ArmName::Candidate,
            ArmName::Baseline,
        ] {
            let ratio = if arm == ArmName::Candidate {
                ratios[workload]
            } else {
                1.0
            };
            let noise = 1.0
                + 0.02 * chance.next()
                + 0.012 * layout as f64 * chance.next()
                + 0.1 * chance.next().powi(20);
            let wall_s = (baselines[workload] / ratio * noise * 1e6).round() / 1e6;
            samples.push(Sample {
                workload,
                layout,
                block,
                arm,
                wall_s,
                cpu_s: wall_s - 0.0007,
            });
        }
    }
    let median = |workload: usize, arm: ArmName| {
        let mut times: Vec<f64> = samples
            .iter()
            .filter(|s| s.workload == workload && s.arm == arm)
            .map(|s| s.wall_s)
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let per_workload: Vec<WorkloadComparison> = (0..4)
        .map(|workload| WorkloadComparison {
            name: format!("grown {}", 50 + workload),
            ratio: ratios[workload],
            interval: [0.985, 1.02].map(|share| (ratios[workload] * share * 1e4).round() / 1e4),
            baseline_seconds: median(workload, ArmName::Baseline),
            candidate_seconds: median(workload, ArmName::Candidate),
        })
        .collect();
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / 4.0;
    let ratio = (mean.exp() * 1e4).round() / 1e4;
    Comparison {
        ratio,
        interval: [0.979, 1.024].map(|share| (ratio * share * 1e4).round() / 1e4),
        confidence: 0.95,
        verdict: if ratio > 1.03 {
            Verdict::Faster
        } else {
            Verdict::NoDifference
        },
        slower_on: Vec::new(),
        per_workload,
        cpu_ratio: ratio + 0.004,
        blocks: 4 * layouts * blocks,
        runs: samples.len() + 8,
        layouts,
        margin: 0.01,
        samples,
        outputs_equal: true,
    }
}

fn conclusion(winner: NodeId, host: NodeId, layouts: usize, blocks: usize) -> Conclusion {
    let claim = |node, baseline: &str, ratios, instructions| Claim {
        node,
        baseline: baseline.to_owned(),
        comparison: comparison(ratios, layouts, blocks),
        instructions,
    };
    let held = Evidence {
        rung: Some(Rung::HeldOut),
        visible_tests: 16,
        held_out_tests: 12,
        fuzzed_inputs: 1_530,
        fuzz_s: 24.8,
        compared_timing_runs: 168,
        layouts: 84,
        memory_fills: 56,
        sanitized_runs: 28,
        proof: None,
        rejection: None,
    };
    let fallen = Rejection {
        rung: Rung::HeldOut,
        kind: RejectionKind::Output,
        reason: "input mutated 19: line 1: expected \"589\", got \"588\"".to_owned(),
    };
    let passed = NodeId(host.0 - 1);
    Conclusion {
        portable: Some(claim(
            winner,
            "-O3",
            [1.36, 1.33, 1.29, 1.27],
            Some([1_204_118_233, 871_009_402]),
        )),
        host: Some(claim(
            host,
            "-O3",
            [2.31, 2.2, 2.07, 1.86],
            Some([1_204_118_233, 402_731_188]),
        )),
        user_flags: Some(claim(host, "-O2 -DNDEBUG", [2.4, 2.29, 2.16, 1.93], None)),
        native_alone: Some(comparison([1.62, 1.57, 1.5, 1.38], layouts, blocks)),
        winner: host,
        evidence: BTreeMap::from([
            (
                NodeId::ROOT,
                Evidence {
                    rung: Some(Rung::Reference),
                    visible_tests: 16,
                    held_out_tests: 12,
                    ..Evidence::default()
                },
            ),
            (winner, held.clone()),
            (
                passed,
                Evidence {
                    rung: Some(Rung::Tests),
                    visible_tests: 16,
                    held_out_tests: 4,
                    rejection: Some(fallen),
                    ..Evidence::default()
                },
            ),
            (
                host,
                Evidence {
                    fuzzed_inputs: 1_488,
                    fuzz_s: 25.0,
                    ..held
                },
            ),
        ]),
        passed_over: vec![(
            passed,
            "rejected: input mutated 19: line 1: expected \"589\", got \"588\"".to_owned(),
        )],
    }
}
