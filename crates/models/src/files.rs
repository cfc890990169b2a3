//! Reading the small files of a checkpoint folder.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ModelError;

/// No configuration, index or template of a published checkpoint comes near this.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Reads a text file of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, ModelError> {
    let file = File::open(path).map_err(ModelError::io(path))?;
    let size = file.metadata().map_err(ModelError::io(path))?.len();
    if size > MAX_TEXT_BYTES {
        return Err(ModelError::FileTooLarge {
            path: path.to_owned(),
            size,
            limit: MAX_TEXT_BYTES,
        });
    }
    let mut text = String::new();
    // The bound holds also where the file grows or its size cannot be known beforehand.
    file.take(MAX_TEXT_BYTES)
        .read_to_string(&mut text)
        .map_err(ModelError::io(path))?;
    Ok(text)
}

/// As [`read_text`], but `None` if there is no such file.
pub(crate) fn read_text_if_there(path: &Path) -> Result<Option<String>, ModelError> {
    match read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Parses JSON; `path` is for the message.
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    path: &Path,
    text: &str,
) -> Result<T, ModelError> {
    serde_json::from_str(text).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
}
