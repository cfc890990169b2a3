//! Inputs in the store: the lists as a record, what is in them as blobs.

use serde::{Deserialize, Serialize};
use whittle_toolchain::tools::Digest;

use super::records::Kind;
use super::{Archive, ArchiveError, RunId};
use crate::inputs::{Case, Dropped, Expected, Inputs, Origin};

#[derive(Serialize, Deserialize)]
struct StoredInputs {
    visible: Vec<StoredCase>,
    held_out: Vec<StoredCase>,
    search_timing: Vec<StoredCase>,
    final_timing: Vec<StoredCase>,
    dropped: Vec<Dropped>,
    coverage: Option<f64>,
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredCase {
    name: String,
    arguments: Vec<String>,
    input: Digest,
    stdout: Digest,
    status: i32,
    origin: Origin,
}

impl Archive {
    /// Keeps the inputs of a run.
    pub fn save_inputs(&self, run: &RunId, inputs: &Inputs) -> Result<(), ArchiveError> {
        self.in_transaction(|| {
            let list = |cases: &[Case]| -> Result<Vec<_>, _> {
                cases.iter().map(|case| self.put_case(case)).collect()
            };
            let stored = StoredInputs {
                visible: list(&inputs.visible)?,
                held_out: list(&inputs.held_out)?,
                search_timing: list(&inputs.search_timing)?,
                final_timing: list(&inputs.final_timing)?,
                dropped: inputs.dropped.clone(),
                coverage: inputs.coverage,
                notes: inputs.notes.clone(),
            };
            self.put(run, Kind::Inputs, 0, &stored)
        })
    }

    pub(super) fn inputs(&self, run: &RunId) -> Result<Option<Inputs>, ArchiveError> {
        let Some(stored) = self.get::<StoredInputs>(run, Kind::Inputs)? else {
            return Ok(None);
        };
        let list = |cases: Vec<StoredCase>| -> Result<Vec<_>, _> {
            cases.into_iter().map(|case| self.case(case)).collect()
        };
        Ok(Some(Inputs {
            visible: list(stored.visible)?,
            held_out: list(stored.held_out)?,
            search_timing: list(stored.search_timing)?,
            final_timing: list(stored.final_timing)?,
            dropped: stored.dropped,
            coverage: stored.coverage,
            notes: stored.notes,
        }))
    }

    fn put_case(&self, case: &Case) -> Result<StoredCase, ArchiveError> {
        Ok(StoredCase {
            name: case.name.clone(),
            arguments: case.arguments.clone(),
            input: self.put_blob(&case.input)?,
            stdout: self.put_blob(&case.expected.stdout)?,
            status: case.expected.status,
            origin: case.origin,
        })
    }

    fn case(&self, stored: StoredCase) -> Result<Case, ArchiveError> {
        let stdout = self.blob(&stored.stdout)?;
        Ok(Case {
            name: stored.name,
            arguments: stored.arguments,
            input: self.blob(&stored.input)?,
            expected: Expected {
                stdout,
                status: stored.status,
            },
            origin: stored.origin,
        })
    }
}
