//! The search over time: what was tried when, how fast it looked, and how the winner came about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::wire::{Candidate, Outcome, Report};
use super::super::words;
use super::search::{class, outcome, path, speedup};
use super::svg::{Scale, Svg};

const WIDTH: f64 = 1080.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Candidates that were not timed stand in two strips below.
const PLOT_BOTTOM: f64 = 290.0;
const DUPLICATES: f64 = 312.0;
const REJECTED: f64 = 332.0;
/// Room for a label.
const LABEL: f64 = 96.0;

/// Every candidate, the best so far, the way to the winner.
pub(super) fn plot(report: &Report) -> String {
    let mut plot = Plot::new(report);
    plot.axes();
    plot.edges();
    plot.best_so_far();
    plot.way();
    plot.candidates();
    plot.labels();
    plot.svg.finish()
}

struct Plot<'a> {
    svg: Svg,
    candidates: BTreeMap<u32, &'a Candidate>,
    path: &'a [u32],
    /// Seconds at the right end.
    end: f64,
    scale: Scale,
}

impl<'a> Plot<'a> {
    fn new(report: &'a Report) -> Self {
        let candidates = &report.candidates;
        // One hopeless candidate must not press all others together.
        let speedups = candidates.iter().filter_map(speedup).map(|s| s.max(0.7));
        let title = "The search: speed-up of each candidate over time, the best so far, and the way to the winner";
        Self {
            svg: Svg::new(WIDTH, HEIGHT, title),
            scale: Scale::around(speedups, [PLOT_BOTTOM, 14.0]),
            end: candidates
                .iter()
                .map(|candidate| candidate.at_s)
                .fold(1e-3, f64::max),
            path: path(report),
            candidates: candidates
                .iter()
                .map(|candidate| (candidate.id, candidate))
                .collect(),
        }
    }

    fn place(&self, candidate: &Candidate) -> [f64; 2] {
        let y = match candidate.outcome {
            Outcome::Timed { speedup, .. } => self.scale.at(speedup),
            Outcome::Duplicate { .. } => DUPLICATES,
            Outcome::Rejected { .. } => REJECTED,
        };
        [LEFT + candidate.at_s / self.end * (RIGHT - LEFT), y]
    }

    fn axes(&mut self) {
        for tick in self.scale.ticks() {
            let y = self.scale.at(tick);
            let class = if tick == 1.0 { "one" } else { "grid" };
            self.svg.line(class, [LEFT, y], [WIDTH - 12.0, y]);
            self.label([LEFT - 8.0, y + 4.0], "end", &format!("{tick}×"));
        }
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let x = LEFT + share * (RIGHT - LEFT);
            let anchor = if share < 1.0 { "middle" } else { "end" };
            self.label([x, HEIGHT - 12.0], anchor, &words::clock(share * self.end));
        }
        self.label([LEFT - 8.0, DUPLICATES + 4.0], "end", "same");
        self.label([LEFT - 8.0, REJECTED + 4.0], "end", "fell");
    }

    fn label(&mut self, place: [f64; 2], anchor: &str, text: &str) {
        self.svg.text("tick", place, anchor, text);
    }

    fn curve(&mut self, class: &str, from: &Candidate, to: &Candidate) {
        let ([x1, y1], [x2, y2]) = (self.place(from), self.place(to));
        let middle = f64::midpoint(x1, x2);
        self.svg.draw(format_args!(
            "path class=\"{class}\" d=\"M{x1:.1} {y1:.1}C{middle:.1} {y1:.1} {middle:.1} {y2:.1} {x2:.1} {y2:.1}\""
        ));
    }

    /// From what was timed to what it was made from.
    fn edges(&mut self) {
        let candidates: Vec<&Candidate> = self.candidates.values().copied().collect();
        for candidate in candidates {
            let parent = candidate
                .parent
                .and_then(|parent| self.candidates.get(&parent).copied());
            if let Some(parent) = parent
                && speedup(candidate).is_some()
                && speedup(parent).is_some()
            {
                self.curve("edge", parent, candidate);
            }
        }
    }

    /// A line that goes up wherever a candidate is better than all before.
    fn best_so_far(&mut self) {
        let mut best = 0.0;
        let mut line = String::new();
        for candidate in self.candidates.values() {
            let Some(speedup) = speedup(candidate).filter(|speedup| *speedup > best) else {
                continue;
            };
            best = speedup;
            let [x, y] = self.place(candidate);
            // Writing to a string cannot fail.
            let _ = if line.is_empty() {
                write!(line, "M{x:.1} {y:.1}")
            } else {
                write!(line, "H{x:.1}V{y:.1}")
            };
        }
        if !line.is_empty() {
            self.svg
                .draw(format_args!("path class=\"best\" d=\"{line}H{RIGHT}\""));
        }
    }

    fn way(&mut self) {
        for pair in self.path.windows(2) {
            let ends = [&pair[0], &pair[1]].map(|id| self.candidates.get(id).copied());
            if let [Some(from), Some(to)] = ends {
                self.curve("way", from, to);
            }
        }
    }

    fn candidates(&mut self) {
        for candidate in self.candidates.values() {
            let hint = format!(
                "#{} {} — {}",
                candidate.id,
                candidate.change,
                outcome(candidate)
            );
            let (class, radius) = if self.path.contains(&candidate.id) {
                ("winner", 6.0)
            } else {
                (class(candidate, self.path), 4.0)
            };
            let place = self.place(candidate);
            self.svg
                .disc(&format!("node {class}"), place, radius, &hint);
        }
    }

    /// Numbers on the way, from the winner back, as far as there is room.
    fn labels(&mut self) {
        let mut taken = f64::INFINITY;
        for id in self.path.iter().skip(1).rev() {
            let Some(candidate) = self.candidates.get(id) else {
                continue;
            };
            let [x, y] = self.place(candidate);
            if x + LABEL > taken {
                continue;
            }
            let is_last = x + LABEL > WIDTH;
            let (anchor, start) = if is_last {
                ("end", x - 10.0)
            } else {
                ("start", x + 4.0)
            };
            taken = if is_last { x - LABEL } else { x };
            let text = format!("#{id} {}", outcome(candidate));
            self.svg.text("mark", [start, y - 11.0], anchor, &text);
        }
    }
}
