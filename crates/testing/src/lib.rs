//! Where tests find reference data.
//!
//! The oracle lies beside the checkout, in `../shared/golden`. What a user's checkout needs is copied into
//! `testdata/golden` by `cargo xtask golden`, so that the tests pass without the folder beside it. In CI
//! (`CI=true`) the folder beside the checkout must be there: a stale copy must not pass for the oracle.

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of a golden file or folder, relative to `golden/`.
///
/// # Panics
/// If it exists neither beside the checkout nor in the copy, or, in CI, not beside the checkout.
pub fn golden(relative: &str) -> PathBuf {
    let shared = workspace().join("../shared/golden");
    let copy = workspace().join("testdata/golden").join(relative);
    let in_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
    if in_ci {
        assert!(
            shared.is_dir(),
            "CI has no reference data: {} is missing",
            shared.display()
        );
    }
    for candidate in [shared.join(relative), copy] {
        if candidate.exists() {
            return candidate;
        }
    }
    panic!(
        "no reference data {relative}: neither in ../shared/golden nor in testdata/golden (run `cargo xtask golden` where the oracle lies beside the checkout)"
    );
}
