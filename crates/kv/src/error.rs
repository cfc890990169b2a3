//! Everything that can go wrong, with the place where it did.

use std::ops::Range;

/// A policy's options or the statistics given to it are unusable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The budget is not a fraction of the prompt.
    #[error("the KV budget alpha must be above 0 and at most 1, not {0}")]
    Budget(f64),
    /// The threshold filter is not below the row maximum.
    #[error("the threshold filter p must be at least 0 and below 1, not {0}")]
    Filter(f64),
    /// The layer floor is not a fraction.
    #[error(
        "the least share of the average budget per layer must be at least 0 and at most 1, not {0}"
    )]
    LayerFloor(f64),
    /// The quality floor is not a share of the attention mass.
    #[error("the floor of retained attention mass must be above 0 and at most 1, not {0}")]
    MinMass(f64),
    /// Another option has an unusable value.
    #[error("{option} must be {expected}, not {value}")]
    Option {
        /// Name of the field of [`crate::PolicyOptions`].
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        value: usize,
    },
    /// No policy has this name.
    #[error("there is no policy named {name:?}; known are {known}")]
    UnknownPolicy {
        /// The name asked for.
        name: String,
        /// The registry's names, separated by commas.
        known: String,
    },
    /// There is nothing to keep.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// Positions are stored in 32 bits.
    #[error("a prompt of {0} tokens is longer than 2^32 - 1")]
    PromptTooLong(usize),
    /// A visual span is empty, out of order or outside the prompt.
    #[error("visual span {}..{} is empty, overlaps the one before or leaves the prompt of {len} tokens", span.start, span.end)]
    VisualSpan {
        /// The span.
        span: Range<usize>,
        /// Prompt length in tokens.
        len: usize,
    },
    /// More rows are scored than the prompt has (tau > m).
    #[error("{rows} query rows are scored but the prompt has only {len} tokens")]
    TooManyRows {
        /// Scored rows.
        rows: usize,
        /// Prompt length in tokens.
        len: usize,
    },
    /// Statistics of another number of rows than the policy asked for, for example of the last chunk only.
    #[error("layer {layer}: {what} cover {found} query rows, {expected} are needed")]
    Rows {
        /// Layer, from 0.
        layer: usize,
        /// Which statistics.
        what: &'static str,
        /// Rows that the policy asked for.
        expected: usize,
        /// Rows that the statistics cover.
        found: usize,
    },
    /// Arrays whose lengths do not fit each other.
    #[error("{what}: {found} instead of {expected}")]
    Shape {
        /// What was counted.
        what: String,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Statistics that the policy needs were not collected.
    #[error("layer {layer}: no {what} were collected")]
    Missing {
        /// Layer, from 0.
        layer: usize,
        /// Which statistics.
        what: &'static str,
    },
    /// A score is NaN, infinite or negative: the attention itself was broken.
    #[error(
        "layer {layer}, KV head {kv_head}, position {position}: the attention score is {value}"
    )]
    Score {
        /// Layer, from 0.
        layer: usize,
        /// KV head, from 0.
        kv_head: usize,
        /// Position in the prompt, from 0.
        position: usize,
        /// The score.
        value: f32,
    },
    /// A layer whose scores are all zero; softmax rows sum to one, so this is not attention.
    #[error("layer {0}: all attention scores are zero")]
    NoAttention(usize),
    /// More entries pass the threshold than a query head has.
    #[error(
        "layer {layer}, query head {head}: {passing} of {entries} attention entries pass the threshold"
    )]
    Passing {
        /// Layer, from 0.
        layer: usize,
        /// Query head, from 0.
        head: usize,
        /// Entries that pass.
        passing: u64,
        /// Causally visible entries.
        entries: u64,
    },
    /// No entry of any layer passes the threshold: the budget of a layer would be 0 / 0.
    #[error(
        "every layer is fully sparse: no attention entry passes the threshold, so the budget cannot be shared out"
    )]
    FullySparse,
    /// Kept positions that are empty, not ascending or outside the prompt.
    #[error(
        "layer {layer}, KV head {kv_head}: kept positions must be ascending, below {len} and at least one"
    )]
    Positions {
        /// Layer, from 0.
        layer: usize,
        /// KV head, from 0.
        kv_head: usize,
        /// Prompt length in tokens.
        len: usize,
    },
}

/// The cache cannot do what was asked. It is left as it was, except after [`CacheError::OutOfMemory`] and
/// [`CacheError::Limit`] during [`crate::KvCache::apply`], where every layer is either compacted or untouched.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A shape without layers, heads or dimensions, or one whose sizes overflow.
    #[error(
        "no cache can have {layers} layers of {kv_heads} KV heads ({query_heads} query heads) of {head_dim} dimensions"
    )]
    Shape {
        /// Layers.
        layers: usize,
        /// Query heads.
        query_heads: usize,
        /// KV heads.
        kv_heads: usize,
        /// Dimensions of a head.
        head_dim: usize,
    },
    /// There is no such layer.
    #[error("layer {layer} does not exist, the cache has {layers}")]
    Layer {
        /// The layer asked for.
        layer: usize,
        /// Layers of the cache.
        layers: usize,
    },
    /// Keys or values of the wrong length.
    #[error(
        "layer {layer}: {found} {what} values were given for {rows} rows, {expected} are needed"
    )]
    Rows {
        /// Layer, from 0.
        layer: usize,
        /// `key` or `value`.
        what: &'static str,
        /// Rows to append.
        rows: usize,
        /// Values that so many rows have.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A plan for another model or prompt.
    #[error("the plan has {found} {what}, the cache {expected}")]
    Plan {
        /// What was counted.
        what: &'static str,
        /// How many the cache has.
        expected: usize,
        /// How many the plan has.
        found: usize,
    },
    /// The plan keeps a position that was evicted before.
    #[error("layer {layer}, KV head {kv_head}: position {position} is no longer in the cache")]
    Evicted {
        /// Layer, from 0.
        layer: usize,
        /// KV head, from 0.
        kv_head: usize,
        /// Logical position.
        position: u32,
    },
    /// Truncation into the compressed prompt, of which only parts are left.
    #[error("cannot go back to {len} tokens: the first {compressed} were compressed")]
    Compressed {
        /// Length asked for.
        len: usize,
        /// Tokens covered by the plan that was applied.
        compressed: usize,
    },
    /// Positions are stored in 32 bits.
    #[error("the cache cannot hold more than 2^32 - 1 tokens")]
    TooLong,
    /// The operating system has no memory left.
    #[error("no memory for {bytes} bytes of KV cache: {source}")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The pool's limit is reached.
    #[error("{bytes} bytes of KV cache do not fit: {used} of {limit} bytes are in use")]
    Limit {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes in use.
        used: usize,
        /// The pool's limit.
        limit: usize,
    },
}
