//! What came of an edit, for the model that wrote it.

use serde_json::{Value, json};

use crate::agents::Workbench;
use crate::evidence::{Rejection, Rung};
use crate::prompts::{FEEDBACK, cut};
use crate::tree::{Node, Outcome};

/// Longest reason and longest test input that go back, in bytes.
const LONGEST_REASON: usize = 3000;
const LONGEST_INPUT: usize = 1000;

/// What it comes to, and how to answer.
fn told(what: &str, values: &Value) -> String {
    [what, "again"]
        .map(|part| FEEDBACK.part(part, values))
        .join("\n")
}

/// The edit could not be applied.
pub(super) fn not_applied(why: &str) -> String {
    told("not applied", &json!({"why": cut(why, LONGEST_REASON)}))
}

/// The candidate fell, or is right but no faster.
pub(super) fn of(bench: &dyn Workbench, node: &Node) -> String {
    match &node.outcome {
        Outcome::Rejected { rejection } => rejected(bench, rejection),
        Outcome::Duplicate { of } => told("same code", &json!({"of": of.to_string()})),
        Outcome::Timed { speedup, .. } => {
            let before = bench.node().speedup().unwrap_or(1.0);
            let values = json!({
                "speedup": format!("{speedup:.3}"),
                "before": format!("{before:.3}"),
            });
            told("no faster", &values)
        }
    }
}

fn rejected(bench: &dyn Workbench, rejection: &Rejection) -> String {
    let why = cut(&rejection.reason, LONGEST_REASON);
    match rejection.rung {
        Rung::Reference | Rung::Builds => told("not built", &json!({"why": why})),
        Rung::Tests => {
            let test = rejection
                .reason
                .strip_prefix("input ")
                .and_then(|rest| rest.split(": ").next())
                .and_then(|name| bench.visible_test(name));
            let input = test.map(|case| {
                let text = String::from_utf8_lossy(&case.input).into_owned();
                cut(&text, LONGEST_INPUT)
            });
            let arguments = test.map(|case| case.arguments.join(" "));
            let values = json!({"why": why, "input": input, "arguments": arguments});
            told("wrong", &values)
        }
        // What nobody may see stays unseen.
        Rung::HeldOut | Rung::Proved => told("wrong unseen", &json!({})),
    }
}
