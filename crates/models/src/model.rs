//! What every model offers: a prompt in, logits and a filled cache out.

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::time::Duration;

use whittle_kernels::{DType, Kernels};
use whittle_kv::{CacheShape, KvCache, Needs, PromptInfo, Statistics};

use crate::error::ModelError;
use crate::image::{ImageLayout, PixelTiles};
use crate::tokenizer::TextTokenizer;

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions to the model; not every chat template knows them.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// A piece of a [`Message`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// An image: its index in the slice given to [`Model::prompt`].
    Image(usize),
}

/// One turn of a conversation, as the chat template sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A user turn: the images `0..images`, then the text.
    pub fn user(text: impl Into<String>, images: usize) -> Self {
        let mut parts: Vec<Part> = (0..images).map(Part::Image).collect();
        parts.push(Part::Text(text.into()));
        Self {
            role: Role::User,
            parts,
        }
    }
}

/// One image of a [`Prompt`], ready for the vision tower.
#[derive(Debug, Clone)]
pub struct ImageInput {
    /// Normalised pixels, one tile after the other.
    pub pixels: PixelTiles,
    /// Which part of the image each of its tokens stands for.
    pub layout: ImageLayout,
    /// Where the image's tokens lie in the prompt; as long as the layout has tokens.
    pub tokens: Range<usize>,
}

/// A prompt after chat template, tokenization and expansion of the images.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Token ids; every visual token is the placeholder id.
    pub ids: Vec<u32>,
    /// Length and visual spans, as the compression policies see them.
    pub info: PromptInfo,
    /// The images in prompt order.
    pub images: Vec<ImageInput>,
}

/// Sizes of the language half of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDescription {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Number of token ids.
    pub vocabulary: usize,
}

/// Sizes of the vision half of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisionDescription {
    /// Blocks that are computed; a checkpoint may hold more.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

/// What a loaded model is.
#[derive(Debug, Clone)]
pub struct ModelDescription {
    /// Class name in the checkpoint, as in `LlavaNextForConditionalGeneration`.
    pub architecture: String,
    /// The folder that it was loaded from.
    pub folder: PathBuf,
    /// The language half.
    pub text: TextDescription,
    /// The vision half, if there is one.
    pub vision: Option<VisionDescription>,
    /// Layers, heads and element type of the KV cache.
    pub cache: CacheShape,
    /// Longest sequence that the positions allow, prompt and answer together.
    pub max_positions: usize,
    /// Ids that end a turn.
    pub eos: Vec<u32>,
    /// Number of weights in the checkpoint.
    pub parameters: u64,
    /// Bytes of the weights in the checkpoint.
    pub weight_bytes: u64,
}

/// How [`crate::load`] sets a model up.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Which kernels compute; the best of this machine by default.
    pub kernels: Kernels,
    /// Element type of the KV cache; that of the weights by default.
    pub cache_dtype: Option<DType>,
    /// Tokens computed together in prefill. Bounds the activation memory.
    pub prefill_chunk: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            kernels: Kernels::detect(),
            cache_dtype: None,
            prefill_chunk: 512,
        }
    }
}

/// Where the time of a [`Model::prefill`] went. The parts do not overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrefillTimes {
    /// Vision tower and projector.
    pub vision: Duration,
    /// The decoder over all prompt tokens, without `statistics`.
    pub decoder: Duration,
    /// Attention statistics for the compression policy.
    pub statistics: Duration,
}

impl PrefillTimes {
    /// All parts together.
    pub fn total(&self) -> Duration {
        self.vision + self.decoder + self.statistics
    }
}

/// What a prefill leaves besides the filled cache.
#[derive(Debug, Clone)]
pub struct Prefill {
    /// Logits after the last prompt token, one for each id of the vocabulary.
    pub logits: Vec<f32>,
    /// Attention statistics of every layer, as far as they were asked for.
    pub statistics: Statistics,
    /// Where the time went.
    pub times: PrefillTimes,
}

/// Watches a prefill from inside. Every method has a default that does nothing; `()` watches nothing.
pub trait PrefillObserver {
    /// `done` of `total` prompt tokens are in the cache. [`ControlFlow::Break`] stops with
    /// [`ModelError::Cancelled`].
    fn progress(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let _ = (done, total);
        ControlFlow::Continue(())
    }

    /// Whether `hidden` and `logits` are to be called for every position. Costs time: otherwise the last layer is
    /// computed only as far as the next token needs it.
    fn every_position(&self) -> bool {
        false
    }

    /// The residual stream `[rows, hidden]` that enters layer `layer`, from prompt position `start` on; `layer` equal
    /// to the number of layers means after the final norm.
    fn hidden(&mut self, layer: usize, start: usize, rows: &[f32]) {
        let _ = (layer, start, rows);
    }

    /// Logits `[rows, vocabulary]` from prompt position `start` on.
    fn logits(&mut self, start: usize, rows: &[f32]) {
        let _ = (start, rows);
    }
}

impl PrefillObserver for () {}

/// A vision-language or text model that prefills and decodes with a [`KvCache`].
pub trait Model: Send + Sync {
    /// Architecture and sizes.
    fn description(&self) -> &ModelDescription;

    /// Text to ids and back.
    fn tokenizer(&self) -> &TextTokenizer;

    /// Builds a prompt: chat template, tokens, images expanded to their visual tokens.
    ///
    /// # Errors
    /// A part names an image that is not in `images`, an image is not used or cannot be processed, the model takes no
    /// images, the template or the tokenizer fails, or the prompt is longer than the model's positions.
    fn prompt(
        &self,
        messages: &[Message],
        images: &[image::DynamicImage],
    ) -> Result<Prompt, ModelError>;

    /// Runs the prompt through the model, fills the empty `cache` with one entry per prompt token, layer and KV head,
    /// and collects the attention statistics that a policy `needs`.
    ///
    /// # Errors
    /// The prompt does not fit the model or the cache, the cache is not empty, numbers are not finite (broken
    /// weights), memory for the cache is missing, or the observer cancelled. The cache is to be dropped or cleared
    /// then.
    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError>;

    /// Appends `token` to the sequence at position [`KvCache::logical_len`] and returns the logits of the next one.
    ///
    /// # Errors
    /// The id is outside the vocabulary, the positions are used up, numbers are not finite, or memory is missing.
    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError>;

    /// [`Model::decode`] for several sequences at once, `tokens[i]` appended to `caches[i]`: logits
    /// `[sequences, vocabulary]`. Each sequence gets the numbers that it gets alone, but the weights are read once for
    /// all of them.
    ///
    /// # Errors
    /// As [`Model::decode`], if any of the sequences fails; none has taken its token then.
    ///
    /// # Panics
    /// If there are not as many tokens as caches.
    fn decode_batch(
        &self,
        tokens: &[u32],
        caches: &mut [&mut KvCache],
    ) -> Result<Vec<f32>, ModelError> {
        assert_eq!(tokens.len(), caches.len(), "one token for each cache");
        let before: Vec<usize> = caches.iter().map(|cache| cache.logical_len()).collect();
        let mut logits = Vec::new();
        for i in 0..tokens.len() {
            match self.decode(tokens[i], caches[i]) {
                Ok(of_one) => logits.extend(of_one),
                Err(error) => {
                    for (cache, len) in caches[..i].iter_mut().zip(before) {
                        cache.truncate(len)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(logits)
    }
}
