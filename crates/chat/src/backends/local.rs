//! `local:DIR`: a checkpoint on this machine, in this process, with its KV cache compressed after the prompt is read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use whittle_engine::{
    Answer, Done, Engine, EngineError, EngineOptions, Event, FinishReason, Limits, PolicyChoice,
    Prefilled, Request, Sampling,
};
use whittle_models::{LoadOptions, Message as Turn, ModelError, Part, Role};

use super::{Backend, BackendEntry, Failure, Opened, Opening, Pricing, ToolSupport};
use crate::control::{Control, TICK};
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest, Compressed, Finish, Message, Usage};
use crate::model::Price;

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "local",
    summary: "a checkpoint in a folder, run in this process with a compressed KV cache; costs nothing",
    example: "local:models/reader",
    open,
};

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    let wrong = |why: String| ChatError::File {
        path: opening.rest.to_owned(),
        why,
    };
    let model = whittle_models::load(Path::new(opening.rest), &LoadOptions::default())
        .map_err(|error| wrong(error.to_string()))?;
    let engine = Engine::start(Arc::from(model), EngineOptions::default())
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Opened {
        backend: Box::new(Local {
            engine,
            name: opening.spec.to_owned(),
            policy: opening.options.compression.clone(),
            limit: opening.options.limit,
            folds_system: AtomicBool::new(false),
        }),
        name: opening.spec.to_owned(),
        pricing: Pricing::Fixed(Some(Price::default())),
        tools: ToolSupport::Text,
        direct: false,
    })
}

struct Local {
    engine: Engine,
    name: String,
    policy: PolicyChoice,
    limit: Duration,
    /// Whether the chat template has turned out to know no system message.
    folds_system: AtomicBool,
}

impl Backend for Local {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let begun = Instant::now();
        let fold = self.folds_system.load(Ordering::Relaxed);
        match self.run(request, fold, control, begun) {
            Err(Stop::Engine(EngineError::Model(ModelError::Template { .. }))) if !fold => {
                let reply = self.run(request, true, control, begun);
                self.folds_system.store(reply.is_ok(), Ordering::Relaxed);
                reply
            }
            reply => reply,
        }
        .map_err(|stop| self.failure(stop))
    }
}

/// Why there is no reply.
enum Stop {
    Engine(EngineError),
    Call(ChatError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Local {
    fn failure(&self, stop: Stop) -> Failure {
        let error = match stop {
            Stop::Call(error) => return error.into(),
            Stop::Engine(error) => error,
        };
        let model = self.name.clone();
        let why = error.to_string();
        ChatError::Rejected { model, why }.into()
    }

    fn run(
        &self,
        request: &ChatRequest,
        fold: bool,
        control: &Control,
        begun: Instant,
    ) -> Result<ChatReply, Stop> {
        let answer = self.engine.submit(Request {
            messages: turns(&request.messages, fold),
            images: Vec::new(),
            policy: self.policy.clone(),
            limits: Limits {
                sampling: Sampling {
                    temperature: request.temperature.unwrap_or(0.0) as f32,
                    seed: request.seed.unwrap_or(0),
                    ..Sampling::default()
                },
                max_tokens: request.max_tokens as usize,
                ..Limits::default()
            },
        })?;
        let canceller = answer.canceller();
        let over = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            // The engine's events are waited for without an end, so somebody else has to look at the clock.
            let watch = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if self.check(control, begun).is_err() {
                        canceller.cancel();
                    }
                    std::thread::park_timeout(TICK);
                }
            });
            let done = collect(answer);
            over.store(true, Ordering::Relaxed);
            watch.thread().unpark();
            done
        });
        let (text, prefilled, done) = done?;
        if done.reason == FinishReason::Cancelled {
            self.check(control, begun).map_err(Stop::Call)?;
            return Err(Stop::Call(ChatError::Cancelled));
        }
        Ok(reply(text, &done, prefilled.as_ref()))
    }

    fn check(&self, control: &Control, begun: Instant) -> Result<(), ChatError> {
        control.check(&self.name, begun)?;
        if begun.elapsed() > self.limit {
            let model = self.name.clone();
            return Err(ChatError::TimedOut {
                model,
                after: self.limit,
            });
        }
        Ok(())
    }
}

fn collect(answer: Answer) -> Result<(String, Option<Prefilled>, Done), EngineError> {
    let (mut text, mut prefilled) = (String::new(), None);
    for event in answer {
        match event? {
            Event::Prefilled(event) => prefilled = Some(*event),
            Event::Token { text: piece, .. } => text.push_str(&piece),
            Event::Done(done) => return Ok((text, prefilled, done)),
        }
    }
    Err(EngineError::Stopped)
}

fn reply(text: String, done: &Done, prefilled: Option<&Prefilled>) -> ChatReply {
    let compressed = prefilled.map(|prefilled| {
        let compression = &prefilled.compression;
        let tokens = prefilled.prompt_tokens as u64;
        let share = compression.kept_entries() as f64 / compression.prompt_entries().max(1) as f64;
        Compressed {
            tokens,
            kept_tokens: share * tokens as f64,
            bytes: compression.bytes_before,
            kept_bytes: compression.bytes_after,
        }
    });
    ChatReply {
        text,
        tool_calls: Vec::new(),
        finish: match done.reason {
            FinishReason::MaxTokens | FinishReason::MaxPositions => Finish::Length,
            FinishReason::Eos | FinishReason::Stop | FinishReason::Cancelled => Finish::Stop,
        },
        usage: Usage {
            input: done.prompt_tokens as u64,
            output: done.generated_tokens as u64,
            estimated: false,
        },
        cost: None,
        compressed,
    }
}

/// The conversation as the chat template wants it; with `fold` the system message goes into the user's next turn. Tool
/// calls and results are plain text by now.
fn turns(messages: &[Message], fold: bool) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut before = String::new();
    for message in messages {
        let (role, text) = match message {
            Message::System { text } if fold => {
                before = format!("{before}{text}\n\n");
                continue;
            }
            Message::System { text } => (Role::System, text.clone()),
            Message::User { text } | Message::ToolResult { text, .. } => {
                (Role::User, std::mem::take(&mut before) + text)
            }
            Message::Assistant { text, .. } => (Role::Assistant, text.clone()),
        };
        let parts = vec![Part::Text(text)];
        turns.push(Turn { role, parts });
    }
    turns
}
