//! Candidates in words and classes, the same in plot, tree and table.

use super::super::wire::{Candidate, Outcome, Report};

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
    report
        .winner
        .as_ref()
        .map(|winner| winner.path.as_slice())
        .filter(|path| path.len() > 1)
        .unwrap_or_default()
}
