//! One trait over language models: messages and tools in, a reply with tool calls, usage and cost out.
//!
//! [`open`] makes a model of what stands after `--model`. What it gives retries, waits its turn, takes keys out of all
//! texts and, for models without tool calling, spells tools out in plain text; so callers see one kind of model. It is
//! synchronous, for callers with threads of their own; do not call it from inside an async runtime.
//!
//! A [`Backend`] is the bare model, a file in `backends/` and a line in its [`registry`]. The wrappers around it, a file
//! each in `wrappers/`, are from the inside out: plain-text tools, redaction, limits, retries, prices.

mod backends;
mod control;
mod error;
mod http;
mod message;
mod model;
mod open;
mod options;
mod prices;
mod recording;
mod runtime;
mod secrets;
mod wrappers;

pub use backends::command::{CommandExchange, CommandReply, CommandRequest, CommandToolCall};
pub use backends::{
    Backend, BackendEntry, Failure, Opened, Opening, Pricing, ToolSupport, registry,
};
pub use control::Control;
pub use error::ChatError;
pub use message::{ChatReply, ChatRequest, Compressed, Finish, Message, Tool, ToolCall, Usage};
pub use model::{ChatModel, Price};
pub use open::open;
pub use options::{Environment, OpenOptions, ToolStyle};
pub use secrets::Secrets;
