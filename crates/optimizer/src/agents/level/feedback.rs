//! What came of an edit, for the model that wrote it.

use crate::agents::Workbench;
use crate::evidence::{Rejection, Rung};
use crate::prompts::cut;
use crate::tree::{Node, Outcome};

/// Longest reason and longest test input that go back, in bytes.
const LONGEST_REASON: usize = 3000;
const LONGEST_INPUT: usize = 1000;

const AGAIN: &str = "Answer in the same form, with an edit of the text that you were shown first, or with NO CHANGE.";

/// The edit could not be applied.
pub(super) fn not_applied(why: &str) -> String {
    format!(
        "Your edit was not applied: {}\n{AGAIN}",
        cut(why, LONGEST_REASON)
    )
}

/// The candidate fell, or is right but no faster.
pub(super) fn of(bench: &dyn Workbench, node: &Node) -> String {
    let what = match &node.outcome {
        Outcome::Rejected { rejection } => rejected(bench, rejection),
        Outcome::Duplicate { of } => {
            format!(
                "Your change compiles to the same machine code as candidate {of}: it changes nothing that runs."
            )
        }
        Outcome::Timed { speedup, .. } => {
            let before = bench.node().speedup().unwrap_or(1.0);
            format!(
                "Your change passes the tests, but is no faster: {speedup:.3} times the original's speed, before it was \
                 {before:.3} times."
            )
        }
    };
    format!("{what}\n{AGAIN}")
}

fn rejected(bench: &dyn Workbench, rejection: &Rejection) -> String {
    let reason = cut(&rejection.reason, LONGEST_REASON);
    match rejection.rung {
        Rung::Reference | Rung::Builds => {
            format!("Your change does not build or is not allowed:\n{reason}")
        }
        Rung::Tests => {
            let test = rejection
                .reason
                .strip_prefix("input ")
                .and_then(|rest| rest.split(": ").next())
                .and_then(|name| bench.visible_test(name));
            let input = test.map_or_else(String::new, |case| {
                let arguments = match case.arguments.as_slice() {
                    [] => String::new(),
                    arguments => format!(" (arguments: {})", arguments.join(" ")),
                };
                let text = String::from_utf8_lossy(&case.input).into_owned();
                format!("\nIts input{arguments}:\n{}", cut(&text, LONGEST_INPUT))
            });
            format!("Your change fails a test:\n{reason}{input}")
        }
        // What nobody may see stays unseen.
        Rung::HeldOut | Rung::Proved => {
            "Your change fails on an input that you may not see.".to_owned()
        }
    }
}
