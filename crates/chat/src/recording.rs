//! Recordings of models: a header line, then a line of JSON for each request and what came of it.
//!
//! A line counts once it ends in a newline. A process that is killed leaves at most one line that does not; readers skip
//! it, and it is cut off before more is appended.

use std::fmt::{Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::model::Price;

/// The version of the format.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    version: u32,
    /// Whose replies they are.
    pub(crate) model: String,
    /// What it costs.
    pub(crate) price: Option<Price>,
}

/// A further line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Of the request, for requests without a label.
    pub(crate) digest: String,
    pub(crate) request: ChatRequest,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Reply(Box<ChatReply>),
    Error(RecordedError),
}

/// An error that is the model's doing; it comes again in a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum RecordedError {
    TimedOut { seconds: f64 },
    Unreachable { tries: u32, why: String },
    Rejected { why: String },
    Malformed { why: String },
}

impl Outcome {
    /// `None` for errors that are not the model's doing.
    pub(crate) fn of(result: &Result<ChatReply, ChatError>) -> Option<Self> {
        let error = match result {
            Ok(reply) => return Some(Self::Reply(Box::new(reply.clone()))),
            Err(error) => error,
        };
        Some(Self::Error(match error {
            ChatError::TimedOut { after, .. } => RecordedError::TimedOut {
                seconds: after.as_secs_f64(),
            },
            ChatError::Unreachable { tries, why, .. } => RecordedError::Unreachable {
                tries: *tries,
                why: why.clone(),
            },
            ChatError::Rejected { why, .. } => RecordedError::Rejected { why: why.clone() },
            ChatError::Malformed { why, .. } => RecordedError::Malformed { why: why.clone() },
            ChatError::Spec { .. }
            | ChatError::NoKey { .. }
            | ChatError::Cancelled
            | ChatError::NotRecorded { .. }
            | ChatError::File { .. } => return None,
        }))
    }

    /// The same again, from the model of this name.
    pub(crate) fn into_result(self, model: &str) -> Result<ChatReply, ChatError> {
        let model = model.to_owned();
        Err(match self {
            Self::Reply(reply) => return Ok(*reply),
            Self::Error(RecordedError::TimedOut { seconds }) => ChatError::TimedOut {
                model,
                after: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            },
            Self::Error(RecordedError::Unreachable { tries, why }) => {
                ChatError::Unreachable { model, tries, why }
            }
            Self::Error(RecordedError::Rejected { why }) => ChatError::Rejected { model, why },
            Self::Error(RecordedError::Malformed { why }) => ChatError::Malformed { model, why },
        })
    }
}

/// A digest of everything in a request but its label.
pub(crate) fn digest(request: &ChatRequest) -> String {
    let mut value = serde_json::json!([
        request.messages,
        request.tools,
        request.max_tokens,
        request.temperature,
        request.seed
    ]);
    value.sort_all_objects();
    let hash = Sha256::digest(value.to_string());
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn wrong(path: &Path, why: &impl Display) -> ChatError {
    ChatError::File {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

/// A recording as read: its header, its entries, and the length of all that counts.
pub(crate) struct Recording {
    pub(crate) header: Header,
    pub(crate) entries: Vec<Entry>,
    length: u64,
}

impl Recording {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ChatError> {
        let text = std::fs::read(path).map_err(|error| wrong(path, &error))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, ChatError> {
        let length = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut lines = text[..length]
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate();
        let first = lines.next().map_or(&b""[..], |(_, line)| line);
        let header: Header =
            serde_json::from_slice(first).map_err(|_| wrong(path, &"it is no recording"))?;
        if header.version != VERSION {
            let why = format!("it is of version {}, not {VERSION}", header.version);
            return Err(wrong(path, &why));
        }
        let entries = lines.map(|(nth, line)| {
            serde_json::from_slice(line)
                .map_err(|error| wrong(path, &format!("line {}: {error}", nth + 1)))
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
            header,
            length: length as u64,
        })
    }
}

/// A file that a recording is appended to.
pub(crate) struct Appender {
    path: std::path::PathBuf,
    file: File,
    /// Length of what is written.
    length: u64,
    /// Lines that could not be written yet.
    pending: Vec<u8>,
}

impl Drop for Appender {
    fn drop(&mut self) {
        // The last chance.
        let _ = self.flush();
    }
}

impl Appender {
    /// Begins a recording, or goes on with one of the same model.
    pub(crate) fn open(path: &Path, model: &str, price: Option<Price>) -> Result<Self, ChatError> {
        let fail = |error: io::Error| wrong(path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(fail)?;
        file.try_lock()
            .map_err(|_| wrong(path, &"somebody else records to it"))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(fail)?;
        let path = path.to_owned();
        if text.is_empty() {
            let mut begun = Self {
                path,
                file,
                length: 0,
                pending: Vec::new(),
            };
            let model = model.to_owned();
            begun.line(&Header {
                version: VERSION,
                model,
                price,
            })?;
            return Ok(begun);
        }
        let old = Recording::parse(&path, &text)?;
        if old.header.model != model {
            return Err(wrong(
                &path,
                &format!("it is a recording of {}", old.header.model),
            ));
        }
        file.set_len(old.length).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self {
            path,
            file,
            length: old.length,
            pending: Vec::new(),
        })
    }

    /// Appends an entry; it is on the disk when this returns. If it cannot be written, it is kept for [`Self::flush`].
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), ChatError> {
        self.line(entry)
    }

    /// Writes what could not be written before.
    pub(crate) fn flush(&mut self) -> Result<(), ChatError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self
            .file
            .write_all(&self.pending)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += self.pending.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(error) => {
                // A part of a line would spoil the next; should this fail, too, the next try writes over it.
                let _ = self.file.set_len(self.length);
                let _ = self.file.seek(SeekFrom::Start(self.length));
                Err(wrong(&self.path, &error))
            }
        }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), ChatError> {
        let line = serde_json::to_vec(value).map_err(|error| wrong(&self.path, &error))?;
        self.pending.extend(line);
        self.pending.push(b'\n');
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry {
            digest: text.to_owned(),
            request: ChatRequest {
                label: text.to_owned(),
                messages: Vec::new(),
                tools: Vec::new(),
                max_tokens: 1,
                temperature: None,
                seed: None,
            },
            outcome: Outcome::Error(RecordedError::Rejected {
                why: text.to_owned(),
            }),
        }
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        let mut appender = Appender::open(&path, "a model", None).unwrap();
        appender.append(&entry("a")).unwrap();
        let mut writable = std::mem::replace(&mut appender.file, File::open(&path).unwrap());
        let error = appender.append(&entry("b")).unwrap_err();
        assert!(error.to_string().contains("calls.jsonl"), "{error}");
        assert!(appender.flush().is_err());
        // As a disk that was full leaves it: with a part of the line.
        writable.write_all(b"{\"dig").unwrap();
        appender.file = writable;
        appender
            .file
            .seek(SeekFrom::Start(appender.length))
            .unwrap();
        appender.append(&entry("c")).unwrap();
        let read = Recording::read(&path).unwrap();
        let digests: Vec<_> = read.entries.iter().map(|entry| &*entry.digest).collect();
        assert_eq!(digests, ["a", "b", "c"]);
    }
}
