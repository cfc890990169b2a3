//! A reply in the making.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::message::{ChatReply, ChatRequest, Finish, ToolCall, Usage};

/// A reply in the making, put together from a stream's events or from one body.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    /// By their index in the stream.
    pub(crate) calls: BTreeMap<u64, DraftCall>,
    pub(crate) finish: Option<Finish>,
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    /// Whether the server said why it ends: nothing but usage comes after that.
    pub(crate) ended: bool,
    /// Whether the server said that this was all.
    pub(crate) complete: bool,
}

/// A tool call in the making.
#[derive(Debug, Default)]
pub(crate) struct DraftCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON, in pieces.
    pub(crate) arguments: String,
}

impl Draft {
    /// Whether nothing is missing at the end of a stream.
    pub(super) fn is_whole(&self) -> bool {
        self.complete || self.ended
    }

    pub(crate) fn into_reply(self, request: &ChatRequest) -> ChatReply {
        let bytes = |call: &DraftCall| call.name.len() + call.arguments.len();
        let written = self.text.len() + self.calls.values().map(bytes).sum::<usize>();
        let usage = Usage {
            input: self.input.unwrap_or_else(|| request.estimated_tokens()),
            output: self.output.unwrap_or((written as u64).div_ceil(3)),
            estimated: self.input.is_none() || self.output.is_none(),
        };
        let calls = self.calls.into_values().enumerate();
        let tool_calls: Vec<ToolCall> = calls
            .map(|(nth, call)| call.read(request.call_id(nth)))
            .collect();
        let finish = match self.finish.unwrap_or(Finish::Stop) {
            // Some servers say no more than that the model stopped.
            Finish::Stop | Finish::ToolCalls if !tool_calls.is_empty() => Finish::ToolCalls,
            Finish::ToolCalls => Finish::Stop,
            finish => finish,
        };
        ChatReply {
            text: self.text,
            tool_calls,
            finish,
            usage,
            cost: None,
            compressed: None,
        }
    }
}

impl DraftCall {
    fn read(self, id: String) -> ToolCall {
        let arguments = match self.arguments.trim() {
            "" => Value::Object(serde_json::Map::new()),
            text => serde_json::from_str(text).unwrap_or(Value::String(self.arguments)),
        };
        ToolCall {
            id: if self.id.is_empty() { id } else { self.id },
            name: self.name,
            arguments,
        }
    }
}
