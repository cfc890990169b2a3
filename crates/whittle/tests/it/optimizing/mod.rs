//! `whittle optimize`, `runs`, `show`, `verify` and `doctor` with the real compilers.

mod bad_programs;
mod bad_surroundings;
mod cooperating;
mod doctor;
mod interrupted;
mod result;
mod suite;

use std::path::{Path, PathBuf};

use assert_cmd::Command;

use crate::common::whittle;

/// A program that passes and flags make faster, on inputs of a known form.
pub(crate) const PROGRAM: &str = "\
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    unsigned n, seed;
    if (scanf(\"%u %u\", &n, &seed) != 2 || n > 4000000) return 1;
    unsigned *values = malloc(n * sizeof *values + 1);
    for (unsigned i = 0; i < n; i++) values[i] = seed = seed * 1664525u + 1013904223u;
    unsigned long ones = 0, odd = 0;
    for (int round = 0; round < 8; round++)
        for (unsigned i = 0; i < n; i++) {
            for (unsigned bits = values[i]; bits; bits >>= 1) ones += bits & 1;
            if (values[i] % 3 == 1) odd++;
        }
    printf(\"%lu %lu\\n\", ones, odd);
    free(values);
    return 0;
}
";

/// A folder with a program, tests, a run store and a place for the result.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With this program in prog.c.
    pub(crate) fn new(program: &str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write("prog.c", program);
        place
    }

    /// With [`PROGRAM`] and tests for it.
    pub(crate) fn with_tests() -> Self {
        let place = Self::new(PROGRAM);
        std::fs::create_dir(place.path("tests")).unwrap();
        for (name, input) in [
            ("tests/none.in", "0 1\n"),
            ("tests/one.in", "1 7\n"),
            ("tests/small.in", "100 3\n"),
            ("tests/medium.in", "5000 4\n"),
            ("tests/large.in", "100000 5\n"),
            ("tests/larger.in", "200000 6\n"),
        ] {
            place.write(name, input);
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A command in this folder, with this folder's store.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.settle(whittle(arguments))
    }

    /// Puts any command into this folder, and gives it this folder's store.
    pub(crate) fn settle(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("WHITTLE_STORE", self.path("runs.sqlite"))
            // What one test has built, the next need not.
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            );
        for name in ["WHITTLE_LLVM_PREFIX", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    /// A short run of prog.c.
    pub(crate) fn optimize(&self, more: &[&str]) -> Command {
        let mut command = self.command(&["optimize", "prog.c"]);
        command.args(["--budget-time", "16s", "--budget-candidates", "3"]);
        command.args(more);
        command
    }
}
