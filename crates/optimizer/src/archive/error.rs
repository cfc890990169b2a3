//! What can go wrong with the run store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::RunId;

/// The run store cannot do what it was asked. Nothing in it was lost or changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder, the file or a lock beside it cannot be made or opened.
    #[error("cannot open the run store {}: {source}; make the place writable, or name another with --store", .path.display())]
    Open {
        /// The file or folder at fault.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file may not be written.
    #[error("the run store {} cannot be written; make it writable, or name another with --store", .0.display())]
    ReadOnly(PathBuf),
    /// The file is something else.
    #[error(
        "{} is no run store of whittle ({what}) and was left as it is; move it away, or name another place with --store",
        .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// The file was written by a later version.
    #[error(
        "the run store {} has format {found}, this version knows up to {known}; use the newer whittle, or name another \
         store with --store",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest known format.
        known: i64,
    },
    /// The file, or a record in it, is damaged.
    #[error(
        "the run store {} is damaged ({what}) and was left as it is; move it away, or name another with --store",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is no room.
    #[error(
        "no room left for the run store {}: make some and go on with the run; all that was there before is kept",
        .0.display()
    )]
    Full(PathBuf),
    /// Another process writes for too long.
    #[error("the run store {} is locked by another process", .0.display())]
    Busy(PathBuf),
    /// The database fails otherwise.
    #[error("the run store {} failed: {source}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// How.
        source: rusqlite::Error,
    },
    /// Something cannot be stored so that it reads back: a number that is infinite or not a number.
    #[error("cannot store {what}: it would not read back ({source})")]
    Unstorable {
        /// What.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// No run has this name.
    #[error("no run in {} is called {wanted:?}; {}", .path.display(), known(.newest))]
    NoSuchRun {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// The newest runs.
        newest: Vec<RunId>,
    },
    /// Several runs could be meant.
    #[error("{wanted:?} could be any of {}", names(.candidates))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it could mean.
        candidates: Vec<RunId>,
    },
    /// Another process works on the run.
    #[error("run {run} is being worked on by process {}; stop that one first", .pid.map_or("(unknown)".to_owned(), |pid| pid.to_string()))]
    InUse {
        /// The run.
        run: RunId,
        /// The process, if it said so.
        pid: Option<u32>,
    },
}

impl ArchiveError {
    /// What an error of the database means.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let rusqlite::Error::SqliteFailure(failure, _) = &source else {
            return Self::Database { path, source };
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full(path),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly(path),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(path),
            ErrorCode::NotADatabase => {
                let what = "the file has another kind".to_owned();
                Self::Foreign { path, what }
            }
            ErrorCode::DatabaseCorrupt => Self::Damaged {
                path,
                what: source.to_string(),
            },
            ErrorCode::CannotOpen => Self::Open {
                path,
                source: io::Error::other(source),
            },
            _ => Self::Database { path, source },
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

fn names(runs: &[RunId]) -> String {
    runs.iter()
        .map(RunId::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn known(newest: &[RunId]) -> String {
    if newest.is_empty() {
        return "it is empty".to_owned();
    }
    format!("the newest are {}", names(newest))
}
