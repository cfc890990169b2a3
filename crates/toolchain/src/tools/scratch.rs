//! The folder one call runs in.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::error::ToolError;
use super::tool::Tool;

/// Where outputs go in the folder; no unit's name begins with a dot.
pub(crate) const OUTPUTS: &str = ".out";
/// Bytes of an output that are read back.
pub(crate) const OUTPUT_LIMIT: u64 = 64 << 20;
/// Bytes of standard error that are kept.
const STDERR_LIMIT: usize = 64 << 10;

/// A folder for one call, gone when dropped.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Result<Self, ToolError> {
        let failed = |source| ToolError::Scratch {
            path: std::env::temp_dir(),
            source,
        };
        let folder = tempfile::Builder::new()
            .prefix("whittle-")
            .tempdir()
            .map_err(failed)?;
        fs::create_dir(folder.path().join(OUTPUTS)).map_err(failed)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, inputs: &[(String, Vec<u8>)]) -> Result<(), ToolError> {
        for (name, bytes) in inputs {
            let path = self.path().join(name);
            let folder = path.parent().unwrap_or(self.path());
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes));
            written.map_err(|source| ToolError::Scratch { path, source })?;
        }
        Ok(())
    }

    /// Reads an output: a regular file of bounded size, nothing that a link leads to.
    pub(crate) fn read(&self, tool: Tool, name: &str) -> Result<Vec<u8>, ToolError> {
        let path = self.path().join(name);
        let failed = |source| ToolError::Scratch {
            path: path.clone(),
            source,
        };
        let meta = fs::symlink_metadata(&path).map_err(|_| missing(tool, &path))?;
        if !meta.is_file() {
            return Err(missing(tool, &path));
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(&path).map_err(failed)?;
        file.take(OUTPUT_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > OUTPUT_LIMIT {
            return Err(ToolError::OutputTooLarge {
                tool,
                limit: OUTPUT_LIMIT,
            });
        }
        Ok(bytes)
    }
}

fn missing(tool: Tool, path: &Path) -> ToolError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ToolError::Parse {
        tool,
        what: format!("it wrote no file {name}"),
    }
}

/// Standard error as text, bounded, without the name of the scratch folder.
pub(crate) fn bounded(stderr: &[u8], scratch: &Path) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut text = text
        .replace(&format!("{}/{OUTPUTS}/", scratch.display()), "")
        .replace(&format!("{}/", scratch.display()), "");
    if text.len() > STDERR_LIMIT {
        let end = (0..=STDERR_LIMIT)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or_default();
        text.truncate(end);
    }
    text
}
