//! Prompt in, tokens out.
//!
//! An [`Engine`] owns a model and a thread. [`Engine::submit`] takes a [`Request`] and gives back an [`Answer`]: a
//! stream of [`Event`]s that can be cancelled. Inside, a request becomes a [`Prompt`](whittle_models::Prompt), a
//! [`Prefix`] (full cache and attention statistics), and, once a policy's plan is applied and the dropped memory is
//! freed, a [`Sequence`] that is decoded step by step. One sequence runs at a time; the scheduler already treats them
//! as a list, so that batching changes no caller.
//!
//! `Prefix` and `Sequence` are public for what wants no thread: measuring several policies on one prefill
//! ([`Prefix::fork`]).

mod compression;
mod engine;
mod error;
pub mod memory;
mod prefix;
mod request;
mod sampling;
mod sequence;
mod stop;

pub use compression::Compression;
pub use engine::{Answer, Canceller, Engine, EngineOptions};
pub use error::EngineError;
pub use prefix::{Prefix, merge_needs};
pub use request::{
    Done, Event, FinishReason, ImagePlace, Limits, PolicyChoice, Prefilled, Request, Times,
};
pub use sampling::{Sampling, SamplingError};
pub use sequence::{Sequence, Step, step_together};
