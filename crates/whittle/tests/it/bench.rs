//! `whittle bench` on a tiny model, with interpreters that only pretend to run a peer.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{failure, json, stdout, whittle};

/// The arguments of a grid that takes no time; the weights lie in `folder`.
fn tiny(folder: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["bench", "--shape", "tiny", "--new-tokens", "3"]
        .map(str::to_owned)
        .into();
    arguments.extend(["--prompts", "32", "--repeat", "2", "--threads", "1"].map(str::to_owned));
    arguments.push(format!("--checkpoint={}", folder.join("weights").display()));
    arguments
}

fn bench(folder: &Path, more: &[&str]) -> assert_cmd::Command {
    let arguments = tiny(folder);
    let all: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    whittle(&all)
}

/// A shell script that stands for Python: it is given the peer's script, `--threads` and what to measure.
#[cfg(unix)]
fn interpreter(folder: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
const WORKING: &str = r#"
test -f "$1" || exit 9
echo 'some library says hello'
case "$3" in
check) echo '{"kind":"peer","version":"1.2"}' ;;
point) echo '{"kind":"point","prefill_s":2,"decode_step_s":0.5,"end_to_end_s":3,"cache_bytes":7}' ;;
matmul) echo '{"kind":"product","name":"square","seconds":[1,2]}' ;;
vision) echo '{"kind":"vision","seconds":[4]}' ;;
esac"#;

fn named<'a>(rows: &'a Value, what: &str) -> Vec<&'a Value> {
    let rows = rows.as_array().unwrap().iter();
    rows.filter(|row| row["what"] == what).collect()
}

#[test]
fn a_grid_with_all_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("bench.svg");
    let flags = ["--batches", "1,2", "--policies", "full,vl-cache,snapkv"];
    let mut command = bench(folder.path(), &flags);
    command.args(["--budgets", "0.25,0.5", "--json", "--plot"]);
    let report = json(command.arg(&plot));
    let grid = &report["grid"];
    assert_eq!(grid.as_array().unwrap().len(), 2 * (1 + 2 * 2));
    let full = named(grid, "full");
    assert_eq!(
        (&full[0]["batch"], &full[1]["batch"]),
        (&1.into(), &2.into())
    );
    // Two layers, two KV heads: keys and values of 16 bf16.
    let entries = |row: &Value| row["details"]["kept_entries"].as_u64().unwrap();
    assert_eq!((entries(full[0]), entries(full[1])), (128, 256));
    let cache = full[1]["decode_cache_bytes"].as_f64().unwrap();
    assert_eq!(cache, (256.0 + 2.0 * 4.0 * 1.5) * 64.0);
    for row in grid.as_array().unwrap() {
        assert_eq!(row["runs"].as_array().unwrap().len(), 2);
        let kept = entries(row) as f64 / (128.0 * row["batch"].as_f64().unwrap());
        assert!(kept <= row["budget"].as_f64().unwrap() + 1e-9, "{row}");
        for key in [
            "prefill_s",
            "decode_step_s",
            "end_to_end_s",
            "decode_to_bound",
        ] {
            assert!(row[key].as_f64().unwrap() > 0.0, "{key}: {row}");
        }
    }
    // Every setting but the full cache itself is compared with it.
    assert_eq!(report["ratios"].as_array().unwrap().len(), 2 * 4);
    let machine = &report["machine"];
    assert_eq!(machine["threads"], 1);
    assert!(machine["read_bandwidth"].as_f64().unwrap() > 0.0);
    assert!(machine["matmul_rate"].as_f64().unwrap() > 0.0);
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));
}

#[test]
#[cfg(unix)]
fn peers_and_parts_stand_beside_ours() {
    let folder = tempfile::tempdir().unwrap();
    let python = interpreter(folder.path(), WORKING);
    let mut command = bench(
        folder.path(),
        &[
            "--peer",
            "transformers,llama.cpp",
            "--measure",
            "grid,matmul,vision",
        ],
    );
    let table = stdout(command.arg("--python").arg(&python));
    for text in [
        "Peer transformers (1.2)",
        "Peer llama.cpp (1.2)",
        "| llama.cpp",
        "| gate, up",
        "vision tower and projector",
        "4.00 s",
    ] {
        assert!(table.contains(text), "{text} in {table}");
    }
    let report = json(command.arg("--json"));
    for peer in ["transformers", "llama.cpp"] {
        let row = named(&report["grid"], peer)[0];
        assert_eq!(row["end_to_end_s"], 3.0);
        assert_eq!(row["cache_bytes"], 7);
        assert_eq!(row["details"], Value::Null);
    }
    let ratios = report["ratios"].as_array().unwrap();
    assert_eq!(
        ratios.len(),
        2 + 3,
        "full and vl-cache, each against the others"
    );
    let square = &report["matmul"][0]["engines"];
    assert_eq!(square[0]["seconds"].as_array().unwrap().len(), 2 * 3);
    assert_eq!(square[1]["engine"], "transformers");
    assert_eq!(square[1]["median_s"], 1.5);
    // Bare parts are not llama.cpp's.
    assert_eq!(report["vision"].as_array().unwrap().len(), 2);
}

#[test]
#[cfg(unix)]
fn a_peer_that_fails_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let failing = "\
case \"$1 $3\" in
*llama*) echo '{\"kind\":\"missing\",\"package\":\"gguf\"}' ;;
*check) echo '{\"kind\":\"peer\",\"version\":\"1\"}' ;;
*) echo 'MemoryError: too large' >&2; exit 1 ;;
esac";
    let python = interpreter(folder.path(), failing);
    let mut command = bench(
        folder.path(),
        &["--peer", "transformers,llama.cpp", "--json"],
    );
    let assert = command.arg("--python").arg(&python).assert().success();
    let output = assert.get_output();
    let warnings = String::from_utf8_lossy(&output.stderr);
    let missing = format!(
        "warning: going on without llama.cpp: llama.cpp is not installed for {} (no package gguf): \
         pip install llama-cpp-python gguf",
        python.display()
    );
    assert!(warnings.contains(&missing), "{warnings}");
    assert_eq!(warnings.matches("MemoryError: too large").count(), 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["grid"].as_array().unwrap().len(), 2);
    let problem = report["peers"][0]["problem"].as_str().unwrap();
    assert!(problem.ends_with("MemoryError: too large"), "{problem}");
}

#[test]
fn a_missing_interpreter_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--peer", "transformers", "--python", "no-such-python"];
    let assert = bench(folder.path(), &flags).assert().success();
    let warnings = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        warnings.contains("there is no no-such-python; --python names the interpreter"),
        "{warnings}"
    );
}

#[test]
fn wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, message) in [
        (
            &["--plot", "x.svg", "--measure", "matmul"][..],
            "--plot draws the grid",
        ),
        (&["--new-tokens", "1"], "must be at least 2"),
        (&["--batches", "0"], "must be at least 1"),
        (
            &["--peer", "vllm"],
            "possible values: transformers, llama.cpp",
        ),
    ] {
        let arguments: Vec<&str> = ["bench", "--shape", "tiny"]
            .into_iter()
            .chain(flags.iter().copied())
            .collect();
        let mut command = whittle(&arguments);
        command.current_dir(folder.path());
        let (code, error) = failure(&mut command);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_folder_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("weights");
    for (model, name, measure, message) in [
        ("llama", "weights", "grid", "but shape tiny has"),
        (
            "llava-next-mistral",
            "weights-vision",
            "vision",
            "holds another model than that of shape tiny",
        ),
    ] {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).unwrap();
        let model = whittle_testing::golden(&format!("models/{model}"));
        for entry in std::fs::read_dir(model).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
        let mut command = whittle(&["bench", "--shape", "tiny", "--prompts", "32"]);
        command.args(["--measure", measure, "--checkpoint"]);
        let (code, error) = failure(command.arg(&weights));
        assert_eq!(code, 1);
        assert!(error.contains(message), "{error}");
    }
}
