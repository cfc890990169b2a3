//! `config.json` and `generation_config.json`, in the layouts that transformers wrote so far.
//!
//! Missing keys have the defaults of transformers 5 (`configuration_*.py`): published checkpoints leave out every key
//! that is at its default. What changes the numbers and is not implemented is an error, never ignored.

mod fields;
mod llava_next;
mod text;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use fields::Fields;
pub(crate) use llava_next::read_pinpoints;
pub use llava_next::{ClipConfig, FeatureSelection, LlavaNextConfig};
pub use text::{TextConfig, TextFamily};

use crate::error::ModelError;
use crate::files;

/// Bounds on sizes in a configuration. They are far above every published model and keep all products of sizes that
/// follow from a configuration within 64 bits.
mod limits {
    pub(super) const LAYERS: usize = 1 << 10;
    pub(super) const WIDTH: usize = 1 << 20;
    pub(super) const HEADS: usize = 1 << 12;
    pub(super) const HEAD_DIM: usize = 1 << 12;
    pub(super) const VOCABULARY: usize = 1 << 24;
    pub(super) const POSITIONS: usize = 1 << 28;
    pub(super) const PIXELS: usize = super::MAX_SIDE;
}

/// Bound on sides of images, tiles and patches in a configuration.
pub(crate) const MAX_SIDE: usize = 1 << 14;

/// A parsed `config.json`.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    map: Map<String, Value>,
}

impl ConfigFile {
    /// Reads `config.json` of a checkpoint folder.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        let text = files::read_text(&path)?;
        Self::parse(&path, &text)
    }

    /// Parses the text of a configuration; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ModelError> {
        Ok(Self {
            path: path.to_owned(),
            map: files::parse_json(path, text)?,
        })
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole object.
    pub fn fields(&self) -> Fields<'_> {
        Fields::root(&self.path, &self.map)
    }

    /// The model's class in transformers: the first of `architectures`, else what follows from `model_type`.
    pub fn architecture(&self) -> Result<&str, ModelError> {
        let fields = self.fields();
        if let Some(list) = fields.get("architectures") {
            return list
                .as_array()
                .and_then(|list| list.first()?.as_str())
                .ok_or_else(|| {
                    fields.error(
                        "architectures",
                        "expected a list with the name of a model class",
                    )
                });
        }
        match fields.string("model_type")? {
            Some("llava_next") => Ok("LlavaNextForConditionalGeneration"),
            Some("llama") => Ok("LlamaForCausalLM"),
            Some("mistral") => Ok("MistralForCausalLM"),
            Some(other) => Ok(other),
            None => Err(fields.error(
                "architectures",
                "missing: there is no way to tell which model this is",
            )),
        }
    }
}

/// Ids that end a turn: those of `generation_config.json` if the folder has one and it names any, as `generate` of
/// transformers reads them, else those of the model's configuration.
pub fn end_tokens(dir: &Path, config: &TextConfig) -> Result<Vec<u32>, ModelError> {
    let path = dir.join("generation_config.json");
    if let Some(text) = files::read_text_if_there(&path)? {
        let file = ConfigFile::parse(&path, &text)?;
        if let Some(ids) = file.fields().tokens("eos_token_id")? {
            return Ok(ids);
        }
    }
    Ok(config.eos_token_ids.clone())
}

/// Quantized weights need kernels that this build does not have; their tensors would be misread.
fn reject_quantization(fields: &Fields<'_>) -> Result<(), ModelError> {
    match fields.get("quantization_config") {
        Some(_) => Err(fields.error("quantization_config", "quantized weights are not supported")),
        None => Ok(()),
    }
}
