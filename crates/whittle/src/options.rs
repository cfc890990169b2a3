//! Flags that several subcommands share.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use whittle_engine::{PolicyChoice, Sampling};
use whittle_kv::{PolicyOptions, WindowReading};

/// Which model, on how many threads, in how much memory.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArguments {
    /// Hugging Face folder of the model [default: `$WHITTLE_MODEL`, else the bundled models/reader]
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) model: Option<PathBuf>,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Refuse prompts that are estimated to need more memory than this, as in 500MB or 4GB [default: what is
    /// available]
    #[arg(long, value_name = "BYTES", value_parser = byte_size)]
    pub(crate) memory_limit: Option<u64>,
}

/// What to ask about.
#[derive(Args, Clone, Debug)]
pub(crate) struct PromptArguments {
    /// The question; `-` reads it from standard input
    #[arg(value_name = "QUESTION")]
    pub(crate) question: String,
    /// An image to ask about (PNG, JPEG, WebP, BMP, GIF, PNM or TIFF); may be given several times
    #[arg(long = "image", short, value_name = "FILE", num_args = 1)]
    pub(crate) images: Vec<PathBuf>,
}

/// How policies work, apart from which one and how much it keeps.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Compression")]
pub(crate) struct TuningArguments {
    /// Keep at least this share of the question's attention mass, raising the budget of the prompt where needed
    #[arg(long, value_name = "MASS", value_parser = unit_interval::<f64>)]
    pub(crate) min_mass: Option<f64>,
    /// Attention below this share of its row's maximum counts as zero when layers are given their budgets
    #[arg(long, value_name = "P", default_value = "0.01", value_parser = filter::<f64>)]
    pub(crate) filter: f64,
    /// How many of the latest tokens every layer keeps: a tenth of the average budget, or of its own
    #[arg(long, value_enum, value_name = "READING", default_value = "shared")]
    pub(crate) window: Window,
    /// Give every layer at least this fraction of the average budget, in the policies built on VL-Cache; 0 trusts the
    /// measured sparsity alone, as the paper does
    #[arg(long, value_name = "FRACTION", default_value = "0.75", value_parser = closed_unit_interval::<f64>)]
    pub(crate) layer_floor: f64,
    /// Keep the same tokens in all KV heads of a layer
    #[arg(long)]
    pub(crate) shared_heads: bool,
    /// Follow the published method to the index, also where it misses the budget
    #[arg(long)]
    pub(crate) paper_mode: bool,
}

/// Readings of the paper's recent window.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// A tenth of the average budget
    Shared,
    /// A tenth of the layer's budget
    PerLayer,
}

impl TuningArguments {
    /// The choice of a policy with a budget and these settings.
    pub(crate) fn choice(&self, policy: &str, budget: f64) -> PolicyChoice {
        let options = PolicyOptions {
            alpha: budget,
            filter: self.filter,
            exact: !self.paper_mode,
            layer_floor: self.layer_floor,
            window: match self.window {
                Window::Shared => WindowReading::Shared,
                Window::PerLayer => WindowReading::PerLayer,
            },
            head_adaptive: !self.shared_heads,
            min_mass: self.min_mass,
            ..PolicyOptions::default()
        };
        PolicyChoice {
            name: policy.to_owned(),
            options,
        }
    }
}

/// How tokens are chosen and when to stop.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArguments {
    /// Longest answer in tokens
    #[arg(long, value_name = "N", default_value = "256", value_parser = positive)]
    pub(crate) max_tokens: usize,
    /// Divide the logits by this; 0 always takes the most likely token
    #[arg(long, value_name = "T", default_value = "0", value_parser = non_negative::<f32>)]
    pub(crate) temperature: f32,
    /// Choose among the K most likely tokens; 0 means all
    #[arg(long, value_name = "K", default_value = "0")]
    pub(crate) top_k: usize,
    /// Choose among the smallest set of tokens with this probability
    #[arg(long, value_name = "P", default_value = "1", value_parser = unit_interval::<f32>)]
    pub(crate) top_p: f32,
    /// Choose among tokens at least this fraction as likely as the most likely one
    #[arg(long, value_name = "P", default_value = "0", value_parser = closed_unit_interval::<f32>)]
    pub(crate) min_p: f32,
    /// Make tokens that occurred less likely; 1 does nothing
    #[arg(long, value_name = "R", default_value = "1", value_parser = above_zero::<f32>)]
    pub(crate) repetition_penalty: f32,
    /// Seed of the random choice
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT", num_args = 1)]
    pub(crate) stop: Vec<String>,
}

impl SamplingArguments {
    /// The engine's form of these flags.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}

/// Accepts the names of the policy registry and lists them in help.
pub(crate) fn policy_parser() -> impl clap::builder::TypedValueParser<Value = String> {
    let names = whittle_kv::registry()
        .iter()
        .map(|entry| PossibleValue::new(entry.name).help(entry.summary));
    PossibleValuesParser::new(names).map(|name| name)
}

/// What the parsers below return: `f32` or `f64`.
pub(crate) trait Number: FromStr + PartialOrd + From<f32> + Copy {}

impl Number for f32 {}
impl Number for f64 {}

/// A fraction in (0, 1], as a budget is.
pub(crate) fn unit_interval<T: Number>(text: &str) -> Result<T, String> {
    in_range(
        text,
        |value| value > 0.0.into() && value <= 1.0.into(),
        "above 0 and at most 1",
    )
}

fn closed_unit_interval<T: Number>(text: &str) -> Result<T, String> {
    in_range(
        text,
        |value| value >= 0.0.into() && value <= 1.0.into(),
        "between 0 and 1",
    )
}

fn filter<T: Number>(text: &str) -> Result<T, String> {
    in_range(
        text,
        |value| value >= 0.0.into() && value < 1.0.into(),
        "at least 0 and below 1",
    )
}

fn non_negative<T: Number>(text: &str) -> Result<T, String> {
    in_range(
        text,
        |value| value >= 0.0.into() && value < f32::INFINITY.into(),
        "at least 0",
    )
}

fn above_zero<T: Number>(text: &str) -> Result<T, String> {
    in_range(
        text,
        |value| value > 0.0.into() && value < f32::INFINITY.into(),
        "above 0",
    )
}

fn in_range<T: Number>(text: &str, ok: impl Fn(T) -> bool, range: &str) -> Result<T, String> {
    match text.parse() {
        Ok(value) if ok(value) => Ok(value),
        Ok(_) => Err(format!("must be {range}")),
        Err(_) => Err("not a number".to_owned()),
    }
}

/// A whole number above 0.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(value) => Ok(value),
        Err(error) => Err(error.to_string()),
    }
}

/// A number of bytes, with a decimal or binary unit if it has one.
fn byte_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((lower.strip_suffix(&name.to_ascii_lowercase())?, *unit)))
        .unwrap_or((&lower, 1));
    let value: f64 = digits
        .trim()
        .parse()
        .map_err(|_| "not a size, as in 500MB or 4GiB".to_owned())?;
    let bytes = value * unit as f64;
    if (0.0..=u64::MAX as f64).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err("out of range".to_owned())
    }
}

/// The name of a model's folder, for tables and reports.
pub(crate) fn model_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("12", 12),
            ("1kB", 1000),
            ("1.5 GiB", 3 << 29),
            ("500mb", 500_000_000),
            ("7B", 7),
        ] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "1e30TB", "NaN", "12 parsecs"] {
            assert!(byte_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(unit_interval("1"), Ok(1.0_f64));
        for text in ["0", "1.01", "-1", "NaN", "inf", "ten"] {
            assert!(unit_interval::<f64>(text).is_err(), "{text}");
        }
        assert!(filter::<f64>("1").is_err() && filter::<f64>("0").is_ok());
        assert!(non_negative::<f32>("inf").is_err() && positive("0").is_err());
    }
}
