//! Writes checkpoints with random weights: speed and memory do not depend on training.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::bf16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Map, Value, json};

const TOWER: &str = "vision_tower.vision_model";
/// Id of the placeholder for images: the first one after the special tokens and the bytes.
const IMAGE_TOKEN: usize = SPECIAL.len() + 256;
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// Sizes of a Mistral decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomShape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub query_heads: usize,
    /// KV heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Number of token ids.
    pub vocabulary: usize,
}

/// Sizes of a CLIP vision tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomVision {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl RandomVision {
    /// CLIP ViT-L/14 at 336 pixels, the tower of LLaVA-NeXT.
    pub const LARGE_336: Self = Self {
        hidden: 1024,
        layers: 24,
        heads: 16,
        intermediate: 4096,
        tile: 336,
        patch: 14,
    };

    /// Names and shapes of the tower's tensors and the projector's, as the published checkpoints have them.
    fn tensors(&self, text_hidden: usize) -> Vec<(String, Vec<usize>)> {
        let (hidden, wide) = (self.hidden, self.intermediate);
        let patches = (self.tile / self.patch).pow(2);
        let mut tensors = vec![
            ("image_newline".to_owned(), vec![text_hidden]),
            (format!("{TOWER}.embeddings.class_embedding"), vec![hidden]),
            (
                format!("{TOWER}.embeddings.patch_embedding.weight"),
                vec![hidden, 3, self.patch, self.patch],
            ),
            (
                format!("{TOWER}.embeddings.position_embedding.weight"),
                vec![patches + 1, hidden],
            ),
        ];
        // A norm's weight is a vector, a linear layer's a matrix; both have a bias.
        let mut with_bias = |name: String, outputs: usize, inputs: Option<usize>| {
            let weight = std::iter::once(outputs).chain(inputs).collect();
            tensors.push((format!("{name}.weight"), weight));
            tensors.push((format!("{name}.bias"), vec![outputs]));
        };
        with_bias(format!("{TOWER}.pre_layrnorm"), hidden, None);
        with_bias(format!("{TOWER}.post_layernorm"), hidden, None);
        for layer in 0..self.layers {
            let of_layer = [
                ("layer_norm1", hidden, None),
                ("layer_norm2", hidden, None),
                ("mlp.fc1", wide, Some(hidden)),
                ("mlp.fc2", hidden, Some(wide)),
                ("self_attn.k_proj", hidden, Some(hidden)),
                ("self_attn.out_proj", hidden, Some(hidden)),
                ("self_attn.q_proj", hidden, Some(hidden)),
                ("self_attn.v_proj", hidden, Some(hidden)),
            ];
            for (name, outputs, inputs) in of_layer {
                with_bias(
                    format!("{TOWER}.encoder.layers.{layer}.{name}"),
                    outputs,
                    inputs,
                );
            }
        }
        for (name, inputs) in [("linear_1", hidden), ("linear_2", text_hidden)] {
            with_bias(
                format!("multi_modal_projector.{name}"),
                text_hidden,
                Some(inputs),
            );
        }
        tensors
    }

    fn config(&self, text: &RandomShape) -> Value {
        json!({
            "architectures": ["LlavaNextForConditionalGeneration"],
            "model_type": "llava_next",
            "dtype": "bfloat16",
            "image_grid_pinpoints": self.pinpoints(),
            "image_token_index": IMAGE_TOKEN,
            "projector_hidden_act": "gelu",
            "multimodal_projector_bias": true,
            "tie_word_embeddings": false,
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
            "text_config": text.config(),
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_act": "quick_gelu",
                "hidden_size": self.hidden,
                "image_size": self.tile,
                "intermediate_size": self.intermediate,
                "layer_norm_eps": 1e-5,
                "num_attention_heads": self.heads,
                "num_channels": 3,
                "num_hidden_layers": self.layers,
                "patch_size": self.patch,
            },
        })
    }

    fn processor(&self) -> Value {
        json!({
            "image_processor_type": "LlavaNextImageProcessor",
            "crop_size": { "height": self.tile, "width": self.tile },
            "size": { "shortest_edge": self.tile },
            "image_grid_pinpoints": self.pinpoints(),
        })
    }

    fn pinpoints(&self) -> Value {
        let grids = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]];
        grids
            .map(|grid| grid.map(|tiles| tiles * self.tile))
            .to_vec()
            .into()
    }
}

impl RandomShape {
    /// The shapes that the peer measurements use: `s` (175 M parameters) and `m` (567 M); `tiny` is for tests.
    pub fn named(name: &str) -> Option<Self> {
        let shape = |hidden, head_dim, intermediate| Self {
            hidden,
            layers: 8,
            query_heads: 16,
            kv_heads: 4,
            head_dim,
            intermediate,
            vocabulary: 32000,
        };
        match name {
            "s" => Some(shape(1024, 64, 3584)),
            "m" => Some(shape(2048, 128, 7168)),
            "tiny" => Some(Self {
                hidden: 64,
                layers: 2,
                query_heads: 4,
                kv_heads: 2,
                head_dim: 16,
                intermediate: 128,
                vocabulary: 512,
            }),
            _ => None,
        }
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    /// Names and shapes of all tensors, as the published checkpoints have them.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, wide) = (self.hidden, self.intermediate);
        let (q, kv) = (
            self.query_heads * self.head_dim,
            self.kv_heads * self.head_dim,
        );
        let mut tensors = vec![
            ("lm_head.weight".to_owned(), vec![self.vocabulary, hidden]),
            (
                "model.embed_tokens.weight".to_owned(),
                vec![self.vocabulary, hidden],
            ),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        for layer in 0..self.layers {
            let of_layer = [
                ("input_layernorm", vec![hidden]),
                ("mlp.down_proj", vec![hidden, wide]),
                ("mlp.gate_proj", vec![wide, hidden]),
                ("mlp.up_proj", vec![wide, hidden]),
                ("post_attention_layernorm", vec![hidden]),
                ("self_attn.k_proj", vec![kv, hidden]),
                ("self_attn.o_proj", vec![hidden, q]),
                ("self_attn.q_proj", vec![q, hidden]),
                ("self_attn.v_proj", vec![kv, hidden]),
            ];
            tensors.extend(
                of_layer
                    .map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)),
            );
        }
        tensors
    }

    fn config(&self) -> Value {
        json!({
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "dtype": "bfloat16",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.query_heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": 1 << 18,
            "rms_norm_eps": 1e-6,
            "rope_parameters": { "rope_theta": 1e6, "rope_type": "default" },
            "sliding_window": null,
            "tie_word_embeddings": false,
            "bos_token_id": 1,
            "eos_token_id": 2,
        })
    }
}

/// Writes a folder that [`crate::load`] takes: bf16 weights streamed to disk, a byte-level tokenizer without merges (one
/// token per byte), a plain chat template. The same `seed` gives the same weights. `progress` is told the bytes written
/// and the bytes in all.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn write_random_checkpoint(
    folder: &Path,
    shape: &RandomShape,
    seed: u64,
    progress: impl FnMut(u64, u64),
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let template = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
    write_json(folder, "config.json", &shape.config())?;
    write_tokenizer(folder, &tokenizer(shape.vocabulary, false), template)?;
    write_weights(folder, &shape.tensors(), seed, progress)
}

/// Writes a LLaVA-NeXT checkpoint in the same way: a vision tower, a projector and a decoder.
///
/// # Errors
/// The folder or a file cannot be written, or the vocabulary has no room for the image's placeholder.
pub fn write_random_llava_next(
    folder: &Path,
    vision: &RandomVision,
    text: &RandomShape,
    seed: u64,
    progress: impl FnMut(u64, u64),
) -> io::Result<()> {
    if text.vocabulary <= IMAGE_TOKEN {
        let problem = format!("the image's placeholder is token {IMAGE_TOKEN}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    fs::create_dir_all(folder)?;
    let template = "{% for message in messages %}{% for part in message['content'] %}\
        {% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}";
    write_json(folder, "config.json", &vision.config(text))?;
    write_json(folder, "preprocessor_config.json", &vision.processor())?;
    write_tokenizer(folder, &tokenizer(text.vocabulary, true), template)?;
    let decoder = text.tensors().into_iter();
    let mut tensors = vision.tensors(text.hidden);
    tensors.extend(decoder.map(|(name, shape)| (format!("language_model.{name}"), shape)));
    write_weights(folder, &tensors, seed, progress)
}

fn write_json(folder: &Path, name: &str, value: &Value) -> io::Result<()> {
    fs::write(folder.join(name), serde_json::to_vec_pretty(value)?)
}

fn write_tokenizer(folder: &Path, tokenizer: &Value, template: &str) -> io::Result<()> {
    let ends = json!({ "bos_token_id": 1, "eos_token_id": 2 });
    write_json(folder, "generation_config.json", &ends)?;
    write_json(folder, "tokenizer.json", tokenizer)?;
    let config = json!({ "bos_token": "<s>", "eos_token": "</s>", "chat_template": template });
    write_json(folder, "tokenizer_config.json", &config)
}

/// Writes `model.safetensors` with random values.
fn write_weights(
    folder: &Path,
    tensors: &[(String, Vec<usize>)],
    seed: u64,
    mut progress: impl FnMut(u64, u64),
) -> io::Result<()> {
    let mut header = Map::new();
    let mut end = 0_u64;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>() as u64;
        header.insert(
            name.clone(),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
        );
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file =
        BufWriter::with_capacity(1 << 20, File::create(folder.join("model.safetensors"))?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut written = 0;
    for (name, shape) in tensors {
        // The vectors among the weights are those of norms.
        let norm = shape.len() == 1 && name.ends_with(".weight");
        let mut left = shape.iter().product::<usize>();
        while left > 0 {
            let count = left.min(1 << 16);
            let values = if norm {
                vec![bf16::ONE; count]
            } else {
                uniform(&mut random, count)
            };
            file.write_all(bytemuck::cast_slice(&values))?;
            left -= count;
            written += 2 * count as u64;
            progress(written, end);
        }
    }
    file.into_inner()?.sync_all()
}

/// Uniform values with a standard deviation of 0.02, which is how transformers initialises these models.
fn uniform(random: &mut ChaCha8Rng, count: usize) -> Vec<bf16> {
    let limit = 0.02 * 3_f32.sqrt();
    let value = |bits: u32| bf16::from_f32((bits as f32 / 65535.0 * 2.0 - 1.0) * limit);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let bits = random.next_u32();
        values.extend([value(bits & 0xffff), value(bits >> 16)]);
    }
    values.truncate(count);
    values
}

/// A byte-level tokenizer: special tokens, one token per byte, unused names up to the vocabulary's size. With `image`
/// the first name after the bytes is the image's placeholder.
fn tokenizer(vocabulary: usize, image: bool) -> Value {
    let placeholder = image.then(|| "<image>".to_owned());
    let names = SPECIAL
        .iter()
        .map(|&s| s.to_owned())
        .chain(byte_alphabet().map(String::from))
        .chain(placeholder.clone());
    let unused = (IMAGE_TOKEN + usize::from(image)..).map(|id| format!("<unused{id}>"));
    let vocab: Map<String, Value> = names
        .chain(unused)
        .take(vocabulary)
        .enumerate()
        .map(|(id, name)| (name, id.into()))
        .collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .map(|&name| name.to_owned())
        .enumerate()
        .chain(placeholder.map(|name| (IMAGE_TOKEN, name)))
        .map(|(id, name)| {
            json!({ "id": id, "content": name, "special": true, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false })
        })
        .collect();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [],
        },
    })
}

/// The characters that byte-level BPE writes for the bytes 0 to 255: printable ones stand for themselves, the others
/// follow from U+0100 on (GPT-2's `bytes_to_unicode`).
fn byte_alphabet() -> impl Iterator<Item = char> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100_u32;
    (0..=255_u8).filter_map(move |byte| {
        if printable(byte) {
            return Some(char::from(byte));
        }
        next += 1;
        char::from_u32(next - 1)
    })
}
