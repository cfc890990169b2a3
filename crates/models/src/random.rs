//! Writes checkpoints with random weights: speed and memory do not depend on training.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::bf16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Map, Value, json};

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

impl RandomShape {
    /// The shapes that the peer measurements use: `s` (175 M parameters) and `m` (567 M).
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
    mut progress: impl FnMut(u64, u64),
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let json =
        |name: &str, value: &Value| fs::write(folder.join(name), serde_json::to_vec_pretty(value)?);
    json("config.json", &shape.config())?;
    json(
        "generation_config.json",
        &json!({ "bos_token_id": 1, "eos_token_id": 2 }),
    )?;
    json("tokenizer.json", &tokenizer(shape.vocabulary))?;
    json(
        "tokenizer_config.json",
        &json!({
            "bos_token": "<s>",
            "eos_token": "</s>",
            "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        }),
    )?;

    let tensors = shape.tensors();
    let mut header = Map::new();
    let mut end = 0_u64;
    for (name, shape) in &tensors {
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
    for (_, shape) in &tensors {
        let mut left = shape.iter().product::<usize>();
        while left > 0 {
            let count = left.min(1 << 16);
            let values = if shape.len() == 1 {
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

/// A byte-level tokenizer: three special tokens, one token per byte, unused names up to the vocabulary's size.
fn tokenizer(vocabulary: usize) -> Value {
    let special = ["<unk>", "<s>", "</s>"];
    let names = special
        .iter()
        .map(|&s| s.to_owned())
        .chain(byte_alphabet().map(String::from));
    let unused = (special.len() + 256..).map(|id| format!("<unused{id}>"));
    let vocab: Map<String, Value> = names
        .chain(unused)
        .take(vocabulary)
        .enumerate()
        .map(|(id, name)| (name, id.into()))
        .collect();
    let added: Vec<Value> = special
        .iter()
        .enumerate()
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
