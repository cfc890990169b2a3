//! What everything rests on.

use serde::Serialize;

use super::super::wire::{CaseList, Foundations, Inputs, Report};
use super::super::words::{self, count, percent, plural};

/// Something that was found out before the search.
#[derive(Serialize)]
pub(super) struct Fact {
    name: &'static str,
    value: String,
    note: String,
    /// "good", "bad" or "plain".
    class: &'static str,
}

/// Foundations, inputs, machine, tools and options.
pub(super) fn facts(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(foundations) = &report.foundations {
        facts.extend(checked(foundations));
    }
    if let Some(inputs) = &report.inputs {
        facts.push(inputs_fact(inputs));
    }
    let machine = &report.machine;
    facts.push(Fact {
        name: "Machine",
        value: machine.cpu.clone(),
        note: format!(
            "{} core{}, Linux {}",
            machine.cores,
            plural(machine.cores as usize),
            machine.kernel
        ),
        class: "plain",
    });
    facts.push(Fact {
        name: "Tools",
        value: machine.llvm.clone(),
        note: format!("whittle {}", report.version),
        class: "plain",
    });
    let options = &report.options;
    facts.push(Fact {
        name: "Options",
        value: format!(
            "guide {}, agents {}",
            options.guide,
            options.agents.join(", ")
        ),
        note: format!(
            "seed {}, margin {}, {}",
            options.seed,
            percent(options.margin),
            options.fp_tolerance.map_or_else(
                || "outputs compared exactly".to_owned(),
                |tolerance| format!("numbers in outputs may differ by {tolerance:e}")
            )
        ),
        class: "plain",
    });
    facts
}

fn checked(foundations: &Foundations) -> [Fact; 4] {
    let Foundations {
        sandbox,
        self_check,
        noise,
        fitness,
    } = foundations;
    let holds = sandbox.limits && (sandbox.landlock.is_some() || sandbox.bubblewrap.is_some());
    [
        Fact {
            name: "Sandbox",
            value: sandbox.words.clone(),
            note: "every compiler and every run was inside".to_owned(),
            class: if holds { "good" } else { "bad" },
        },
        Fact {
            name: "Self-check",
            value: if self_check.identical {
                "step by step gives clang's own assembly".to_owned()
            } else {
                "step by step gives other assembly than clang".to_owned()
            },
            note: match (self_check.ratio, self_check.interval) {
                (Some(ratio), Some(interval)) => {
                    format!(
                        "timed at {} ({})",
                        words::ratio(ratio),
                        words::interval(interval, 1.0)
                    )
                }
                _ => "the same executable, byte for byte".to_owned(),
            },
            class: if self_check.identical {
                "good"
            } else {
                "plain"
            },
        },
        Fact {
            name: "Noise",
            value: format!("±{}", percent(noise.half_width)),
            note: format!(
                "{} runs of the original against itself; nothing smaller is claimed",
                count(noise.runs)
            ),
            class: "good",
        },
        Fact {
            name: "The original",
            value: if fitness.lowered.is_empty() {
                "is fit to be a reference".to_owned()
            } else {
                fitness.lowered.join("; ")
            },
            note: format!(
                "{} runs in {} address layouts agree",
                count(fitness.runs),
                fitness.layouts
            ),
            class: if fitness.lowered.is_empty() {
                "good"
            } else {
                "bad"
            },
        },
    ]
}

fn inputs_fact(inputs: &Inputs) -> Fact {
    let of = |list| inputs.cases.iter().filter(|case| case.list == list).count();
    let coverage = inputs
        .coverage
        .map(|coverage| format!("tests reach {} of the code; ", percent(coverage)))
        .unwrap_or_default();
    Fact {
        name: "Inputs",
        value: format!(
            "{} visible and {} held-out tests, {} + {} timing inputs",
            of(CaseList::Visible),
            of(CaseList::HeldOut),
            of(CaseList::SearchTiming),
            of(CaseList::FinalTiming)
        ),
        note: format!("{coverage}{} dropped", inputs.dropped.len()),
        class: "plain",
    }
}
