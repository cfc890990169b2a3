//! From what a run stored to its report.

use whittle_toolchain::measure;
use whittle_toolchain::tools::{Digest, Unit};

use super::diff;
use super::names::{self, Named};
use super::times;
use super::wire::{self, ClaimKind, Level, Report};
use super::{Texts, recipe, sentence};
use crate::archive::{ActionRecord, CallRecord, RunId, RunRecord};
use crate::budget::Resource;
use crate::candidate;
use crate::evidence;
use crate::inputs;
use crate::session::{Claim, Conclusion, Foundations, RunState};
use crate::tree::{Node, NodeId, Outcome, Tree};

impl Report {
    /// Puts a report together.
    pub fn new(run: &RunId, record: &RunRecord, texts: &Texts) -> Self {
        let conclusion = record.conclusion.as_ref();
        let header = &record.header;
        Self {
            format: wire::FORMAT,
            tool: wire::TOOL.to_owned(),
            version: record.version.clone(),
            run: run.to_string(),
            started: record.started.to_string(),
            state: state(record.state),
            sentence: result(record),
            message: record.message.clone(),
            program: wire::Program {
                name: header.program.name.clone(),
                files: files("original", &header.program.units),
                flags: header.program.flags.clone(),
                link_flags: header.program.link_flags.clone(),
            },
            options: wire::Options {
                seed: header.options.seed,
                guide: header.options.guide.clone(),
                agents: header.options.agents.clone(),
                host: header.options.host,
                margin: header.options.margin,
                fp_tolerance: header.options.fp_tolerance,
                model: header
                    .options
                    .model
                    .as_ref()
                    .map(|model| wire::ModelOptions {
                        spec: model.spec.clone(),
                        samples: model.samples,
                        rounds: model.rounds,
                        evidence: wire_name(&model.evidence),
                    }),
            },
            machine: wire::Machine {
                cpu: header.machine.cpu.clone(),
                cores: header.machine.cores as u32,
                kernel: header.machine.kernel.clone(),
                llvm: header.machine.llvm.clone(),
            },
            foundations: record.foundations.as_ref().map(foundations),
            inputs: record.inputs.as_ref().map(inputs),
            budget: budget(record),
            candidates: record.tree.nodes().iter().map(candidate).collect(),
            claims: conclusion.map(claims).unwrap_or_default(),
            evidence: conclusion.map(all_evidence).unwrap_or_default(),
            passed_over: conclusion.map(passed_over).unwrap_or_default(),
            winner: conclusion.and_then(|conclusion| winner(&record.tree, conclusion)),
            changes: conclusion
                .map(|conclusion| changes(record, conclusion, texts))
                .unwrap_or_default(),
            log: record
                .log
                .iter()
                .map(|line| wire::LogLine {
                    at: line.at.to_string(),
                    text: line.text.clone(),
                })
                .collect(),
            actions: match header.options.model {
                Some(_) => record.actions.iter().map(action).collect(),
                None => Vec::new(),
            },
            calls: record.calls.iter().map(call).collect(),
        }
    }
}

fn action(record: &ActionRecord) -> wire::Action {
    wire::Action {
        what: record.action.in_words(),
        result: record.result.clone(),
    }
}

fn call(call: &CallRecord) -> wire::ModelCall {
    let reply = &call.reply;
    wire::ModelCall {
        label: call.label.clone(),
        agent: call.agent.clone(),
        model: call.model.clone(),
        input_tokens: reply.usage.input,
        output_tokens: reply.usage.output,
        dollars: reply.cost,
        compressed: reply.compressed.map(|kept| wire::Compressed {
            tokens: kept.tokens,
            kept_tokens: kept.kept_tokens,
            bytes: kept.bytes,
            kept_bytes: kept.kept_bytes,
        }),
    }
}

fn state(state: RunState) -> wire::State {
    match state {
        RunState::Open => wire::State::Open,
        RunState::Finished => wire::State::Finished,
        RunState::Failed => wire::State::Failed,
    }
}

fn result(record: &RunRecord) -> String {
    match (&record.conclusion, &record.message) {
        (Some(conclusion), _) => sentence(conclusion),
        (None, Some(message)) => format!("failed: {message}"),
        (None, None) => "not finished: nothing is claimed".to_owned(),
    }
}

fn files(folder: &str, units: &[Unit]) -> Vec<wire::File> {
    units
        .iter()
        .map(|unit| wire::File {
            path: format!("{folder}/{}", unit.name),
            bytes: unit.text.len() as u64,
            lines: unit.text.lines().count() as u64,
            sha256: Digest::of_bytes(unit.text.as_bytes()).to_string(),
        })
        .collect()
}

fn foundations(foundations: &Foundations) -> wire::Foundations {
    let Foundations {
        fitness,
        self_check,
        noise,
        sandbox,
    } = foundations;
    wire::Foundations {
        sandbox: wire::Sandbox {
            landlock: sandbox.landlock,
            seccomp: sandbox.seccomp,
            namespaces: sandbox.namespaces,
            bubblewrap: sandbox.bubblewrap.clone(),
            limits: sandbox.limits,
            words: sandbox.to_string(),
        },
        self_check: wire::SelfCheck {
            identical: self_check.listing_identical,
            ratio: self_check.ratio,
            interval: self_check.interval,
            runs: self_check.runs as u64,
        },
        noise: wire::Noise {
            half_width: noise.half_width,
            ratio: noise.ratio,
            interval: noise.interval,
            runs: noise.runs as u64,
        },
        fitness: wire::Fitness {
            sanitizers: fitness.sanitizers.clone(),
            optimization_levels: fitness.optimization_levels.clone(),
            second_compiler: fitness.second_compiler.clone(),
            layouts: fitness.layouts as u64,
            runs: fitness.runs as u64,
            lowered: fitness.lowered.clone(),
        },
    }
}

fn inputs(inputs: &inputs::Inputs) -> wire::Inputs {
    let cases = names::of_cases(inputs)
        .into_iter()
        .map(|Named { list, path, case }| wire::Case {
            list,
            name: case.name.clone(),
            path,
            arguments: case.arguments.clone(),
            origin: match case.origin {
                inputs::Origin::User => wire::Origin::User,
                inputs::Origin::Generator => wire::Origin::Generator,
                inputs::Origin::BuiltIn => wire::Origin::BuiltIn,
                inputs::Origin::Model => wire::Origin::Model,
            },
            status: case.expected.status,
            input_bytes: case.input.len() as u64,
            input_sha256: Digest::of_bytes(&case.input).to_string(),
            output_bytes: case.expected.stdout.len() as u64,
            output_sha256: Digest::of_bytes(&case.expected.stdout).to_string(),
        })
        .collect();
    let dropped = inputs
        .dropped
        .iter()
        .map(|dropped| wire::Dropped {
            name: dropped.name.clone(),
            reason: dropped.reason.clone(),
        })
        .collect();
    wire::Inputs {
        coverage: inputs.coverage,
        cases,
        dropped,
        notes: inputs.notes.clone(),
    }
}

fn budget(record: &RunRecord) -> Vec<wire::Spending> {
    let ledger = &record.ledger;
    let of = |resource: Resource| wire::Spending {
        resource: wire_name(&resource),
        limit: record.header.options.budget.limit(resource),
        spent: ledger.spent(resource),
        by_agent: ledger
            .by_agent()
            .keys()
            .map(|agent| wire::AgentSpending {
                agent: agent.clone(),
                spent: ledger.spent_by(agent, resource),
            })
            .filter(|spending| spending.spent > 0.0)
            .collect(),
    };
    let is_shown = |resource: &Resource| {
        let is_limited = record.header.options.budget.limit(*resource).is_some();
        !resource.is_for_models() || is_limited || ledger.spent(*resource) > 0.0
    };
    Resource::ALL.into_iter().filter(is_shown).map(of).collect()
}

/// What serde calls a variant without fields.
fn wire_name<T: serde::Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn level(level: candidate::Level) -> Level {
    match level {
        candidate::Level::Source => Level::Source,
        candidate::Level::Ir => Level::Ir,
        candidate::Level::Assembly => Level::Assembly,
    }
}

fn candidate(node: &Node) -> wire::Candidate {
    wire::Candidate {
        id: node.id.0,
        parent: node.parent.map(|parent| parent.0),
        agent: node.agent.clone(),
        change: node.change.clone(),
        level: level(node.candidate.artifact.level),
        recipe: (&node.candidate.recipe).into(),
        outcome: match &node.outcome {
            Outcome::Rejected { rejection } => wire::Outcome::Rejected {
                rung: rejection.rung.number(),
                kind: wire_name(&rejection.kind),
                reason: rejection.reason.clone(),
            },
            Outcome::Duplicate { of } => wire::Outcome::Duplicate { of: of.0 },
            Outcome::Timed {
                speedup, seconds, ..
            } => wire::Outcome::Timed {
                speedup: *speedup,
                seconds: seconds.clone(),
            },
        },
        extensions: node.extensions.clone(),
        at_s: node.at_s,
    }
}

fn claims(conclusion: &Conclusion) -> Vec<wire::Claim> {
    let of = |kind, found: &Option<Claim>| {
        found.as_ref().map(|found| wire::Claim {
            candidate: Some(found.node.0),
            baseline: found.baseline.clone(),
            instructions: found.instructions,
            ..claim(kind, &found.comparison)
        })
    };
    let native = conclusion.native_alone.as_ref();
    [
        of(ClaimKind::Portable, &conclusion.portable),
        of(ClaimKind::Host, &conclusion.host),
        native.map(|comparison| claim(ClaimKind::NativeAlone, comparison)),
        of(ClaimKind::UserFlags, &conclusion.user_flags),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn claim(kind: ClaimKind, comparison: &measure::Comparison) -> wire::Claim {
    wire::Claim {
        kind,
        candidate: None,
        baseline: "-O3".to_owned(),
        ratio: comparison.ratio,
        interval: comparison.interval,
        confidence: comparison.confidence,
        verdict: match comparison.verdict {
            measure::Verdict::Faster => wire::Verdict::Faster,
            measure::Verdict::Slower => wire::Verdict::Slower,
            measure::Verdict::NoDifference => wire::Verdict::NoDifference,
            measure::Verdict::Undecided => wire::Verdict::Undecided,
        },
        margin: comparison.margin,
        slower_on: comparison.slower_on.clone(),
        cpu_ratio: comparison.cpu_ratio,
        instructions: None,
        blocks: comparison.blocks as u64,
        runs: comparison.runs as u64,
        layouts: comparison.layouts as u64,
        inputs: times::by_input(comparison),
    }
}

fn all_evidence(conclusion: &Conclusion) -> Vec<wire::Evidence> {
    conclusion
        .evidence
        .iter()
        .map(|(node, evidence)| one_evidence(*node, evidence))
        .collect()
}

fn one_evidence(node: NodeId, evidence: &evidence::Evidence) -> wire::Evidence {
    wire::Evidence {
        candidate: node.0,
        rung: evidence.rung.map(evidence::Rung::number),
        visible_tests: evidence.visible_tests as u64,
        held_out_tests: evidence.held_out_tests as u64,
        fuzzed_inputs: evidence.fuzzed_inputs as u64,
        fuzz_s: evidence.fuzz_s,
        compared_timing_runs: evidence.compared_timing_runs as u64,
        layouts: evidence.layouts as u64,
        memory_fills: evidence.memory_fills as u64,
        sanitized_runs: evidence.sanitized_runs as u64,
        proof: evidence.proof.clone(),
        rejected: evidence
            .rejection
            .as_ref()
            .map(|rejection| rejection.reason.clone()),
    }
}

fn passed_over(conclusion: &Conclusion) -> Vec<wire::PassedOver> {
    conclusion
        .passed_over
        .iter()
        .map(|(node, why)| wire::PassedOver {
            candidate: node.0,
            why: why.clone(),
        })
        .collect()
}

fn winner(tree: &Tree, conclusion: &Conclusion) -> Option<wire::Winner> {
    let node = tree.get(conclusion.winner)?;
    let original = tree.get(NodeId::ROOT)?;
    let mut recipe_changes = recipe::changes(&original.candidate, &node.candidate);
    recipe_changes.extend(recipe::needed(&node.extensions));
    Some(wire::Winner {
        candidate: node.id.0,
        path: tree.path(node.id).iter().map(|node| node.id.0).collect(),
        level: level(node.candidate.artifact.level),
        files: files("winner", &node.candidate.artifact.units),
        recipe: (&node.candidate.recipe).into(),
        recipe_changes,
        rebuild: "sh rebuild.sh".to_owned(),
    })
}

fn changes(record: &RunRecord, conclusion: &Conclusion, texts: &Texts) -> Vec<wire::Change> {
    let mut changes = Vec::new();
    if conclusion.winner == NodeId::ROOT {
        return changes;
    }
    let winner = record
        .tree
        .get(conclusion.winner)
        .map(|node| &node.candidate.artifact);
    if let Some(artifact) = winner.filter(|artifact| artifact.level == candidate::Level::Source) {
        changes.extend(diff::changes(
            Level::Source,
            &record.header.program.units,
            &artifact.units,
        ));
    }
    // A winner in assembly has no IR of its own.
    if !texts.winner_ir.is_empty() {
        changes.extend(diff::changes(
            Level::Ir,
            &texts.baseline_ir,
            &texts.winner_ir,
        ));
    }
    changes.extend(diff::changes(
        Level::Assembly,
        &texts.baseline_assembly,
        &texts.winner_assembly,
    ));
    changes
}

impl From<&candidate::Recipe> for wire::Recipe {
    fn from(recipe: &candidate::Recipe) -> Self {
        Self {
            front_end: recipe.front_end.clone(),
            merge: recipe.merge,
            pipeline: recipe.pipeline.clone(),
            middle_end: recipe.middle_end.clone(),
            back_end: recipe.back_end.clone(),
            link: recipe.link.clone(),
            profile: recipe.profile,
            host: recipe.host,
        }
    }
}

impl From<&wire::Recipe> for candidate::Recipe {
    fn from(recipe: &wire::Recipe) -> Self {
        Self {
            front_end: recipe.front_end.clone(),
            merge: recipe.merge,
            pipeline: recipe.pipeline.clone(),
            middle_end: recipe.middle_end.clone(),
            back_end: recipe.back_end.clone(),
            link: recipe.link.clone(),
            profile: recipe.profile,
            host: recipe.host,
        }
    }
}
