//! The result for a terminal.

use std::fmt::Write as _;

use super::recipe;
use super::wire::{Claim, ClaimKind, Evidence, Outcome, Report, Verdict};
use super::words;

/// What `whittle optimize` says in the end, and `whittle show`: the result, then what it rests on. Plain text.
pub fn summary(report: &Report) -> String {
    let mut text = format!(
        "{}: {}\n",
        one_line(&report.program.name),
        one_line(&report.sentence)
    );
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {name:<12}{}", one_line(&value));
    };
    for claim in &report.claims {
        row(name(claim.kind), statement(claim));
    }
    if let Some(winner) = report.winner.as_ref().filter(|winner| winner.candidate > 0) {
        let path = winner
            .path
            .iter()
            .skip(1)
            .filter_map(|id| report.candidate(*id));
        for (index, step) in path.enumerate() {
            let name = if index == 0 { "changed" } else { "" };
            row(name, format!("#{} {}", step.id, step.change));
        }
        let extensions = report
            .candidate(winner.candidate)
            .map(|found| &found.extensions);
        if let Some(needed) = extensions.and_then(|extensions| recipe::needed(extensions)) {
            row("machine", needed);
        }
        if let Some(evidence) = report.evidence_of(winner.candidate) {
            row("evidence", ladder(evidence));
        }
    }
    for (index, passed) in report.passed_over.iter().enumerate() {
        let name = if index == 0 { "not taken" } else { "" };
        row(name, format!("#{} {}", passed.candidate, passed.why));
    }
    if !report.candidates.is_empty() {
        row("tried", tried(report));
    }
    if let Some(foundations) = &report.foundations {
        row(
            "noise",
            format!(
                "±{} between equal programs on this machine",
                words::percent(foundations.noise.half_width)
            ),
        );
        for lowered in &foundations.fitness.lowered {
            row("note", lowered.clone());
        }
    }
    text.push('\n');
    text
}

/// Control characters of a hostile program do nothing to the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn name(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Portable => "portable",
        ClaimKind::Host => "this host",
        ClaimKind::NativeAlone => "host alone",
        ClaimKind::UserFlags => "your flags",
    }
}

fn statement(claim: &Claim) -> String {
    let what = match (claim.kind, claim.candidate) {
        (ClaimKind::NativeAlone, _) => "-O3 -march=native, nothing else".to_owned(),
        (_, Some(candidate)) => format!("#{candidate} against {}", claim.baseline),
        (_, None) => format!("against {}", claim.baseline),
    };
    let verdict = match claim.verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::NoDifference => "no difference",
        Verdict::Undecided => "undecided",
    };
    let slower = if claim.slower_on.is_empty() {
        String::new()
    } else {
        format!(", slower on {}", claim.slower_on.join(", "))
    };
    let range = format!("({})", words::interval(claim.interval, claim.ratio));
    format!(
        "{:<7} {range:<16} {verdict}{slower}: {what}",
        words::ratio(claim.ratio)
    )
}

fn ladder(evidence: &Evidence) -> String {
    let mut parts = vec![format!(
        "{} visible and {} held-out tests",
        evidence.visible_tests, evidence.held_out_tests
    )];
    let mut add = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{} {what}", words::count(number)));
        }
    };
    add(evidence.fuzzed_inputs, "fuzzed inputs");
    add(evidence.layouts, "address layouts");
    add(evidence.memory_fills, "memory contents");
    add(evidence.sanitized_runs, "sanitized runs");
    add(evidence.compared_timing_runs, "timing runs compared");
    parts.extend(evidence.proof.clone());
    let rung = evidence
        .rung
        .map(|rung| format!("rung {rung} of 4: "))
        .unwrap_or_default();
    format!("{rung}{}", parts.join(", "))
}

fn tried(report: &Report) -> String {
    let [timed, duplicates, rejected] = report.outcome_counts();
    let spent = report
        .spent("seconds")
        .map(|s| format!(" in {}", words::seconds(s)))
        .unwrap_or_default();
    let total = timed + duplicates + rejected;
    format!(
        "{total} candidate{}{spent}: {timed} timed, {duplicates} with code that was there, {rejected} rejected",
        words::plural(total)
    )
}

impl Report {
    /// The candidate of this number.
    pub fn candidate(&self, id: u32) -> Option<&super::wire::Candidate> {
        self.candidates.iter().find(|candidate| candidate.id == id)
    }

    /// What is known of a candidate's rightness.
    pub fn evidence_of(&self, candidate: u32) -> Option<&Evidence> {
        self.evidence
            .iter()
            .find(|evidence| evidence.candidate == candidate)
    }

    /// The statement of this kind.
    pub fn claim(&self, kind: ClaimKind) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.kind == kind)
    }

    /// What was spent of a resource.
    pub fn spent(&self, resource: &str) -> Option<f64> {
        self.budget
            .iter()
            .find(|spending| spending.resource == resource)
            .map(|spending| spending.spent)
    }

    /// How many candidates were timed, have code that was there already, and were rejected, the original left out.
    pub(super) fn outcome_counts(&self) -> [usize; 3] {
        let tried = || {
            self.candidates
                .iter()
                .filter(|candidate| candidate.parent.is_some())
        };
        let with = |test: fn(&Outcome) -> bool| {
            tried().filter(|candidate| test(&candidate.outcome)).count()
        };
        [
            with(|outcome| matches!(outcome, Outcome::Timed { .. })),
            with(|outcome| matches!(outcome, Outcome::Duplicate { .. })),
            with(|outcome| matches!(outcome, Outcome::Rejected { .. })),
        ]
    }
}
