//! The decoder of Llama and Mistral (`transformers/models/llama/modeling_llama.py`): grouped-query attention with
//! rotary embedding, a gated MLP, RMS norms in front of both.
//!
//! Prefill runs in chunks, so the activations need memory for one chunk however long the prompt is. Weights stay
//! memory-mapped in the type they are stored in; activations are f32.

use std::ops::Range;
use std::time::Instant;

use whittle_kernels::{Activation, DType, Heads, Kernels, Mask, Rotary, RowStatistics};
use whittle_kv::{CacheShape, KvCache, Needs, PromptInfo};

use crate::checkpoint::Checkpoint;
use crate::config::TextConfig;
use crate::error::ModelError;
use crate::layers::{Linear, RmsNorm, Table};
use crate::model::{LoadOptions, Prefill, PrefillObserver, PrefillTimes};
use crate::statistics::{Collector, TailQueries};

/// The input of a prefill: token ids, and the features that take the place of visual tokens.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// One id per prompt token.
    pub ids: &'a [u32],
    /// Image features `[visual tokens, hidden]` in prompt order.
    pub features: &'a [f32],
    /// Prompt length and where the visual tokens lie.
    pub info: &'a PromptInfo,
}

/// A Llama or Mistral decoder with its output head.
pub struct Decoder {
    kernels: Kernels,
    heads: Heads,
    hidden: usize,
    max_positions: usize,
    chunk: usize,
    rotary: Rotary,
    activation: Activation,
    embedding: Table,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// Absent where the output head is the embedding (tied).
    head: Option<Table>,
}

/// Buffers that all layers and chunks share.
#[derive(Default)]
struct Scratch {
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// The first `len` elements of a buffer that only ever grows; what they hold is left over.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Decoder {
    /// Takes the tensors `{prefix}model.*` and `{prefix}lm_head.weight` out of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing or has another shape than the configuration says.
    pub fn load(
        checkpoint: &Checkpoint,
        prefix: &str,
        config: &TextConfig,
        options: &LoadOptions,
    ) -> Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let model = format!("{prefix}model");
        let layers = (0..config.layers)
            .map(|layer| Layer::load(checkpoint, &format!("{model}.layers.{layer}"), config))
            .collect::<Result<_, _>>()?;
        let head = if config.tie_word_embeddings {
            None
        } else {
            Some(Table::load(checkpoint, &format!("{prefix}lm_head.weight"), config.vocab_size, hidden)?)
        };
        Ok(Self {
            kernels: options.kernels,
            heads: Heads { query: config.query_heads, kv: config.kv_heads, dim: config.head_dim },
            hidden,
            max_positions: config.max_positions,
            chunk: options.prefill_chunk.max(1),
            rotary: Rotary::new(config.head_dim, config.rope_theta as f32, config.rope_scaling)?,
            activation: config.activation,
            embedding: Table::load(checkpoint, &format!("{model}.embed_tokens.weight"), config.vocab_size, hidden)?,
            layers,
            norm: RmsNorm::load(checkpoint, &format!("{model}.norm"), hidden, config.rms_norm_eps)?,
            head,
        })
    }

    /// Prefills the empty `cache`; see [`crate::Model::prefill`]. `times.vision` stays zero.
    ///
    /// # Errors
    /// As [`crate::Model::prefill`].
    pub fn prefill(
        &self,
        inputs: Inputs,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        self.check(inputs, cache)?;
        let begin = Instant::now();
        let total = inputs.ids.len();
        let mut collector = Collector::new(self.kernels, self.heads, self.layers.len(), inputs.info, needs)?;
        let mut scratch = Scratch::default();
        let mut logits = Vec::new();
        for start in (0..total).step_by(self.chunk) {
            let end = (start + self.chunk).min(total);
            let every = observer.every_position();
            let mut x = self.embed(inputs, start..end);
            for (index, layer) in self.layers.iter().enumerate() {
                if every {
                    observer.hidden(index, start, &x);
                }
                // Nothing after the last layer's keys and values needs more than the last position.
                let last_layer = index + 1 == self.layers.len();
                let outputs = if every || !last_layer { end - start } else { usize::from(end == total) };
                self.prefill_layer(index, layer, &mut x, start, outputs, cache, &mut collector, &mut scratch)?;
            }
            if !x.is_empty() {
                self.norm.apply(self.kernels, sized(&mut scratch.normed, x.len()), &x);
                let normed = &scratch.normed[..x.len()];
                let wanted = if every { normed } else { &normed[x.len() - self.hidden..] };
                logits = self.logits(wanted);
                if every {
                    observer.hidden(self.layers.len(), start, normed);
                    observer.logits(start, &logits);
                }
            }
            if observer.progress(end, total).is_break() {
                return Err(ModelError::Cancelled);
            }
        }
        let logits = logits.split_off(logits.len() - self.embedding.rows());
        check_finite(&logits)?;
        let statistics_time = collector.time;
        let times = PrefillTimes {
            decoder: begin.elapsed().saturating_sub(statistics_time),
            statistics: statistics_time,
            ..PrefillTimes::default()
        };
        Ok(Prefill { logits, statistics: collector.finish()?, times })
    }

    /// One decoding step; see [`crate::Model::decode`].
    ///
    /// # Errors
    /// As [`crate::Model::decode`].
    pub fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        let position = cache.logical_len();
        if position >= self.max_positions {
            return Err(ModelError::TooLong { tokens: position + 1, max: self.max_positions });
        }
        self.check_id(token)?;
        self.check_shape(cache)?;
        let result = self.decode_at(position, token, cache);
        if result.is_err() {
            // Some layers may have taken the token already; the step has to leave no trace.
            cache.truncate(position)?;
        }
        result
    }

    fn decode_at(&self, position: usize, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        let mut scratch = Scratch::default();
        let mut x = vec![0.0; self.hidden];
        self.embedding.row(token as usize, &mut x);
        for (index, layer) in self.layers.iter().enumerate() {
            self.keys_and_values(index, layer, &x, position, cache, &mut scratch)?;
            let q = sized(&mut scratch.q, self.heads.query * self.heads.dim);
            layer.q.apply(self.kernels, q, &scratch.normed[..self.hidden]);
            self.rotary.apply(q, self.heads.query, &[position as u32]);
            let mixed = sized(&mut scratch.mixed, q.len());
            self.kernels.decode_attention(mixed, q, &cache.views(index), self.heads, self.scale());
            self.after_attention(layer, &mut x, &mut scratch);
        }
        let normed = sized(&mut scratch.normed, self.hidden);
        self.norm.apply(self.kernels, normed, &x);
        let logits = self.logits(normed);
        check_finite(&logits)?;
        Ok(logits)
    }

    /// Token embeddings with the image features merged in, `[rows, hidden]`.
    ///
    /// # Panics
    /// If `rows` is outside the prompt, or the features are not as many as the visual tokens.
    pub fn embed(&self, inputs: Inputs, rows: Range<usize>) -> Vec<f32> {
        let mut x = vec![0.0; rows.len() * self.hidden];
        for (out, &id) in x.chunks_exact_mut(self.hidden).zip(&inputs.ids[rows.clone()]) {
            // The placeholder's id may lie outside the table; its row is overwritten below.
            if (id as usize) < self.embedding.rows() {
                self.embedding.row(id as usize, out);
            }
        }
        let mut before = 0;
        for span in &inputs.info.visual {
            let (from, to) = (span.start.max(rows.start), span.end.min(rows.end));
            if from < to {
                let feature = (before + from - span.start) * self.hidden;
                let at = (from - rows.start) * self.hidden;
                let len = (to - from) * self.hidden;
                x[at..at + len].copy_from_slice(&inputs.features[feature..feature + len]);
            }
            before += span.len();
        }
        x
    }

    /// The cache that the decoder fills, with elements of type `dtype`.
    pub fn cache_shape(&self, dtype: DType) -> CacheShape {
        CacheShape {
            layers: self.layers.len(),
            query_heads: self.heads.query,
            kv_heads: self.heads.kv,
            head_dim: self.heads.dim,
            dtype,
        }
    }

    /// Element type of the decoder's weights.
    pub fn dtype(&self) -> DType {
        self.layers.first().map_or(self.embedding.dtype(), |layer| layer.k.dtype())
    }

    fn scale(&self) -> f32 {
        (self.heads.dim as f32).sqrt().recip()
    }

    fn check_id(&self, id: u32) -> Result<(), ModelError> {
        let vocabulary = self.embedding.rows();
        if id as usize >= vocabulary {
            return Err(ModelError::UnknownToken { id, vocabulary });
        }
        Ok(())
    }

    fn check_shape(&self, cache: &KvCache) -> Result<(), ModelError> {
        let found = *cache.shape();
        let expected = self.cache_shape(found.dtype);
        if found == expected { Ok(()) } else { Err(ModelError::CacheShape { expected, found }) }
    }

    fn check(&self, inputs: Inputs, cache: &KvCache) -> Result<(), ModelError> {
        let tokens = inputs.ids.len();
        inputs.info.validate()?;
        if tokens != inputs.info.len {
            return Err(ModelError::Prompt(format!("it has {tokens} tokens, but is described as {}", inputs.info.len)));
        }
        self.check_shape(cache)?;
        if tokens > self.max_positions {
            return Err(ModelError::TooLong { tokens, max: self.max_positions });
        }
        if cache.logical_len() != 0 {
            return Err(ModelError::CacheNotEmpty { tokens: cache.logical_len() });
        }
        let visual: usize = inputs.info.visual.iter().map(ExactSizeIterator::len).sum();
        let features = inputs.features.len() / self.hidden;
        if visual != features || features * self.hidden != inputs.features.len() {
            return Err(ModelError::ImageTokens { tokens: visual, features });
        }
        let mut next = 0;
        for span in &inputs.info.visual {
            inputs.ids[next..span.start].iter().try_for_each(|&id| self.check_id(id))?;
            next = span.end;
        }
        inputs.ids[next..].iter().try_for_each(|&id| self.check_id(id))
    }

    fn logits(&self, normed: &[f32]) -> Vec<f32> {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let mut logits = vec![0.0; normed.len() / self.hidden * head.rows()];
        self.kernels.matmul(&mut logits, normed, head.matrix(), None);
        logits
    }

    /// Norms `x` into `scratch.normed` and appends the rows' keys and values to the cache.
    fn keys_and_values(
        &self,
        index: usize,
        layer: &Layer,
        x: &[f32],
        position: usize,
        cache: &mut KvCache,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let rows = x.len() / self.hidden;
        let normed = sized(&mut scratch.normed, x.len());
        layer.attention_norm.apply(self.kernels, normed, x);
        let k = sized(&mut scratch.k, rows * self.heads.kv * self.heads.dim);
        layer.k.apply(self.kernels, k, normed);
        self.rotary.apply(k, self.heads.kv, &positions(position, rows));
        let v = sized(&mut scratch.v, rows * self.heads.kv * self.heads.dim);
        layer.v.apply(self.kernels, v, normed);
        Ok(cache.append(index, k, v, rows)?)
    }

    /// One layer over the rows `x` that start at `position`. Of them only the last `outputs` come out.
    #[allow(clippy::too_many_arguments)]
    fn prefill_layer(
        &self,
        index: usize,
        layer: &Layer,
        x: &mut Vec<f32>,
        position: usize,
        outputs: usize,
        cache: &mut KvCache,
        collector: &mut Collector,
        scratch: &mut Scratch,
    ) -> Result<(), ModelError> {
        let rows = x.len() / self.hidden;
        let width = self.heads.query * self.heads.dim;
        self.keys_and_values(index, layer, x, position, cache, scratch)?;

        let scored = collector.tail_rows(position, rows);
        let queries = outputs.max(scored);
        let q = sized(&mut scratch.q, queries * width);
        layer.q.apply(self.kernels, q, &scratch.normed[(rows - queries) * self.hidden..rows * self.hidden]);
        self.rotary.apply(q, self.heads.query, &positions(position + rows - queries, queries));

        let views = cache.views(index);
        let mut softmax = (scored > 0 && scored <= outputs).then(|| RowStatistics::new(scored, self.heads.query));
        if outputs > 0 {
            let mixed = sized(&mut scratch.mixed, outputs * width);
            let q = &q[(queries - outputs) * width..];
            let mask = Mask::Causal { offset: position + rows - outputs };
            self.kernels.prefill_attention(mixed, q, &views, self.heads, mask, self.scale(), softmax.as_mut());
        }
        let tail = TailQueries {
            q: &q[(queries - scored) * width..],
            start: position + rows - scored,
            softmax: softmax.as_ref(),
        };
        collector.collect(index, &tail, &views, self.scale())?;
        drop(views);

        x.drain(..(rows - outputs) * self.hidden);
        if outputs > 0 {
            self.after_attention(layer, x, scratch);
        }
        Ok(())
    }

    /// Output projection of `scratch.mixed` and the MLP, both added to `x`.
    fn after_attention(&self, layer: &Layer, x: &mut [f32], scratch: &mut Scratch) {
        let rows = x.len() / self.hidden;
        let projected = sized(&mut scratch.projected, x.len());
        layer.o.apply(self.kernels, projected, &scratch.mixed[..rows * self.heads.query * self.heads.dim]);
        self.kernels.add(x, projected);

        let normed = sized(&mut scratch.normed, x.len());
        layer.mlp_norm.apply(self.kernels, normed, x);
        let wide = rows * layer.gate.outputs();
        let (gate, up) = (sized(&mut scratch.gate, wide), sized(&mut scratch.up, wide));
        layer.gate.apply(self.kernels, gate, normed);
        layer.up.apply(self.kernels, up, normed);
        self.kernels.activate_mul(self.activation, gate, up);
        layer.down.apply(self.kernels, projected, gate);
        self.kernels.add(x, projected);
    }
}

/// One decoder layer.
struct Layer {
    attention_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    mlp_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn load(checkpoint: &Checkpoint, prefix: &str, config: &TextConfig) -> Result<Self, ModelError> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.query_heads * config.head_dim, config.kv_heads * config.head_dim);
        let attention = |name: &str, outputs, inputs| {
            Linear::load(checkpoint, &format!("{prefix}.self_attn.{name}"), outputs, inputs, config.attention_bias)
        };
        let mlp = |name: &str, outputs, inputs| {
            Linear::load(checkpoint, &format!("{prefix}.mlp.{name}"), outputs, inputs, config.mlp_bias)
        };
        let norm = |name: &str| RmsNorm::load(checkpoint, &format!("{prefix}.{name}"), hidden, config.rms_norm_eps);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            q: attention("q_proj", q, hidden)?,
            k: attention("k_proj", kv, hidden)?,
            v: attention("v_proj", kv, hidden)?,
            o: attention("o_proj", hidden, q)?,
            mlp_norm: norm("post_attention_layernorm")?,
            gate: mlp("gate_proj", wide, hidden)?,
            up: mlp("up_proj", wide, hidden)?,
            down: mlp("down_proj", hidden, wide)?,
        })
    }
}

fn positions(first: usize, rows: usize) -> Vec<u32> {
    (first as u32..(first + rows) as u32).collect()
}

fn check_finite(logits: &[f32]) -> Result<(), ModelError> {
    if logits.iter().all(|logit| logit.is_finite()) { Ok(()) } else { Err(ModelError::NotFinite) }
}
