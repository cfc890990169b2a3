//! Tools for models that know none: described, called and answered in plain text.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::backends::{Backend, Failure};
use crate::control::Control;
use crate::message::{ChatReply, ChatRequest, Finish, Message, Tool, ToolCall};

mod parse;

const ALL: &str = include_str!("../../prompts/text-tools.md");
const ONE: &str = include_str!("../../prompts/text-tool.md");
const RESULT: &str = include_str!("../../prompts/text-result.md");

/// Turns tools into text and text into tool calls.
pub(super) struct TextTools {
    inner: Box<dyn Backend>,
    /// Whether the model may turn out to know tools.
    either: bool,
    native: AtomicBool,
}

impl TextTools {
    /// With `either` the model is told in both ways until it has shown that it knows tools itself.
    pub(super) fn new(inner: Box<dyn Backend>, either: bool) -> Self {
        Self {
            inner,
            either,
            native: AtomicBool::new(false),
        }
    }
}

impl Backend for TextTools {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        if self.native.load(Ordering::Relaxed) {
            return self.inner.ask(request, control);
        }
        let mut plain = spell_out(request);
        if self.either {
            plain.tools.clone_from(&request.tools);
        }
        let mut reply = self.inner.ask(&plain, control)?;
        if !reply.tool_calls.is_empty() {
            self.native.store(self.either, Ordering::Relaxed);
        } else if !request.tools.is_empty() {
            read_calls(&mut reply, request);
        }
        Ok(reply)
    }
}

/// The request without tools and tool results: in their place is text.
fn spell_out(request: &ChatRequest) -> ChatRequest {
    let mut messages: Vec<Message> = Vec::new();
    if !request.tools.is_empty() {
        let tools: Vec<String> = request.tools.iter().map(describe).collect();
        let text = ALL
            .replacen("{tools}", &tools.join("\n"), 1)
            .trim_end()
            .to_owned();
        messages.push(Message::System { text });
    }
    for message in &request.messages {
        match (message, messages.last_mut()) {
            (Message::System { text }, Some(Message::System { text: tools })) => {
                *tools = format!("{text}\n\n{tools}");
            }
            (Message::Assistant { text, tool_calls }, _) => {
                let blocks = tool_calls.iter().map(fence);
                let parts = std::iter::once(text.clone()).chain(blocks);
                let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
                messages.push(Message::Assistant {
                    text: parts.join("\n\n"),
                    tool_calls: Vec::new(),
                });
            }
            (Message::ToolResult { id, text }, last) => {
                let text = result(request, id, text);
                // Several results are one message, as many chat templates want roles to alternate.
                match last {
                    Some(Message::User { text: before }) => *before = format!("{before}\n\n{text}"),
                    _ => messages.push(Message::User { text }),
                }
            }
            (Message::User { text }, Some(Message::User { text: before })) => {
                *before = format!("{before}\n\n{text}");
            }
            (message, _) => messages.push(message.clone()),
        }
    }
    ChatRequest {
        messages,
        tools: Vec::new(),
        ..request.clone()
    }
}

fn describe(tool: &Tool) -> String {
    ONE.replacen("{name}", &tool.name, 1)
        .replacen("{parameters}", &tool.parameters.to_string(), 1)
        .replacen("{description}", &tool.description, 1)
}

fn fence(call: &ToolCall) -> String {
    let call = serde_json::json!({"name": call.name, "arguments": call.arguments});
    format!("```tool\n{call}\n```")
}

fn result(request: &ChatRequest, id: &str, text: &str) -> String {
    let calls = request
        .messages
        .iter()
        .rev()
        .filter_map(|message| match message {
            Message::Assistant { tool_calls, .. } => Some(tool_calls),
            _ => None,
        });
    let name = calls
        .flatten()
        .find(|call| call.id == id)
        .map_or("a tool", |call| call.name.as_str());
    RESULT
        .trim_end()
        .replacen("{name}", name, 1)
        .replacen("{id}", id, 1)
        .replacen("{text}", text, 1)
}

fn read_calls(reply: &mut ChatReply, request: &ChatRequest) {
    let known = |name: &str| request.tools.iter().any(|tool| tool.name == name);
    let parsed = parse::calls(&reply.text, &known);
    if parsed.calls.is_empty() {
        return;
    }
    reply.text = parsed.text;
    let calls = parsed.calls.into_iter().enumerate();
    reply.tool_calls = calls
        .map(|(nth, (name, arguments))| ToolCall {
            id: request.call_id(nth),
            name,
            arguments,
        })
        .collect();
    if reply.finish == Finish::Stop {
        reply.finish = Finish::ToolCalls;
    }
}
