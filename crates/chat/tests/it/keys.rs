//! Keys go where they belong, and nowhere else.

use std::sync::Arc;

use serde_json::json;
use whittle_chat::{ChatError, OpenOptions, open};

use super::dialects::{openai_reply, ways};
use super::server::{Answer, Server, json as body, status};
use super::{ENDPOINT_KEY, KEYS, has_key, log, once, options, without_keys};

#[test]
fn an_endpoint_gets_its_own_key_only() {
    for (dialect, stream, answer) in ways("x") {
        let server = Server::script(vec![answer]);
        once(
            &server.spec(dialect),
            &OpenOptions {
                stream,
                ..options()
            },
            "?",
        )
        .unwrap();
        let seen = &server.seen()[0];
        let given = match dialect {
            "openai" => seen
                .header("authorization")
                .unwrap()
                .strip_prefix("Bearer ")
                .unwrap(),
            _ => seen.header("x-api-key").unwrap(),
        };
        assert_eq!(given, ENDPOINT_KEY);
        for (_, key) in &KEYS[..2] {
            assert!(!seen.head.contains(key) && !seen.body.to_string().contains(key));
        }
    }
}

#[test]
fn without_an_endpoint_key_none_is_sent() {
    for (dialect, stream, answer) in ways("x") {
        let server = Server::script(vec![answer]);
        let others = OpenOptions {
            stream,
            environment: Arc::new(|name| {
                let found = KEYS[..2].iter().find(|(variable, _)| *variable == name);
                found.map(|(_, key)| (*key).to_owned())
            }),
            ..options()
        };
        once(&server.spec(dialect), &others, "?").unwrap();
        let seen = &server.seen()[0];
        assert!(seen.header("authorization").is_none() && seen.header("x-api-key").is_none());
        assert!(!has_key(&format!("{seen:?}")));
    }
}

#[test]
fn redirects_do_not_take_a_key_along() {
    let other = Server::script(vec![body(&openai_reply("x"))]);
    let location = format!("{}/v1/chat/completions", other.url);
    let server = Server::script(vec![status(307, &[("location", &location)], &json!({}))]);
    for dialect in ["openai", "anthropic"] {
        let error = once(&server.spec(dialect), &options(), "?").unwrap_err();
        assert!(
            matches!(&error, ChatError::Rejected { why, .. } if why.contains("redirects")),
            "{error:?}"
        );
    }
    assert!(other.seen().is_empty());
}

#[test]
fn the_providers_want_a_key() {
    for (spec, variable) in [
        ("openai:gpt-5", "OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-5", "ANTHROPIC_API_KEY"),
    ] {
        let error = open(spec, &without_keys()).err().unwrap();
        assert!(error.to_string().contains(variable), "{error}");
        assert!(error.is_final());
        assert_eq!(open(spec, &options()).unwrap().name(), spec);
    }
}

#[test]
fn echoed_keys_come_out_masked() {
    let echo = format!("your key {ENDPOINT_KEY}, again {ENDPOINT_KEY}");
    for (dialect, stream, answer) in ways(&echo) {
        let server = Server::script(vec![answer]);
        let reply = once(
            &server.spec(dialect),
            &OpenOptions {
                stream,
                ..options()
            },
            "?",
        )
        .unwrap();
        assert_eq!(reply.text, "your key [key], again [key]");
    }
    let call = json!({"id": ENDPOINT_KEY, "function": {"name": ENDPOINT_KEY, "arguments": json!({ENDPOINT_KEY: [ENDPOINT_KEY]}).to_string()}});
    let reply =
        json!({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let server = Server::script(vec![body(&reply)]);
    let reply = once(&server.spec("openai"), &options(), "?").unwrap();
    assert_eq!(reply.tool_calls[0].arguments, json!({"[key]": ["[key]"]}));
    assert_eq!(reply.tool_calls[0].name, "[key]");

    let long = format!("{} {ENDPOINT_KEY}", "x".repeat(490));
    for said in [echo.as_str(), long.as_str()] {
        for code in [400, 500] {
            let texts = [
                json!({"error": {"message": said}}).to_string(),
                format!("<p>{said}"),
            ];
            for text in texts {
                let server = Server::script(vec![Answer::Body(code, vec![], text)]);
                let error = once(
                    &server.spec("openai"),
                    &OpenOptions {
                        tries: 2,
                        ..options()
                    },
                    "?",
                )
                .unwrap_err();
                assert!(!error.to_string().contains("sk-"), "{error}");
            }
        }
    }
    let server = Server::script(vec![Answer::Body(200, vec![], format!("{{{ENDPOINT_KEY}"))]);
    let error = once(&server.spec("openai"), &options(), "?").unwrap_err();
    assert!(error.to_string().contains("[key]"), "{error}");
}

#[test]
fn keys_in_requests_are_masked_before_they_are_sent() {
    let server = Server::script(vec![body(&openai_reply("x"))]);
    once(
        &server.spec("openai"),
        &options(),
        &format!("a tool said {}", KEYS[0].1),
    )
    .unwrap();
    assert!(!has_key(&server.seen()[0].body.to_string()));
}

#[test]
fn keys_in_specs_are_not_shown() {
    for spec in [
        format!("nothing:{ENDPOINT_KEY}"),
        format!("replay:/none/{ENDPOINT_KEY}"),
        ENDPOINT_KEY.to_owned(),
    ] {
        let error = open(&spec, &options()).err().unwrap();
        assert!(!has_key(&format!("{error:?} {error}")), "{error}");
    }
    let model = open(&format!("command:x {ENDPOINT_KEY}"), &options()).unwrap();
    assert_eq!(model.name(), "command:x [key]");
    assert!(!has_key(&format!("{:?}", options())));
}

#[test]
fn the_log_is_listened_to() {
    let server = Server::script(vec![
        status(500, &[], &json!({"error": {"message": ENDPOINT_KEY}})),
        body(&openai_reply("x")),
    ]);
    let before = log::lines();
    once(&server.spec("openai"), &options(), "?").unwrap();
    assert!(log::lines() > before);
    assert_eq!(log::leaks(), Vec::<String>::new());
}
