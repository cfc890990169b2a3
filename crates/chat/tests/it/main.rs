//! Models against servers, commands and recordings that behave and misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod dialects;
mod faults;
mod keys;
mod limits;
mod local;
mod log;
mod prices;
mod recording;
mod server;
mod text_tools;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use whittle_chat::{
    ChatError, ChatModel, ChatReply, ChatRequest, Control, Message, OpenOptions, Tool, open,
};

/// The planted keys: they are in the environment of every test, and in nothing that comes out of one.
const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-planted-openai-0001"),
    ("ANTHROPIC_API_KEY", "sk-planted-anthropic-0002"),
    ("WHITTLE_ENDPOINT_KEY", "sk-planted-endpoint-0003"),
];
const ENDPOINT_KEY: &str = KEYS[2].1;

/// Options that wait for nothing, with the planted keys.
fn options() -> OpenOptions {
    log::listen();
    OpenOptions {
        environment: Arc::new(|name| {
            let found = KEYS.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, key)| (*key).to_owned())
        }),
        backoff: Duration::from_millis(1),
        ..OpenOptions::default()
    }
}

fn without_keys() -> OpenOptions {
    OpenOptions {
        environment: Arc::new(|_| None),
        ..options()
    }
}

fn request(text: &str) -> ChatRequest {
    ChatRequest {
        label: String::new(),
        messages: vec![
            Message::System {
                text: "Be brief.".into(),
            },
            Message::User { text: text.into() },
        ],
        tools: Vec::new(),
        max_tokens: 100,
        temperature: None,
        seed: None,
    }
}

fn weather() -> Tool {
    Tool {
        name: "weather".into(),
        description: "Tells the weather of a place.".into(),
        parameters: json!({"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}),
    }
}

/// Whether one of the planted keys is in a text.
fn has_key(text: &str) -> bool {
    KEYS.iter().any(|(_, key)| text.contains(key))
}

/// Asks, and looks for keys in what comes back and in the log.
fn ask_with(
    model: &dyn ChatModel,
    request: &ChatRequest,
    control: &Control,
) -> Result<ChatReply, ChatError> {
    let result = model.complete(request, control);
    let shown = match &result {
        Ok(reply) => format!("{reply:?} {}", serde_json::to_string(reply).unwrap()),
        Err(error) => format!("{error:?} {error}"),
    };
    assert!(!has_key(&shown), "{shown}");
    assert!(!has_key(model.name()), "{}", model.name());
    assert_eq!(log::leaks(), Vec::<String>::new());
    result
}

fn ask(model: &dyn ChatModel, request: &ChatRequest) -> Result<ChatReply, ChatError> {
    ask_with(model, request, &Control::default())
}

/// Opens and asks once.
fn once(spec: &str, options: &OpenOptions, text: &str) -> Result<ChatReply, ChatError> {
    ask(&*open(spec, options)?, &request(text))
}
