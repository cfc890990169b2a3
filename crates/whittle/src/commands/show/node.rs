//! One candidate as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use whittle_optimizer::archive::RunRecord;
use whittle_optimizer::candidate::{Candidate, Recipe};
use whittle_optimizer::report::Report;
use whittle_optimizer::tree::{Node, Outcome};
use whittle_toolchain::pipeline::Pipeline;

use crate::format::printable;

const BOLD: Style = Style::new().bold();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();

/// Everything about it.
pub(super) fn text(node: &Node, record: &RunRecord, report: &Report) -> String {
    let mut out = format!("{BOLD}{}{BOLD:#} {}\n", node.id, printable(&node.change));
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<10} {}", printable(value));
    };
    if !node.agent.is_empty() {
        fact("agent", &node.agent);
    }
    fact("found", &format!("{:.1} s into the search", node.at_s));
    let path: Vec<String> = record
        .tree
        .path(node.id)
        .iter()
        .map(|step| step.id.to_string())
        .collect();
    fact("path", &path.join(" → "));
    match &node.outcome {
        Outcome::Timed {
            speedup,
            seconds,
            code,
        } => {
            let seconds: Vec<String> = seconds.iter().map(|s| format!("{s:.4} s")).collect();
            fact(
                "search",
                &format!(
                    "{speedup:.3}x of the original's speed: {}",
                    seconds.join(", ")
                ),
            );
            fact("code", code.as_str());
        }
        Outcome::Duplicate { of } => fact("search", &format!("the same machine code as {of}")),
        Outcome::Rejected { rejection } => {
            fact("rejected", &rejection.reason);
        }
    }
    if !node.extensions.is_empty() {
        fact("needs", &node.extensions.join(", "));
    }
    for passed in report
        .passed_over
        .iter()
        .filter(|passed| passed.candidate == node.id.0)
    {
        fact("not taken", &passed.why);
    }
    for claim in report
        .claims
        .iter()
        .filter(|claim| claim.candidate == Some(node.id.0))
    {
        let [low, high] = claim.interval;
        fact(
            "measured",
            &format!(
                "{:.3}x ({low:.3} to {high:.3}) against {}",
                claim.ratio, claim.baseline
            ),
        );
    }
    if let Some(evidence) = report.evidence_of(node.id.0) {
        let rung = evidence
            .rung
            .map_or("none".to_owned(), |rung| format!("{rung} of 4"));
        fact("rung", &rung);
        fact(
            "evidence",
            &format!(
                "{} visible and {} held-out tests, {} fuzzed inputs, {} address layouts, {} memory contents, {} timing runs",
                evidence.visible_tests,
                evidence.held_out_tests,
                evidence.fuzzed_inputs,
                evidence.layouts,
                evidence.memory_fills,
                evidence.compared_timing_runs,
            ),
        );
        if let Some(proof) = &evidence.proof {
            fact("proof", proof);
        }
    }
    let recipe = recipe_lines(&node.candidate.recipe);
    let _ = write!(out, "\n{BOLD}Recipe{BOLD:#}\n{recipe}");
    let parent = node.parent.and_then(|parent| record.tree.get(parent));
    if let Some(parent) = parent {
        out += &changes(&parent.candidate, &node.candidate, &parent.id.to_string());
    }
    out.trim_end().to_owned()
}

/// The recipe, a line per flag and pass.
fn recipe_lines(recipe: &Recipe) -> String {
    let mut out = String::new();
    let mut step = |name: &str, flags: &[String]| {
        for flag in flags {
            let _ = writeln!(out, "  {name}: {}", printable(flag));
        }
    };
    step("front end", &recipe.front_end);
    let switches = [
        (recipe.profile, "uses an execution profile"),
        (
            recipe.host,
            "generates code for this host's instruction set",
        ),
        (recipe.merge, "merges all modules into one"),
    ];
    let switched: Vec<String> = switches
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, text)| text.to_owned())
        .collect();
    step("whole", &switched);
    step("middle end", &recipe.middle_end);
    step("back end", &recipe.back_end);
    step("linker", &recipe.link);
    if let Some(pipeline) = &recipe.pipeline {
        step("pass", &passes(pipeline));
    }
    out
}

/// The passes of a pipeline, or the text itself if it cannot be read.
fn passes(pipeline: &str) -> Vec<String> {
    match pipeline.parse::<Pipeline>() {
        Ok(tree) => tree.passes().iter().map(ToString::to_string).collect(),
        Err(_) => vec![pipeline.to_owned()],
    }
}

/// What differs from the parent, in recipe and text.
fn changes(parent: &Candidate, candidate: &Candidate, name: &str) -> String {
    let (old, new) = (
        recipe_lines(&parent.recipe),
        recipe_lines(&candidate.recipe),
    );
    let mut out = String::new();
    if old != new {
        let _ = write!(
            out,
            "\n{BOLD}Recipe against {name}{BOLD:#}\n{}",
            diff(&old, &new)
        );
    }
    if parent.artifact.level != candidate.artifact.level {
        return out;
    }
    for unit in &candidate.artifact.units {
        let before = parent
            .artifact
            .units
            .iter()
            .find(|old| old.name == unit.name);
        let before = before.map_or("", |unit| &unit.text);
        if before != unit.text {
            let file = printable(&unit.name);
            let _ = write!(
                out,
                "\n{BOLD}{file} against {name}{BOLD:#}\n{}",
                diff(before, &unit.text)
            );
        }
    }
    out
}

/// A unified diff in colour.
fn diff(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut out = String::new();
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        let _ = writeln!(out, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', REMOVED),
                ChangeTag::Insert => ('+', ADDED),
                ChangeTag::Equal => (' ', Style::new()),
            };
            let line = printable(change.value().trim_end_matches('\n'));
            let _ = writeln!(out, "{style}{sign}{line}{style:#}");
        }
    }
    out
}
