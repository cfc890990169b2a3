//! Checkpoints, tokenizers, chat templates, image processing and the model graphs.
//!
//! A Hugging Face folder goes in ([`load`]), a [`Model`] comes out: it turns messages and images into a [`Prompt`],
//! prefills a KV cache with it and decodes token by token. A model family is one file and one line in the registry.

mod assets;
pub mod checkpoint;
pub mod clip;
pub mod config;
pub mod decoder;
mod error;
mod files;
pub mod image;
mod layers;
pub mod llama;
pub mod llava_next;
mod model;
pub mod random;
mod registry;
mod statistics;
mod template;
mod tokenizer;

pub use error::ModelError;
pub use model::{
    ImageInput, LoadOptions, Message, Model, ModelDescription, Part, Prefill, PrefillObserver,
    PrefillTimes, Prompt, Role, TextDescription, VisionDescription,
};
pub use registry::{architectures, load};
pub use template::ChatTemplate;
pub use tokenizer::{TextStream, TextTokenizer};
