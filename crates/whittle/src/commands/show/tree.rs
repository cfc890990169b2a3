//! The tree of candidates as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use whittle_optimizer::tree::{Node, NodeId, Outcome, Tree};

const FASTER: Style = AnsiColor::Green.on_default();
const WINNER: Style = AnsiColor::Green.on_default().bold();
const REJECTED: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
/// Longer texts are cut.
const LONGEST: usize = 100;

/// A line per candidate, children under their parents.
pub(super) fn text(tree: &Tree, winner: Option<u32>) -> String {
    let mut out = String::new();
    // A path of thousands of candidates would overflow the stack of a recursion.
    let mut pending = vec![(NodeId::ROOT, String::new(), String::new())];
    while let Some((id, lead, below)) = pending.pop() {
        let Some(node) = tree.get(id) else { continue };
        let _ = writeln!(
            out,
            "{FAINT}{lead}{FAINT:#}{}",
            line(node, winner == Some(id.0))
        );
        let children: Vec<NodeId> = tree.children(id).map(|child| child.id).collect();
        for (index, child) in children.iter().enumerate().rev() {
            let last = index + 1 == children.len();
            let (branch, rest) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            pending.push((*child, format!("{below}{branch}"), format!("{below}{rest}")));
        }
    }
    out
}

fn line(node: &Node, wins: bool) -> String {
    let id = node.id.to_string();
    let (style, what) = match &node.outcome {
        Outcome::Timed { speedup, .. } => {
            let style = match speedup {
                _ if wins => WINNER,
                1.005.. => FASTER,
                _ => Style::new(),
            };
            (style, format!("{speedup:.3}x"))
        }
        Outcome::Duplicate { of } => (FAINT, format!("same code as {of}")),
        Outcome::Rejected { .. } => (REJECTED, "rejected".to_owned()),
    };
    let agent = if node.agent.is_empty() {
        String::new()
    } else {
        format!("{}: ", node.agent)
    };
    let why = match &node.outcome {
        Outcome::Rejected { rejection } => format!(": {}", rejection.reason),
        _ => String::new(),
    };
    let mark = if wins { "  ← the result" } else { "" };
    let change = cut(&format!("{agent}{}{why}", node.change));
    format!("{id} {style}{what}{style:#} {change}{WINNER}{mark}{WINNER:#}")
}

/// On one line, without control characters, and not too long.
fn cut(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    if line.chars().count() < text.chars().count() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::tests::{node, rejected, timed};

    fn tree() -> Tree {
        let duplicate = serde_json::json!({"state": "duplicate", "of": 0});
        Tree::from_nodes(vec![
            node(0, None, "the original", &timed(1.0)),
            node(1, Some(0), "profile", &timed(1.25)),
            node(2, Some(0), "merge", &duplicate),
            node(3, Some(1), "unroll", &rejected()),
            node(4, Some(1), &"long ".repeat(30), &timed(0.8)),
            node(5, Some(3), "x", &timed(1.1)),
        ])
        .unwrap()
    }

    #[test]
    fn looks() {
        let plain = anstream::adapter::strip_str(&text(&tree(), Some(1))).to_string();
        insta::assert_snapshot!(plain);
    }
}
