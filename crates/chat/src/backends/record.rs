//! `record:FILE+SPEC`: another model, with everything written down.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Backend, BackendEntry, Failure, Opened, Opening, Pricing, ToolSupport};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::model::ChatModel;
use crate::open::entries;
use crate::recording::{Appender, Entry, Outcome, digest};

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "record",
    summary: "another model, with every request and reply appended to a file",
    example: "record:calls.jsonl+openai:gpt-5-mini",
    open,
};

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    let Some((file, spec)) = split(opening) else {
        return Err(opening.wrong(format!("it should look like {}", ENTRY.example)));
    };
    let model = crate::open(spec, opening.options)?;
    let file = Appender::open(Path::new(file), model.name(), model.price())?;
    Ok(Opened {
        pricing: Pricing::Fixed(model.price()),
        backend: Box::new(Record {
            model,
            file: Mutex::new(file),
        }),
        name: opening.spec.to_owned(),
        tools: ToolSupport::Native,
        direct: true,
    })
}

/// Cuts at the first plus with a SPEC behind it, as a file's name may have others.
fn split<'a>(opening: &Opening<'a>) -> Option<(&'a str, &'a str)> {
    let places = opening.rest.match_indices('+').map(|(place, _)| place);
    let mut parts = places.map(|place| (&opening.rest[..place], &opening.rest[place + 1..]));
    parts.find(|(file, spec)| {
        let prefix = spec.split_once(':').map(|(prefix, _)| prefix);
        let known = prefix
            .is_some_and(|prefix| entries(opening.options).any(|entry| entry.prefix == prefix));
        known && !file.is_empty()
    })
}

struct Record {
    model: Box<dyn ChatModel>,
    file: Mutex<Appender>,
}

impl Backend for Record {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let file = || self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is asked before all that was paid for is written.
        file().flush()?;
        let result = self.model.complete(request, control);
        if let Some(outcome) = Outcome::of(&result) {
            let entry = Entry {
                digest: digest(request),
                request: request.clone(),
                outcome,
            };
            // Whoever asked gets the reply all the same; the next request fails if it still cannot be written.
            let _ = file().append(&entry);
        }
        Ok(result?)
    }
}
