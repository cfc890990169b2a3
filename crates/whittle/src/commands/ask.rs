//! `whittle ask`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anstyle::Style;
use anyhow::{Context as _, Result};
use clap::Args;
use whittle_engine::{Limits, Request};

use crate::format;
use crate::interrupt;
use crate::kept::{Picture, Region, Shown};
use crate::options::{
    ModelArguments, PromptArguments, SamplingArguments, TuningArguments, policy_parser,
    unit_interval,
};
use crate::report::{Report, seconds};
use crate::session::{Outcome, Session, UserPrompt};

/// Ask a question about images.
///
/// The answer streams to standard output; a line about cache, memory and time follows on standard error.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle ask --image receipt.png \"TOTAL?\"
  whittle ask --image a.png --image b.png \"What differs?\" --kv-budget 0.2
  echo \"INVOICE?\" | whittle ask --image receipt.png - --json
  whittle ask --image receipt.png \"TOTAL?\" --min-mass 0.95 --show-kept kept.png
  whittle ask --image receipt.png \"TOTAL?\" --policy full")]
pub(crate) struct Arguments {
    #[command(flatten)]
    prompt: PromptArguments,
    /// Write one JSON object instead of streaming
    #[arg(long)]
    json: bool,
    /// Draw the kept visual tokens over the images, layer by layer, with the budget curve
    #[arg(long, value_name = "PNG", value_parser = png_file)]
    show_kept: Option<PathBuf>,
    /// How the KV cache is compressed after the prompt is read
    #[arg(long, value_name = "NAME", default_value = "vl-cache", value_parser = policy_parser(),
          help_heading = "Compression", hide_possible_values = false)]
    policy: String,
    /// Fraction of the prompt's KV cache to keep
    #[arg(long, value_name = "ALPHA", default_value = "0.1", value_parser = unit_interval::<f64>,
          help_heading = "Compression")]
    kv_budget: f64,
    #[command(flatten)]
    tuning: TuningArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    model: ModelArguments,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    let session = Session::open(&arguments.model)?;
    let prompt = UserPrompt::read(&arguments.prompt)?;
    let choice = arguments
        .tuning
        .choice(&arguments.policy, arguments.kv_budget);
    let request = Request {
        messages: prompt.messages(),
        images: prompt.images.clone(),
        policy: choice.clone(),
        limits: Limits {
            sampling: arguments.sampling.sampling(),
            max_tokens: arguments.sampling.max_tokens,
            stop: arguments.sampling.stop.clone(),
            ignore_eos: false,
        },
    };

    let mut out = std::io::stdout().lock();
    let streaming = !arguments.json;
    let outcome = session.run(request, |piece| {
        if streaming {
            out.write_all(piece.as_bytes())
                .and_then(|()| out.flush())
                .context("cannot write the answer")?;
        }
        Ok(())
    })?;
    let report = Report::new(
        session.folder.display().to_string(),
        &prompt.question,
        &choice,
        &outcome,
    );
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)
            .context("cannot write the report")?;
    } else {
        writeln!(out).context("cannot write the answer")?;
        let faint = Style::new().dimmed();
        anstream::eprintln!("{faint}{}{faint:#}", report.summary());
    }
    if let Some(file) = &arguments.show_kept {
        show_kept(file, &prompt, &outcome, &report)?;
        if streaming {
            anstream::eprintln!("kept tokens drawn to {}", file.display());
        }
    }
    Ok(())
}

fn show_kept(file: &Path, prompt: &UserPrompt, outcome: &Outcome, report: &Report) -> Result<()> {
    let plan = &outcome.prefilled.compression.plan;
    // [layer][position]: the share of KV heads that keep the position.
    let shares: Vec<Vec<f32>> = (0..plan.layers())
        .map(|layer| {
            let mut share = vec![0.0_f32; plan.prompt_len()];
            for head in 0..plan.kv_heads() {
                for position in plan.kept(layer, head) {
                    share[*position as usize] += 1.0 / plan.kv_heads() as f32;
                }
            }
            share
        })
        .collect();
    let shown = prompt
        .images
        .iter()
        .zip(outcome.prefilled.images.iter())
        .map(|(image, place)| {
            let tokens = place.layout.tokens.iter().zip(place.tokens.clone());
            let regions = tokens.filter_map(|(token, position)| {
                let rect = token.rect?;
                Some(Region {
                    rectangle: [
                        rect.left,
                        rect.top,
                        rect.right - rect.left,
                        rect.bottom - rect.top,
                    ],
                    overview: token.region == whittle_models::image::Region::Base,
                    kept: shares.iter().map(|share| share[position]).collect(),
                })
            });
            Shown {
                image: whittle_models::image::to_rgb(image),
                regions: regions.collect(),
            }
        });
    let picture = Picture {
        title: format!("{}  ->  {}", report.question, report.answer),
        subtitle: format!(
            "{}, budget {}: {} of {} cache entries, {} of {}, prefill {}",
            report.policy.name,
            report.cache.budget_used,
            format::count(report.cache.kept_entries),
            format::count(report.cache.prompt_entries),
            format::bytes(report.cache.bytes_after),
            format::bytes(report.cache.bytes_before),
            seconds(report.times.prefill_s),
        ),
        images: shown.collect(),
        budget: report.cache.budget_used,
        kept: report.cache.kept_fraction_per_layer.clone(),
        mass: report.cache.retained_mass_per_layer.clone(),
    };
    picture
        .draw()
        .save_with_format(file, image::ImageFormat::Png)
        .with_context(|| format!("cannot write --show-kept {}", file.display()))
}

fn png_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    let png = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if png {
        Ok(file)
    } else {
        Err("must end in .png".to_owned())
    }
}
