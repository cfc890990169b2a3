//! Commands as models.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use whittle_chat::{
    ChatError, CommandExchange, CommandReply, CommandRequest, Control, Finish, OpenOptions, open,
};

use super::{ENDPOINT_KEY, ask, ask_with, once, options, request, weather};

fn malformed(error: &ChatError) -> bool {
    matches!(error, ChatError::Malformed { .. })
}

#[test]
fn a_command_answers() {
    let reply = once(
        r#"command:echo '{"text": "hi", "cost": 0.25, "usage": {"input": 3, "output": 4}}'"#,
        &options(),
        "?",
    )
    .unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.cost, reply.finish),
        ("hi", Some(0.25), Finish::Stop)
    );
    assert_eq!((reply.usage.total(), reply.usage.estimated), (7, false));
    let reply = once(r#"command:echo '{"text": "hi"}'"#, &options(), "?").unwrap();
    assert!(reply.usage.estimated && reply.usage.input > 0 && reply.cost.is_none());
}

#[test]
fn it_reads_the_published_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    let spec = format!(r#"command:cat > {}; echo '{{"text": ""}}'"#, file.display());
    let model = open(&spec, &options()).unwrap();
    let mut asked = request("What?");
    asked.label = "a/1".into();
    asked.tools = vec![weather()];
    ask(&*model, &asked).unwrap();
    let read: CommandRequest = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(read.version, 1);
    assert_eq!(read.request.label, "a/1");
    // Told in both ways.
    assert_eq!(read.request.tools, asked.tools);
    assert!(
        serde_json::to_string(&read.request.messages)
            .unwrap()
            .contains("Tells the weather")
    );
}

#[test]
fn its_own_tool_calls_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    let reply = json!({"text": "", "tool_calls": [{"name": "weather", "arguments": {"place": "Oslo"}}, {"name": "weather"}]});
    let spec = format!("command:cat > {}; echo '{reply}'", file.display());
    let model = open(&spec, &options()).unwrap();
    let mut asked = request("?");
    asked.tools = vec![weather()];
    for _ in 0..2 {
        let reply = ask(&*model, &asked).unwrap();
        assert_eq!(reply.finish, Finish::ToolCalls);
        assert_eq!(reply.tool_calls[0].arguments, json!({"place": "Oslo"}));
        assert_eq!(reply.tool_calls[1].arguments, json!({}));
        assert_eq!(reply.tool_calls[1].id, "call_2");
    }
    // Having shown that it knows tools, it is told of them in one way.
    let text = fs::read_to_string(file).unwrap();
    assert!(!text.contains("fenced block") && text.contains("Tells the weather"));
}

#[test]
fn what_is_no_reply_is_malformed() {
    for output in [
        "",
        "hello",
        r#"{"text": "x""#,
        r#"{"text": "x", "tool_call": []}"#,
        r#"{"no": 1}"#,
    ] {
        let error = once(&format!("command:printf %s '{output}'"), &options(), "?").unwrap_err();
        assert!(malformed(&error), "{error:?}");
    }
}

#[test]
fn an_exit_status_is_an_error_with_the_last_words() {
    let error = once(
        r"command:echo one >&2; echo two >&2; exit 3",
        &options(),
        "?",
    )
    .unwrap_err();
    assert!(
        matches!(&error, ChatError::Rejected { why, .. } if why.contains('3') && why.contains("one / two")),
        "{error:?}"
    );
    let error = once("command:kill -9 $$", &options(), "?").unwrap_err();
    assert!(matches!(error, ChatError::Rejected { .. }), "{error:?}");
    let error = once(
        &format!("command:echo {ENDPOINT_KEY} >&2; exit 1"),
        &options(),
        "?",
    )
    .unwrap_err();
    assert!(error.to_string().contains("[key]"), "{error}");
}

#[test]
fn exit_75_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark").display().to_string();
    let spec = format!(
        r#"command:if [ -e {mark} ]; then echo '{{"text": "ok"}}'; else touch {mark}; exit 75; fi"#
    );
    assert_eq!(once(&spec, &options(), "?").unwrap().text, "ok");
    let error = once(
        "command:exit 75",
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

/// Whether a process that wrote its number to a file is gone, after some patience.
fn gone(file: &Path) -> bool {
    let id = fs::read_to_string(file).unwrap().trim().to_owned();
    let state = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let dead = |stat: &str| stat.is_empty() || stat.contains(") Z ");
    (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        dead(&state())
    })
}

#[test]
fn a_slow_command_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let spec = format!("command:sleep 600 & echo $! > {}; wait", file.display());
    let error = once(
        &spec,
        &OpenOptions {
            limit: Duration::from_millis(300),
            ..options()
        },
        "?",
    )
    .unwrap_err();
    assert!(matches!(error, ChatError::TimedOut { .. }), "{error:?}");
    assert!(gone(&file));

    fs::remove_file(&file).unwrap();
    let model = open(&spec, &options()).unwrap();
    let control = Control::new(Arc::default(), None);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ask_with(&*model, &request("?"), &control));
        while fs::read_to_string(&file)
            .is_ok_and(|text| text.ends_with('\n'))
            .eq(&false)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        control
            .cancel
            .store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(matches!(call.join().unwrap(), Err(ChatError::Cancelled)));
    });
    assert!(gone(&file));
}

#[test]
fn a_child_left_behind_does_not_hold_the_reply_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let spec = format!(
        r#"command:sleep 600 & echo $! > {}; echo '{{"text": "ok"}}'"#,
        file.display()
    );
    assert_eq!(once(&spec, &options(), "?").unwrap().text, "ok");
    assert!(gone(&file));
}

#[test]
fn floods_are_bounded() {
    let error = once("command:yes", &options(), "?").unwrap_err();
    assert!(
        malformed(&error) && error.to_string().contains("16 MiB"),
        "{error:?}"
    );
    let spec = r#"command:head -c 3000000 /dev/zero >&2; echo '{"text": "ok"}'"#;
    assert_eq!(once(spec, &options(), "?").unwrap().text, "ok");
    // A request that is not read does not block, however long.
    let long = "x".repeat(3_000_000);
    assert_eq!(
        once(r#"command:echo '{"text": "ok"}'"#, &options(), &long)
            .unwrap()
            .text,
        "ok"
    );
}

fn schema_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/chat-command.schema.json")
}

#[test]
fn the_published_schema_is_the_types() {
    let mut schema = schemars::schema_for!(CommandExchange).to_value();
    schema["title"] = json!("What a command: model reads (request) and writes (reply)");
    let wanted = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("WHITTLE_UPDATE_SCHEMA").is_some() {
        fs::write(schema_file(), &wanted).unwrap();
    }
    let published = fs::read_to_string(schema_file()).unwrap_or_default();
    assert!(
        published == wanted,
        "docs/chat-command.schema.json is not what the types say; WHITTLE_UPDATE_SCHEMA=1 cargo test -p whittle-chat \
         published_schema writes it anew (and a change that commands would notice needs a new version)"
    );
}

#[test]
fn the_published_schema_knows_good_from_bad() {
    let published: Value = serde_json::from_slice(&fs::read(schema_file()).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&published).unwrap();
    let mut asked = request("?");
    asked.tools = vec![weather()];
    let exchange = |reply: Value| json!({"request": CommandRequest { version: 1, request: asked.clone() }, "reply": reply});
    let good = [
        json!({"text": "x"}),
        json!({"text": "x", "cost": 0.5, "finish": "length", "usage": {"input": 1, "output": 2}}),
        json!({"text": "", "tool_calls": [{"name": "weather", "arguments": {"place": "Oslo"}}]}),
    ];
    for reply in good {
        assert!(serde_json::from_value::<CommandReply>(reply.clone()).is_ok());
        assert!(validator.is_valid(&exchange(reply.clone())), "{reply}");
    }
    for reply in [
        json!({}),
        json!({"text": 1}),
        json!({"text": "x", "tool_call": []}),
        json!({"text": "x", "finish": "?"}),
    ] {
        assert!(serde_json::from_value::<CommandReply>(reply.clone()).is_err());
        assert!(!validator.is_valid(&exchange(reply.clone())), "{reply}");
    }
}
