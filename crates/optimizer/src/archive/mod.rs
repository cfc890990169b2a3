//! The run store: every step of every run, on the disk before the next begins.
//!
//! One `SQLite` file. A run is a set of sealed records (header, inputs, nodes, measurements, log, conclusion), each written in
//! a transaction of its own, so that a killed run resumes with everything it had finished. What is read back is what was
//! written, or an error: every record and every blob carries a digest.

mod cases;
mod error;
mod lock;
mod records;
mod schema;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Zoned};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::budget::Ledger;
use crate::report;
use crate::session::{Conclusion, Foundations, RunHeader, RunState};
use crate::tree::{Node, Tree};
use lock::{Lock, NotLocked};
use records::Kind;

pub use error::ArchiveError;
pub use types::{
    ActionRecord, CallRecord, LogLine, MeasurementRecord, RunId, RunRecord, RunSummary,
};

/// Runs of other versions may have been searched and measured in other ways.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is known of a run when it begins.
#[derive(Serialize, Deserialize)]
struct Start {
    started: Timestamp,
    version: String,
    header: RunHeader,
}

/// The run store.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    connection: Connection,
    locks: BTreeMap<RunId, Lock>,
}

impl Archive {
    /// Opens the store in this file; file and folder are made if they are not there.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| ArchiveError::Open {
                path: folder.to_owned(),
                source,
            })?;
        }
        let connection = schema::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            locks: BTreeMap::new(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run; this process holds it until it is concluded or the store is closed.
    pub fn create_run(&mut self, header: &RunHeader) -> Result<RunId, ArchiveError> {
        let now = Zoned::now();
        // The hexadecimal digits may be taken.
        let id = loop {
            let id = RunId::new(&now, &header.program.name);
            if !self.ids()?.contains(&id) {
                break id;
            }
        };
        self.lock(&id)?;
        let start = Start {
            started: now.timestamp(),
            version: VERSION.to_owned(),
            header: header.clone(),
        };
        self.in_transaction(|| {
            self.connection
                .execute("INSERT INTO run (id) VALUES (?)", [id.as_str()])
                .map_err(|source| self.failed(source))?;
            self.put(&id, Kind::Header, 0, &start)
        })?;
        Ok(id)
    }

    /// Takes a run over from a process that is dead, in order to go on with it.
    pub fn take_over(&mut self, run: &RunId) -> Result<(), ArchiveError> {
        let run = self.resolve(run.as_str())?;
        if self.locks.contains_key(&run) {
            return Ok(());
        }
        self.lock(&run)?;
        self.in_transaction(|| {
            let failure: Option<String> = self.get(&run, Kind::Failure)?;
            let failed = failure
                .map(|why| format!(" after it had failed: {why}"))
                .unwrap_or_default();
            self.remove(&run, Kind::Failure)?;
            self.append(&run, Kind::Log, &log_line(&format!("goes on{failed}")))
        })
    }

    /// The run that a name or a part of one means: a beginning, or else any part.
    pub fn resolve(&self, wanted: &str) -> Result<RunId, ArchiveError> {
        let mut ids = self.ids()?;
        let matching = |test: &dyn Fn(&str) -> bool| -> Vec<RunId> {
            ids.iter().filter(|id| test(id.as_str())).cloned().collect()
        };
        let tests: [&dyn Fn(&str) -> bool; 3] =
            [&|id| id == wanted, &|id| id.starts_with(wanted), &|id| {
                id.contains(wanted)
            }];
        let found = tests
            .into_iter()
            .map(matching)
            .find(|found| !found.is_empty() && !wanted.is_empty())
            .unwrap_or_default();
        match found.as_slice() {
            [id] => Ok(id.clone()),
            [] => {
                ids.truncate(5);
                let (path, wanted) = (self.path.clone(), wanted.to_owned());
                Err(ArchiveError::NoSuchRun {
                    path,
                    wanted,
                    newest: ids,
                })
            }
            _ => Err(ArchiveError::Ambiguous {
                wanted: wanted.to_owned(),
                candidates: found,
            }),
        }
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunSummary>, ArchiveError> {
        self.ids()?.into_iter().map(|id| self.summary(id)).collect()
    }

    /// The newest run of this version that was begun with this header, whatever became of it.
    pub fn find(&self, header: &RunHeader) -> Result<Option<RunSummary>, ArchiveError> {
        for id in self.ids()? {
            let start = self.start(&id)?;
            if start.version == VERSION && start.header == *header {
                return self.summary(id).map(Some);
            }
        }
        Ok(None)
    }

    /// Everything of a run.
    pub fn load(&self, run: &RunId) -> Result<RunRecord, ArchiveError> {
        // One moment of a run that another process may be writing.
        self.transaction(TransactionBehavior::Deferred, || {
            let Start {
                started,
                version,
                header,
            } = self.start(run)?;
            let tree = Tree::from_nodes(self.all(run, Kind::Node)?).ok_or_else(|| {
                ArchiveError::damaged(
                    &self.path,
                    format!("the candidates of run {run} are no tree"),
                )
            })?;
            let (conclusion, message) = (
                self.get(run, Kind::Conclusion)?,
                self.get(run, Kind::Failure)?,
            );
            Ok(RunRecord {
                started,
                version,
                header,
                state: state(conclusion.as_ref(), message.as_ref()),
                foundations: self.get(run, Kind::Foundations)?,
                inputs: self.inputs(run)?,
                tree,
                ledger: self.get(run, Kind::Ledger)?.unwrap_or_default(),
                measurements: self.all(run, Kind::Measurement)?,
                conclusion,
                message,
                log: self.all(run, Kind::Log)?,
                calls: self.all(run, Kind::Call)?,
                actions: self.all(run, Kind::Action)?,
            })
        })
    }

    /// Keeps what stands before the search.
    pub fn save_foundations(
        &self,
        run: &RunId,
        foundations: &Foundations,
    ) -> Result<(), ArchiveError> {
        self.put(run, Kind::Foundations, 0, foundations)
    }

    /// Adds a candidate, which carries the next number.
    pub fn add_node(&self, run: &RunId, node: &Node) -> Result<(), ArchiveError> {
        self.put(run, Kind::Node, node.id.0, node)
    }

    /// Puts another state of a candidate in its place.
    pub fn update_node(&self, run: &RunId, node: &Node) -> Result<(), ArchiveError> {
        self.put(run, Kind::Node, node.id.0, node)
    }

    /// Keeps what was spent.
    pub fn save_ledger(&self, run: &RunId, ledger: &Ledger) -> Result<(), ArchiveError> {
        self.put(run, Kind::Ledger, 0, ledger)
    }

    /// Keeps a call of a model together with what was spent, so that nothing is paid for twice.
    pub fn add_call(
        &self,
        run: &RunId,
        call: &CallRecord,
        ledger: &Ledger,
    ) -> Result<(), ArchiveError> {
        self.in_transaction(|| {
            self.append(run, Kind::Call, call)?;
            self.save_ledger(run, ledger)
        })
    }

    /// Keeps the action of this number, begun or done, together with what was spent.
    pub fn save_action(
        &self,
        run: &RunId,
        number: u32,
        action: &ActionRecord,
        ledger: &Ledger,
    ) -> Result<(), ArchiveError> {
        self.in_transaction(|| {
            self.put(run, Kind::Action, number, action)?;
            self.save_ledger(run, ledger)
        })
    }

    /// Adds a comparison.
    pub fn add_measurement(
        &self,
        run: &RunId,
        record: &MeasurementRecord,
    ) -> Result<(), ArchiveError> {
        self.in_transaction(|| self.append(run, Kind::Measurement, record))
    }

    /// Adds a line to the log.
    pub fn log(&self, run: &RunId, text: &str) -> Result<(), ArchiveError> {
        self.in_transaction(|| self.append(run, Kind::Log, &log_line(text)))
    }

    /// Ends a run with its result.
    pub fn conclude(&mut self, run: &RunId, conclusion: &Conclusion) -> Result<(), ArchiveError> {
        self.put(run, Kind::Conclusion, 0, conclusion)?;
        self.locks.remove(run);
        Ok(())
    }

    /// Ends a run that was refused or failed.
    pub fn fail(&mut self, run: &RunId, message: &str) -> Result<(), ArchiveError> {
        self.put(run, Kind::Failure, 0, &message.to_owned())?;
        self.locks.remove(run);
        Ok(())
    }

    fn summary(&self, id: RunId) -> Result<RunSummary, ArchiveError> {
        let Start {
            started, header, ..
        } = self.start(&id)?;
        let conclusion: Option<Conclusion> = self.get(&id, Kind::Conclusion)?;
        let message: Option<String> = self.get(&id, Kind::Failure)?;
        let sql = "SELECT count(*), max(data ->> '$.outcome.speedup') FROM record \
                   WHERE run = ? AND kind = 'node' AND number > 0";
        let (nodes, best): (u32, Option<f64>) = self
            .connection
            .query_row(sql, [id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|source| self.failed(source))?;
        let state = state(conclusion.as_ref(), message.as_ref());
        let result = match (conclusion, message) {
            (Some(conclusion), _) => report::sentence(&conclusion),
            (None, Some(message)) => message,
            (None, None) => "not finished".to_owned(),
        };
        let program = header.program.name;
        Ok(RunSummary {
            id,
            started,
            program,
            state,
            nodes: nodes as usize,
            best,
            result,
        })
    }

    fn start(&self, run: &RunId) -> Result<Start, ArchiveError> {
        if let Some(start) = self.get(run, Kind::Header)? {
            return Ok(start);
        }
        // Either there is no such run, or its header was lost.
        let run = self.resolve(run.as_str())?;
        Err(ArchiveError::damaged(
            &self.path,
            format!("run {run} has no header"),
        ))
    }

    /// The names of all runs, the newest first.
    fn ids(&self) -> Result<Vec<RunId>, ArchiveError> {
        let query = || -> rusqlite::Result<Vec<RunId>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT id FROM run ORDER BY number DESC")?;
            let ids = statement.query_map([], |row| row.get(0).map(RunId))?;
            ids.collect()
        };
        query().map_err(|source| self.failed(source))
    }

    fn lock(&mut self, run: &RunId) -> Result<(), ArchiveError> {
        let mut folder = self.path.clone().into_os_string();
        folder.push("-locks");
        let path = PathBuf::from(folder).join(run.as_str());
        let lock = Lock::take(&path).map_err(|error| match error {
            NotLocked::Held(pid) => ArchiveError::InUse {
                run: run.clone(),
                pid,
            },
            NotLocked::Failed(source) => ArchiveError::Open { path, source },
        })?;
        self.locks.insert(run.clone(), lock);
        Ok(())
    }

    /// Writes all or nothing.
    fn in_transaction<T>(
        &self,
        work: impl FnOnce() -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        self.transaction(TransactionBehavior::Immediate, work)
    }

    fn transaction<T>(
        &self,
        begin: TransactionBehavior,
        work: impl FnOnce() -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let transaction = Transaction::new_unchecked(&self.connection, begin)
            .map_err(|source| self.failed(source))?;
        let value = work()?;
        transaction.commit().map_err(|source| self.failed(source))?;
        Ok(value)
    }
}

fn state(conclusion: Option<&Conclusion>, message: Option<&String>) -> RunState {
    match (conclusion, message) {
        (Some(_), None) => RunState::Finished,
        (None, Some(_)) => RunState::Failed,
        // What it came to is known, but could not be written.
        (Some(_), Some(_)) | (None, None) => RunState::Open,
    }
}

fn log_line(text: &str) -> LogLine {
    LogLine {
        at: Timestamp::now(),
        text: text.to_owned(),
    }
}
