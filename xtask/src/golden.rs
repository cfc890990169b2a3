//! `cargo xtask golden`: the copy of the reference data that travels with the repository.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// What the tests of a checkout without `../shared` read.
const PARTS: [&str; 8] = [
    "README.md",
    "images",
    "models/llava-next-mistral",
    "models/llama",
    "llava-next-mistral",
    "llama",
    "compression",
    "preprocess",
];

/// Replaces `testdata/golden` by a fresh copy of [`PARTS`].
pub(crate) fn run() -> Result<()> {
    let from = crate::root().join("../shared/golden");
    let to = crate::root().join("testdata/golden");
    if !from.is_dir() {
        bail!("no reference data at {}", from.display());
    }
    if to.exists() {
        fs::remove_dir_all(&to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    let mut bytes = 0;
    for part in PARTS {
        bytes += copy(&from.join(part), &to.join(part))
            .with_context(|| format!("cannot copy {part} from {}", from.display()))?;
    }
    println!("copied {:.1} MB into testdata/golden", bytes as f64 / 1e6);
    Ok(())
}

/// Copies a file or a folder; answers the bytes copied.
fn copy(from: &Path, to: &Path) -> Result<u64> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        let mut bytes = 0;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            bytes += copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(bytes);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    // Contents only: the oracle is read-only, and its mode must not make the copy so.
    let contents = fs::read(from)?;
    fs::write(to, &contents)?;
    Ok(contents.len() as u64)
}
