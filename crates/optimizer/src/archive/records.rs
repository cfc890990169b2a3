//! Sealed records: JSON that is known to be what was written, or an error.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use whittle_toolchain::tools::Digest;

use super::{Archive, ArchiveError, RunId};

/// What a record is about. Most kinds have one record per run, the others are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Foundations,
    Inputs,
    Node,
    Ledger,
    Measurement,
    Log,
    Conclusion,
    Failure,
    /// A call of a model, with its reply.
    Call,
    /// An action of the guide.
    Action,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Foundations => "foundations",
            Self::Inputs => "inputs",
            Self::Node => "node",
            Self::Ledger => "ledger",
            Self::Measurement => "measurement",
            Self::Log => "log",
            Self::Conclusion => "conclusion",
            Self::Failure => "failure",
            Self::Call => "call",
            Self::Action => "action",
        }
    }
}

impl Archive {
    /// Writes a record, in place of the one that was there.
    pub(super) fn put<T: Serialize + DeserializeOwned>(
        &self,
        run: &RunId,
        kind: Kind,
        number: u32,
        value: &T,
    ) -> Result<(), ArchiveError> {
        let unstorable = |source| ArchiveError::Unstorable {
            what: format!("the {} of run {run}", kind.name()),
            source,
        };
        let data = serde_json::to_string(value).map_err(unstorable)?;
        // JSON has no infinities; better to fail now than when it is to be read.
        serde_json::from_str::<T>(&data).map_err(unstorable)?;
        let digest = seal(run, kind, number, data.as_bytes());
        let sql = "INSERT OR REPLACE INTO record (run, kind, number, data, digest) VALUES (?, ?, ?, ?, ?)";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.execute(params![
                    run.as_str(),
                    kind.name(),
                    number,
                    data,
                    digest.as_str()
                ])
            })
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Writes a record behind the last of its kind.
    pub(super) fn append<T: Serialize + DeserializeOwned>(
        &self,
        run: &RunId,
        kind: Kind,
        value: &T,
    ) -> Result<(), ArchiveError> {
        let sql = "SELECT coalesce(max(number) + 1, 0) FROM record WHERE run = ? AND kind = ?";
        let number = self
            .connection
            .query_row(sql, [run.as_str(), kind.name()], |row| row.get(0))
            .map_err(|source| self.failed(source))?;
        self.put(run, kind, number, value)
    }

    /// The one record of this kind.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        run: &RunId,
        kind: Kind,
    ) -> Result<Option<T>, ArchiveError> {
        Ok(self.all(run, kind)?.pop())
    }

    /// All records of this kind, in order.
    pub(super) fn all<T: DeserializeOwned>(
        &self,
        run: &RunId,
        kind: Kind,
    ) -> Result<Vec<T>, ArchiveError> {
        let failed = |source| self.failed(source);
        let sql =
            "SELECT number, data, digest FROM record WHERE run = ? AND kind = ? ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement
            .query([run.as_str(), kind.name()])
            .map_err(failed)?;
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let number: u32 = row.get(0).map_err(failed)?;
            let damaged = |why: &str| {
                let what = format!("{} {number} of run {run}: {why}", kind.name());
                ArchiveError::damaged(&self.path, what)
            };
            let bytes = |column| {
                row.get_ref(column)
                    .ok()
                    .and_then(|value| value.as_bytes().ok())
            };
            let (Some(data), Some(digest)) = (bytes(1), bytes(2)) else {
                return Err(damaged("it is no text"));
            };
            if seal(run, kind, number, data).as_str().as_bytes() != digest {
                return Err(damaged("its digest does not fit"));
            }
            if number as usize != values.len() {
                return Err(damaged("the one before it is missing"));
            }
            values.push(serde_json::from_slice(data).map_err(|error| damaged(&error.to_string()))?);
        }
        Ok(values)
    }

    /// Forgets the one record of this kind.
    pub(super) fn remove(&self, run: &RunId, kind: Kind) -> Result<(), ArchiveError> {
        self.connection
            .execute(
                "DELETE FROM record WHERE run = ? AND kind = ?",
                [run.as_str(), kind.name()],
            )
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Keeps some bytes; the same bytes are kept once, whichever run they belong to.
    pub(super) fn put_blob(&self, bytes: &[u8]) -> Result<Digest, ArchiveError> {
        let digest = Digest::of_bytes(bytes);
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO blob (digest, data) VALUES (?, ?)")
            .and_then(|mut statement| statement.execute(params![digest.as_str(), bytes]))
            .map_err(|source| self.failed(source))?;
        Ok(digest)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ArchiveError> {
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT data FROM blob WHERE digest = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([digest.as_str()], |row| row.get(0))
                    .optional()
            })
            .map_err(|source| self.failed(source))?;
        bytes
            .filter(|bytes| Digest::of_bytes(bytes) == *digest)
            .ok_or_else(|| {
                ArchiveError::damaged(&self.path, format!("blob {digest} is gone or spoiled"))
            })
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> ArchiveError {
        ArchiveError::of(&self.path, source)
    }
}

/// The digest of a record; it holds the record to its place as well as to its content.
pub(super) fn seal(run: &RunId, kind: Kind, number: u32, data: &[u8]) -> Digest {
    Digest::of(&[
        run.as_str().as_bytes(),
        kind.name().as_bytes(),
        &number.to_le_bytes(),
        data,
    ])
}
