//! What every model has besides its graph: description, tokenizer, chat template, and the checkpoint.

use std::path::Path;

use whittle_kernels::KernelError;

use crate::checkpoint::Checkpoint;
use crate::config::{ConfigFile, TextConfig, end_tokens};
use crate::decoder::Decoder;
use crate::error::ModelError;
use crate::model::{LoadOptions, Message, ModelDescription, TextDescription, VisionDescription};
use crate::template::ChatTemplate;
use crate::tokenizer::TextTokenizer;

pub(crate) struct Assets {
    pub(crate) description: ModelDescription,
    pub(crate) tokenizer: TextTokenizer,
    template: ChatTemplate,
    checkpoint: Checkpoint,
}

impl Assets {
    /// Reads tokenizer, template and end tokens of a folder, and describes the model that `decoder` is part of.
    pub(crate) fn open(
        dir: &Path,
        file: &ConfigFile,
        config: &TextConfig,
        vision: Option<VisionDescription>,
        checkpoint: Checkpoint,
        decoder: &Decoder,
        options: &LoadOptions,
    ) -> Result<Self, ModelError> {
        let tokenizer = TextTokenizer::open(dir)?;
        let template = ChatTemplate::open(dir, &tokenizer)?;
        let description = ModelDescription {
            architecture: file.architecture()?.to_owned(),
            folder: dir.to_owned(),
            text: TextDescription {
                hidden: config.hidden_size,
                intermediate: config.intermediate_size,
                vocabulary: config.vocab_size,
            },
            vision,
            cache: decoder.cache_shape(options.cache_dtype.unwrap_or_else(|| decoder.dtype())),
            max_positions: config.max_positions,
            eos: end_tokens(dir, config)?,
            parameters: checkpoint.parameters(),
            weight_bytes: checkpoint.bytes(),
        };
        Ok(Self {
            description,
            tokenizer,
            template,
            checkpoint,
        })
    }

    /// The ids of a conversation up to where the model's answer begins; images are not expanded yet.
    pub(crate) fn encode(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.tokenizer
            .encode_prompt(&self.template.render(messages, true)?)
    }

    /// Checks that a prompt of `tokens` tokens has positions.
    pub(crate) fn check_length(&self, tokens: usize) -> Result<(), ModelError> {
        let max = self.description.max_positions;
        if tokens > max {
            Err(ModelError::TooLong { tokens, max })
        } else {
            Ok(())
        }
    }

    /// Where numbers that are not finite came from: almost always a broken weight, which is searched and named.
    pub(crate) fn explain(&self, error: ModelError) -> ModelError {
        match error {
            ModelError::NotFinite | ModelError::Kernel(KernelError::NotFinite { .. }) => {
                self.checkpoint.check_finite().err().unwrap_or(error)
            }
            other => other,
        }
    }
}
