//! The backends, one file each, and their registry.
//!
//! A backend is a bare model: one try for one request. What all of them need (retries, limits, prices, redaction,
//! plain-text tools) is in the wrappers that [`open`](crate::open) puts around it.

use std::time::Duration;

use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::model::Price;
use crate::options::OpenOptions;
use crate::secrets::Secrets;

mod anthropic;
pub(crate) mod command;
mod local;
mod openai;
mod record;
mod replay;

/// A bare model. Several threads may ask it at once.
pub trait Backend: Send + Sync {
    /// Tries once. Ends early when `control` says so.
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure>;
}

/// Why a try gave no reply.
#[derive(Debug)]
pub enum Failure {
    /// The next try may go better.
    Retry {
        /// What happened, in words.
        why: String,
        /// How long the model asks to wait.
        after: Option<Duration>,
    },
    /// No further try will help.
    Final(ChatError),
}

impl Failure {
    pub(crate) fn again(why: impl Into<String>) -> Self {
        Self::Retry {
            why: why.into(),
            after: None,
        }
    }
}

impl From<ChatError> for Failure {
    fn from(error: ChatError) -> Self {
        Self::Final(error)
    }
}

/// A line of the registry.
#[derive(Debug, Clone, Copy)]
pub struct BackendEntry {
    /// What stands before the colon.
    pub prefix: &'static str,
    /// One sentence for help texts.
    pub summary: &'static str,
    /// A SPEC, for help texts.
    pub example: &'static str,
    /// Opens a model.
    pub open: fn(&Opening<'_>) -> Result<Opened, ChatError>,
}

/// What a backend is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The whole SPEC.
    pub spec: &'a str,
    /// What stands after the first colon; never empty.
    pub rest: &'a str,
    /// The caller's options.
    pub options: &'a OpenOptions,
    /// The keys that must not get into texts.
    pub secrets: &'a Secrets,
}

impl Opening<'_> {
    /// An error about the SPEC.
    pub fn wrong(&self, why: impl Into<String>) -> ChatError {
        ChatError::Spec {
            spec: self.spec.to_owned(),
            why: why.into(),
        }
    }
}

/// A backend and what its wrappers have to know.
pub struct Opened {
    /// The backend.
    pub backend: Box<dyn Backend>,
    /// Its name in reports, without anything secret.
    pub name: String,
    /// Where its price is from.
    pub pricing: Pricing,
    /// How it takes tools.
    pub tools: ToolSupport,
    /// Whether its replies are given on as they are, without retries, limits, prices and plain-text tools: for what is
    /// no model itself.
    pub direct: bool,
}

/// Where a model's price is from.
#[derive(Debug, Clone)]
pub enum Pricing {
    /// It is known, or known to be unknown.
    Fixed(Option<Price>),
    /// The user's table, for the SPEC or this model's name.
    Table {
        /// The name.
        model: String,
        /// Whether the built-in table of providers' prices holds, too.
        published: bool,
    },
}

/// How a model takes tools, unless [`OpenOptions::tools`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolSupport {
    /// By tool calling of its own.
    Native,
    /// In plain text.
    Text,
    /// In plain text until a reply has tool calls.
    Either,
}

/// All backends. A new one is a file and a line here.
static REGISTRY: &[BackendEntry] = &[
    openai::ENTRY,
    anthropic::ENTRY,
    local::ENTRY,
    command::ENTRY,
    record::ENTRY,
    replay::ENTRY,
];

/// All backends, in the order in which to show them.
pub fn registry() -> &'static [BackendEntry] {
    REGISTRY
}
