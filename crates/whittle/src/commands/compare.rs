//! `whittle compare`.

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use whittle_engine::{Limits, PolicyChoice, Request};

use crate::format;
use crate::interrupt;
use crate::options::{
    ModelArguments, PromptArguments, SamplingArguments, TuningArguments, policy_parser,
    unit_interval,
};
use crate::report::{Report, seconds};
use crate::session::{Session, UserPrompt};
use crate::table::{self, Column, number, text};

/// Run one prompt under several policies and budgets, side by side.
///
/// The first row is the full cache; "same" compares the generated tokens with it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle compare --image receipt.png \"TOTAL?\"
  whittle compare --image receipt.png \"TOTAL?\" --policies vl-cache,snapkv --budgets 0.05,0.1,0.2
  whittle compare --image receipt.png \"TOTAL?\" --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    prompt: PromptArguments,
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Policies to compare with the full cache [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = policy_parser(),
          help_heading = "Compression")]
    policies: Vec<String>,
    /// Fractions of the prompt's KV cache to keep
    #[arg(long, value_name = "ALPHAS", value_delimiter = ',', default_value = "0.1",
          value_parser = unit_interval::<f64>, help_heading = "Compression")]
    budgets: Vec<f64>,
    #[command(flatten)]
    tuning: TuningArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// A row of the comparison.
#[derive(Serialize, Clone, Debug)]
struct Row {
    #[serde(flatten)]
    report: Report,
    /// How many of the full cache's tokens come out the same, from the start on, and out of how many.
    same_tokens: [usize; 2],
}

/// All settings to run: the full cache first, then every policy with every budget.
pub(crate) fn settings(
    policies: &[String],
    budgets: &[f64],
    tuning: &TuningArguments,
) -> Vec<PolicyChoice> {
    let all: Vec<String> = whittle_kv::registry()
        .iter()
        .map(|entry| entry.name.to_owned())
        .collect();
    let policies = if policies.is_empty() { &all } else { policies };
    let compressed = policies.iter().filter(|policy| *policy != FULL);
    let mut settings = vec![tuning.choice(FULL, 1.0)];
    for policy in compressed {
        settings.extend(budgets.iter().map(|budget| tuning.choice(policy, *budget)));
    }
    settings
}

/// The policy that keeps everything.
pub(crate) const FULL: &str = "full";

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let session = Session::open(&arguments.model)?;
    let prompt = UserPrompt::read(&arguments.prompt)?;
    let settings = settings(&arguments.policies, &arguments.budgets, &arguments.tuning);
    let limits = Limits {
        sampling: arguments.sampling.sampling(),
        max_tokens: arguments.sampling.max_tokens,
        stop: arguments.sampling.stop.clone(),
        ignore_eos: false,
    };

    let progress = crate::commands::progress(settings.len() as u64, "settings");
    let (mut rows, mut full_ids) = (Vec::new(), Vec::new());
    for policy in settings {
        let request = Request {
            messages: prompt.messages(),
            images: prompt.images.clone(),
            policy: policy.clone(),
            limits: limits.clone(),
        };
        let outcome = session.run(request, |_| Ok(()))?;
        if rows.is_empty() {
            full_ids.clone_from(&outcome.ids);
        }
        let report = Report::new(
            session.folder.display().to_string(),
            &prompt.question,
            &policy,
            &outcome,
        );
        rows.push(Row {
            report,
            same_tokens: agreement(&full_ids, &outcome.ids),
        });
        progress.inc(1);
    }
    progress.finish_and_clear();

    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&rows).context("cannot write the report")?
        );
    } else {
        println!("{}", render(&rows));
    }
    Ok(())
}

/// The length of the common start, and the longer of the two lengths.
fn agreement(full: &[u32], other: &[u32]) -> [usize; 2] {
    let same = full.iter().zip(other).take_while(|(a, b)| a == b).count();
    [same, full.len().max(other.len())]
}

fn render(rows: &[Row]) -> String {
    const COLUMNS: [Column; 9] = [
        text("policy"),
        number("budget"),
        text("answer"),
        number("same"),
        number("kept"),
        number("cache"),
        number("mass"),
        number("prefill"),
        number("per step"),
    ];
    let cells = rows.iter().map(|row| {
        let report = &row.report;
        let [same, of] = row.same_tokens;
        vec![
            report.policy.name.clone(),
            format!("{:.3}", report.cache.budget_used),
            cut(&report.answer, 40),
            if same == of {
                "all".to_owned()
            } else {
                format!("{same} of {of}")
            },
            format::count(report.cache.kept_entries),
            format::bytes(report.cache.bytes_after),
            report
                .cache
                .retained_mass
                .map_or_else(|| "-".to_owned(), format::percent),
            seconds(report.times.prefill_s),
            report
                .times
                .decode_step_s
                .map_or_else(|| "-".to_owned(), seconds),
        ]
    });
    table::plain(&COLUMNS, &cells.collect::<Vec<_>>())
}

/// The text, cut at `most` characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn looks() {
        let row = |policy: &str, answer: &str, same| Row {
            report: example(policy, answer),
            same_tokens: same,
        };
        let rows = [
            row("full", "12.50", [4, 4]),
            row(
                "streaming",
                "1\n2 and then it goes on for too long to print",
                [1, 9],
            ),
        ];
        insta::assert_snapshot!(render(&rows));
    }

    #[test]
    fn agreement_counts_the_common_start() {
        assert_eq!(agreement(&[1, 2, 3], &[1, 2, 3]), [3, 3]);
        assert_eq!(agreement(&[1, 2, 3], &[1, 9, 3, 4]), [1, 4]);
        assert_eq!(agreement(&[1, 2, 3], &[1, 2]), [2, 3]);
    }
}
