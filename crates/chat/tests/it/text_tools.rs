//! Tools in plain text.

use proptest::prelude::*;
use serde_json::{Value, json};
use whittle_chat::{
    Backend, BackendEntry, ChatReply, ChatRequest, Control, Failure, Finish, Message, OpenOptions,
    Opened, Opening, Pricing, ToolCall, ToolStyle, ToolSupport, open,
};

use super::dialects::openai_reply;
use super::server::{Server, json as body};
use super::{ENDPOINT_KEY, ask, options, request, weather};

/// A model that says its SPEC.
const SAYS: BackendEntry = BackendEntry {
    prefix: "says",
    summary: "says what stands in its name",
    example: "says:hello",
    open: |opening: &Opening<'_>| {
        Ok(Opened {
            backend: Box::new(Says(opening.rest.to_owned())),
            name: "says".to_owned(),
            pricing: Pricing::Fixed(None),
            tools: ToolSupport::Text,
            direct: false,
        })
    },
};

struct Says(String);

impl Backend for Says {
    fn ask(&self, request: &ChatRequest, _: &Control) -> Result<ChatReply, Failure> {
        assert!(request.tools.is_empty());
        Ok(ChatReply {
            text: self.0.clone(),
            tool_calls: Vec::new(),
            finish: Finish::Stop,
            usage: whittle_chat::Usage::default(),
            cost: None,
            compressed: None,
        })
    }
}

/// What becomes of a text of a model that was told of the weather tool.
fn read(text: &str) -> ChatReply {
    let options = OpenOptions {
        backends: vec![SAYS],
        ..options()
    };
    let model = open(&format!("says:{text}"), &options).unwrap();
    let mut asked = request("?");
    asked.tools = vec![weather()];
    ask(&*model, &asked).unwrap()
}

fn places(reply: &ChatReply) -> Vec<Value> {
    reply
        .tool_calls
        .iter()
        .map(|call| call.arguments["place"].clone())
        .collect()
}

#[test]
fn a_block_is_a_call() {
    let reply = read(
        "Let me look.\n```tool\n{\"name\": \"weather\", \"arguments\": {\"place\": \"Oslo\"}}\n```\n",
    );
    assert_eq!(reply.text, "Let me look.");
    assert_eq!(reply.finish, Finish::ToolCalls);
    let call = ToolCall {
        id: "call_1".into(),
        name: "weather".into(),
        arguments: json!({"place": "Oslo"}),
    };
    assert_eq!(reply.tool_calls, [call]);
}

#[test]
fn several_calls_are_read_in_all_their_forms() {
    let one = r#"{"name": "weather", "arguments": {"place": "Oslo"}}"#;
    let two = r#"{"name": "weather", "arguments": {"place": "Rome"}}"#;
    for text in [
        format!("a\n```tool\n{one}\n```\nb\n```tool\n{two}\n```"),
        format!("```tool\n{one}\n{two}\n```"),
        format!("```tool\n[{one},\n {two}]\n```"),
        format!("```tool_call\n{one}\n```\n```json\n{two}\n```"),
        // Without an end, as a stop string may have cut it.
        format!("```tool\n{one}\n```\n```tool\n{two}"),
    ] {
        let reply = read(&text);
        assert_eq!(places(&reply), ["Oslo", "Rome"], "{text}");
        assert!(
            !reply.text.contains("weather") && !reply.text.contains("```"),
            "{}",
            reply.text
        );
    }
}

#[test]
fn nearly_right_json_is_read() {
    for (block, place) in [
        (
            "{\"name\": \"weather\", \"arguments\": {\"place\": \"two\nlines\"}}",
            "two\nlines",
        ),
        (
            "{\"name\": \"weather\", \"arguments\": {\"place\": \"a\n```\nb\"}}",
            "a\n```\nb",
        ),
        (
            r#"{"name": "weather", "arguments": {"place": "a } and a \" {"}}"#,
            "a } and a \" {",
        ),
        (
            r#"{"name": "weather", "arguments": "{\"place\": \"Oslo\"}"}"#,
            "Oslo",
        ),
        (
            r#"{"tool": "weather", "parameters": {"place": "Oslo"}}"#,
            "Oslo",
        ),
        (
            r#"{"type": "function", "function": {"name": "weather", "arguments": {"place": "Oslo"}}}"#,
            "Oslo",
        ),
    ] {
        let reply = read(&format!("```tool\n{block}\n```\n"));
        assert_eq!(places(&reply), [place], "{block}");
        assert_eq!(reply.text, "");
    }
    let reply = read("```tool\n{\"name\": \"weather\"}\n```");
    assert_eq!(reply.tool_calls[0].arguments, json!({}));
}

#[test]
fn a_call_that_cannot_be_read_is_given_as_far_as_it_can() {
    let reply = read("```tool\n{\"name\": \"weather\", \"arguments\": {\"place\": Oslo}}\n```");
    assert_eq!(reply.tool_calls[0].name, "weather");
    assert!(
        reply.tool_calls[0]
            .arguments
            .as_str()
            .unwrap()
            .contains("Oslo")
    );
    // A wrong name is the caller's to answer.
    assert_eq!(
        read("```tool\n{\"name\": \"wether\"}\n```").tool_calls[0].name,
        "wether"
    );
}

#[test]
fn other_text_stays_as_it_is() {
    for text in [
        "Just an answer.",
        "```rust\nfn main() {}\n```",
        "```json\n{\"name\": \"Ann\", \"age\": 3}\n```",
        "```\n{ int x; }\n```",
        "```tool\nnothing here\n```",
        "I could call ```tool, but why?",
    ] {
        let reply = read(text);
        assert_eq!(
            (reply.text.as_str(), reply.tool_calls.len(), reply.finish),
            (text, 0, Finish::Stop)
        );
    }
}

#[test]
fn a_key_that_escapes_hide_is_found() {
    let hidden = ENDPOINT_KEY.replacen('s', "\\u0073", 1);
    let reply = read(&format!(
        "```tool\n{{\"name\": \"weather\", \"arguments\": {{\"place\": \"{hidden}\"}}}}\n```"
    ));
    assert_eq!(places(&reply), ["[key]"]);
}

#[test]
fn calls_and_results_go_back_as_text() {
    let server = Server::script(vec![body(&openai_reply(
        "```tool\n{\"name\": \"weather\", \"arguments\": {}}\n```",
    ))]);
    let model = open(
        &server.spec("openai"),
        &OpenOptions {
            tools: ToolStyle::Text,
            ..options()
        },
    )
    .unwrap();
    let mut asked = request("The weather?");
    asked.tools = vec![weather()];
    let reply = ask(&*model, &asked).unwrap();
    asked.messages.push(Message::Assistant {
        text: reply.text,
        tool_calls: reply.tool_calls.clone(),
    });
    asked.messages.push(Message::ToolResult {
        id: "call_1".into(),
        text: "rain {text}".into(),
    });
    asked.messages.push(Message::ToolResult {
        id: "other".into(),
        text: "sun".into(),
    });
    let reply = ask(&*model, &asked).unwrap();
    // Unlike the first.
    assert_eq!(reply.tool_calls[0].id, "call_2");

    let sent = &server.seen()[1].body;
    assert!(sent.get("tools").is_none());
    let roles: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    let content = |nth: usize| sent["messages"][nth]["content"].as_str().unwrap();
    assert!(
        content(0).starts_with("Be brief.") && content(0).contains("Tells the weather of a place.")
    );
    assert!(content(0).contains(r#""required":["place"]"#) && !content(0).contains("{tools}"));
    assert!(content(2).starts_with("```tool\n{"));
    assert_eq!(
        content(3),
        "Result of weather (call_1):\n\nrain {text}\n\nResult of a tool (other):\n\nsun"
    );
}

#[test]
fn without_tools_nothing_is_said_of_them() {
    let server = Server::script(vec![body(&openai_reply(
        "```tool\n{\"name\": \"weather\"}\n```",
    ))]);
    let model = open(
        &server.spec("openai"),
        &OpenOptions {
            tools: ToolStyle::Text,
            ..options()
        },
    )
    .unwrap();
    let reply = ask(&*model, &request("?")).unwrap();
    assert!(reply.tool_calls.is_empty() && reply.text.starts_with("```tool"));
    assert_eq!(server.seen()[0].body["messages"][0]["content"], "Be brief.");
}

proptest! {
    #[test]
    fn whatever_a_model_writes_is_read(text in ".{1,200}") {
        read(&format!("x{text}"));
    }

    #[test]
    fn whatever_looks_like_a_call_is_read(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "```tool\n", "```json\n", "```\n", "```", "\n", "{", "}", "[", "]", "\"", "\\", "name", "\"name\": ",
                "\"weather\"", "\"arguments\": ", ",", " ", "é", "null", "{\"name\": \"weather\"}",
            ]),
            1..40,
        )
    ) {
        let text = format!("x{}", parts.concat());
        let reply = read(&text);
        // No call, no change.
        if reply.tool_calls.is_empty() {
            prop_assert_eq!(reply.text, text);
        }
    }
}
