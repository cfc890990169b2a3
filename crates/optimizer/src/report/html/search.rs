//! The search in pictures: what was tried when, and what was made from what.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::wire::{Candidate, Outcome, Report};
use super::super::words;
use super::claims::shortened;
use super::svg::{Scale, Svg, escape};

const WIDTH: f64 = 1080.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 52.0;
/// Candidates that were not timed stand in two strips below.
const PLOT_BOTTOM: f64 = 290.0;
const DUPLICATES: f64 = 312.0;
const REJECTED: f64 = 332.0;
/// Room for a label.
const LABEL: f64 = 96.0;
/// Nothing is nested deeper than this; what lies deeper is shown beside its ancestor.
const DEEPEST: usize = 24;
/// Rows of the tree.
const MOST_ROWS: usize = 1_500;

/// The class of an outcome in the style sheet.
pub(super) fn class(candidate: &Candidate, path: &[u32]) -> &'static str {
    if path.last() == Some(&candidate.id) {
        return "winner";
    }
    match candidate.outcome {
        Outcome::Timed { .. } => "timed",
        Outcome::Duplicate { .. } => "duplicate",
        Outcome::Rejected { .. } => "rejected",
    }
}

/// "1.31×", "same code as #3", "rejected on rung 2: …".
pub(super) fn outcome(candidate: &Candidate) -> String {
    match &candidate.outcome {
        // Two digits: a quick timing knows no more.
        Outcome::Timed { speedup, .. } => format!("{speedup:.2}×"),
        Outcome::Duplicate { of } => format!("same code as #{of}"),
        Outcome::Rejected { rung, reason, .. } => format!("fell on rung {rung}: {reason}"),
    }
}

pub(super) fn speedup(candidate: &Candidate) -> Option<f64> {
    match candidate.outcome {
        Outcome::Timed { speedup, .. } => Some(speedup),
        _ => None,
    }
}

/// The path to the winner; only the original when there is none.
pub(super) fn path(report: &Report) -> &[u32] {
    report.winner.as_ref().map(|winner| winner.path.as_slice()).filter(|path| path.len() > 1).unwrap_or_default()
}

/// Speed-up over time: every candidate, the best so far, the way to the winner.
pub(super) fn plot(report: &Report) -> String {
    let candidates = &report.candidates;
    let end = candidates.iter().map(|candidate| candidate.at_s).fold(1e-3, f64::max);
    let x = |candidate: &Candidate| LEFT + candidate.at_s / end * (WIDTH - LEFT - 24.0);
    // One hopeless candidate must not press all others together.
    let speedups = candidates.iter().filter_map(speedup).map(|s| s.max(0.7));
    let scale = Scale::around(speedups, [PLOT_BOTTOM, 14.0]);
    let place = |candidate: &Candidate| [x(candidate), scale.at(speedup(candidate).unwrap_or(0.0))];

    let mut svg = Svg::new(WIDTH, HEIGHT, "The search: speed-up of each candidate over time, the best so far, and the way to the winner");
    for tick in scale.ticks() {
        let y = scale.at(tick);
        svg.line(if tick == 1.0 { "one" } else { "grid" }, [LEFT, y], [WIDTH - 12.0, y]);
        svg.text("tick", [LEFT - 8.0, y + 4.0], "end", &format!("{tick}×"));
    }
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let x = LEFT + share * (WIDTH - LEFT - 24.0);
        svg.text("tick", [x, HEIGHT - 12.0], if share < 1.0 { "middle" } else { "end" }, &words::clock(share * end));
    }
    svg.text("tick", [LEFT - 8.0, DUPLICATES + 4.0], "end", "same");
    svg.text("tick", [LEFT - 8.0, REJECTED + 4.0], "end", "fell");

    let by_id: BTreeMap<u32, &Candidate> = candidates.iter().map(|candidate| (candidate.id, candidate)).collect();
    let path = path(report);
    for candidate in candidates.iter().filter(|candidate| speedup(candidate).is_some()) {
        let parent = candidate.parent.and_then(|parent| by_id.get(&parent)).filter(|parent| speedup(parent).is_some());
        if let Some(parent) = parent {
            curve(&mut svg, "edge", place(parent), place(candidate));
        }
    }
    svg.draw(format_args!("path class=\"best\" d=\"{}\"", best_so_far(candidates, WIDTH - 24.0, place)));
    for pair in path.windows(2) {
        if let (Some(from), Some(to)) = (by_id.get(&pair[0]), by_id.get(&pair[1])) {
            curve(&mut svg, "way", place(from), place(to));
        }
    }
    for candidate in candidates {
        let y = match candidate.outcome {
            Outcome::Timed { .. } => place(candidate)[1],
            Outcome::Duplicate { .. } => DUPLICATES,
            Outcome::Rejected { .. } => REJECTED,
        };
        let on_path = path.contains(&candidate.id);
        let hint = format!("#{} {} — {}", candidate.id, candidate.change, outcome(candidate));
        let class = if on_path { "winner" } else { class(candidate, path) };
        svg.disc(&format!("node {class}"), [x(candidate), y], if on_path { 6.0 } else { 4.0 }, &hint);
    }
    let mut taken = f64::INFINITY;
    for candidate in path.iter().skip(1).rev().filter_map(|id| by_id.get(id)) {
        let [x, y] = place(candidate);
        // From the winner back, as far as there is room.
        if x + LABEL > taken {
            continue;
        }
        let (anchor, start) = if x + LABEL > WIDTH { ("end", x - 10.0) } else { ("start", x + 4.0) };
        taken = if anchor == "end" { x - LABEL } else { x };
        svg.text("mark", [start, y - 11.0], anchor, &format!("#{} {}", candidate.id, outcome(candidate)));
    }
    svg.finish()
}

fn curve(svg: &mut Svg, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    let middle = f64::midpoint(x1, x2);
    svg.draw(format_args!(
        "path class=\"{class}\" d=\"M{x1:.1} {y1:.1}C{middle:.1} {y1:.1} {middle:.1} {y2:.1} {x2:.1} {y2:.1}\""
    ));
}

/// A line that goes up wherever a candidate is better than all before.
fn best_so_far(candidates: &[Candidate], end: f64, place: impl Fn(&Candidate) -> [f64; 2]) -> String {
    let mut best = 0.0;
    let mut line = String::new();
    for candidate in candidates {
        let Some(speedup) = speedup(candidate).filter(|speedup| *speedup > best) else { continue };
        best = speedup;
        let [x, y] = place(candidate);
        // Writing to a string cannot fail.
        let _ = if line.is_empty() { write!(line, "M{x:.1} {y:.1}") } else { write!(line, "H{x:.1}V{y:.1}") };
    }
    let _ = write!(line, "H{end:.1}");
    line
}

/// The tree as nested lists that fold: branches that lead to the winner are open.
pub(super) fn tree(report: &Report) -> String {
    let mut children: BTreeMap<u32, Vec<&Candidate>> = BTreeMap::new();
    for candidate in &report.candidates {
        if let Some(parent) = candidate.parent {
            children.entry(parent).or_default().push(candidate);
        }
    }
    let best = report.candidates.iter().filter_map(speedup).fold(1.0, f64::max);
    let mut tree = TreeWriter { path: path(report), children, best, rows: 0, out: String::new() };
    if let Some(root) = report.candidates.first() {
        tree.out.push_str("<ul class=\"tree\">");
        tree.node(root, 0);
        tree.out.push_str("</ul>");
    }
    if report.candidates.len() > tree.rows {
        let missing = report.candidates.len() - tree.rows;
        let _ = write!(tree.out, "<p class=\"note\">{missing} more candidates are in report.json.</p>");
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
        self.out.push_str(if on_path { "<li class=\"way\">" } else { "<li>" });
        let row = self.row(candidate);
        if children.is_empty() || depth >= DEEPEST {
            let _ = write!(self.out, "<div class=\"leaf\">{row}</div></li>");
            children.into_iter().for_each(|child| self.node(child, depth));
            return;
        }
        let open = if on_path || self.path.is_empty() && depth == 0 { " open" } else { "" };
        let _ = write!(self.out, "<details{open}><summary>{row}</summary><ul>");
        let (mut good, rest): (Vec<&Candidate>, Vec<&Candidate>) = children
            .into_iter()
            .partition(|child| speedup(child).is_some() || self.children.contains_key(&child.id));
        good.sort_by(|a, b| speedup(b).unwrap_or(0.0).total_cmp(&speedup(a).unwrap_or(0.0)));
        good.into_iter().for_each(|child| self.node(child, depth + 1));
        self.fallen(&rest, depth + 1);
        self.out.push_str("</ul></details></li>");
    }

    /// Children that led nowhere, folded together.
    fn fallen(&mut self, rest: &[&'a Candidate], depth: usize) {
        if rest.is_empty() {
            return;
        }
        let rejected = rest.iter().filter(|child| matches!(child.outcome, Outcome::Rejected { .. })).count();
        let duplicates = rest.len() - rejected;
        let counts = [(rejected, "rejected"), (duplicates, "with code that was there")];
        let words: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let _ = write!(
            self.out,
            "<li><details><summary><span class=\"node {}\"></span><span class=\"muted\">{}</span></summary><ul>",
            if rejected > 0 { "rejected" } else { "duplicate" },
            words.join(", ")
        );
        rest.iter().for_each(|child| self.node(child, depth));
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
            let _ = write!(row, " <span class=\"agent\">{}</span>", escape(&candidate.agent));
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
