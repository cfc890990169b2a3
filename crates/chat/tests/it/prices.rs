//! What replies cost.

use std::fs;

use whittle_chat::{ChatError, OpenOptions, Price, open, registry};

use super::dialects::openai_reply;
use super::server::{Server, json as body};
use super::{ask, once, options, request};

#[test]
fn published_prices_are_for_the_providers_themselves() {
    let price = |spec: &str| open(spec, &options()).unwrap().price();
    assert_eq!(
        price("openai:gpt-4o-mini"),
        Some(Price {
            input: 0.15,
            output: 0.6
        })
    );
    assert_eq!(
        price("anthropic:claude-sonnet-4-5-20250929"),
        Some(Price {
            input: 3.0,
            output: 15.0
        })
    );
    assert_eq!(price("openai:gpt-4o-mini@http://localhost:1/v1"), None);
    assert_eq!(price("openai:something-new"), None);
    assert_eq!(price("command:true"), None);
}

#[test]
fn a_table_of_ones_own_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    let table = r#"{"prices": [{"model": "tester", "input": 2, "output": 4}, {"model": "command:*", "input": 1e6, "output": 0},
        {"model": "gpt-4o*", "input": 9, "output": 9}]}"#;
    fs::write(&file, table).unwrap();
    let options = OpenOptions {
        prices: Some(file.clone()),
        ..options()
    };
    let server = Server::script(vec![body(&openai_reply("x"))]);
    let model = open(&server.spec("openai"), &options).unwrap();
    assert_eq!(
        model.price(),
        Some(Price {
            input: 2.0,
            output: 4.0
        })
    );
    assert_eq!(ask(&*model, &request("?")).unwrap().cost, Some(50e-6));
    assert_eq!(
        open("openai:gpt-4o-mini", &options)
            .unwrap()
            .price()
            .unwrap()
            .input,
        9.0
    );
    let usage = r#""usage": {"input": 3, "output": 4}"#;
    assert_eq!(
        once(
            &format!("command:echo '{{\"text\": \"\", {usage}}}'"),
            &options,
            "?"
        )
        .unwrap()
        .cost,
        Some(3.0)
    );
    let cost = format!("command:echo '{{\"text\": \"\", {usage}, \"cost\": 0.5}}'");
    assert_eq!(once(&cost, &options, "?").unwrap().cost, Some(0.5));

    for bad in [
        "",
        "[]",
        r#"{"prices": [{"model": "x", "input": -1, "output": 0}]}"#,
    ] {
        fs::write(&file, bad).unwrap();
        assert!(matches!(
            open("openai:gpt-4o", &options),
            Err(ChatError::File { .. })
        ));
    }
}

#[test]
fn every_backend_shows_how_it_is_named() {
    let examples: Vec<&str> = registry().iter().map(|entry| entry.example).collect();
    for entry in registry() {
        assert!(
            entry.example.starts_with(&format!("{}:", entry.prefix)),
            "{}",
            entry.example
        );
        assert!(!entry.summary.is_empty());
    }
    for spec in ["", "gpt-5", ":", "llama:x"] {
        let error = open(spec, &options()).err().unwrap();
        assert!(
            examples
                .iter()
                .all(|example| error.to_string().contains(example)),
            "{error}"
        );
    }
    for spec in [
        "openai:",
        "command: ",
        "openai:@http://h",
        "openai:m@http://",
        "openai:m@h:80",
    ] {
        assert!(
            matches!(open(spec, &options()), Err(ChatError::Spec { .. })),
            "{spec}"
        );
    }
}
