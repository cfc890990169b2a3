//! Bad input: exit codes and messages.

use crate::common::{QUESTION, failure, image, model_copy, whittle, with_model};

fn ask(more: &[&str]) -> assert_cmd::Command {
    let mut command = with_model(&["ask", QUESTION]);
    command.args(more);
    command
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let cases: [(&[&str], &str); 9] = [
        (
            &["--kv-budget", "0"],
            "invalid value '0' for '--kv-budget <ALPHA>': must be above 0 and at most 1",
        ),
        (&["--kv-budget", "1.5"], "must be above 0 and at most 1"),
        (
            &["--policy", "vlcache"],
            "invalid value 'vlcache' for '--policy <NAME>'",
        ),
        (
            &["--filter", "1"],
            "'--filter <P>': must be at least 0 and below 1",
        ),
        (&["--top-p", "0"], "'--top-p <P>'"),
        (&["--max-tokens", "0"], "must be at least 1"),
        (&["--temperature", "hot"], "not a number"),
        (&["--show-kept", "kept.jpg"], "must end in .png"),
        (&["--memory-limit", "lots"], "not a size"),
    ];
    for (flags, message) in cases {
        let (code, text) = failure(&mut ask(flags));
        assert_eq!(code, 2, "{flags:?}: {text}");
        assert!(text.contains(message), "{flags:?}: {text}");
    }
}

#[test]
fn an_unknown_policy_lists_the_known_ones() {
    insta::assert_snapshot!(failure(&mut ask(&["--policy", "vlcache"])).1);
}

#[test]
fn without_a_model_there_is_advice() {
    let folder = tempfile::tempdir().unwrap();
    // A copy outside the repository, so that the bundled model is not found above the executable.
    let program = folder.path().join("whittle");
    std::fs::copy(env!("CARGO_BIN_EXE_whittle"), &program).unwrap();
    if whittle_testing::workspace()
        .join("models/reader/config.json")
        .is_file()
    {
        // The source tree is found through its path at build time; there is nothing to show then.
        return;
    }
    let mut command = assert_cmd::Command::new(&program);
    command
        .args(["ask", "hello"])
        .current_dir(folder.path())
        .env_remove("WHITTLE_MODEL")
        .env("NO_COLOR", "1");
    let (code, text) = failure(&mut command);
    assert_eq!(code, 2);
    assert!(
        text.starts_with("error: no model: give --model FOLDER or set WHITTLE_MODEL"),
        "{text}"
    );
}

#[test]
fn files_are_named() {
    let (code, text) = failure(&mut ask(&["--image", "/nowhere/page.png"]));
    assert_eq!(code, 1);
    assert!(
        text.contains("/nowhere/page.png") && text.contains("No such file"),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.png");
    std::fs::write(&notes, "these are notes").unwrap();
    let (code, text) = failure(&mut ask(&["--image", notes.to_str().unwrap()]));
    assert_eq!(code, 1);
    assert!(
        text.contains("notes.png: not an image of a known format"),
        "{text}"
    );

    let (code, text) = failure(&mut whittle(&[
        "inspect",
        "--model",
        folder.path().to_str().unwrap(),
    ]));
    assert_eq!(code, 1);
    assert!(text.contains("config.json"), "{text}");
}

#[test]
fn broken_checkpoints_are_named() {
    let (_guard, folder) = model_copy();
    let inspect = |folder: &std::path::Path| {
        failure(&mut whittle(&[
            "inspect",
            "--model",
            folder.to_str().unwrap(),
        ]))
    };
    let weights = folder.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 1000]).unwrap();
    let (code, text) = inspect(&folder);
    assert_eq!(code, 1);
    assert!(
        text.contains("model.safetensors") && text.contains("truncated"),
        "{text}"
    );
    std::fs::write(&weights, &whole).unwrap();

    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let other = config.replace(
        "LlavaNextForConditionalGeneration",
        "FluxForConditionalGeneration",
    );
    std::fs::write(
        folder.join("config.json"),
        other.replace("llava_next", "flux"),
    )
    .unwrap();
    let (code, text) = inspect(&folder);
    assert_eq!(code, 1);
    assert!(text.contains("unknown architecture"), "{text}");
}

#[test]
fn prompts_that_do_not_fit_are_refused() {
    let (code, text) = failure(&mut ask(&["--image", &image(), "--memory-limit", "10kB"]));
    assert_eq!(code, 1);
    assert!(
        text.contains("too little memory: a prompt of 91 tokens needs about"),
        "{text}"
    );

    let mut long = with_model(&["ask", "-"]);
    long.write_stdin("word ".repeat(100_000));
    let (code, text) = failure(&mut long);
    assert_eq!(code, 1);
    assert!(text.contains("positions"), "{text}");

    let (code, text) = failure(with_model(&["ask", "-"]).write_stdin("  \n"));
    assert_eq!((code, text.as_str()), (2, "error: the question is empty\n"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let missing = ["ask", QUESTION, "--image", "/nowhere.png"];
    let mut forced = with_model(&missing);
    forced.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
    assert!(failure(&mut forced).1.contains('\u{1b}'));
    let mut off = with_model(&missing);
    off.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!failure(&mut off).1.contains('\u{1b}'));
}

#[test]
#[cfg(unix)]
fn interrupting_is_exit_code_130() {
    use std::io::Read as _;
    use std::process::{Command, Stdio};
    // With so many positions the answer would go on for an hour.
    let (_guard, folder) = model_copy();
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let endless = config.replace(
        "\"max_position_embeddings\": 2048",
        "\"max_position_embeddings\": 1000000",
    );
    assert_ne!(endless, config);
    std::fs::write(folder.join("config.json"), endless).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_whittle"))
        .args([
            "ask",
            "--image",
            &image(),
            QUESTION,
            "--max-tokens",
            "1000000",
            "--temperature",
            "1",
        ])
        .env(
            "WHITTLE_MODEL",
            whittle_testing::golden("models/llava-next-mistral"),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once the first byte is there, the answer is being decoded.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
