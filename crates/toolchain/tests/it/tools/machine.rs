//! What is found on this machine.

use std::process::Command;

use whittle_toolchain::sandbox::{Sandbox, SandboxOptions};
use whittle_toolchain::tools::{Found, Inventory, Located, Store, Tool, ToolError, Toolchain};

use super::Bench;

#[test]
fn the_inventory_agrees_with_what_is_found() {
    let found = Found::find(None).unwrap();
    assert!(found.major >= 16, "{found:?}");
    let inventory = Inventory::take(None);
    assert_eq!(
        (inventory.major, inventory.install_command.as_ref()),
        (Some(found.major), None)
    );
    for line in &inventory.lines {
        assert_eq!(
            line.located.as_ref(),
            found.tools.get(&line.tool),
            "{}",
            line.tool
        );
        assert!(!line.required || line.located.is_some(), "{}", line.tool);
        let installable = line.located.is_none() && line.tool != Tool::AliveTv;
        assert_eq!(line.install_command.is_some(), installable, "{}", line.tool);
    }
    let text = serde_json::to_string(&inventory).unwrap();
    assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory);
}

#[test]
fn an_empty_prefix_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Found::find(Some(folder.path())).unwrap_err();
    assert!(matches!(error, ToolError::NotFound { .. }), "{error}");
}

#[test]
fn missing_run_time_libraries_are_noticed() {
    let bench = Bench::new();
    let runtimes = bench.toolchain.runtimes().unwrap();
    assert!(
        runtimes.address && runtimes.memory && runtimes.profile,
        "{runtimes:?}"
    );
    assert_eq!(runtimes.install_command, None);

    // A clang that can't find one of them.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("clang");
    let mut found = Found::find(None).unwrap();
    let clang = found.path(Tool::Clang).unwrap().display().to_string();
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *fsanitize=memory*) echo 'ld: cannot find libclang_rt.msan.a' >&2; exit 1;; esac\nexec {clang} \"$@\"\n"
    );
    // By another process: a file open for writing here can't be run while a fork of this process lives.
    let mut write = Command::new("sh");
    write
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .arg(&script)
        .arg(text);
    assert!(write.status().unwrap().success());
    let version = found.version(Tool::Clang).unwrap().to_owned();
    found.tools.insert(
        Tool::Clang,
        Located {
            path: script,
            version,
        },
    );
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let toolchain = Toolchain::new(
        found,
        sandbox,
        Store::open(bench.toolchain.store().root()).unwrap(),
    )
    .unwrap();
    let runtimes = toolchain.runtimes().unwrap();
    assert!(
        runtimes.address && !runtimes.memory && runtimes.profile,
        "{runtimes:?}"
    );
    let command = runtimes.install_command.unwrap();
    assert!(
        command.contains("libclang-rt") || command.contains("compiler-rt"),
        "{command}"
    );
}
