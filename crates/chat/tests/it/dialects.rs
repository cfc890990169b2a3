//! What is said to servers and read from them, streamed and not.

use serde_json::{Value, json};
use whittle_chat::{ChatReply, ChatRequest, Finish, Message, OpenOptions, ToolCall, Usage, open};

use super::server::{Answer, Server, json as body};
use super::{ask, options, request, weather};

/// A reply with text and a tool call, as OpenAI's interface gives it whole.
pub(crate) fn openai_reply(text: &str) -> Value {
    json!({
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7}
    })
}

pub(crate) fn anthropic_reply(text: &str) -> Value {
    json!({
        "type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 6, "output_tokens": 7}
    })
}

/// The middle of a text, between characters.
fn half(text: &str) -> usize {
    let middles = text.char_indices().map(|(place, _)| place);
    middles
        .take(text.chars().count() / 2 + 1)
        .last()
        .unwrap_or(0)
}

/// The same as events.
pub(crate) fn openai_events(text: &str) -> Vec<String> {
    let half = half(text);
    let piece = |text: &str| {
        json!({"choices": [{"delta": {"content": text}, "finish_reason": null}]}).to_string()
    };
    vec![
        json!({"choices": [{"delta": {"role": "assistant", "content": ""}}]}).to_string(),
        piece(&text[..half]),
        piece(&text[half..]),
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string(),
        json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}).to_string(),
        "[DONE]".to_owned(),
    ]
}

pub(crate) fn anthropic_events(text: &str) -> Vec<String> {
    let half = half(text);
    let piece = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    let events = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 6, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        piece(&text[..half]),
        piece(&text[half..]),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(Value::to_string).collect()
}

/// Both interfaces, streamed and not, with an answer that says `text`.
pub(crate) fn ways(text: &str) -> Vec<(&'static str, bool, Answer)> {
    vec![
        ("openai", false, body(&openai_reply(text))),
        ("openai", true, Answer::Events(openai_events(text))),
        // A server that does not stream when it is asked to.
        ("openai", true, body(&openai_reply(text))),
        ("anthropic", false, body(&anthropic_reply(text))),
        ("anthropic", true, Answer::Events(anthropic_events(text))),
    ]
}

fn streaming(stream: bool) -> OpenOptions {
    OpenOptions {
        stream,
        ..options()
    }
}

fn plain(text: &str) -> ChatReply {
    ChatReply {
        text: text.to_owned(),
        tool_calls: Vec::new(),
        finish: Finish::Stop,
        usage: Usage {
            input: 11,
            output: 7,
            estimated: false,
        },
        cost: None,
        compressed: None,
    }
}

#[test]
fn a_reply_is_the_same_in_every_way() {
    for (dialect, stream, answer) in ways("Grüße, 世界") {
        let server = Server::script(vec![answer]);
        let model = open(&server.spec(dialect), &streaming(stream)).unwrap();
        assert_eq!(model.name(), server.spec(dialect));
        let asked = ChatRequest {
            seed: Some(7),
            ..request("Hello")
        };
        let reply = ask(&*model, &asked).unwrap();
        assert_eq!(reply, plain("Grüße, 世界"), "{dialect} {stream}");
        let seen = &server.seen()[0];
        assert_eq!(seen.body.get("stream").is_some(), stream);
        assert_eq!(seen.body["model"], "tester");
        assert_eq!(seen.body["max_tokens"], 100);
        // Gateways to other providers refuse requests that have one.
        assert_eq!(seen.body.get("seed"), None);
    }
}

/// As llama.cpp answers when the first token ends within a character.
#[test]
fn a_stream_without_its_first_event_is_read_and_its_tokens_estimated() {
    let events = anthropic_events("one two")[1..].to_vec();
    let server = Server::script(vec![Answer::Events(events)]);
    let model = open(&server.spec("anthropic"), &options()).unwrap();
    let asked = request("?");
    let reply = ask(&*model, &asked).unwrap();
    assert_eq!(reply.text, "one two");
    let expected = Usage {
        input: asked.estimated_tokens(),
        output: 7,
        estimated: true,
    };
    assert_eq!(reply.usage, expected);
}

/// As litellm's proxy ends a stream: the usage beside an empty piece, after the end.
#[test]
fn usage_may_come_with_a_last_empty_choice() {
    let mut events = openai_events("one two");
    events[4] = json!({"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}).to_string();
    let server = Server::script(vec![Answer::Events(events)]);
    let model = open(&server.spec("openai"), &options()).unwrap();
    assert_eq!(ask(&*model, &request("?")).unwrap(), plain("one two"));
}

#[test]
fn several_threads_ask_one_model() {
    let server = Server::script(vec![Answer::Events(openai_events("yes"))]);
    let model = open(&server.spec("openai"), &options()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(ask(&*model, &request("?")).unwrap().text, "yes"));
        }
    });
    assert_eq!(server.seen().len(), 12);
}

fn calls() -> Vec<ToolCall> {
    let call = |id: &str, place: &str| ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: json!({"place": place}),
    };
    vec![call("a1", "Oslo"), call("a2", "Rome")]
}

fn openai_calls(stream: bool) -> Answer {
    if !stream {
        let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}});
        let calls = [
            call("a1", r#"{"place": "Oslo"}"#),
            call("a2", r#"{"place": "Rome"}"#),
        ];
        // Some servers say `stop` here.
        return body(
            &json!({"choices": [{"message": {"content": null, "tool_calls": calls}, "finish_reason": "stop"}]}),
        );
    }
    let piece = |index: u32, id: Value, name: Value, arguments: &str| {
        let call =
            json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
        json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string()
    };
    Answer::Events(vec![
        piece(0, json!("a1"), json!("weather"), ""),
        piece(0, Value::Null, Value::Null, r#"{"place":"#),
        piece(1, json!("a2"), json!("weather"), r#"{"place": "Rome"}"#),
        piece(0, Value::Null, Value::Null, r#" "Oslo"}"#),
        json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}).to_string(),
        "[DONE]".to_owned(),
    ])
}

fn anthropic_calls(stream: bool) -> Answer {
    let block = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "weather", "input": input});
    if !stream {
        let blocks = [
            block("a1", json!({"place": "Oslo"})),
            block("a2", json!({"place": "Rome"})),
        ];
        return body(&json!({"content": blocks, "stop_reason": "tool_use"}));
    }
    let piece = |index: u32, text: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}});
    let start = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let events = [
        start(0, json!({"type": "thinking", "thinking": ""})),
        start(1, block("a1", json!({}))),
        piece(1, r#"{"place":"#),
        piece(1, r#" "Oslo"}"#),
        start(2, block("a2", json!({}))),
        piece(2, r#"{"place": "Rome"}"#),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    Answer::Events(events.iter().map(Value::to_string).collect())
}

/// A conversation in which two tools were called.
fn with_results() -> ChatRequest {
    let mut request = request("The weather?");
    request.tools = vec![weather()];
    request.messages.push(Message::Assistant {
        text: String::new(),
        tool_calls: calls(),
    });
    for (id, text) in [("a1", "rain"), ("a2", "sun")] {
        let (id, text) = (id.to_owned(), text.to_owned());
        request.messages.push(Message::ToolResult { id, text });
    }
    request
}

#[test]
fn tools_are_called_and_their_results_sent_back() {
    for stream in [false, true] {
        for (dialect, answer) in [
            ("openai", openai_calls(stream)),
            ("anthropic", anthropic_calls(stream)),
        ] {
            let server = Server::script(vec![answer]);
            let model = open(&server.spec(dialect), &streaming(stream)).unwrap();
            let reply = ask(&*model, &with_results()).unwrap();
            assert_eq!(reply.tool_calls, calls(), "{dialect} {stream}");
            assert_eq!(reply.finish, Finish::ToolCalls);
            assert!(reply.usage.estimated && reply.usage.output > 0);
            let messages = &server.seen()[0].body["messages"];
            let tool = &server.seen()[0].body["tools"][0];
            if dialect == "openai" {
                assert_eq!(tool["function"]["parameters"], weather().parameters);
                let call = &messages[2]["tool_calls"][0];
                assert_eq!(call["function"]["arguments"], r#"{"place":"Oslo"}"#);
                assert_eq!(
                    messages[3],
                    json!({"role": "tool", "tool_call_id": "a1", "content": "rain"})
                );
            } else {
                assert_eq!(tool["input_schema"], weather().parameters);
                assert_eq!(server.seen()[0].body["system"], "Be brief.");
                assert_eq!(messages[1]["content"][0]["input"], json!({"place": "Oslo"}));
                let result = json!({"type": "tool_result", "tool_use_id": "a2", "content": "sun"});
                // Both results are one turn, as turns must alternate.
                assert_eq!(messages[2]["content"][1], result);
                assert_eq!(messages.as_array().unwrap().len(), 3);
            }
        }
    }
}

#[test]
fn ends_are_told_apart() {
    for (reason, finish) in [
        ("length", Finish::Length),
        ("content_filter", Finish::Refused),
        ("odd", Finish::Stop),
    ] {
        let mut reply = openai_reply("x");
        reply["choices"][0]["finish_reason"] = json!(reason);
        let server = Server::script(vec![body(&reply)]);
        let model = open(&server.spec("openai"), &options()).unwrap();
        assert_eq!(ask(&*model, &request("?")).unwrap().finish, finish);
    }
    for (reason, finish) in [("max_tokens", Finish::Length), ("refusal", Finish::Refused)] {
        let mut reply = anthropic_reply("x");
        reply["stop_reason"] = json!(reason);
        let server = Server::script(vec![body(&reply)]);
        let model = open(&server.spec("anthropic"), &options()).unwrap();
        assert_eq!(ask(&*model, &request("?")).unwrap().finish, finish);
    }
}

#[test]
fn arguments_that_are_no_json_come_as_text() {
    let call = json!({"function": {"name": "weather", "arguments": "{\"place\": Os"}});
    let reply = json!({"choices": [{"message": {"content": "", "tool_calls": [call]}, "finish_reason": "length"}]});
    let server = Server::script(vec![body(&reply)]);
    let model = open(&server.spec("openai"), &options()).unwrap();
    let reply = ask(&*model, &request("?")).unwrap();
    assert_eq!(reply.tool_calls[0].arguments, json!("{\"place\": Os"));
    assert_eq!(reply.tool_calls[0].id, "call_1");
    assert_eq!(reply.finish, Finish::Length);
}
