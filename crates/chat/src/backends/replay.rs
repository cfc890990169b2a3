//! `replay:FILE`: the replies of a recording once more, at the price that they had.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Backend, BackendEntry, Failure, Opened, Opening, Pricing, ToolSupport};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::recording::{Outcome, Recording, digest};

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "replay",
    summary: "the replies of a recording, by the calls' labels",
    example: "replay:calls.jsonl",
    open,
};

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    let recording = Recording::read(Path::new(opening.rest))?;
    let mut outcomes: HashMap<String, VecDeque<Outcome>> = HashMap::new();
    for entry in recording.entries {
        let key = key(&entry.request.label, || entry.digest);
        outcomes.entry(key).or_default().push_back(entry.outcome);
    }
    Ok(Opened {
        backend: Box::new(Replay {
            name: opening.spec.to_owned(),
            file: opening.rest.to_owned(),
            outcomes: Mutex::new(outcomes),
        }),
        name: opening.spec.to_owned(),
        pricing: Pricing::Fixed(recording.header.price),
        tools: ToolSupport::Native,
        direct: true,
    })
}

fn key(label: &str, digest: impl FnOnce() -> String) -> String {
    if label.is_empty() {
        digest()
    } else {
        label.to_owned()
    }
}

struct Replay {
    name: String,
    file: String,
    outcomes: Mutex<HashMap<String, VecDeque<Outcome>>>,
}

impl Backend for Replay {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        control.check(&self.name, Instant::now())?;
        let key = key(&request.label, || digest(request));
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        match outcomes.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(outcome) => Ok(outcome.into_result(&self.name)?),
            None => Err(ChatError::NotRecorded {
                file: self.file.clone(),
                label: key,
            }
            .into()),
        }
    }
}
