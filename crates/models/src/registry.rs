//! Which architectures there are.

use std::path::Path;

use crate::config::ConfigFile;
use crate::error::ModelError;
use crate::llama::Llama;
use crate::llava_next::LlavaNext;
use crate::model::{LoadOptions, Model};

/// A model family: the class name that checkpoints state, and how to load one.
struct Architecture {
    name: &'static str,
    load: Load,
}

type Load = fn(&Path, &LoadOptions) -> Result<Box<dyn Model>, ModelError>;

/// All of them. A new model is a file and a line here.
const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "LlavaNextForConditionalGeneration",
        load: |dir, options| boxed(LlavaNext::load(dir, options)),
    },
    Architecture {
        name: "LlamaForCausalLM",
        load: |dir, options| boxed(Llama::load(dir, options)),
    },
    Architecture {
        name: "MistralForCausalLM",
        load: |dir, options| boxed(Llama::load(dir, options)),
    },
];

fn boxed(model: Result<impl Model + 'static, ModelError>) -> Result<Box<dyn Model>, ModelError> {
    Ok(Box::new(model?))
}

/// Names of the architectures that [`load`] knows.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|architecture| architecture.name)
}

/// Loads the checkpoint folder `dir`; the weights stay in their files and are read as they are used.
///
/// # Errors
/// The architecture is unknown, or a file is missing, broken or does not fit the others.
pub fn load(dir: &Path, options: &LoadOptions) -> Result<Box<dyn Model>, ModelError> {
    let file = ConfigFile::open(dir)?;
    let found = file.architecture()?;
    match ARCHITECTURES
        .iter()
        .find(|architecture| architecture.name == found)
    {
        Some(architecture) => (architecture.load)(dir, options),
        None => Err(ModelError::UnknownArchitecture {
            path: file.path().to_owned(),
            found: found.to_owned(),
            known: architectures().map(str::to_owned).collect(),
        }),
    }
}
