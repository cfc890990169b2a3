//! The language half: Llama and Mistral.

use whittle_kernels::{Activation, RotaryScaling};

use super::{ConfigFile, Fields, limits};
use crate::error::ModelError;

/// Which defaults and which features a decoder's configuration has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFamily {
    /// `model_type` llama.
    Llama,
    /// `model_type` mistral.
    Mistral,
}

/// Reads the name of the function between two linear layers under `key`.
pub(super) fn read_activation(
    fields: &Fields<'_>,
    key: &str,
    default: Activation,
) -> Result<Activation, ModelError> {
    match fields.string(key)? {
        None => Ok(default),
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
        Some("quick_gelu") => Ok(Activation::QuickGelu),
        Some(other) => Err(fields.error(key, format!("unknown activation {other}"))),
    }
}

/// Sizes and constants of a Llama or Mistral decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Llama or Mistral.
    pub family: TextFamily,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub layers: usize,
    /// Query heads of a layer.
    pub query_heads: usize,
    /// KV heads of a layer; divides `query_heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Longest sequence. With a sliding window at most the window, as only up to there it changes nothing.
    pub max_positions: usize,
    /// Added to the variance in RMS norm.
    pub rms_norm_eps: f32,
    /// Of the MLP's gate.
    pub activation: Activation,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// How the rotary frequencies are stretched.
    pub rope_scaling: RotaryScaling,
    /// Whether the attention projections have biases.
    pub attention_bias: bool,
    /// Whether the MLP projections have biases.
    pub mlp_bias: bool,
    /// Whether the output layer is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Ids that end a turn. See [`super::end_tokens`].
    pub eos_token_ids: Vec<u32>,
}

impl TextConfig {
    /// Reads the configuration of a text-only model.
    pub fn read(file: &ConfigFile) -> Result<Self, ModelError> {
        let fields = file.fields();
        super::reject_quantization(&fields)?;
        let mut config = Self::from_fields(&fields)?;
        config.tie_word_embeddings = fields.flag("tie_word_embeddings", false)?;
        Ok(config)
    }

    /// Reads a decoder's object: the whole file of a text-only model, or `text_config`.
    pub(super) fn from_fields(fields: &Fields<'_>) -> Result<Self, ModelError> {
        let family = match fields.string("model_type")? {
            None | Some("llama") => TextFamily::Llama,
            Some("mistral") => TextFamily::Mistral,
            Some(other) => {
                return Err(fields.error(
                    "model_type",
                    format!("unknown language model {other}; known are llama, mistral"),
                ));
            }
        };
        let mistral = family == TextFamily::Mistral;
        let heads = fields
            .size("num_attention_heads", limits::HEADS)?
            .unwrap_or(32);
        let kv_heads = match fields.size("num_key_value_heads", limits::HEADS)? {
            Some(kv_heads) => kv_heads,
            // Mistral's class has a default here, and an explicit null means as many as query heads.
            None if mistral && !fields.has("num_key_value_heads") => 8,
            None => heads,
        };
        if !heads.is_multiple_of(kv_heads) {
            return Err(fields.error(
                "num_key_value_heads",
                format!("{kv_heads} KV heads do not divide the {heads} query heads"),
            ));
        }
        let hidden_size = fields.size("hidden_size", limits::WIDTH)?.unwrap_or(4096);
        let positions = fields.size("max_position_embeddings", limits::POSITIONS)?;
        let positions = positions.unwrap_or(if mistral { 4096 * 32 } else { 2048 });
        let (rope_theta, rope_scaling) = read_rope(fields, positions)?;
        Ok(Self {
            family,
            vocab_size: fields
                .size("vocab_size", limits::VOCABULARY)?
                .unwrap_or(32000),
            hidden_size,
            intermediate_size: fields
                .size("intermediate_size", limits::WIDTH)?
                .unwrap_or(if mistral { 14336 } else { 11008 }),
            layers: fields
                .size("num_hidden_layers", limits::LAYERS)?
                .unwrap_or(32),
            query_heads: heads,
            kv_heads,
            head_dim: read_head_dim(fields, hidden_size, heads)?,
            max_positions: positions.min(read_window(fields, family)?),
            rms_norm_eps: fields.positive("rms_norm_eps")?.unwrap_or(1e-6) as f32,
            activation: read_activation(fields, "hidden_act", Activation::Silu)?,
            rope_theta,
            rope_scaling,
            attention_bias: !mistral && fields.flag("attention_bias", false)?,
            mlp_bias: !mistral && fields.flag("mlp_bias", false)?,
            tie_word_embeddings: false,
            eos_token_ids: match fields.tokens("eos_token_id")? {
                Some(ids) => ids,
                None if fields.has("eos_token_id") => Vec::new(),
                None => vec![2],
            },
        })
    }
}

fn read_head_dim(
    fields: &Fields<'_>,
    hidden_size: usize,
    heads: usize,
) -> Result<usize, ModelError> {
    let (key, head_dim) = match fields.size("head_dim", limits::HEAD_DIM)? {
        Some(head_dim) => ("head_dim", head_dim),
        None if hidden_size.is_multiple_of(heads) => ("hidden_size", hidden_size / heads),
        None => {
            let problem = format!(
                "{hidden_size} is not a multiple of the {heads} heads, and there is no head_dim"
            );
            return Err(fields.error("hidden_size", problem));
        }
    };
    if head_dim > limits::HEAD_DIM || !head_dim.is_multiple_of(2) {
        return Err(fields.error(
            key,
            format!(
                "heads of width {head_dim}: rotary embedding needs an even width of at most {}",
                limits::HEAD_DIM
            ),
        ));
    }
    Ok(head_dim)
}

/// The sequence length up to which a sliding window hides nothing.
fn read_window(fields: &Fields<'_>, family: TextFamily) -> Result<usize, ModelError> {
    if let Some(types) = fields.get("layer_types") {
        let full = types
            .as_array()
            .is_some_and(|list| list.iter().all(|kind| kind == "full_attention"));
        if !full {
            return Err(fields.error("layer_types", "only full_attention is supported"));
        }
    }
    if family != TextFamily::Mistral {
        return Ok(usize::MAX);
    }
    match fields.size("sliding_window", usize::MAX)? {
        Some(window) => Ok(window),
        // Mistral's class has a window by default; only an explicit null switches it off.
        None if fields.has("sliding_window") => Ok(usize::MAX),
        None => Ok(4096),
    }
}

/// Base and scaling: `rope_parameters` since transformers 5, before `rope_theta` and `rope_scaling`.
fn read_rope(
    fields: &Fields<'_>,
    max_positions: usize,
) -> Result<(f32, RotaryScaling), ModelError> {
    let theta = fields.positive("rope_theta")?.unwrap_or(10_000.0);
    if fields.number("partial_rotary_factor", 1.0)? != 1.0 {
        return Err(fields.error("partial_rotary_factor", "only 1 is supported"));
    }
    let key = if fields.object("rope_scaling")?.is_some() {
        "rope_scaling"
    } else {
        "rope_parameters"
    };
    let Some(rope) = fields.object(key)? else {
        return Ok((theta as f32, RotaryScaling::None));
    };
    if rope.number("partial_rotary_factor", 1.0)? != 1.0 {
        return Err(rope.error("partial_rotary_factor", "only 1 is supported"));
    }
    if rope.has_objects() {
        return Err(fields.error(key, "parameters by layer type are not supported"));
    }
    let theta = rope.positive("rope_theta")?.unwrap_or(theta);
    let kind_key = if rope.get("rope_type").is_some() {
        "rope_type"
    } else {
        "type"
    };
    let required = |key: &str| {
        rope.positive(key)?
            .map(|x| x as f32)
            .ok_or_else(|| rope.error(key, "missing"))
    };
    let scaling = match rope.string(kind_key)? {
        None | Some("default") => RotaryScaling::None,
        Some("linear") => RotaryScaling::Linear(required("factor")?),
        Some("llama3") => {
            let low = required("low_freq_factor")?;
            let high = required("high_freq_factor")?;
            if high <= low {
                return Err(rope.error(
                    "high_freq_factor",
                    format!("{high} is not above low_freq_factor, {low}"),
                ));
            }
            RotaryScaling::Llama3 {
                factor: required("factor")?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_positions: rope
                    .size("original_max_position_embeddings", limits::POSITIONS)?
                    .unwrap_or(max_positions),
            }
        }
        Some(other) => {
            let problem =
                format!("unknown rotary scaling {other}; known are default, linear, llama3");
            return Err(rope.error(kind_key, problem));
        }
    };
    Ok((theta as f32, scaling))
}
