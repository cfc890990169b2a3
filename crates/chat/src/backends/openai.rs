//! `openai:MODEL[@URL]`: OpenAI's chat completions, which most servers speak.

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Map, Value, json};

use super::{BackendEntry, Opened, Opening, Pricing, ToolSupport};
use crate::error::ChatError;
use crate::http::{Address, Dialect, Draft, Endpoint, Fault, key, secret};
use crate::message::{ChatRequest, Finish, Message, Tool, ToolCall};
use crate::secrets::OPENAI_KEY;

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "openai",
    summary: "a model of OpenAI (key in OPENAI_API_KEY) or, with a URL, of any server that speaks its chat completions: \
              vLLM, llama.cpp, ollama (key, if it wants one, in WHITTLE_ENDPOINT_KEY)",
    example: "openai:qwen3-coder@http://localhost:8000/v1",
    open,
};

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    let address = Address::parse(opening)?;
    let url = address.target("https://api.openai.com/v1", "/chat/completions")?;
    let mut headers = HeaderMap::new();
    if let Some(key) = key(opening, &address, OPENAI_KEY)? {
        headers.insert(AUTHORIZATION, secret(opening, &format!("Bearer {key}"))?);
    }
    let published = address.url.is_none();
    let dialect = ChatCompletions {
        model: address.model.clone(),
        // OpenAI's newer models refuse the old name, other servers do not know the new one.
        max_tokens: if published {
            "max_completion_tokens"
        } else {
            "max_tokens"
        },
    };
    Ok(Opened {
        backend: Box::new(Endpoint::new(opening, dialect, url, headers)?),
        name: opening.spec.to_owned(),
        pricing: Pricing::Table {
            model: address.model,
            published,
        },
        tools: ToolSupport::Native,
        direct: false,
    })
}

struct ChatCompletions {
    model: String,
    max_tokens: &'static str,
}

impl Dialect for ChatCompletions {
    fn body(&self, request: &ChatRequest, stream: bool) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert(
            "messages".into(),
            request.messages.iter().map(message).collect(),
        );
        body.insert(self.max_tokens.into(), json!(request.max_tokens));
        if !request.tools.is_empty() {
            body.insert("tools".into(), request.tools.iter().map(tool).collect());
        }
        if let Some(temperature) = request.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        // No seed: gateways to other providers refuse it.
        if stream {
            body.insert("stream".into(), json!(true));
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
        Value::Object(body)
    }

    fn reply(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault> {
        let choice = value.pointer("/choices/0");
        let Some(message) = choice.and_then(|choice| choice.get("message")) else {
            return Err(Fault::Unreadable(format!("there is no choice in {value}")));
        };
        read_message(message, draft);
        read_finish(choice, draft);
        read_usage(value, draft);
        Ok(())
    }

    fn event(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault> {
        let choice = value.pointer("/choices/0");
        if let Some(delta) = choice.and_then(|choice| choice.get("delta")) {
            read_message(delta, draft);
        }
        read_finish(choice, draft);
        read_usage(value, draft);
        Ok(())
    }
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, tool_calls } => {
            let content = (!text.is_empty()).then_some(text);
            let calls: Value = tool_calls.iter().map(call).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Message::ToolResult { id, text } => {
            json!({"role": "tool", "tool_call_id": id, "content": text})
        }
    }
}

fn call(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        // What could not be read goes back as it came.
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn tool(tool: &Tool) -> Value {
    let function =
        json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
    json!({"type": "function", "function": function})
}

/// Reads a message, or a piece of one.
fn read_message(message: &Value, draft: &mut Draft) {
    match message.get("content") {
        Some(Value::String(text)) => draft.text.push_str(text),
        // Some servers give a list of parts.
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            draft.text.extend(texts);
        }
        _ => {}
    }
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        draft.text.push_str(refusal);
        draft.finish = Some(Finish::Refused);
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        let index = call
            .get("index")
            .and_then(Value::as_u64)
            .unwrap_or(place as u64);
        let draft = draft.calls.entry(index).or_default();
        let piece = |place: &str| {
            call.pointer(place)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if draft.id.is_empty() {
            draft.id.push_str(piece("/id"));
        }
        // Some servers repeat the name in every piece.
        if draft.name != piece("/function/name") {
            draft.name.push_str(piece("/function/name"));
        }
        match call.pointer("/function/arguments") {
            Some(Value::String(text)) => draft.arguments.push_str(text),
            None | Some(Value::Null) => {}
            // Some servers give the object itself.
            Some(value) => draft.arguments.push_str(&value.to_string()),
        }
    }
}

fn read_finish(choice: Option<&Value>, draft: &mut Draft) {
    let reason = choice.and_then(|choice| choice.get("finish_reason")?.as_str());
    let Some(reason) = reason.filter(|reason| !reason.is_empty()) else {
        return;
    };
    draft.ended = true;
    let finish = match reason {
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::Refused,
        _ => Finish::Stop,
    };
    // A refusal ends with `stop`, too.
    if draft.finish != Some(Finish::Refused) {
        draft.finish = Some(finish);
    }
}

fn read_usage(value: &Value, draft: &mut Draft) {
    let number = |place: &str| value.pointer(place).and_then(Value::as_u64);
    draft.input = number("/usage/prompt_tokens").or(draft.input);
    draft.output = number("/usage/completion_tokens").or(draft.output);
}
