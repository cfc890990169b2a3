//! `anthropic:MODEL[@URL]`: Anthropic's messages.

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::{BackendEntry, Opened, Opening, Pricing, ToolSupport};
use crate::error::ChatError;
use crate::http::{Address, Dialect, Draft, Endpoint, Fault, key, secret};
use crate::message::{ChatRequest, Finish, Message, Tool, ToolCall};
use crate::secrets::ANTHROPIC_KEY;

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "anthropic",
    summary: "a model of Anthropic (key in ANTHROPIC_API_KEY) or, with a URL, of a server that speaks its messages (key, if \
              it wants one, in WHITTLE_ENDPOINT_KEY)",
    example: "anthropic:claude-sonnet-5",
    open,
};

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    let address = Address::parse(opening)?;
    let url = address.target("https://api.anthropic.com/v1", "/messages")?;
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    if let Some(key) = key(opening, &address, ANTHROPIC_KEY)? {
        headers.insert("x-api-key", secret(opening, &key)?);
    }
    let dialect = Messages {
        model: address.model.clone(),
    };
    Ok(Opened {
        backend: Box::new(Endpoint::new(opening, dialect, url, headers)?),
        name: opening.spec.to_owned(),
        pricing: Pricing::Table {
            published: address.url.is_none(),
            model: address.model,
        },
        tools: ToolSupport::Native,
        direct: false,
    })
}

struct Messages {
    model: String,
}

impl Dialect for Messages {
    fn body(&self, request: &ChatRequest, stream: bool) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert("max_tokens".into(), json!(request.max_tokens));
        let system = request.messages.iter().filter_map(|message| match message {
            Message::System { text } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        });
        let system: Vec<&str> = system.collect();
        if !system.is_empty() {
            body.insert("system".into(), json!(system.join("\n\n")));
        }
        body.insert("messages".into(), turns(&request.messages));
        if !request.tools.is_empty() {
            body.insert("tools".into(), request.tools.iter().map(tool).collect());
        }
        if let Some(temperature) = request.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        if stream {
            body.insert("stream".into(), json!(true));
        }
        Value::Object(body)
    }

    fn reply(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault> {
        let Some(blocks) = value.get("content").and_then(Value::as_array) else {
            return Err(Fault::Unreadable(format!("there is no content in {value}")));
        };
        for (index, block) in blocks.iter().enumerate() {
            begin_block(index as u64, block, draft);
        }
        read_finish(value, draft);
        read_usage(value, draft);
        Ok(())
    }

    fn event(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault> {
        let index = value
            .get("index")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let part = |name: &str| value.get(name).unwrap_or(&Value::Null);
        match value
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
        {
            "message_start" => read_usage(part("message"), draft),
            "content_block_start" => begin_block(index, part("content_block"), draft),
            "content_block_delta" => extend_block(index, part("delta"), draft),
            "message_delta" => {
                read_finish(part("delta"), draft);
                read_usage(value, draft);
            }
            "message_stop" => draft.complete = true,
            // Pings, ends of blocks, and what is still to be invented.
            _ => {}
        }
        Ok(())
    }
}

/// The conversation without its system message. Roles must alternate, so neighbours of one role become one message.
fn turns(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::System { .. } => continue,
            Message::User { text } => ("user", text_block(text)),
            Message::ToolResult { id, text } => {
                let result = json!({"type": "tool_result", "tool_use_id": id, "content": text});
                ("user", vec![result])
            }
            Message::Assistant { text, tool_calls } => {
                let mut blocks = text_block(text.trim_end());
                blocks.extend(tool_calls.iter().map(call));
                ("assistant", blocks)
            }
        };
        match turns.last_mut() {
            Some((last, content)) if *last == role => content.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter();
    turns
        .map(|(role, content)| json!({"role": role, "content": content}))
        .collect()
}

/// Empty text blocks are refused.
fn text_block(text: &str) -> Vec<Value> {
    let block = json!({"type": "text", "text": text});
    if text.trim().is_empty() {
        Vec::new()
    } else {
        vec![block]
    }
}

fn call(call: &ToolCall) -> Value {
    let input = if call.arguments.is_object() {
        call.arguments.clone()
    } else {
        // Nothing else is taken; what could not be read goes back under a name.
        json!({"arguments": call.arguments})
    };
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

fn tool(tool: &Tool) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
}

fn begin_block(index: u64, block: &Value, draft: &mut Draft) {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "text" => draft.text.push_str(text("text")),
        "tool_use" => {
            let call = draft.calls.entry(index).or_default();
            text("id").clone_into(&mut call.id);
            text("name").clone_into(&mut call.name);
            // In a stream it begins empty and comes in pieces.
            let input = block.get("input").and_then(Value::as_object);
            if let Some(input) = input.filter(|input| !input.is_empty()) {
                call.arguments = Value::Object(input.clone()).to_string();
            }
        }
        _ => {}
    }
}

fn extend_block(index: u64, delta: &Value, draft: &mut Draft) {
    let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
    draft.text.push_str(text("text"));
    if let Some(call) = draft.calls.get_mut(&index) {
        call.arguments.push_str(text("partial_json"));
    }
}

fn read_finish(value: &Value, draft: &mut Draft) {
    let Some(reason) = value.get("stop_reason").and_then(Value::as_str) else {
        return;
    };
    draft.ended = true;
    draft.finish = Some(match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refused,
        _ => Finish::Stop,
    });
}

fn read_usage(value: &Value, draft: &mut Draft) {
    let number = |name: &str| value.get("usage")?.get(name)?.as_u64();
    if let Some(fresh) = number("input_tokens") {
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
        let cached: u64 = cached.iter().filter_map(|name| number(name)).sum();
        draft.input = Some(fresh + cached);
    }
    draft.output = number("output_tokens").or(draft.output);
}
