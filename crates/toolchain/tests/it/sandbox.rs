//! What the tests of the sandbox share: a program that tries things, and calls to run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use whittle_toolchain::sandbox::{End, Finished, Job, Layer, Sandbox, SandboxOptions};

/// The compiled `sandbox_probe.c`.
pub(crate) fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sandbox_probe.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let fresh = folder.join(format!("sandbox-probe-{}", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-O1", "-pthread", "-o"])
            .args([&fresh, &source])
            .status()
            .unwrap();
        assert!(compiled.success());
        let program = folder.join("sandbox-probe");
        std::fs::rename(fresh, &program).unwrap();
        program
    })
}

/// All layers.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| without(&[]))
}

/// Some layers left out. Fails if too few are left.
pub(crate) fn without(layers: &[Layer]) -> Sandbox {
    let options = SandboxOptions {
        disabled: layers.to_vec(),
        ..SandboxOptions::default()
    };
    Sandbox::new(options).unwrap()
}

/// Each combination of layers left out, under its name, if a sandbox still holds here without them.
pub(crate) fn weakened(combinations: &[&[Layer]]) -> Vec<(String, Sandbox)> {
    let sandboxes = combinations.iter().filter_map(|layers| {
        let options = SandboxOptions {
            disabled: layers.to_vec(),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::new(options).ok()?;
        Some((format!("without {layers:?}"), sandbox))
    });
    let sandboxes: Vec<_> = sandboxes.collect();
    assert!(!sandboxes.is_empty());
    sandboxes
}

/// The probe in the run profile.
pub(crate) fn job(arguments: &[&str]) -> Job {
    Job {
        arguments: arguments.iter().map(Into::into).collect(),
        ..Job::run(probe(), "/")
    }
}

/// Runs the probe under all layers.
pub(crate) fn run(arguments: &[&str]) -> Finished {
    sandbox().run(&job(arguments)).unwrap()
}

/// What a job that ends well writes.
pub(crate) fn output(sandbox: &Sandbox, job: &Job) -> String {
    let finished = sandbox.run(job).unwrap();
    let errors = String::from_utf8_lossy(&finished.stderr);
    assert_eq!(finished.end, End::Exited(0), "{:?} {errors}", job.arguments);
    String::from_utf8(finished.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Whether no process has this in its command line.
pub(crate) fn is_gone(mark: &str) -> bool {
    let lives = || {
        let processes = std::fs::read_dir("/proc").unwrap();
        let command_lines =
            processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
        command_lines
            .into_iter()
            .any(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    !lives()
}
