//! Several threads and one model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use whittle_chat::{
    Backend, BackendEntry, ChatError, ChatReply, ChatRequest, Control, Failure, OpenOptions,
    Opened, Opening, Pricing, ToolSupport, open,
};

use super::dialects::openai_reply;
use super::server::{Server, json as body};
use super::{ask, ask_with, options, request};

#[test]
fn requests_wait_for_each_other() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (running.clone(), most.clone());
    let server = Server::start(move |_, _| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
        body(&openai_reply("x"))
    });
    let model = open(
        &server.spec("openai"),
        &OpenOptions {
            concurrent: 2,
            ..options()
        },
    )
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| ask(&*model, &request("?")).unwrap());
        }
    });
    assert_eq!(server.seen().len(), 10);
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn a_minute_has_so_many_requests() {
    let server = Server::script(vec![body(&openai_reply("x"))]);
    let model = open(
        &server.spec("openai"),
        &OpenOptions {
            per_minute: Some(3),
            ..options()
        },
    )
    .unwrap();
    for _ in 0..3 {
        ask(&*model, &request("?")).unwrap();
    }
    let control = Control::new(Arc::default(), Some(Duration::from_millis(100)));
    let error = ask_with(&*model, &request("?"), &control).unwrap_err();
    assert!(matches!(error, ChatError::TimedOut { .. }), "{error:?}");
    assert_eq!(server.seen().len(), 3);
}

/// A backend of another crate.
const PARROT: BackendEntry = BackendEntry {
    prefix: "parrot",
    summary: "says what it hears, at the second try",
    example: "parrot:x",
    open: |opening: &Opening<'_>| {
        Ok(Opened {
            backend: Box::new(Parrot(AtomicUsize::new(0))),
            name: opening.spec.to_owned(),
            pricing: Pricing::Fixed(None),
            tools: ToolSupport::Text,
            direct: false,
        })
    },
};

struct Parrot(AtomicUsize);

impl Backend for Parrot {
    fn ask(&self, request: &ChatRequest, _: &Control) -> Result<ChatReply, Failure> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(Failure::Retry {
                why: "squawk".into(),
                after: None,
            });
        }
        let text = serde_json::to_string(&request.messages).unwrap();
        Ok(serde_json::from_value(serde_json::json!({
            "text": text, "finish": "stop", "usage": {"input": 1, "output": 1}
        }))
        .unwrap())
    }
}

#[test]
fn other_crates_bring_backends_along() {
    let options = OpenOptions {
        backends: vec![PARROT],
        ..options()
    };
    let model = open("parrot:x", &options).unwrap();
    assert!(
        ask(&*model, &request("hello"))
            .unwrap()
            .text
            .contains("hello")
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.jsonl");
    let model = open(&format!("record:{}+parrot:x", file.display()), &options).unwrap();
    let reply = ask(&*model, &request("hello")).unwrap();
    let model = open(
        &format!("replay:{}", file.display()),
        &super::without_keys(),
    )
    .unwrap();
    assert_eq!(ask(&*model, &request("hello")).unwrap(), reply);
}
