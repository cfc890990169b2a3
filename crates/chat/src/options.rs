//! How models are opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use whittle_engine::PolicyChoice;
use whittle_kv::PolicyOptions;

use crate::backends::BackendEntry;

/// Looks environment variables up.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How models are told of tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToolStyle {
    /// As suits the backend.
    #[default]
    Auto,
    /// By the provider's own tool calling.
    Native,
    /// In plain text: described in the system message, called in fenced blocks.
    Text,
}

/// How models are opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// Where keys are looked up: the process's environment unless said otherwise.
    pub environment: Environment,
    /// How models are told of tools.
    pub tools: ToolStyle,
    /// Whether remote replies are streamed, so that a call that is ended or hangs is noticed at once.
    pub stream: bool,
    /// The longest that one try may take.
    pub limit: Duration,
    /// The longest silence of a stream.
    pub idle: Duration,
    /// How often a request is tried, at least once.
    pub tries: u32,
    /// The wait after the first try; it doubles with each further one.
    pub backoff: Duration,
    /// How many requests run at once, over all threads; at least one.
    pub concurrent: usize,
    /// How many requests are sent in a minute, over all threads.
    pub per_minute: Option<u32>,
    /// How the KV cache of models in this process is compressed.
    pub compression: PolicyChoice,
    /// A file of prices that goes before the built-in ones.
    pub prices: Option<PathBuf>,
    /// Backends of other crates, beside the [`registry`](crate::registry).
    pub backends: Vec<BackendEntry>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            environment: Arc::new(|name| std::env::var(name).ok()),
            tools: ToolStyle::Auto,
            stream: true,
            limit: Duration::from_secs(900),
            idle: Duration::from_secs(180),
            tries: 5,
            backoff: Duration::from_secs(1),
            concurrent: 8,
            per_minute: None,
            compression: compression(),
            prices: None,
            backends: Vec::new(),
        }
    }
}

/// A quarter of the cache, and more for prompts whose attention is spread so widely that less than 95% of it would stay.
fn compression() -> PolicyChoice {
    let mut choice = PolicyChoice::default();
    choice.options = PolicyOptions {
        alpha: 0.25,
        min_mass: Some(0.95),
        ..choice.options
    };
    choice
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("tools", &self.tools)
            .field("stream", &self.stream)
            .field("limit", &self.limit)
            .field("idle", &self.idle)
            .field("tries", &self.tries)
            .field("backoff", &self.backoff)
            .field("concurrent", &self.concurrent)
            .field("per_minute", &self.per_minute)
            .field("compression", &self.compression)
            .field("prices", &self.prices)
            .field("backends", &self.backends)
            .finish_non_exhaustive()
    }
}
