//! Text-only Llama and Mistral: the decoder alone.

use std::path::Path;

use image::DynamicImage;
use whittle_kv::{KvCache, Needs, PromptInfo};

use crate::assets::Assets;
use crate::checkpoint::Checkpoint;
use crate::config::{ConfigFile, TextConfig};
use crate::decoder::{Decoder, Inputs};
use crate::error::ModelError;
use crate::model::{
    LoadOptions, Message, Model, ModelDescription, Prefill, PrefillObserver, Prompt,
};
use crate::tokenizer::TextTokenizer;

/// A `LlamaForCausalLM` or `MistralForCausalLM` checkpoint.
pub struct Llama {
    assets: Assets,
    decoder: Decoder,
}

impl Llama {
    /// Loads a checkpoint folder.
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let file = ConfigFile::open(dir)?;
        let config = TextConfig::read(&file)?;
        let checkpoint = Checkpoint::open(dir)?;
        let decoder = Decoder::load(&checkpoint, "", &config, options)?;
        Ok(Self {
            assets: Assets::open(dir, &file, &config, None, checkpoint, &decoder, options)?,
            decoder,
        })
    }
}

impl Model for Llama {
    fn description(&self) -> &ModelDescription {
        &self.assets.description
    }

    fn tokenizer(&self) -> &TextTokenizer {
        &self.assets.tokenizer
    }

    fn prompt(&self, messages: &[Message], images: &[DynamicImage]) -> Result<Prompt, ModelError> {
        if !images.is_empty() {
            let architecture = &self.assets.description.architecture;
            return Err(ModelError::Prompt(format!(
                "{architecture} is a text model and takes no images"
            )));
        }
        let ids = self.assets.encode(messages)?;
        self.assets.check_length(ids.len())?;
        Ok(Prompt {
            info: PromptInfo::text(ids.len()),
            ids,
            images: Vec::new(),
        })
    }

    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        let inputs = Inputs {
            ids: &prompt.ids,
            features: &[],
            info: &prompt.info,
        };
        self.decoder
            .prefill(inputs, cache, needs, observer)
            .map_err(|error| self.assets.explain(error))
    }

    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        self.decode_batch(&[token], &mut [cache])
    }

    fn decode_batch(
        &self,
        tokens: &[u32],
        caches: &mut [&mut KvCache],
    ) -> Result<Vec<f32>, ModelError> {
        self.decoder
            .decode_batch(tokens, caches)
            .map_err(|error| self.assets.explain(error))
    }
}
