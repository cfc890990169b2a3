//! What goes wrong between here and a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use whittle_chat::{ChatError, Control, OpenOptions, open};

use super::dialects::{anthropic_events, anthropic_reply, openai_events, openai_reply, ways};
use super::server::{Answer, Server, json as body, status};
use super::{ask, ask_with, once, options, request};

fn busy() -> Answer {
    status(
        429,
        &[("retry-after-ms", "3")],
        &json!({"error": {"message": "slow down"}}),
    )
}

fn broken() -> Answer {
    status(500, &[], &json!({"error": {"message": "oops"}}))
}

#[test]
fn what_passes_is_tried_again() {
    for (dialect, stream, good) in ways("fine") {
        let server = Server::script(vec![
            busy(),
            broken(),
            Answer::Body(529, vec![], "<html>".into()),
            good,
        ]);
        let options = OpenOptions {
            stream,
            ..options()
        };
        assert_eq!(
            once(&server.spec(dialect), &options, "?").unwrap().text,
            "fine"
        );
        assert_eq!(server.seen().len(), 4);
    }
}

#[test]
fn tries_are_bounded() {
    let server = Server::script(vec![broken()]);
    let error = once(
        &server.spec("openai"),
        &OpenOptions {
            tries: 3,
            ..options()
        },
        "?",
    )
    .unwrap_err();
    assert!(
        matches!(&error, ChatError::Unreachable { tries: 3, why, .. } if why.contains("oops")),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 3);
    assert!(!error.is_final());
}

#[test]
fn nobody_waits_past_the_deadline() {
    let server = Server::script(vec![status(429, &[("retry-after", "86400")], &json!({}))]);
    let model = open(&server.spec("openai"), &options()).unwrap();
    let control = Control::new(Arc::default(), Some(Duration::from_secs(30)));
    let error = ask_with(&*model, &request("?"), &control).unwrap_err();
    assert!(
        matches!(error, ChatError::Unreachable { tries: 1, .. }),
        "{error:?}"
    );
    let error = ask(&*model, &request("?")).unwrap_err();
    assert!(
        matches!(error, ChatError::Unreachable { tries: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn refusals_are_final_for_the_call() {
    for (code, said) in [
        (400, "too long"),
        (401, "who are you"),
        (404, "no such model"),
    ] {
        let server = Server::script(vec![status(
            code,
            &[],
            &json!({"error": {"message": said}}),
        )]);
        for dialect in ["openai", "anthropic"] {
            let error = once(&server.spec(dialect), &options(), "?").unwrap_err();
            assert!(
                matches!(&error, ChatError::Rejected { why, .. } if why.contains(said)),
                "{error:?}"
            );
        }
        assert_eq!(server.seen().len(), 2);
    }
}

#[test]
fn nothing_listens() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = once(
        &format!("openai:m@http://{free}/v1"),
        &OpenOptions {
            tries: 2,
            ..options()
        },
        "?",
    )
    .unwrap_err();
    assert!(
        matches!(error, ChatError::Unreachable { tries: 2, .. }),
        "{error:?}"
    );
}

#[test]
fn truncated_json_is_no_reply() {
    let mut whole = openai_reply("a long reply").to_string();
    whole.truncate(whole.len() / 2);
    let headers = vec![("content-type", "application/json".to_owned())];
    let server = Server::script(vec![Answer::Body(200, headers, whole)]);
    for dialect in ["openai", "anthropic"] {
        let error = once(&server.spec(dialect), &options(), "?").unwrap_err();
        assert!(matches!(error, ChatError::Malformed { .. }), "{error:?}");
    }
    let server = Server::script(vec![body(&json!({"hello": "world"}))]);
    for dialect in ["openai", "anthropic"] {
        let error = once(&server.spec(dialect), &options(), "?").unwrap_err();
        assert!(matches!(error, ChatError::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn a_cut_body_or_stream_is_never_a_short_reply() {
    for (dialect, events, whole) in [
        ("openai", openai_events("one two"), openai_reply("one two")),
        (
            "anthropic",
            anthropic_events("one two"),
            anthropic_reply("one two"),
        ),
    ] {
        let text = whole.to_string();
        for length in 1..events.len() - 2 {
            let part = events[..length].to_vec();
            // The connection breaks, or just ends.
            for answer in [Answer::CutEvents(part.clone()), Answer::Events(part)] {
                let reason_seen = dialect == "openai" && length == 4;
                if reason_seen && matches!(answer, Answer::Events(_)) {
                    continue;
                }
                let server = Server::script(vec![answer, Answer::Events(events.clone())]);
                let reply = once(&server.spec(dialect), &options(), "?").unwrap();
                assert_eq!(reply.text, "one two");
                assert_eq!(server.seen().len(), 2, "{dialect} {length}");
            }
        }
        let server = Server::script(vec![
            Answer::Cut(text[..text.len() / 2].to_owned()),
            body(&whole),
        ]);
        assert_eq!(
            once(&server.spec(dialect), &options(), "?").unwrap().text,
            "one two"
        );
        assert_eq!(server.seen().len(), 2);
    }
}

#[test]
fn errors_in_a_stream_are_errors() {
    let mut events = anthropic_events("one two")[..4].to_vec();
    events.push(
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
            .to_string(),
    );
    let server = Server::script(vec![
        Answer::Events(events),
        Answer::Events(anthropic_events("all")),
    ]);
    assert_eq!(
        once(&server.spec("anthropic"), &options(), "?")
            .unwrap()
            .text,
        "all"
    );

    // litellm's proxy gives the number as text.
    for code in [json!(400), json!("400")] {
        let events =
            vec![json!({"error": {"code": code, "message": "context too long"}}).to_string()];
        let server = Server::script(vec![Answer::Events(events)]);
        let error = once(&server.spec("openai"), &options(), "?").unwrap_err();
        assert!(
            matches!(&error, ChatError::Rejected { why, .. } if why.contains("context")),
            "{error:?}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn a_whole_reply_that_is_announced_as_a_stream_is_read() {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    for (dialect, reply) in [
        ("openai", openai_reply("one two")),
        ("anthropic", anthropic_reply("one two")),
    ] {
        let answer = Answer::Body(200, headers.clone(), reply.to_string());
        let server = Server::script(vec![answer]);
        let reply = once(&server.spec(dialect), &options(), "?").unwrap();
        assert_eq!(reply.text, "one two");
        assert_eq!(server.seen().len(), 1);
    }
    let error = json!({"error": {"type": "invalid_request_error", "message": "too long"}});
    let server = Server::script(vec![Answer::Body(200, headers, error.to_string())]);
    let error = once(&server.spec("openai"), &options(), "?").unwrap_err();
    assert!(matches!(error, ChatError::Rejected { .. }), "{error:?}");
}

#[test]
fn a_hang_ends_at_the_limit_or_deadline_and_the_connection_closes() {
    for stream in [false, true] {
        let server = Server::script(vec![Answer::Hang]);
        let limited = OpenOptions {
            stream,
            limit: Duration::from_millis(50),
            ..options()
        };
        let error = once(&server.spec("openai"), &limited, "?").unwrap_err();
        assert!(matches!(error, ChatError::TimedOut { .. }), "{error:?}");
        server.wait_left(1);
        let model = open(
            &server.spec("anthropic"),
            &OpenOptions {
                stream,
                ..options()
            },
        )
        .unwrap();
        let control = Control::new(Arc::default(), Some(Duration::from_millis(50)));
        let error = ask_with(&*model, &request("?"), &control).unwrap_err();
        assert!(matches!(error, ChatError::TimedOut { .. }), "{error:?}");
        server.wait_left(2);
    }
}

#[test]
fn a_silent_stream_is_tried_again() {
    let server = Server::script(vec![
        Answer::StuckEvents(openai_events("one two")[..2].to_vec()),
        Answer::Hang,
        Answer::Events(openai_events("one two")),
    ]);
    let options = OpenOptions {
        idle: Duration::from_millis(100),
        ..options()
    };
    assert_eq!(
        once(&server.spec("openai"), &options, "?").unwrap().text,
        "one two"
    );
    server.wait_left(2);
}

#[test]
fn a_call_is_cancelled_wherever_it_is() {
    let stuck = Answer::StuckEvents(openai_events("one two")[..2].to_vec());
    let waiting = status(503, &[("retry-after", "600")], &json!({}));
    for answer in [Answer::Hang, stuck, waiting] {
        let closes = !matches!(answer, Answer::Body(..));
        let server = Server::script(vec![answer]);
        let model = open(&server.spec("openai"), &options()).unwrap();
        let control = Control::default();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| ask_with(&*model, &request("?"), &control));
            while server.seen().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            control.cancel.store(true, Ordering::SeqCst);
            let error = call.join().unwrap().unwrap_err();
            assert!(matches!(error, ChatError::Cancelled), "{error:?}");
        });
        if closes {
            server.wait_left(1);
        }
        // Nothing is sent once a call is over.
        let error = ask_with(&*model, &request("?"), &control).unwrap_err();
        assert!(error.is_final(), "{error:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn an_endless_body_is_bounded() {
    let server = Server::script(vec![Answer::Huge]);
    let error = once(&server.spec("openai"), &options(), "?").unwrap_err();
    assert!(
        matches!(&error, ChatError::Malformed { why, .. } if why.contains("16 MiB")),
        "{error:?}"
    );
}
