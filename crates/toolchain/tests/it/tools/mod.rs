//! The tools on the machine's own LLVM.
#![allow(clippy::unwrap_used)] // clippy allows it in test functions, but not in their helpers

mod abi;
mod alive;
mod analysis;
mod compilers;
mod extensions;
mod hot;
mod imports;
mod machine;
mod profile;
mod sanitize;
mod store;

use std::path::PathBuf;

use tempfile::TempDir;
use whittle_toolchain::sandbox::{End, Finished, Job, Sandbox, SandboxOptions, SealedInput};
use whittle_toolchain::tools::{Executable, Found, Store, Toolchain, Unit};

/// A toolchain with a store of its own.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) toolchain: Toolchain,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let toolchain = Bench::open(&folder);
        Bench { folder, toolchain }
    }

    /// Another toolchain over the same store, as the next run of the program would have.
    pub(crate) fn again(&self) -> Toolchain {
        Bench::open(&self.folder)
    }

    fn open(folder: &TempDir) -> Toolchain {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let store = Store::open(folder.path().join("store")).unwrap();
        Toolchain::new(Found::find(None).unwrap(), sandbox, store).unwrap()
    }

    /// Runs an executable and gives what it printed.
    pub(crate) fn run(
        &self,
        executable: &Executable,
        arguments: &[&str],
        input: &[u8],
    ) -> Finished {
        let mut job = Job::run(&executable.path, "/");
        job.arguments = arguments.iter().map(Into::into).collect();
        job.input = Some(SealedInput::new(input).unwrap());
        self.toolchain.sandbox().run(&job).unwrap()
    }

    pub(crate) fn stdout(
        &self,
        executable: &Executable,
        arguments: &[&str],
        input: &[u8],
    ) -> String {
        let finished = self.run(executable, arguments, input);
        let stderr = String::from_utf8_lossy(&finished.stderr);
        assert_eq!(finished.end, End::Exited(0), "{stderr}");
        String::from_utf8(finished.stdout).unwrap()
    }

    /// Files of the kind of `objects` or `calls` in the store.
    pub(crate) fn files(&self, kind: &str) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.toolchain.store().root().join(kind)).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }
}

pub(crate) fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

pub(crate) fn unit(name: &str) -> Unit {
    Unit::new(name, fixture(name))
}

pub(crate) fn strings(flags: &[&str]) -> Vec<String> {
    flags.iter().map(ToString::to_string).collect()
}
