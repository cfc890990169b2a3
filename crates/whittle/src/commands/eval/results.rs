//! Accuracies with their intervals: table, JSON, plot.

use serde::Serialize;

use crate::interval::wilson;
use crate::plot::{Line, Panel, svg};
use crate::table::{self, number, text};
use crate::{commands::compare::FULL, format};

use super::measure::{Measurement, Tally};

/// All results.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub(super) struct Results {
    model: String,
    seed_start: u64,
    pages: usize,
    questions: u64,
    settings: Vec<Setting>,
}

/// The results of one policy and budget.
#[derive(Serialize, Debug, Clone, PartialEq)]
struct Setting {
    policy: String,
    budget: f64,
    min_mass: Option<f64>,
    /// Mean share of the cache that was kept.
    kept_fraction: f64,
    /// Mean retained attention mass.
    retained_mass: Option<f64>,
    /// Share of answers that are the same as with the full cache.
    same_as_full: f64,
    /// All tasks together.
    all: Accuracy,
    tasks: Vec<Accuracy>,
}

/// A share of exact answers with its 95 % Wilson interval.
#[derive(Serialize, Debug, Clone, PartialEq)]
struct Accuracy {
    task: String,
    asked: u64,
    exact: u64,
    #[serde(rename = "accuracy")]
    share: f64,
    low: f64,
    high: f64,
}

impl Accuracy {
    fn new(task: &str, [asked, exact]: [u64; 2]) -> Self {
        let (low, high) = wilson(exact, asked);
        Self {
            task: task.to_owned(),
            asked,
            exact,
            share: exact as f64 / asked.max(1) as f64,
            low,
            high,
        }
    }
}

impl Results {
    /// Turns counts into shares. Tasks without a question are left out.
    pub(super) fn new(model: &str, measurement: &Measurement<'_>, tallies: &[Tally]) -> Self {
        let questions = tallies.first().map_or(0, |tally| tally.all()[0]);
        let settings = measurement
            .settings
            .iter()
            .zip(tallies)
            .map(|(choice, tally)| {
                let asked = tally.all()[0].max(1) as f64;
                let tasks = measurement
                    .tasks
                    .iter()
                    .zip(&tally.tasks)
                    .filter(|(_, counts)| counts[0] > 0);
                Setting {
                    policy: choice.name.clone(),
                    budget: choice.options.alpha,
                    min_mass: choice.options.min_mass,
                    kept_fraction: tally.kept_fraction / asked,
                    retained_mass: (tally.mass_measured > 0)
                        .then(|| tally.retained_mass / tally.mass_measured as f64),
                    same_as_full: tally.same_as_full as f64 / asked,
                    all: Accuracy::new("all", tally.all()),
                    tasks: tasks
                        .map(|(task, counts)| Accuracy::new(task.name(), *counts))
                        .collect(),
                }
            });
        Self {
            model: model.to_owned(),
            seed_start: measurement.seed_start,
            pages: measurement.pages,
            questions,
            settings: settings.collect(),
        }
    }

    /// The table: accuracies in per cent, one row per setting.
    pub(super) fn table(&self, markdown: bool) -> String {
        const TASK_TITLES: [&str; 5] = ["form", "grid", "count", "caption", "sum"];
        let tasks: Vec<&str> = self.settings.first().map_or_else(Vec::new, |setting| {
            TASK_TITLES
                .into_iter()
                .filter(|title| setting.tasks.iter().any(|task| task.task == *title))
                .collect()
        });
        let mut columns = vec![text("policy"), number("budget")];
        columns.extend(tasks.iter().map(|task| number(task)));
        columns.extend([
            number("all"),
            number("95 % interval"),
            number("as full"),
            number("kept"),
            number("mass"),
        ]);
        let per_cent = |share: f64| format!("{:.1}", 100.0 * share);
        let rows: Vec<Vec<String>> = self
            .settings
            .iter()
            .map(|setting| {
                let mut row = vec![setting.policy.clone(), format!("{}", setting.budget)];
                row.extend(tasks.iter().map(|title| {
                    let task = setting.tasks.iter().find(|task| task.task == *title);
                    task.map_or_else(|| "-".to_owned(), |task| per_cent(task.share))
                }));
                row.extend([
                    per_cent(setting.all.share),
                    format!(
                        "{} to {}",
                        per_cent(setting.all.low),
                        per_cent(setting.all.high)
                    ),
                    per_cent(setting.same_as_full),
                    format::percent(setting.kept_fraction),
                    setting
                        .retained_mass
                        .map_or_else(|| "-".to_owned(), format::percent),
                ]);
                row
            })
            .collect();
        let body = if markdown {
            table::markdown(&columns, &rows)
        } else {
            table::plain(&columns, &rows)
        };
        let head = format!(
            "{}: {} questions about {} pages (seeds from {}); exact answers in %",
            self.model,
            format::count(self.questions),
            format::count(self.pages as u64),
            self.seed_start
        );
        format!("{head}\n\n{body}")
    }

    /// Accuracy over budget, a panel for all tasks and one for each.
    pub(super) fn plot(&self) -> String {
        let full = self.settings.iter().find(|setting| setting.policy == FULL);
        let names = self.settings.first().map_or_else(Vec::new, |setting| {
            setting
                .tasks
                .iter()
                .map(|task| task.task.clone())
                .collect::<Vec<_>>()
        });
        let panels: Vec<Panel> = std::iter::once("all".to_owned())
            .chain(names)
            .map(|name| {
                let of = |setting: &Setting| {
                    let task = setting.tasks.iter().find(|task| task.task == name);
                    let accuracy = if name == "all" {
                        Some(&setting.all)
                    } else {
                        task
                    };
                    accuracy.map(|a| [setting.budget, a.share, a.low, a.high])
                };
                let questions = full.map_or(0, |setting| {
                    setting
                        .tasks
                        .iter()
                        .find(|task| task.task == name)
                        .map_or(setting.all.asked, |task| task.asked)
                });
                Panel {
                    title: format!("{name} ({} questions)", format::count(questions)),
                    full: full
                        .and_then(of)
                        .map(|[_, accuracy, low, high]| [accuracy, low, high]),
                    lines: self.lines(of),
                }
            })
            .collect();
        let title = format!(
            "Exact answers with a compressed KV cache, {} pages",
            format::count(self.pages as u64)
        );
        svg(&title, &panels)
    }

    fn lines(&self, of: impl Fn(&Setting) -> Option<[f64; 4]>) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for setting in self
            .settings
            .iter()
            .filter(|setting| setting.policy != FULL)
        {
            let Some(point) = of(setting) else { continue };
            match lines.iter_mut().find(|line| line.name == setting.policy) {
                Some(line) => line.points.push(point),
                None => lines.push(Line {
                    name: setting.policy.clone(),
                    points: vec![point],
                }),
            }
        }
        for line in &mut lines {
            line.points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let setting = |policy: &str, budget: f64, exact: u64, mass| Setting {
            policy: policy.into(),
            budget,
            min_mass: None,
            kept_fraction: budget,
            retained_mass: mass,
            same_as_full: 0.98,
            all: Accuracy::new("all", [1500, 500 + exact]),
            tasks: vec![
                Accuracy::new("form", [1000, exact]),
                Accuracy::new("grid", [500, 500]),
            ],
        };
        Results {
            model: "reader".into(),
            seed_start: 7,
            pages: 1000,
            questions: 1500,
            settings: vec![
                setting("full", 1.0, 980, Some(1.0)),
                setting("vl-cache", 0.2, 975, Some(0.991)),
                setting("vl-cache", 0.1, 970, Some(0.97)),
                setting("h2o", 0.1, 640, None),
            ],
        }
    }

    #[test]
    fn table_looks() {
        insta::assert_snapshot!("table", results().table(false));
        insta::assert_snapshot!("markdown", results().table(true));
    }

    #[test]
    fn the_plot_has_a_panel_per_task_and_sorted_lines() {
        let results = results();
        let lines = results.lines(|setting| Some([setting.budget, setting.all.share, 0.0, 1.0]));
        assert_eq!(
            lines
                .iter()
                .map(|line| line.name.as_str())
                .collect::<Vec<_>>(),
            ["vl-cache", "h2o"]
        );
        assert_eq!(
            lines[0]
                .points
                .iter()
                .map(|point| point[0])
                .collect::<Vec<_>>(),
            [0.1, 0.2]
        );
        let svg = results.plot();
        assert!(
            [
                "all (1,500 questions)",
                "form (1,000 questions)",
                "grid (500 questions)"
            ]
            .iter()
            .all(|t| svg.contains(t))
        );
    }
}
