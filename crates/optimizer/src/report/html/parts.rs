//! Cards, ladder and budget.

use serde::Serialize;

use super::super::wire::{ClaimKind, Evidence, Report, Spending};
use super::super::words::{self, count};

/// A number to see at once.
#[derive(Serialize)]
pub(super) struct Card {
    label: &'static str,
    value: String,
    note: String,
    class: &'static str,
    /// Rungs reached, for the card that shows them.
    pips: Option<u8>,
}

/// A rung.
#[derive(Serialize)]
pub(super) struct Step {
    rung: u8,
    name: &'static str,
    meaning: &'static str,
    /// "passed", "fell" or "open".
    class: &'static str,
    facts: Vec<String>,
}

/// What was spent of a resource.
#[derive(Serialize)]
pub(super) struct Bar {
    name: &'static str,
    total: String,
    limit: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Serialize)]
struct Segment {
    agent: String,
    /// The place of the agent's colour.
    colour: usize,
    share: String,
    value: String,
}

/// An agent with the place of its colour.
#[derive(Serialize)]
pub(super) struct Agent {
    name: String,
    colour: usize,
}

/// Who spends when no agent does.
const RUN_ITSELF: &str = "the run itself";
/// The last of the agents' colours.
const GREY: usize = 5;

pub(super) fn cards(report: &Report) -> Vec<Card> {
    let mut cards = Vec::new();
    let mut add = |label, value: String, note: String, class| {
        cards.push(Card {
            label,
            value,
            note,
            class,
            pips: None,
        });
    };
    if let Some(claim) = report.claim(ClaimKind::Portable) {
        add(
            "On every machine",
            words::ratio(claim.ratio),
            words::interval(claim.interval, claim.ratio),
            "portable",
        );
    }
    if let Some(claim) = report.claim(ClaimKind::Host) {
        let alone = report.claim(ClaimKind::NativeAlone);
        let note = alone.map_or_else(
            || words::interval(claim.interval, claim.ratio),
            |alone| format!("the instruction set alone {}", words::ratio(alone.ratio)),
        );
        add(
            "With this host's instructions",
            words::ratio(claim.ratio),
            note,
            "host",
        );
    }
    let counted = [ClaimKind::Portable, ClaimKind::Host]
        .into_iter()
        .find_map(|kind| report.claim(kind)?.instructions);
    if let Some([before, after]) = counted.filter(|[before, _]| *before > 0) {
        let change = after as f64 / before as f64 - 1.0;
        let sign = if change < 0.0 { "−" } else { "+" };
        let note = format!("{} instead of {}", large(after), large(before));
        add(
            "Instructions executed",
            format!("{sign}{:.0} %", 100.0 * change.abs()),
            note,
            "plain",
        );
    }
    let [timed, duplicates, rejected] = report.outcome_counts();
    let tried = timed + duplicates + rejected;
    if tried > 0 {
        let note = format!("{timed} timed · {duplicates} same code · {rejected} fell");
        add("Candidates tried", count(tried as u64), note, "plain");
    }
    if let Some(spending) = report
        .budget
        .iter()
        .find(|spending| spending.resource == "seconds" && spending.spent > 0.0)
    {
        let note = spending
            .limit
            .map(|limit| format!("of {}", words::seconds(limit)))
            .unwrap_or_default();
        add("Time spent", words::seconds(spending.spent), note, "plain");
    }
    let rung = shown_evidence(report).and_then(|evidence| evidence.rung);
    if let Some(rung) = rung.filter(|_| !report.claims.is_empty()) {
        let place = cards
            .iter()
            .position(|card| card.class == "plain")
            .unwrap_or(cards.len());
        let value = format!("{rung} of 4");
        let note = STEPS[usize::from(rung)].0.to_lowercase();
        cards.insert(
            place,
            Card {
                label: "Rung of evidence",
                value,
                note,
                class: "evidence",
                pips: Some(rung),
            },
        );
    }
    cards
}

/// "1.20 billion", "871 million".
fn large(number: u64) -> String {
    match number as f64 {
        n if n >= 1e9 => format!("{:.2} billion", n / 1e9),
        n if n >= 1e6 => format!("{:.0} million", n / 1e6),
        _ => count(number),
    }
}

/// The evidence that the page shows: the claimed candidate's, or else that of the first that was considered.
pub(super) fn shown_evidence(report: &Report) -> Option<&Evidence> {
    let claimed = [ClaimKind::Portable, ClaimKind::Host]
        .into_iter()
        .find_map(|kind| report.claim(kind)?.candidate);
    report.evidence_of(claimed.or(report.passed_over.first().map(|passed| passed.candidate))?)
}

const STEPS: [(&str, &str); 5] = [
    (
        "A fit reference",
        "The original is defined and repeatable on the inputs.",
    ),
    (
        "It builds",
        "Its IR verifies, and it imports nothing that could cheat.",
    ),
    (
        "Visible tests",
        "The original's output and exit status on every test.",
    ),
    (
        "Unseen inputs",
        "The same on held-out tests, fuzzed inputs, other layouts and the timing runs.",
    ),
    (
        "Validated",
        "Changed functions proved up to a number of unrollings.",
    ),
];

pub(super) fn ladder(report: &Report, evidence: &Evidence) -> Vec<Step> {
    STEPS
        .iter()
        .zip(0u8..)
        .map(|(&(name, meaning), rung)| {
            let class = match evidence.rung {
                Some(reached) if rung <= reached => "passed",
                Some(reached) if evidence.rejected.is_some() && rung == reached + 1 => "fell",
                _ => "open",
            };
            let mut facts = facts_of(report, evidence, rung);
            if class == "fell" {
                facts.extend(evidence.rejected.clone());
            }
            Step {
                rung,
                name,
                meaning,
                class,
                facts,
            }
        })
        .collect()
}

fn facts_of(report: &Report, evidence: &Evidence, rung: u8) -> Vec<String> {
    let number =
        |number: u64, what: &str| (number > 0).then(|| format!("{} {what}", count(number)));
    let facts: Vec<Option<String>> = match (rung, &report.foundations) {
        (0, Some(foundations)) => {
            let fitness = &foundations.fitness;
            let list = |what: &str, words: &[String]| {
                (!words.is_empty()).then(|| format!("{what} {}", words.join(", ")))
            };
            vec![
                list("clean under sanitizers:", &fitness.sanitizers),
                list("same output at", &fitness.optimization_levels),
                fitness
                    .second_compiler
                    .as_ref()
                    .map(|compiler| format!("same output by {compiler}")),
                number(fitness.runs, "runs agree"),
            ]
        }
        (2, _) => vec![number(evidence.visible_tests, "visible tests")],
        (3, _) => vec![
            number(evidence.held_out_tests, "held-out tests"),
            number(evidence.fuzzed_inputs, "fuzzed inputs")
                .map(|fuzzed| format!("{fuzzed} in {}", words::seconds(evidence.fuzz_s))),
            number(evidence.layouts, "runs in other address layouts"),
            number(evidence.memory_fills, "runs with other memory contents"),
            number(evidence.sanitized_runs, "runs under sanitizers"),
            number(evidence.compared_timing_runs, "timing runs compared"),
        ],
        (4, _) => vec![Some(
            evidence
                .proof
                .clone()
                .unwrap_or_else(|| "alive-tv did not run".to_owned()),
        )],
        _ => Vec::new(),
    };
    facts.into_iter().flatten().collect()
}

/// Everybody who spent something; the run itself last.
pub(super) fn agents(report: &Report) -> Vec<Agent> {
    let mut names: Vec<&str> = report
        .budget
        .iter()
        .flat_map(|spending| &spending.by_agent)
        .map(|by| by.agent.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by_key(|name| name.is_empty());
    (0..)
        .zip(names)
        .map(|(place, name)| Agent {
            name: if name.is_empty() { RUN_ITSELF } else { name }.to_owned(),
            colour: if name.is_empty() { GREY } else { place % GREY },
        })
        .collect()
}

pub(super) fn bars(report: &Report, agents: &[Agent]) -> Vec<Bar> {
    report
        .budget
        .iter()
        .filter(|spending| spending.spent > 0.0)
        .map(|spending| {
            let whole = spending.limit.unwrap_or(0.0).max(spending.spent);
            let mut segments: Vec<Segment> = spending
                .by_agent
                .iter()
                .map(|by| {
                    let name = if by.agent.is_empty() {
                        RUN_ITSELF
                    } else {
                        &by.agent
                    };
                    let agent = agents.iter().find(|agent| agent.name == name);
                    Segment {
                        colour: agent.map_or(GREY, |agent| agent.colour),
                        agent: name.to_owned(),
                        share: format!("{:.2}", 100.0 * by.spent / whole),
                        value: amount(spending, by.spent),
                    }
                })
                .collect();
            segments.sort_by_key(|segment| segment.colour);
            Bar {
                name: match spending.resource.as_str() {
                    "seconds" => "Wall time",
                    "runs" => "Measured runs",
                    "candidates" => "Candidates",
                    _ => "Other",
                },
                total: amount(spending, spending.spent),
                limit: spending.limit.map(|limit| amount(spending, limit)),
                segments,
            }
        })
        .collect()
}

fn amount(spending: &Spending, amount: f64) -> String {
    match spending.resource.as_str() {
        "seconds" => words::seconds(amount),
        _ => count(amount.round() as u64),
    }
}
