//! What goes into the engine and what comes out.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use image::DynamicImage;
use whittle_kv::{Policy, PolicyOptions};
use whittle_models::image::ImageLayout;
use whittle_models::{Message, PrefillTimes};

use crate::{Compression, EngineError, Sampling};

/// Which policy, with which options.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyChoice {
    /// Name in [`whittle_kv::registry`].
    pub name: String,
    /// Budget and settings.
    pub options: PolicyOptions,
}

impl PolicyChoice {
    /// A policy with its default settings and the budget `alpha`.
    pub fn new(name: &str, alpha: f64) -> Self {
        Self {
            name: name.to_owned(),
            options: PolicyOptions {
                alpha,
                ..PolicyOptions::default()
            },
        }
    }

    /// Looks the policy up and checks its options.
    pub fn build(&self) -> Result<Box<dyn Policy>, EngineError> {
        Ok(whittle_kv::policy(&self.name, &self.options)?)
    }
}

impl Default for PolicyChoice {
    /// VL-Cache with a tenth of the cache.
    fn default() -> Self {
        Self {
            name: "vl-cache".to_owned(),
            options: PolicyOptions::default(),
        }
    }
}

/// How tokens are chosen and when an answer ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Longest answer in tokens, at least 1.
    pub max_tokens: usize,
    /// The answer ends before the first of these strings.
    pub stop: Vec<String>,
    /// Go on after the end-of-turn token (for measurements and comparisons).
    pub ignore_eos: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_tokens: 256,
            stop: Vec::new(),
            ignore_eos: false,
        }
    }
}

impl Limits {
    pub(crate) fn validate(&self) -> Result<(), EngineError> {
        self.sampling.validate()?;
        if self.max_tokens == 0 {
            Err(EngineError::NoTokens)
        } else {
            Ok(())
        }
    }
}

/// A conversation to be continued.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The conversation; its last turn is the user's.
    pub messages: Vec<Message>,
    /// The images that the messages name by index.
    pub images: Vec<DynamicImage>,
    /// How the cache is compressed after prefill.
    pub policy: PolicyChoice,
    /// Sampling and ends.
    pub limits: Limits,
}

/// What a request says on its way.
#[derive(Debug, Clone)]
pub enum Event {
    /// The prompt is read and the cache compressed. Comes once, first.
    Prefilled(Box<Prefilled>),
    /// A token was generated.
    Token {
        /// Its id.
        id: u32,
        /// The text that it completes: valid UTF-8, empty while a character or a possible stop string is incomplete.
        text: String,
    },
    /// The answer is complete. Comes once, last.
    Done(Done),
}

/// Where the time before the first token went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Chat template, tokens and image processing.
    pub prompt: Duration,
    /// The model's prefill in parts.
    pub model: PrefillTimes,
    /// Planning and compaction.
    pub compress: Duration,
}

impl Times {
    /// Prefill with all that compression adds to it.
    pub fn prefill(&self) -> Duration {
        self.model.total() + self.compress
    }
}

/// Where an image's tokens are: in the prompt, and in the image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlace {
    /// Positions in the prompt.
    pub tokens: Range<usize>,
    /// The part of the image that each of them stands for.
    pub layout: ImageLayout,
}

/// What prefill and compression left.
#[derive(Debug, Clone)]
pub struct Prefilled {
    /// Length of the prompt.
    pub prompt_tokens: usize,
    /// Visual tokens among them.
    pub visual_tokens: usize,
    /// Where the images' tokens are.
    pub images: Arc<[ImagePlace]>,
    /// What became of the cache.
    pub compression: Compression,
    /// Where the time went.
    pub times: Times,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn.
    Eos,
    /// A stop string appeared.
    Stop,
    /// The answer is as long as allowed.
    MaxTokens,
    /// The model has no positions left.
    MaxPositions,
    /// The caller cancelled.
    Cancelled,
}

impl FinishReason {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Stop => "stop",
            Self::MaxTokens => "max_tokens",
            Self::MaxPositions => "max_positions",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Why.
    pub reason: FinishReason,
    /// Tokens of the prompt; 0 if the request was cancelled before it was read.
    pub prompt_tokens: usize,
    /// Tokens generated, with the one that ended the turn.
    pub generated_tokens: usize,
    /// Model steps after prefill: one less than the generated tokens, as the first comes from prefill.
    pub decode_steps: usize,
    /// Time of these steps.
    pub decode_time: Duration,
}

impl Done {
    /// The mean time of a decode step; `None` if there was none.
    pub fn decode_step(&self) -> Option<Duration> {
        let steps = u32::try_from(self.decode_steps)
            .ok()
            .filter(|steps| *steps > 0)?;
        Some(self.decode_time / steps)
    }
}
