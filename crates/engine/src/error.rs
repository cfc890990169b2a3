//! Everything that can go wrong with a request.

use whittle_kv::{CacheError, PlanError};
use whittle_models::ModelError;

use crate::SamplingError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model, its tokenizer or its image processing.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The policy, its options or the statistics it was given.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The KV cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A sampling option, or logits that no token can be chosen from.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The request asks for no tokens.
    #[error("max-tokens must be at least 1")]
    NoTokens,
    /// The prompt would need more memory than there is; checked before prefill.
    #[error(
        "too little memory: a prompt of {prompt_tokens} tokens needs about {needed} bytes, {available} are available"
    )]
    TooLittleMemory {
        /// Length of the prompt.
        prompt_tokens: usize,
        /// Estimated bytes of the prefill's peak.
        needed: u64,
        /// Bytes available, or the limit that was set.
        available: u64,
    },
    /// The operating system gives no thread.
    #[error("cannot start the engine's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The engine's thread is gone; a bug in the model code.
    #[error("the engine stopped unexpectedly")]
    Stopped,
}
