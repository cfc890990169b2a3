//! What can go wrong between a folder on disk and a token.

use std::path::{Path, PathBuf};

use whittle_kernels::KernelError;
use whittle_kv::{CacheError, CacheShape, PlanError};

/// Every failure of this crate. The message names the file, and the tensor, key or image in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is larger than any file of its kind.
    #[error("{}: {size} bytes, more than the {limit} that a file of this kind may have", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The largest accepted size in bytes.
        limit: u64,
    },
    /// A JSON file does not parse.
    #[error("{}: not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A key of a configuration file is missing, has the wrong type, or a value that cannot be honoured.
    #[error("{}: {key}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key with its parents, as in `text_config.hidden_size`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The checkpoint is of a family that this build does not know.
    #[error("{}: unknown architecture {found}; this build knows {}", path.display(), known.join(", "))]
    UnknownArchitecture {
        /// The configuration file.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A safetensors file or its index breaks the format.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor's name where it is known.
        problem: String,
    },
    /// A safetensors file ends before its data do.
    #[error("{}: truncated: {what} needs {needed} bytes, the file has {found}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The header or the first tensor that is cut off.
        what: String,
        /// Bytes that the file would need for it.
        needed: u64,
        /// Bytes that the file has.
        found: u64,
    },
    /// The checkpoint has no tensor of this name.
    #[error("{}: tensor {tensor} is missing", path.display())]
    MissingTensor {
        /// The checkpoint's file, or its index.
        path: PathBuf,
        /// The name in published checkpoints; its aliases were tried also.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{}: tensor {tensor} has shape {found:?}, the configuration asks for {expected:?}", path.display())]
    TensorShape {
        /// The file that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// The shape that follows from the configuration.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor's elements have a type that the kernels do not compute with.
    #[error("{}: tensor {tensor} has elements of type {dtype}; supported are F32, F16 and BF16", path.display())]
    TensorType {
        /// The file that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// The type in the file.
        dtype: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: tensor {tensor} holds {value} at element {index}: the weights are broken", path.display())]
    NotFiniteWeight {
        /// The file that holds it.
        path: PathBuf,
        /// Its name.
        tensor: String,
        /// The first such element, row-major.
        index: usize,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// The tokenizer cannot be loaded or fails on a text.
    #[error("{}: tokenizer: {problem}", path.display())]
    Tokenizer {
        /// The tokenizer file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no chat template, it does not compile, or it rejects the messages.
    #[error("{}: chat template: {problem}", path.display())]
    Template {
        /// The file that holds the template, or the folder that has none.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An image cannot be read or processed.
    #[error("image {image}: {problem}")]
    Image {
        /// The image's path, or its number in the prompt.
        image: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An image is larger than the limits allow: a mistake, or a decompression bomb.
    #[error("image {image}: {width} x {height} pixels is too large: {limit}")]
    ImageTooLarge {
        /// The image's path, or its number in the prompt.
        image: String,
        /// Width that the file claims.
        width: u32,
        /// Height that the file claims.
        height: u32,
        /// The limit that it breaks.
        limit: String,
    },
    /// Messages and images do not make a prompt.
    #[error("prompt: {0}")]
    Prompt(String),
    /// A sequence is longer than the model's positions.
    #[error("{tokens} tokens are more than the model's {max} positions")]
    TooLong {
        /// Tokens of the prompt, or of prompt and answer.
        tokens: usize,
        /// Positions of the model.
        max: usize,
    },
    /// An id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of ids.
        vocabulary: usize,
    },
    /// Placeholders and image features of a prompt do not match.
    #[error("the prompt has {tokens} visual tokens, but its images have {features} features")]
    ImageTokens {
        /// Visual tokens in the prompt.
        tokens: usize,
        /// Features of its images.
        features: usize,
    },
    /// A prefill needs an empty cache.
    #[error("the KV cache holds {tokens} tokens already; a prefill needs an empty one")]
    CacheNotEmpty {
        /// Tokens in the cache.
        tokens: usize,
    },
    /// A cache made for another model.
    #[error("the KV cache has shape {found:?}, the model needs {expected:?}")]
    CacheShape {
        /// The model's.
        expected: CacheShape,
        /// The cache's.
        found: CacheShape,
    },
    /// Logits are NaN or infinite although every weight is finite: the numbers overflow.
    #[error("the model's output is not finite although its weights are")]
    NotFinite,
    /// The cache cannot take more tokens.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The prompt's description or the statistics asked for are not possible.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A kernel rejects its input.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The caller stopped the work.
    #[error("cancelled")]
    Cancelled,
}

impl ModelError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<'_> {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn checkpoint(path: &Path, problem: impl Into<String>) -> Self {
        Self::Checkpoint {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn image(image: &str, problem: impl Into<String>) -> Self {
        Self::Image {
            image: image.to_owned(),
            problem: problem.into(),
        }
    }

    /// The same problem with another image's name.
    pub(crate) fn named(self, name: &str) -> Self {
        match self {
            Self::Image { problem, .. } => Self::image(name, problem),
            other => other,
        }
    }

    pub(crate) fn element_type(path: &Path, tensor: &str, dtype: &str) -> Self {
        Self::TensorType {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            dtype: dtype.to_owned(),
        }
    }
}
