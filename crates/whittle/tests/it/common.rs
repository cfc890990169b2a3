//! Starting the binary on the tiny reference model.

use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use whittle_testing::golden;

/// The binary in a clean environment: no model from outside, no colours.
pub(crate) fn whittle(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whittle"));
    command.args(arguments);
    for name in [
        "WHITTLE_MODEL",
        "CLICOLOR_FORCE",
        "CLICOLOR",
        "COLUMNS",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}

/// The same with the reference model.
pub(crate) fn with_model(arguments: &[&str]) -> Command {
    let mut command = whittle(arguments);
    command.env("WHITTLE_MODEL", golden("models/llava-next-mistral"));
    command
}

/// The image and question of the reference data's case 0.
pub(crate) fn image() -> String {
    golden("images/wide_160x64.png").display().to_string()
}

pub(crate) const QUESTION: &str = "What is shown in this image?";

pub(crate) fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout(command)).unwrap()
}

/// Exit code and standard error of a command that fails.
pub(crate) fn failure(command: &mut Command) -> (i32, String) {
    let assert = command.assert().failure();
    let output = assert.get_output();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

/// A copy of the reference model that can be broken.
pub(crate) fn model_copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden("models/llava-next-mistral")).unwrap() {
        let entry = entry.unwrap();
        std::fs::write(
            folder.path().join(entry.file_name()),
            std::fs::read(entry.path()).unwrap(),
        )
        .unwrap();
    }
    let path = folder.path().to_owned();
    (folder, path)
}
