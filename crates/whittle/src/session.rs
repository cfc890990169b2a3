//! A loaded model behind an engine, and one request from start to end.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::DynamicImage;
use whittle_engine::{Done, Engine, EngineOptions, Event, FinishReason, Prefilled, Request};
use whittle_models::{LoadOptions, Message, Model};

use crate::cli::{Interrupted, Usage};
use crate::options::{ModelArguments, PromptArguments};
use crate::{find, interrupt};

/// A loaded model behind an engine.
pub(crate) struct Session {
    /// The folder of the model.
    pub(crate) folder: PathBuf,
    engine: Engine,
}

/// What a request led to.
pub(crate) struct Outcome {
    /// The whole text.
    pub(crate) answer: String,
    /// All tokens, with the one that ended the turn.
    pub(crate) ids: Vec<u32>,
    /// What prefill and compression left.
    pub(crate) prefilled: Prefilled,
    /// How it ended.
    pub(crate) done: Done,
}

impl Session {
    /// Sets the threads and loads the model that the flags name.
    pub(crate) fn open(arguments: &ModelArguments) -> Result<Self> {
        let (folder, model) = load(arguments)?;
        let options = EngineOptions {
            memory_limit: arguments.memory_limit,
        };
        let engine = Engine::start(model, options)?;
        Ok(Self { folder, engine })
    }

    /// Runs a request; `text` is called with every piece of the answer. Ctrl-C ends it as [`Interrupted`].
    pub(crate) fn run(
        &self,
        request: Request,
        mut text: impl FnMut(&str) -> Result<()>,
    ) -> Result<Outcome> {
        let answer = self.engine.submit(request)?;
        let canceller = answer.canceller();
        interrupt::stops(move || canceller.cancel(), None);
        interrupt::check()?;
        let (mut whole, mut ids, mut prefilled) = (String::new(), Vec::new(), None);
        for event in answer {
            match event? {
                Event::Prefilled(event) => prefilled = Some(*event),
                Event::Token { id, text: piece } => {
                    ids.push(id);
                    if !piece.is_empty() {
                        text(&piece)?;
                        whole.push_str(&piece);
                    }
                }
                Event::Done(done) if done.reason == FinishReason::Cancelled => {
                    return Err(Interrupted.into());
                }
                Event::Done(done) => {
                    let prefilled = prefilled.context("the engine finished before it prefilled")?;
                    return Ok(Outcome {
                        answer: whole,
                        ids,
                        prefilled,
                        done,
                    });
                }
            }
        }
        anyhow::bail!("the engine stopped before the answer was complete")
    }
}

/// Sets the threads and loads the model that the flags name.
pub(crate) fn load(arguments: &ModelArguments) -> Result<(PathBuf, Arc<dyn Model>)> {
    whittle_kernels::set_threads(arguments.threads)?;
    let folder = find::model(arguments.model.as_deref())?;
    let model = whittle_models::load(&folder, &LoadOptions::default())
        .with_context(|| format!("cannot load the model in {}", folder.display()))?;
    Ok((folder, model.into()))
}

/// A prompt as the user gave it, read from its files.
pub(crate) struct UserPrompt {
    /// The question.
    pub(crate) question: String,
    /// The decoded images.
    pub(crate) images: Vec<DynamicImage>,
}

impl UserPrompt {
    /// Reads the images, and the question from standard input if it is `-`.
    pub(crate) fn read(arguments: &PromptArguments) -> Result<Self> {
        let mut question = arguments.question.clone();
        if question == "-" {
            question.clear();
            std::io::stdin()
                .read_to_string(&mut question)
                .context("cannot read the question from standard input")?;
        }
        let question = question.trim().to_owned();
        if question.is_empty() {
            return Err(Usage("the question is empty".to_owned()).into());
        }
        let images = arguments
            .images
            .iter()
            .map(|file| read_image(file))
            .collect::<Result<_>>()?;
        Ok(Self { question, images })
    }

    /// One user turn: the images, then the question.
    pub(crate) fn messages(&self) -> Vec<Message> {
        vec![Message::user(&self.question, self.images.len())]
    }
}

fn read_image(file: &Path) -> Result<DynamicImage> {
    Ok(whittle_models::image::load_image(
        file,
        &whittle_models::image::ImageLimits::default(),
    )?)
}
