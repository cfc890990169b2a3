//! Recording and replaying.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use whittle_chat::{ChatError, ChatReply, ChatRequest, OpenOptions, Price, open};

use super::dialects::openai_reply;
use super::server::{Server, json as body, status};
use super::{ENDPOINT_KEY, ask, has_key, once, options, request};

fn labelled(label: &str, text: &str) -> ChatRequest {
    ChatRequest {
        label: label.to_owned(),
        ..request(text)
    }
}

/// A server whose n-th reply says n, and whose third is a refusal that echoes the key.
fn counting() -> Server {
    Server::start(|nth, _| match nth {
        2 => status(
            400,
            &[],
            &json!({"error": {"message": format!("bad key {ENDPOINT_KEY}")}}),
        ),
        _ => body(&openai_reply(&format!("reply {nth} to {ENDPOINT_KEY}"))),
    })
}

fn requests() -> Vec<ChatRequest> {
    vec![
        labelled("a", "one"),
        labelled("a", "two"),
        labelled("b", "three"),
        request(&format!("no label, but {ENDPOINT_KEY}")),
        request("another"),
        request("another"),
    ]
}

fn shown(results: Vec<Result<ChatReply, ChatError>>) -> Vec<Result<ChatReply, String>> {
    // Errors name the model, which is another one in a replay.
    let why = |error: ChatError| match error {
        ChatError::Rejected { why, .. } => why,
        other => panic!("{other:?}"),
    };
    results
        .into_iter()
        .map(|result| result.map_err(why))
        .collect()
}

struct Recorded {
    folder: tempfile::TempDir,
    results: Vec<Result<ChatReply, String>>,
}

impl Recorded {
    fn file(&self) -> PathBuf {
        self.folder.path().join("a+b.jsonl")
    }

    fn replay(&self) -> String {
        format!("replay:{}", self.file().display())
    }
}

fn priced(folder: &Path) -> OpenOptions {
    let prices = folder.join("prices.json");
    fs::write(
        &prices,
        r#"{"prices": [{"model": "tester", "input": 0.1, "output": 0.7}]}"#,
    )
    .unwrap();
    OpenOptions {
        prices: Some(prices),
        ..options()
    }
}

fn record() -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let server = counting();
    let spec = format!(
        "record:{}+{}",
        folder.path().join("a+b.jsonl").display(),
        server.spec("openai")
    );
    let model = open(&spec, &priced(folder.path())).unwrap();
    assert_eq!(model.name(), spec);
    let results = requests()
        .iter()
        .map(|request| ask(&*model, request))
        .collect();
    Recorded {
        folder,
        results: shown(results),
    }
}

#[test]
fn a_replay_is_what_was_recorded() {
    let recorded = record();
    assert!(recorded.results[2].as_ref().unwrap_err().contains("[key]"));
    let model = open(&recorded.replay(), &options()).unwrap();
    assert_eq!(
        model.price(),
        Some(Price {
            input: 0.1,
            output: 0.7
        })
    );
    let results = requests()
        .iter()
        .map(|request| ask(&*model, request))
        .collect();
    let results = shown(results);
    assert_eq!(results, recorded.results);
    let cost = results[0].as_ref().unwrap().cost.unwrap();
    assert!(cost > 0.0);
    assert!(!has_key(&fs::read_to_string(recorded.file()).unwrap()));
}

#[test]
fn labels_are_replayed_in_order_whatever_was_asked() {
    let recorded = record();
    let model = open(&recorded.replay(), &options()).unwrap();
    let first = ask(&*model, &labelled("a", "something else")).unwrap();
    assert_eq!(&first, recorded.results[0].as_ref().unwrap());
    ask(&*model, &labelled("a", "one")).unwrap();
    for missing in [
        labelled("a", "one"),
        labelled("c", "one"),
        request("never asked"),
    ] {
        let error = ask(&*model, &missing).unwrap_err();
        assert!(
            matches!(error, ChatError::NotRecorded { .. }) && error.is_final(),
            "{error:?}"
        );
    }
}

#[test]
fn each_line_is_json_and_the_first_has_the_version() {
    let recorded = record();
    let text = fs::read_to_string(recorded.file()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1 + requests().len());
    assert_eq!(lines[0]["version"], 1);
    assert!(
        lines[0]["model"]
            .as_str()
            .unwrap()
            .starts_with("openai:tester@")
    );
    assert_eq!(lines[1]["request"]["label"], "a");
    assert_eq!(lines[1]["reply"]["usage"]["input"], 11);
}

#[test]
fn a_recording_cut_anywhere_is_read_and_continued() {
    let whole = fs::read(record().file()).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.jsonl");
    let model = || open(&format!("replay:{}", file.display()), &options());
    let answer = r#"command:echo '{"text": "new"}'"#;
    for length in (header..=whole.len()).step_by(7) {
        fs::write(&file, &whole[..length]).unwrap();
        let lines = whole[..length].split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(
            ask(&*model().unwrap(), &labelled("a", "one")).is_ok(),
            lines > 1
        );
    }
    // Another model's recording is not continued.
    let error = open(&format!("record:{}+{answer}", file.display()), &options())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("recording of openai:tester"),
        "{error}"
    );

    fs::remove_file(&file).unwrap();
    let spec = format!("record:{}+{answer}", file.display());
    once(&spec, &options(), "first").unwrap();
    let mut text = fs::read(&file).unwrap();
    text.extend_from_slice(b"{\"digest\":\"12");
    fs::write(&file, &text).unwrap();
    once(&spec, &options(), "second").unwrap();
    for text in ["first", "second"] {
        assert_eq!(ask(&*model().unwrap(), &request(text)).unwrap().text, "new");
    }
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);
}

#[test]
fn other_files_are_no_recordings_and_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thesis.txt");
    for text in [
        "My thesis",
        "My thesis\nin two lines\n",
        "{\"version\":2,\"model\":\"x\",\"price\":null}\n",
    ] {
        fs::write(&file, text).unwrap();
        for spec in [
            format!("replay:{}", file.display()),
            format!("record:{}+command:true", file.display()),
        ] {
            let error = open(&spec, &options()).err().unwrap();
            assert!(matches!(error, ChatError::File { .. }), "{error:?}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert!(open("replay:/nowhere/at/all", &options()).is_err());
    for spec in [
        "record:",
        "record:file",
        "record:file+",
        "record:+openai:x",
        "record:file+nothing:x",
    ] {
        assert!(
            matches!(open(spec, &options()), Err(ChatError::Spec { .. })),
            "{spec}"
        );
    }
}

#[test]
fn one_at_a_time_records_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!(
        "record:{}+command:true",
        folder.path().join("x.jsonl").display()
    );
    let first = open(&spec, &options()).unwrap();
    assert!(open(&spec, &options()).is_err());
    drop(first);
    assert!(open(&spec, &options()).is_ok());
}
