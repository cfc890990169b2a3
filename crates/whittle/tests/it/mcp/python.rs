//! The official client for Python optimizes a program.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

use super::Place;

/// A Python with what requirements.txt names. That there is none is a failure, never a test that is left out.
fn python() -> PathBuf {
    let named = std::env::var_os("WHITTLE_MCP_PYTHON").filter(|python| !python.is_empty());
    let usual = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("mcp-venv/bin/python");
    let python = named.map_or(usual, PathBuf::from);
    let check = Command::new(&python)
        .args(["-c", "import mcp; mcp.Client"])
        .output();
    let works = check.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        works,
        "{} cannot import the MCP client: {check:?}\n\
         `cargo xtask test` makes a Python environment that can, and runs all tests; `cargo xtask test -- mcp` runs these",
        python.display()
    );
    python
}

#[test]
fn the_official_client_optimizes_a_program() {
    let place = Place::new();
    let out = place.path("out");
    let server = place.command(&[]);
    let mut client = Command::new(python());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => client.env(name, value),
            None => client.env_remove(name),
        };
    }
    client
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mcp/client.py"))
        .arg(place.path("work"))
        .args([
            server.get_program(),
            "mcp".as_ref(),
            "--out".as_ref(),
            out.as_os_str(),
        ]);
    let output = client.assert().success().get_output().stdout.clone();
    let found: Value = serde_json::from_slice(&output).unwrap();
    let text = |name: &str| {
        found[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {found}"))
    };

    assert_eq!(found["tools"].as_array().unwrap().len(), 10);
    assert!(text("opened").contains("Candidate #0"));
    assert!(text("hottest").contains("ones in bits.c"));
    assert!(text("text").starts_with("static unsigned ones(unsigned bits) {"));
    assert!(text("rejected").contains("rejected: "));
    assert_eq!(found["numbers"], serde_json::json!([1, 2]));
    assert!(text("timed").ends_with(text("verdict")));
    assert!(text("missing").contains("there is no candidate #1000"));
    assert!(text("result").contains("faster than clang -O3"));
    assert!(!found["progress"].as_array().unwrap().is_empty());
    assert!(out.join("bits.whittle/report.json").is_file());
}
