//! What goes to a model and what comes back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "role")]
pub enum Message {
    /// What the model is for; comes first.
    System {
        /// The text.
        text: String,
    },
    /// What it is asked.
    User {
        /// The text.
        text: String,
    },
    /// What it answered.
    Assistant {
        /// The text; may be empty beside tool calls.
        text: String,
        /// The tools that it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call's [`ToolCall::id`].
        id: String,
        /// The text.
        text: String,
    },
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name: letters, digits and underscores.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON schema of its arguments, an object.
    pub parameters: serde_json::Value,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// Names the call within the conversation.
    pub id: String,
    /// The tool's name, as the model wrote it: it may be wrong.
    pub name: String,
    /// The arguments, as the model wrote them: they may be wrong.
    pub arguments: serde_json::Value,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// Names the call within its run, such as `source/turn 3/sample 1/round 2`: a recording is replayed by it, as prompts
    /// hold measured times. Empty if the call has no name. It is not sent to remote models.
    #[serde(default)]
    pub label: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Most tokens of the reply.
    pub max_tokens: u32,
    /// Sampling temperature; `None` is the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Seed of the sampling, where the model takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatReply {
    /// The text.
    pub text: String,
    /// The tools that it calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
    /// US dollars, if the model's price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What KV compression kept of the prompt, for this project's own engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Compressed>,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It calls tools and waits for them.
    ToolCalls,
    /// It reached [`ChatRequest::max_tokens`].
    Length,
    /// It refused, or the provider's filter did.
    Refused,
}

/// Tokens of a request and its reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the reply.
    pub output: u64,
    /// Whether they were estimated, as the model did not say.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// Prompt and reply.
    pub fn total(self) -> u64 {
        self.input + self.output
    }
}

/// What KV compression did with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compressed {
    /// Tokens of the prompt.
    pub tokens: u64,
    /// Tokens kept, averaged over layers and heads.
    pub kept_tokens: f64,
    /// Bytes of the full cache.
    pub bytes: u64,
    /// Bytes kept.
    pub kept_bytes: u64,
}

impl ChatRequest {
    /// The identifier of the next tool call, for models that give none: unlike all calls so far.
    pub(crate) fn call_id(&self, nth: usize) -> String {
        let calls = self.messages.iter().map(|message| match message {
            Message::Assistant { tool_calls, .. } => tool_calls.len(),
            _ => 0,
        });
        format!("call_{}", calls.sum::<usize>() + nth + 1)
    }

    /// Tokens of the prompt, as a rough upper estimate: a token for three bytes.
    pub fn estimated_tokens(&self) -> u64 {
        let text = |message: &Message| match message {
            Message::System { text }
            | Message::User { text }
            | Message::ToolResult { text, .. } => text.len(),
            Message::Assistant { text, tool_calls } => {
                let calls = tool_calls.iter();
                text.len()
                    + calls
                        .map(|call| call.arguments.to_string().len() + 32)
                        .sum::<usize>()
            }
        };
        let tool = |tool: &Tool| {
            tool.description.len() + tool.parameters.to_string().len() + tool.name.len()
        };
        let bytes = self.messages.iter().map(text).sum::<usize>()
            + self.tools.iter().map(tool).sum::<usize>();
        (bytes as u64).div_ceil(3) + 8 * self.messages.len() as u64
    }
}
