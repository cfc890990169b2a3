//! The comparison for people.

use super::conditions::Conditions;
use super::outcome::Outcome;
use super::summary::Summary;
use crate::table::{self, Column, number, text};

/// Makes a table, for a terminal or as Markdown.
type Make = fn(&[Column], &[Vec<String>]) -> String;

/// The conditions and three tables: programs by mode, modes, proposals by mode and level.
pub(crate) fn tables(
    conditions: &Conditions,
    outcomes: &[Outcome],
    summaries: &[Summary],
    markdown: bool,
) -> String {
    let make: Make = if markdown {
        table::markdown
    } else {
        table::plain
    };
    format!(
        "{conditions}\n\n{}\n\n{}\n\n{}",
        programs(outcomes, make),
        modes(summaries, make),
        levels(summaries, make)
    )
}

fn programs(outcomes: &[Outcome], make: Make) -> String {
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let result = match (&outcome.error, outcome.interval) {
                (Some(error), _) => {
                    format!("failed: {}", error.chars().take(80).collect::<String>())
                }
                (None, Some([low, high])) => {
                    format!("{:.3}x ({low:.3} to {high:.3})", outcome.ratio)
                }
                (None, None) => "nothing faster found".to_owned(),
            };
            vec![outcome.program.clone(), outcome.mode.clone(), result]
        })
        .collect();
    make(&[text("program"), text("mode"), text("against -O3")], &rows)
}

fn modes(summaries: &[Summary], make: Make) -> String {
    let columns = [
        text("mode"),
        number("programs"),
        number("geomean"),
        number("improved"),
        number("agent calls"),
        number("requests"),
        number("tokens"),
        number("dollars"),
        number("hours"),
    ];
    let rows: Vec<Vec<String>> = summaries
        .iter()
        .map(|summary| {
            let spent = |name: &str| summary.spent.get(name).copied().unwrap_or(0.0);
            let failed = if summary.failed > 0 {
                format!(" ({} failed)", summary.failed)
            } else {
                String::new()
            };
            vec![
                summary.mode.clone(),
                format!("{}{failed}", summary.programs),
                format!("{:.3}x", summary.geomean),
                format!("{:.0} %", summary.improved * 100.0),
                format!("{:.0}", spent("agent calls")),
                format!("{:.0}", spent("model calls")),
                format!("{:.0}", spent("tokens")),
                format!("{:.2}", spent("dollars")),
                format!("{:.2}", spent("seconds") / 3600.0),
            ]
        })
        .collect();
    make(&columns, &rows)
}

fn levels(summaries: &[Summary], make: Make) -> String {
    let columns = [
        text("mode"),
        text("level"),
        number("proposals"),
        number("wrong"),
        number("unusable"),
        number("fell at once"),
        number("built"),
        number("passed tests"),
        number("held out"),
        number("proved"),
    ];
    let mut rows = Vec::new();
    for summary in summaries {
        for (level, proposals) in &summary.levels {
            let share = proposals
                .wrong_share()
                .map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
            let mut row = vec![
                summary.mode.clone(),
                level.clone(),
                proposals.all.to_string(),
                share,
                proposals.unusable.to_string(),
            ];
            row.extend(proposals.reached.iter().map(u32::to_string));
            rows.push(row);
        }
    }
    make(&columns, &rows)
}
