//! The database file: opening it without harm, and its tables.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::ArchiveError;

/// Marks the file as ours (`WhRs`).
const APPLICATION: i64 = 0x5768_5273;
/// The format of the records. Format 1 had no calls of models and no actions.
pub(super) const FORMAT: i64 = 2;
/// Bytes at the start of every database.
const HEADER: u64 = 512;
/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything of a run is a record: JSON, under its kind and number, with a digest over all of it. The views are for
/// people with a database browser.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS run (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS record (
    run    TEXT NOT NULL REFERENCES run (id),
    kind   TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    data   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, kind, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob (
    digest TEXT PRIMARY KEY,
    data   BLOB NOT NULL
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS node AS
    SELECT run, number, data ->> '$.parent' AS parent, data ->> '$.agent' AS agent, data ->> '$.change' AS change,
           data ->> '$.outcome.state' AS outcome, data ->> '$.outcome.speedup' AS speedup,
           data ->> '$.outcome.rejection.reason' AS reason
    FROM record WHERE kind = 'node';
CREATE VIEW IF NOT EXISTS call AS
    SELECT run, number, data ->> '$.label' AS label, data ->> '$.agent' AS agent, data ->> '$.model' AS model,
           data ->> '$.reply.usage.input' AS input_tokens, data ->> '$.reply.usage.output' AS output_tokens,
           data ->> '$.reply.cost' AS cost, data ->> '$.reply.text' AS text
    FROM record WHERE kind = 'call';
CREATE VIEW IF NOT EXISTS measurement AS
    SELECT run, number, data ->> '$.node' AS node, data ->> '$.kind' AS kind,
           data ->> '$.comparison.verdict' AS verdict, data ->> '$.comparison.ratio' AS ratio,
           data ->> '$.comparison.interval[0]' AS low, data ->> '$.comparison.interval[1]' AS high
    FROM record WHERE kind = 'measurement';
";

/// From format 1 to 2: its table named the kinds of records that there were.
const FROM_1_TO_2: &str = "
DROP VIEW IF EXISTS node;
DROP VIEW IF EXISTS measurement;
ALTER TABLE record RENAME TO record_1;
";

/// Opens the store, or begins one where there is none. A file that is not a sound store of ours is not written to.
pub(super) fn open(path: &Path) -> Result<Connection, ArchiveError> {
    check_header(path)?;
    let failed = |source| ArchiveError::of(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    // Even closing would write to the file if its last user was killed.
    let quiet = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(quiet, true).map_err(failed)?;

    let is_new = check(path, &connection)?;
    if connection.is_readonly("main").map_err(failed)? {
        return Err(ArchiveError::ReadOnly(path.to_owned()));
    }
    connection.set_db_config(quiet, false).map_err(failed)?;
    // A step of a run takes seconds, a sync takes milliseconds: every step is on the disk before the next begins.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(failed)?;
    if is_new {
        let batch = format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
        );
        connection.execute_batch(&batch).map_err(failed)?;
    } else if format(&connection).map_err(failed)? == 1 {
        let batch = format!(
            "BEGIN IMMEDIATE; {FROM_1_TO_2} {TABLES} INSERT INTO record SELECT * FROM record_1; DROP TABLE record_1; \
             PRAGMA user_version = {FORMAT}; COMMIT;"
        );
        connection.execute_batch(&batch).map_err(failed)?;
    }
    Ok(connection)
}

fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// `SQLite` takes a file that is smaller than its header for a new one and would write over it.
fn check_header(path: &Path) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Open {
        path: path.to_owned(),
        source,
    };
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(HEADER).read_to_end(&mut start).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if start.is_empty() || start.len() == HEADER as usize {
        // What is in a whole header is SQLite's to judge.
        return Ok(());
    }
    let what = format!("it ends after {} bytes", start.len());
    Err(ArchiveError::Foreign {
        path: path.to_owned(),
        what,
    })
}

/// Whether the file is empty; an error if it is anything but a sound store or empty.
fn check(path: &Path, connection: &Connection) -> Result<bool, ArchiveError> {
    let failed = |source| ArchiveError::of(path, source);
    let number = |query| {
        connection
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    let application = number("PRAGMA application_id")?;
    let format = number("PRAGMA user_version")?;
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && format == 0 && objects == 0 {
        return Ok(true);
    }
    if application != APPLICATION {
        let what = "it is another program's database".to_owned();
        return Err(ArchiveError::Foreign {
            path: path.to_owned(),
            what,
        });
    }
    if format > FORMAT {
        return Err(ArchiveError::Newer {
            path: path.to_owned(),
            found: format,
            known: FORMAT,
        });
    }
    if format < 1 {
        return Err(ArchiveError::damaged(
            path,
            format!("there is no format {format}"),
        ));
    }
    let word: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if word != "ok" {
        return Err(ArchiveError::damaged(path, word));
    }
    let strays = number("SELECT count(*) FROM pragma_foreign_key_check")?;
    if strays > 0 {
        return Err(ArchiveError::damaged(
            path,
            format!("{strays} records belong to no run"),
        ));
    }
    Ok(false)
}
