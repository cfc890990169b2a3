//! The flags about language models, and what they mean for a run.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use whittle_chat::{ChatModel, OpenOptions, ToolStyle};
use whittle_engine::PolicyChoice;
use whittle_optimizer::agents::{self, AgentOptions};
use whittle_optimizer::budget::{Budget, Resource};
use whittle_optimizer::candidate::Level;
use whittle_optimizer::guides;
use whittle_optimizer::session::{EvidenceScope, ModelUse, TestingUse};

use crate::options::{policy_parser, positive, unit_interval};

/// Rounds of feedback and samples, unless the user says otherwise: feedback beats wider sampling in the paper.
const ROUNDS: usize = 4;
const SAMPLES: usize = 1;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Language model")]
pub(crate) struct ModelArguments {
    /// A language model joins in: rewrites source, IR and assembly, writes tests, guides the search. openai:MODEL[@URL],
    /// anthropic:MODEL, local:FOLDER, command:CMD, record:FILE+SPEC or replay:FILE; docs/optimizer.md explains each
    #[arg(long, value_name = "SPEC")]
    pub(crate) model: Option<String>,
    /// The system of arXiv 2604.04238 and nothing else: B calls of level agents with N samples and K rounds of feedback, a
    /// model as guide and as tester, tests as the only evidence
    #[arg(long, num_args = 3, value_names = ["B", "N", "K"], value_parser = positive, requires = "model",
          conflicts_with_all = ["calls", "samples", "rounds"])]
    pub(crate) paper: Option<Vec<usize>>,
    /// Only agents of this level
    #[arg(long, value_name = "LEVEL")]
    pub(crate) only: Option<OnlyLevel>,
    /// Answers that an agent asks for at the same time [default: 1]
    #[arg(long, value_name = "N", value_parser = positive, requires = "model")]
    samples: Option<usize>,
    /// Rounds of feedback that an answer gets: errors, failing tests and times go back [default: 4]
    #[arg(long, value_name = "K", value_parser = positive, requires = "model")]
    rounds: Option<usize>,
    /// Inputs that the testing agent writes to check results
    #[arg(long, value_name = "C", default_value = "10", value_parser = positive)]
    correctness_inputs: usize,
    /// Inputs that it writes to measure time
    #[arg(long, value_name = "L", default_value = "5", value_parser = positive)]
    large_inputs: usize,
    /// No testing agent: inputs are made here
    #[arg(long)]
    no_testing_agent: bool,
    /// Most tokens of a reply
    #[arg(long, value_name = "N", default_value = "8192", value_parser = positive)]
    max_reply_tokens: usize,
    /// Sampling temperature [default: the model's own]
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// How the model is told of tools
    #[arg(long, value_name = "HOW", default_value = "auto")]
    model_tools: Tools,
    /// How the KV cache of a local: model is compressed after a prompt is read [default: vl-cache]
    #[arg(long, value_name = "NAME", value_parser = policy_parser(), hide_possible_values = true)]
    policy: Option<String>,
    /// Fraction of a prompt's KV cache to keep [default: 0.25, or more where less than 95 % of the attention would stay]
    #[arg(long, value_name = "ALPHA", value_parser = unit_interval::<f64>)]
    kv_budget: Option<f64>,
    /// Share of the attention that has to stay, whatever the fraction
    #[arg(long, value_name = "MASS", value_parser = unit_interval::<f64>)]
    min_mass: Option<f64>,
    /// Wait for whole replies instead of streaming them
    #[arg(long)]
    no_stream: bool,
    /// Most requests at the same time
    #[arg(long, value_name = "N", default_value = "8", value_parser = positive)]
    model_parallel: usize,
    /// Most requests in a minute
    #[arg(long, value_name = "N", value_parser = positive)]
    model_per_minute: Option<usize>,
    /// File of prices that goes before the built-in table
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

/// What may be spent on a model.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Budget")]
pub(crate) struct ModelBudget {
    /// Most turns of agents that ask the model
    #[arg(long = "budget-calls", value_name = "B", value_parser = positive)]
    calls: Option<usize>,
    /// Most requests to the model
    #[arg(long = "budget-requests", value_name = "N", value_parser = positive)]
    requests: Option<usize>,
    /// Most tokens of requests and replies
    #[arg(long = "budget-tokens", value_name = "N", value_parser = positive)]
    tokens: Option<usize>,
    /// Most US dollars; the model's price must be known
    #[arg(long = "budget-usd", value_name = "USD", value_parser = money)]
    dollars: Option<f64>,
}

/// A level as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnlyLevel {
    /// C
    Source,
    /// LLVM IR
    Ir,
    /// Assembly
    #[value(alias = "assembly")]
    Asm,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tools {
    /// As suits the model
    Auto,
    /// The provider's tool calling
    Native,
    /// Plain text
    Text,
}

impl OnlyLevel {
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Source => Level::Source,
            Self::Ir => Level::Ir,
            Self::Asm => Level::Assembly,
        }
    }
}

impl ModelArguments {
    /// Opens the model of this SPEC.
    pub(crate) fn open(&self, spec: &str) -> Result<Arc<dyn ChatModel>> {
        let options = OpenOptions {
            tools: match self.model_tools {
                Tools::Auto => ToolStyle::Auto,
                Tools::Native => ToolStyle::Native,
                Tools::Text => ToolStyle::Text,
            },
            stream: !self.no_stream,
            concurrent: self.model_parallel,
            per_minute: self.model_per_minute.map(|n| n as u32),
            compression: self.compression(),
            prices: self.prices.clone(),
            ..OpenOptions::default()
        };
        Ok(Arc::from(whittle_chat::open(spec, &options)?))
    }

    /// What is kept of the KV cache of a model in this process.
    fn compression(&self) -> PolicyChoice {
        let mut choice = OpenOptions::default().compression;
        if let Some(name) = &self.policy {
            choice.name.clone_from(name);
        }
        if let Some(budget) = self.kv_budget {
            choice.options.alpha = budget;
            choice.options.min_mass = None;
        }
        choice.options.min_mass = self.min_mass.or(choice.options.min_mass);
        choice
    }

    /// How the run uses the model.
    pub(crate) fn usage(&self, model: &dyn ChatModel) -> ModelUse {
        let [_, samples, rounds] = self.paper().unwrap_or([
            0,
            self.samples.unwrap_or(SAMPLES),
            self.rounds.unwrap_or(ROUNDS),
        ]);
        ModelUse {
            spec: model.name().to_owned(),
            samples: samples as u32,
            rounds: rounds as u32,
            testing: (!self.no_testing_agent).then_some(TestingUse {
                correctness: self.correctness_inputs as u32,
                large: self.large_inputs as u32,
            }),
            max_tokens: self.max_reply_tokens as u32,
            temperature: self.temperature,
            evidence: if self.paper.is_some() {
                EvidenceScope::Tests
            } else {
                EvidenceScope::Full
            },
        }
    }

    /// b, n and k.
    pub(crate) fn paper(&self) -> Option<[usize; 3]> {
        self.paper
            .as_deref()
            .and_then(|numbers| numbers.try_into().ok())
    }

    /// The names of the agents that take part, unless the user named some.
    pub(crate) fn agents(&self) -> Vec<String> {
        let options = AgentOptions { host: true };
        agents::registry()
            .iter()
            .filter(|entry| !entry.needs_model || self.model.is_some())
            .filter(|entry| entry.needs_model || self.paper.is_none())
            .filter(|entry| {
                let level = self.only.map(OnlyLevel::level);
                level.is_none_or(|level| (entry.build)(&options).level() == level)
            })
            .map(|entry| entry.name.to_owned())
            .collect()
    }

    /// The guide, unless the user named one.
    pub(crate) fn guide(&self) -> &'static str {
        guides::usual(self.model.is_some())
    }
}

impl ModelBudget {
    /// The budget with the limits of these flags.
    pub(crate) fn limit(&self, budget: Budget, paper: Option<[usize; 3]>) -> Budget {
        let calls = self.calls.or(paper.map(|[calls, ..]| calls));
        budget.with_those([
            (Resource::AgentCalls, calls.map(|n| n as f64)),
            (Resource::ModelCalls, self.requests.map(|n| n as f64)),
            (Resource::Tokens, self.tokens.map(|n| n as f64)),
            (Resource::Dollars, self.dollars),
        ])
    }
}

/// The names of agents.
pub(crate) fn agent_parser() -> impl clap::builder::TypedValueParser<Value = String> {
    let names = agents::registry()
        .iter()
        .map(|entry| PossibleValue::new(entry.name).help(entry.summary));
    PossibleValuesParser::new(names).map(|name| name)
}

/// The names of guides.
pub(crate) fn guide_parser() -> impl clap::builder::TypedValueParser<Value = String> {
    let names = guides::registry().iter().map(|entry| {
        let value = PossibleValue::new(entry.name).help(entry.summary);
        if entry.name == "thompson" {
            value.alias("bandit")
        } else {
            value
        }
    });
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        "bandit" => "thompson".to_owned(),
        _ => name,
    })
}

fn money(text: &str) -> Result<f64, String> {
    match text.trim_start_matches('$').parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount.is_finite() => Ok(amount),
        _ => Err("not an amount of money, as in 2 or 0.50".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        model: ModelArguments,
        #[command(flatten)]
        budget: ModelBudget,
    }

    #[test]
    fn a_budget_for_the_cache_is_kept_unless_some_attention_has_to_stay() {
        let chosen = |arguments: &[&str]| {
            let arguments = std::iter::once("whittle").chain(arguments.iter().copied());
            let flags = Flags::parse_from(arguments);
            assert!(flags.budget.calls.is_none());
            let choice = flags.model.compression();
            (choice.name, choice.options.alpha, choice.options.min_mass)
        };
        let name = || "vl-cache".to_owned();
        assert_eq!(chosen(&[]), (name(), 0.25, Some(0.95)));
        assert_eq!(chosen(&["--kv-budget", "0.1"]), (name(), 0.1, None));
        let both = ["--kv-budget", "0.1", "--min-mass", "0.9"];
        assert_eq!(chosen(&both), (name(), 0.1, Some(0.9)));
        assert_eq!(
            chosen(&["--policy", "full"]),
            ("full".to_owned(), 0.25, Some(0.95))
        );
    }
}
