//! Checkpoints, tokenizers, chat templates, image processing and the model graphs.
//!
//! A Hugging Face folder goes in ([`load`]), a [`Model`] comes out: it turns messages and images into a [`Prompt`],
//! prefills a KV cache with it and decodes token by token. A model family is one file and one line in the registry.

pub mod checkpoint;
pub mod config;
mod error;
mod files;
pub mod image;
mod model;
mod template;
mod tokenizer;

pub use error::ModelError;
pub use model::{Message, Part, Role};
pub use template::ChatTemplate;
pub use tokenizer::{TextStream, TextTokenizer};
