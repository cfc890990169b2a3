//! What happens during a run: a bar on a terminal, a few plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anstyle::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use whittle_optimizer::inputs::Inputs;
use whittle_optimizer::session::Event;
use whittle_optimizer::tree::{Node, NodeId, Outcome};

use crate::format;

/// The budget's share is shown in steps of this part.
const STEPS: u64 = 1000;

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything: a bar on a terminal, lines elsewhere.
    All,
    /// Warnings only.
    Warnings,
    /// Nothing.
    Nothing,
}

/// Which bar is on the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Waiting,
    Searching,
}

/// Shows events.
pub(crate) struct Progress {
    detail: Detail,
    bar: ProgressBar,
    look: Look,
    stage: Option<(String, Instant)>,
    tally: Tally,
}

impl Progress {
    pub(crate) fn new(detail: Detail) -> Self {
        let bar = if detail == Detail::All && std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style(Look::Waiting));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            detail,
            bar,
            look: Look::Waiting,
            stage: None,
            tally: Tally::default(),
        }
    }

    /// A handle with which another thread can say something.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        self.end_stage();
        self.bar.finish_and_clear();
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Stage(stage) => self.begin_stage(stage),
            Event::Warning(text) => self.warn(text),
            Event::Inputs(inputs) => self.line(&describe_inputs(inputs)),
            Event::Node {
                node,
                best,
                budget_left,
            } => self.node(node, *best, *budget_left),
            Event::Comparing { what, progress } => {
                // How many blocks it takes depends on how much the times vary, and there is a limit in time: no bar.
                self.look(Look::Waiting);
                let ratio = match (progress.ratio, progress.interval) {
                    (Some(ratio), Some([low, high])) => {
                        format!(": {ratio:.3}x ({low:.3} to {high:.3})")
                    }
                    (Some(ratio), None) => format!(": {ratio:.3}x"),
                    (None, _) => String::new(),
                };
                let runs = format::count(progress.runs as u64);
                self.bar.set_message(format!("{what}, {runs} runs{ratio}"));
            }
        }
    }

    fn begin_stage(&mut self, stage: &str) {
        if self.stage.as_ref().is_some_and(|(name, _)| name == stage) {
            return;
        }
        self.end_stage();
        self.stage = Some((stage.to_owned(), Instant::now()));
        self.look(Look::Waiting);
        self.bar.reset();
        self.bar.set_message(stage.to_owned());
        if self.bar.is_hidden() {
            self.line(stage);
        }
    }

    /// On a terminal a finished stage leaves a line behind.
    fn end_stage(&mut self) {
        let Some((stage, start)) = self.stage.take() else {
            return;
        };
        if !self.bar.is_hidden() {
            let time = format::time(start.elapsed());
            let faint = Style::new().dimmed();
            self.line(&format!("✓ {stage}{faint}, {time}{faint:#}"));
        }
    }

    fn node(&mut self, node: &Node, best: Option<&Node>, budget_left: f64) {
        let improved = self.tally.add(node, best);
        self.look(Look::Searching);
        self.bar.set_length(STEPS);
        self.bar
            .set_position(((1.0 - budget_left) * STEPS as f64).round() as u64);
        self.bar.set_message(self.tally.text());
        if improved && let Some(best) = best {
            self.line(&format!("best {}: {}", name_best(best), best.change));
        }
    }

    fn look(&mut self, look: Look) {
        if self.look != look {
            self.look = look;
            self.bar.set_style(style(look));
            self.bar.reset();
        }
    }

    fn warn(&self, text: &str) {
        if self.detail != Detail::Nothing {
            let yellow = Style::new()
                .bold()
                .fg_color(Some(anstyle::AnsiColor::Yellow.into()));
            self.print(&format!("{yellow}warning:{yellow:#} {text}"));
        }
    }

    fn line(&self, text: &str) {
        if self.detail == Detail::All {
            self.print(text);
        }
    }

    fn print(&self, text: &str) {
        self.bar.suspend(|| anstream::eprintln!("{text}"));
    }
}

fn style(look: Look) -> ProgressStyle {
    let template = match look {
        Look::Waiting => "{spinner} {elapsed:>4} {wide_msg}",
        Look::Searching => {
            "{spinner} {elapsed:>4} {bar:24} {percent:>3} % of the budget, {eta} left  {wide_msg}"
        }
    };
    // The templates are constants; should one not parse, the default look does.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What the search has tried.
#[derive(Default)]
struct Tally {
    tried: usize,
    rejected: usize,
    duplicates: usize,
    last: Option<NodeId>,
    best: Option<(NodeId, f64)>,
    best_text: String,
}

impl Tally {
    /// Counts a node; answers whether there is a new best one.
    fn add(&mut self, node: &Node, best: Option<&Node>) -> bool {
        // A node that was changed afterwards, as by another timing, is not counted twice.
        if self.last.is_none_or(|last| node.id > last) && node.id != NodeId::ROOT {
            self.last = Some(node.id);
            self.tried += 1;
            match node.outcome {
                Outcome::Rejected { .. } => self.rejected += 1,
                Outcome::Duplicate { .. } => self.duplicates += 1,
                Outcome::Timed { .. } => {}
            }
        }
        let Some((best, speedup)) = best.and_then(|best| Some((best, best.speedup()?))) else {
            return false;
        };
        let before = self.best.replace((best.id, speedup));
        self.best_text = name_best(best);
        best.id != NodeId::ROOT && before.is_none_or(|(id, _)| id != best.id)
    }

    fn text(&self) -> String {
        let best = match self.best {
            Some((id, _)) if id != NodeId::ROOT => format!("best {}", self.best_text),
            _ => "nothing faster yet".to_owned(),
        };
        format!(
            "{best}, {} tried, {} rejected, {} the same code",
            self.tried, self.rejected, self.duplicates
        )
    }
}

/// `1.23x by passes #17`.
fn name_best(best: &Node) -> String {
    let speedup = best.speedup().unwrap_or(1.0);
    format!("{speedup:.2}x by {} {}", best.agent, best.id)
}

fn describe_inputs(inputs: &Inputs) -> String {
    let coverage = inputs.coverage.map_or_else(String::new, |coverage| {
        format!(", which reach {} of the code", format::percent(coverage))
    });
    let dropped = match inputs.dropped.len() {
        0 => String::new(),
        count => format!("; {count} not used"),
    };
    format!(
        "  {} tests for the search and {} held out{coverage}; {} and {} inputs to time{dropped}",
        inputs.visible.len(),
        inputs.held_out.len(),
        inputs.search_timing.len(),
        inputs.final_timing.len(),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A candidate as the run store has it.
    pub(crate) fn node(id: u32, parent: Option<u32>, change: &str, outcome: &Value) -> Node {
        let recipe = json!({
            "front_end": ["-O3"], "merge": false, "pipeline": null, "middle_end": [], "back_end": [], "link": [],
            "profile": false, "host": false
        });
        let node = json!({
            "id": id, "parent": parent, "agent": if id == 0 { "" } else { "flags" }, "change": change, "note": null,
            "candidate": {"artifact": {"level": "source", "units": []}, "recipe": recipe},
            "outcome": outcome, "at_s": 0.0
        });
        serde_json::from_value(node).unwrap()
    }

    /// The outcome of one that was timed.
    pub(crate) fn timed(speedup: f64) -> Value {
        json!({"state": "timed", "code": "0".repeat(64), "speedup": speedup, "seconds": [1.0]})
    }

    /// The outcome of one that failed a test.
    pub(crate) fn rejected() -> Value {
        json!({"state": "rejected", "rejection": {
            "rung": "tests", "kind": "output", "reason": "test a: line 1 is \"1\",\n not \"2\""}})
    }

    #[test]
    fn every_candidate_counts_once_and_a_new_best_is_news() {
        let mut tally = Tally::default();
        let root = node(0, None, "the original", &timed(1.0));
        assert!(!tally.add(&root, Some(&root)));
        assert_eq!(
            tally.text(),
            "nothing faster yet, 0 tried, 0 rejected, 0 the same code"
        );
        let fast = node(1, Some(0), "profile", &timed(1.25));
        assert!(tally.add(&fast, Some(&fast)));
        assert!(!tally.add(&node(2, Some(0), "x", &rejected()), Some(&fast)));
        let twin = json!({"state": "duplicate", "of": 0});
        assert!(!tally.add(&node(3, Some(0), "y", &twin), Some(&fast)));
        // The best is timed again.
        let again = node(1, Some(0), "profile", &timed(1.2));
        assert!(!tally.add(&again, Some(&again)));
        assert_eq!(
            tally.text(),
            "best 1.20x by flags #1, 3 tried, 1 rejected, 1 the same code"
        );
    }
}
