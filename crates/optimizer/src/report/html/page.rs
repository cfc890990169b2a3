//! What the template shows, in words and numbers ready to print.

use minijinja::Value;
use serde::Serialize;

use super::super::wire::{Candidate, Change, Claim, ClaimKind, Level, Report, State, Verdict};
use super::super::words;
use super::facts::Fact;
use super::parts::{self, Agent, Bar, Card, Step};
use super::{claims, facts, plot, search, tree};

/// Candidates in the table.
const MOST_ROWS: usize = 1_500;

/// Everything on the page.
#[derive(Serialize)]
pub(super) struct Page<'a> {
    style: Value,
    script: Value,
    report: &'a Report,
    started: String,
    headline: Headline,
    cards: Vec<Card>,
    overview: Option<Value>,
    measured: Vec<Measured>,
    plot: Option<Value>,
    tree: Value,
    ladder: Vec<Step>,
    ladder_of: Option<u32>,
    bars: Vec<Bar>,
    agents: Vec<Agent>,
    steps: Vec<PathStep>,
    levels: Vec<ChangedLevel>,
    foundations: Vec<Fact>,
    rows: Vec<Row>,
    rows_left_out: usize,
}

/// The result at the top.
#[derive(Serialize)]
struct Headline {
    /// The claim's colour.
    class: &'static str,
    /// "faster", "none" or "unfinished".
    kind: &'static str,
    /// "1.31×"
    number: Option<String>,
    /// Behind the number.
    title: String,
    /// Below both.
    text: String,
}

/// A claim with its pictures and table.
#[derive(Serialize)]
struct Measured {
    title: String,
    class: &'static str,
    /// Unless it is faster.
    verdict: &'static str,
    open: bool,
    ratios: Value,
    times: Value,
    rows: Vec<MeasuredRow>,
    effort: String,
}

#[derive(Serialize)]
struct MeasuredRow {
    name: String,
    baseline: String,
    candidate: String,
    ratio: String,
    interval: String,
}

/// A step on the way to the winner.
#[derive(Serialize)]
struct PathStep {
    id: u32,
    agent: String,
    change: String,
    outcome: String,
}

/// The differences at one level.
#[derive(Serialize)]
struct ChangedLevel {
    name: &'static str,
    changes: Vec<ChangedPart>,
}

#[derive(Serialize)]
struct ChangedPart {
    name: String,
    added: u64,
    removed: u64,
    lines: Vec<Line>,
    cut_lines: u64,
}

#[derive(Serialize)]
struct Line {
    class: &'static str,
    text: String,
}

/// A candidate in the table.
#[derive(Serialize)]
struct Row {
    id: u32,
    parent: Option<u32>,
    agent: String,
    change: String,
    level: &'static str,
    outcome: String,
    class: &'static str,
    speedup: Option<f64>,
    at: String,
    at_s: f64,
}

impl<'a> Page<'a> {
    pub(super) fn new(report: &'a Report, style: &str, script: &str) -> Self {
        let ladder_of = parts::shown_evidence(report);
        let agents = parts::agents(report);
        Self {
            style: safe(style),
            script: safe(script),
            started: started(&report.started),
            headline: headline(report),
            cards: parts::cards(report),
            overview: (!report.claims.is_empty()).then(|| safe(&claims::overview(report))),
            measured: measured(report),
            plot: (report.candidates.len() > 1).then(|| safe(&plot::plot(report))),
            tree: safe(&tree::tree(report)),
            ladder: ladder_of
                .map(|evidence| parts::ladder(report, evidence))
                .unwrap_or_default(),
            ladder_of: ladder_of.map(|evidence| evidence.candidate),
            bars: parts::bars(report, &agents),
            agents,
            steps: steps(report),
            levels: levels(&report.changes),
            foundations: facts::facts(report),
            rows: report
                .candidates
                .iter()
                .take(MOST_ROWS)
                .map(|candidate| row(report, candidate))
                .collect(),
            rows_left_out: report.candidates.len().saturating_sub(MOST_ROWS),
            report,
        }
    }
}

/// Markup that is printed as it is.
fn safe(markup: &str) -> Value {
    Value::from_safe_string(markup.to_owned())
}

fn started(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(
        |_| text.to_owned(),
        |at| at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
    )
}

fn headline(report: &Report) -> Headline {
    let claim = report
        .claim(ClaimKind::Portable)
        .or_else(|| report.claim(ClaimKind::Host));
    let (kind, number, title, text) = match (report.state, claim) {
        (State::Failed, _) => {
            ("unfinished", None, "No result".to_owned(), report.message.clone().unwrap_or_default())
        }
        (State::Open, _) => (
            "unfinished",
            None,
            "Not finished".to_owned(),
            "This run is still going on or was interrupted; whittle optimize --resume goes on with it. Nothing is claimed yet."
                .to_owned(),
        ),
        (State::Finished, Some(claim)) => (
            "faster",
            Some(words::ratio(claim.ratio)),
            format!("faster than clang {}", claim.baseline),
            basis(report, claim),
        ),
        (State::Finished, None) => (
            "none",
            None,
            "No faster program found".to_owned(),
            "Nothing that gives the original's results was measurably faster than clang -O3 on inputs that nobody had seen. \
             The output folder holds the original."
                .to_owned(),
        ),
    };
    Headline {
        class: claim.map_or("", |claim| claims::class(claim.kind)),
        kind,
        number,
        title,
        text,
    }
}

/// What a claim rests on, in a sentence.
fn basis(report: &Report, claim: &Claim) -> String {
    let where_it_runs = match claim.kind {
        ClaimKind::Host => "With this host's instruction set",
        _ => "On every machine of this architecture",
    };
    let inputs = claim.inputs.len();
    let rung = claim
        .candidate
        .and_then(|candidate| report.evidence_of(candidate)?.rung)
        .map(|rung| format!(", with the original's results up to rung {rung} of 4"))
        .unwrap_or_default();
    format!(
        "{where_it_runs}: {} interval {}, measured on {inputs} input{} that nobody had seen, under {} link layout{}{rung}.",
        words::percent(claim.confidence),
        words::interval(claim.interval, claim.ratio),
        words::plural(inputs),
        claim.layouts,
        words::plural(claim.layouts as usize),
    )
}

fn measured(report: &Report) -> Vec<Measured> {
    let winner = report.winner.as_ref().map(|winner| winner.candidate);
    let wanted = [
        ClaimKind::Portable,
        ClaimKind::Host,
        ClaimKind::UserFlags,
        ClaimKind::NativeAlone,
    ];
    let found: Vec<&Claim> = wanted
        .into_iter()
        .filter_map(|kind| report.claim(kind))
        .collect();
    found
        .iter()
        .enumerate()
        .map(|(index, claim)| Measured {
            verdict: match claim.verdict {
                Verdict::Faster => "",
                Verdict::Slower => "slower",
                Verdict::NoDifference => "no difference",
                Verdict::Undecided => "undecided",
            },
            title: match claim.candidate {
                Some(id) => format!(
                    "#{id} against {}, {}",
                    claim.baseline,
                    claims::title(claim.kind)
                ),
                None => format!("{} against {}", claims::title(claim.kind), claim.baseline),
            },
            class: claims::class(claim.kind),
            open: index == 0 || claim.kind == ClaimKind::Host && claim.candidate == winner,
            ratios: safe(&claims::ratios(claim)),
            times: safe(&claims::times(claim)),
            rows: claim
                .inputs
                .iter()
                .map(|input| MeasuredRow {
                    name: input.name.clone(),
                    baseline: words::seconds(input.baseline.median_s),
                    candidate: words::seconds(input.candidate.median_s),
                    ratio: words::ratio(input.ratio),
                    interval: words::interval(input.interval, input.ratio),
                })
                .collect(),
            effort: effort(claim),
        })
        .collect()
}

fn effort(claim: &Claim) -> String {
    let slower = if claim.slower_on.is_empty() {
        "no input became slower by more than the margin".to_owned()
    } else {
        format!("slower on {}", claim.slower_on.join(", "))
    };
    format!(
        "{} runs in {} blocks under {} link layouts; by CPU time {}; {slower} of {}.",
        words::count(claim.runs),
        words::count(claim.blocks),
        claim.layouts,
        words::ratio(claim.cpu_ratio),
        words::percent(claim.margin),
    )
}

fn steps(report: &Report) -> Vec<PathStep> {
    search::path(report)
        .iter()
        .filter_map(|id| report.candidate(*id))
        .map(|candidate| PathStep {
            id: candidate.id,
            agent: candidate.agent.clone(),
            change: candidate.change.clone(),
            outcome: search::outcome(candidate),
        })
        .collect()
}

fn levels(changes: &[Change]) -> Vec<ChangedLevel> {
    [Level::Source, Level::Ir, Level::Assembly]
        .into_iter()
        .map(|level| ChangedLevel {
            name: level_name(level),
            changes: changes
                .iter()
                .filter(|change| change.level == level)
                .map(changed_part)
                .collect(),
        })
        .filter(|level| !level.changes.is_empty())
        .collect()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Source => "source",
        Level::Ir => "IR",
        Level::Assembly => "assembly",
    }
}

fn changed_part(change: &Change) -> ChangedPart {
    let line = |text: &str| Line {
        class: match text.as_bytes().first() {
            Some(b'+') => "added",
            Some(b'-') => "removed",
            Some(b'@') => "place",
            _ => "same",
        },
        text: text.to_owned(),
    };
    ChangedPart {
        name: change.name.clone(),
        added: change.added,
        removed: change.removed,
        lines: change.diff.lines().map(line).collect(),
        cut_lines: change.cut_lines,
    }
}

fn row(report: &Report, candidate: &Candidate) -> Row {
    Row {
        id: candidate.id,
        parent: candidate.parent,
        agent: candidate.agent.clone(),
        change: candidate.change.clone(),
        level: level_name(candidate.level),
        outcome: search::outcome(candidate),
        class: search::class(candidate, search::path(report)),
        speedup: search::speedup(candidate),
        at: words::seconds(candidate.at_s),
        at_s: candidate.at_s,
    }
}
