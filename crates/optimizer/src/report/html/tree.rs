//! What was made from what, as nested lists.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::wire::{Candidate, Outcome, Report};
use super::claims::shortened;
use super::search::{class, outcome, path, speedup};
use super::svg::escape;

/// Nothing is nested deeper than this; what lies deeper is shown beside its ancestor.
const DEEPEST: usize = 24;
/// Rows of the tree.
const MOST_ROWS: usize = 1_500;

/// The tree as nested lists that fold: branches that lead to the winner are open.
pub(super) fn tree(report: &Report) -> String {
    let mut children: BTreeMap<u32, Vec<&Candidate>> = BTreeMap::new();
    for candidate in &report.candidates {
        if let Some(parent) = candidate.parent {
            children.entry(parent).or_default().push(candidate);
        }
    }
    let best = report
        .candidates
        .iter()
        .filter_map(speedup)
        .fold(1.0, f64::max);
    let mut tree = TreeWriter {
        path: path(report),
        children,
        best,
        rows: 0,
        out: String::new(),
    };
    if let Some(root) = report.candidates.first() {
        tree.out.push_str("<ul class=\"tree\">");
        tree.node(root, 0);
        tree.out.push_str("</ul>");
    }
    if report.candidates.len() > tree.rows {
        let missing = report.candidates.len() - tree.rows;
        let _ = write!(
            tree.out,
            "<p class=\"note\">{missing} more candidates are in report.json.</p>"
        );
    }
    tree.out
}

struct TreeWriter<'a> {
    path: &'a [u32],
    children: BTreeMap<u32, Vec<&'a Candidate>>,
    best: f64,
    rows: usize,
    out: String,
}

impl<'a> TreeWriter<'a> {
    fn node(&mut self, candidate: &'a Candidate, depth: usize) {
        if self.rows >= MOST_ROWS {
            return;
        }
        self.rows += 1;
        let children = self.children.remove(&candidate.id).unwrap_or_default();
        let on_path = self.path.contains(&candidate.id);
        self.out.push_str(if on_path {
            "<li class=\"way\">"
        } else {
            "<li>"
        });
        let row = self.row(candidate);
        if children.is_empty() || depth >= DEEPEST {
            let _ = write!(self.out, "<div class=\"leaf\">{row}</div></li>");
            for child in children {
                self.node(child, depth);
            }
            return;
        }
        let open = if on_path || self.path.is_empty() && depth == 0 {
            " open"
        } else {
            ""
        };
        let _ = write!(self.out, "<details{open}><summary>{row}</summary><ul>");
        let (mut good, rest): (Vec<&Candidate>, Vec<&Candidate>) = children
            .into_iter()
            .partition(|child| speedup(child).is_some() || self.children.contains_key(&child.id));
        good.sort_by(|a, b| {
            speedup(b)
                .unwrap_or(0.0)
                .total_cmp(&speedup(a).unwrap_or(0.0))
        });
        for child in good {
            self.node(child, depth + 1);
        }
        self.fallen(&rest, depth + 1);
        self.out.push_str("</ul></details></li>");
    }

    /// Children that led nowhere, folded together.
    fn fallen(&mut self, rest: &[&'a Candidate], depth: usize) {
        if rest.is_empty() {
            return;
        }
        let rejected = rest
            .iter()
            .filter(|child| matches!(child.outcome, Outcome::Rejected { .. }))
            .count();
        let duplicates = rest.len() - rejected;
        let counts = [
            (rejected, "rejected"),
            (duplicates, "with code that was there"),
        ];
        let words: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let _ = write!(
            self.out,
            "<li><details><summary><span class=\"node {}\"></span><span class=\"muted\">{}</span></summary><ul>",
            if rejected > 0 {
                "rejected"
            } else {
                "duplicate"
            },
            words.join(", ")
        );
        for child in rest {
            self.node(child, depth);
        }
        self.out.push_str("</ul></details></li>");
    }

    fn row(&self, candidate: &Candidate) -> String {
        let mut row = format!(
            "<span class=\"node {}\"></span><span class=\"id\">#{}</span> <span class=\"change\">{}</span>",
            class(candidate, self.path),
            candidate.id,
            escape(&shortened(&candidate.change, 160)),
        );
        if !candidate.agent.is_empty() {
            let _ = write!(
                row,
                " <span class=\"agent\">{}</span>",
                escape(&candidate.agent)
            );
        }
        let result = escape(&shortened(&outcome(candidate), 200));
        if let Some(speedup) = speedup(candidate) {
            let width = 100.0 * speedup / self.best;
            let _ = write!(
                row,
                "<span class=\"meter\"><i style=\"width:{:.1}%\"></i></span><span class=\"result\">{result}</span>",
                width.clamp(0.0, 100.0)
            );
        } else {
            let _ = write!(row, "<span class=\"reason\">{result}</span>");
        }
        row
    }
}
