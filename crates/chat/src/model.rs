//! The trait that all models share.

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest, Usage};

/// A language model. Several threads may ask it at once.
pub trait ChatModel: Send + Sync {
    /// What it is called in reports: the SPEC of `--model`, without anything secret.
    fn name(&self) -> &str;

    /// Asks it. Blocks until the reply is there, the model fails, or `control` says that it is enough.
    fn complete(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, ChatError>;

    /// What it costs; `None` if that is not known. What costs nothing (a local model) has a price of zero.
    fn price(&self) -> Option<Price>;
}

/// What tokens cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// US dollars for a million tokens of prompts.
    pub input: f64,
    /// US dollars for a million tokens of replies.
    pub output: f64,
}

impl Price {
    /// US dollars for these tokens.
    pub fn of(self, usage: Usage) -> f64 {
        (self.input * usage.input as f64 + self.output * usage.output as f64) / 1e6
    }
}
