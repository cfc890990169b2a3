//! What a run with a language model will ask for at most, before it starts.

use std::fmt;

use serde::{Deserialize, Serialize};
use whittle_chat::{ChatModel, Price};

use crate::agents;
use crate::budget::Resource;
use crate::guides;
use crate::program::Program;
use crate::session::RunOptions;

/// Tokens of a prompt's fixed part, and of a program's byte, roughly.
const FIXED_TOKENS: f64 = 900.0;
const TOKENS_PER_BYTE: f64 = 1.0 / 3.0;
/// A listing of a function in IR or assembly is about this many times as long as the C that it comes from.
const LISTING: f64 = 3.0;
/// Tokens of a usual reply, and of the feedback to it.
const REPLY_TOKENS: f64 = 900.0;
const FEEDBACK_TOKENS: f64 = 300.0;
/// A decision of a guide that is a model: what it sees, and what it answers.
const DECISION: [f64; 2] = [2500.0, 200.0];
/// Decisions of the guide for a turn of an agent: lowering and looking come between.
const DECISIONS_PER_TURN: f64 = 2.0;
/// Answers of the testing agent.
const TESTING_ROUNDS: f64 = 3.0;
/// Turns that are assumed where nothing limits them.
const USUAL_TURNS: f64 = 20.0;

/// What a run may ask for: if every turn uses all its samples and rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Turns of level agents.
    pub agent_calls: f64,
    /// Requests to the model.
    pub model_calls: f64,
    /// Tokens of prompts.
    pub input_tokens: f64,
    /// Tokens of replies.
    pub output_tokens: f64,
    /// What that costs in US dollars; `None` if the price is not known.
    pub dollars: Option<f64>,
    /// Whether a limit of the budget ends the run before that.
    pub limited: bool,
}

/// Estimates what a run will ask of its model.
pub fn estimate(program: &Program, options: &RunOptions, model: &dyn ChatModel) -> Estimate {
    let Some(using) = &options.model else {
        return Estimate::default();
    };
    let bytes: usize = program.units.iter().map(|unit| unit.text.len()).sum();
    let text = bytes as f64 * TOKENS_PER_BYTE;
    let level_agents = agents::registry()
        .iter()
        .filter(|entry| entry.needs_model && options.agents.iter().any(|name| name == entry.name));
    let turns = match (
        level_agents.count(),
        options.budget.limit(Resource::AgentCalls),
    ) {
        (0, _) => 0.0,
        (_, Some(limit)) => limit,
        (_, None) => USUAL_TURNS,
    };
    let (samples, rounds) = (f64::from(using.samples), f64::from(using.rounds));
    let mut found = Estimate {
        agent_calls: turns,
        ..Estimate::default()
    };
    let mut add = |calls: f64, input: f64, output: f64| {
        found.model_calls += calls;
        found.input_tokens += calls * input;
        found.output_tokens += calls * output;
    };
    // Each round sees the rounds before it.
    let earlier = (rounds - 1.0) / 2.0 * (REPLY_TOKENS + FEEDBACK_TOKENS);
    add(
        turns * samples * rounds,
        FIXED_TOKENS + LISTING * text + earlier,
        REPLY_TOKENS,
    );
    let is_model = guides::registry()
        .iter()
        .any(|entry| entry.needs_model && entry.name == options.guide);
    if is_model {
        add(turns * DECISIONS_PER_TURN + 1.0, DECISION[0], DECISION[1]);
    }
    if using.testing.is_some() {
        add(
            TESTING_ROUNDS,
            FIXED_TOKENS + text + REPLY_TOKENS,
            2.0 * REPLY_TOKENS,
        );
    }
    found.dollars = model.price().map(|price| found.cost(price));
    found.limited = [
        (Resource::ModelCalls, Some(found.model_calls)),
        (
            Resource::Tokens,
            Some(found.input_tokens + found.output_tokens),
        ),
        (Resource::Dollars, found.dollars),
    ]
    .into_iter()
    .any(|(resource, wanted)| {
        options.budget.limit(resource) < wanted && options.budget.limit(resource).is_some()
    });
    found
}

impl Estimate {
    fn cost(&self, price: Price) -> f64 {
        (self.input_tokens * price.input + self.output_tokens * price.output) / 1e6
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at most about {:.0} agent calls, {:.0} requests, {:.0} thousand tokens in and {:.0} thousand out",
            self.agent_calls,
            self.model_calls,
            self.input_tokens / 1e3,
            self.output_tokens / 1e3
        )?;
        match self.dollars {
            Some(dollars) => write!(f, ", {dollars:.2} US dollars")?,
            None => write!(f, "; the price of the model is not known")?,
        }
        if self.limited {
            write!(f, "; the budget ends it before that")?;
        }
        Ok(())
    }
}
