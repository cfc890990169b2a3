//! One trait over language models: messages and tools in, a reply with tool calls, usage and cost out.
//!
//! [`open`] makes a model of what stands after `--model`. What it gives retries, waits its turn, takes keys out of all
//! texts and, for models without tool calling, spells tools out in plain text; so callers see one kind of model.

mod control;
mod error;
mod message;
mod model;

pub use control::Control;
pub use error::ChatError;
pub use message::{ChatReply, ChatRequest, Compressed, Finish, Message, Tool, ToolCall, Usage};
pub use model::{ChatModel, Price};
