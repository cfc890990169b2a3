//! What the tests share: the real tools in a store of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use whittle_optimizer::archive::Archive;
use whittle_optimizer::budget::Budget;
use whittle_optimizer::session::{RunOptions, Setup};
use whittle_toolchain::sandbox::{Finished, Job, Sandbox, SandboxOptions, SealedInput};
use whittle_toolchain::tools::{Found, Store, Toolchain, Unit};

/// A folder for everything of a test.
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The real tools.
    pub(crate) fn toolchain(&self) -> Toolchain {
        let found = Found::find(None)
            .expect("the tests need LLVM 16 or newer: cargo xtask test installs it");
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        Toolchain::new(found, sandbox, Store::open(self.path("store")).unwrap()).unwrap()
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup {
            toolchain: self.toolchain(),
            archive: Archive::open(&self.path("runs.sqlite")).unwrap(),
            stop: Arc::new(AtomicBool::new(false)),
            output: self.path("output"),
            model: None,
        }
    }

    /// A C file in this folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Compiles a file and runs it as candidates are run.
    pub(crate) fn run_source(&self, file: &Path, input: &[u8]) -> Finished {
        let toolchain = self.toolchain();
        let unit = Unit {
            name: file.file_name().unwrap().to_string_lossy().into_owned(),
            text: std::fs::read_to_string(file).unwrap(),
        };
        let executable = toolchain.compile(&[unit], &["-O3".to_owned()]).unwrap();
        let mut job = Job::run(executable.path, self.folder.path());
        job.input = Some(SealedInput::new(input).unwrap());
        toolchain.sandbox().run(&job).unwrap()
    }
}

/// Options of a short run.
pub(crate) fn options(time: Duration) -> RunOptions {
    RunOptions {
        seed: 1,
        guide: "thompson".to_owned(),
        agents: vec!["passes".to_owned(), "flags".to_owned()],
        budget: Budget::of_time(time),
        host: false,
        margin: 0.02,
        fp_tolerance: None,
        model: None,
    }
}
