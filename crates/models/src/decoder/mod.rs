//! The decoder of Llama and Mistral (`transformers/models/llama/modeling_llama.py`).
//!
//! Prefill runs in chunks, so the activations need memory for one chunk however long the prompt is. Weights keep
//! the type they are stored in and are packed once, when they are loaded; activations are f32.

mod layer;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use whittle_kernels::{DType, Heads, Rotary};
use whittle_kv::{CacheShape, KvCache, Needs, PromptInfo};

use crate::checkpoint::Checkpoint;
use crate::config::TextConfig;
use crate::error::ModelError;
use crate::layers::{Linear, RmsNorm, Table};
use crate::model::{LoadOptions, Prefill, PrefillObserver, PrefillTimes};
use crate::statistics::Collector;
use layer::{Buffers, Layer, Shared, sized};

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
    shared: Shared,
    max_positions: usize,
    chunk: usize,
    embedding: Table,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    /// Activations of decode steps that have ended, for those to come.
    buffers: Mutex<Vec<Buffers>>,
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
        let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
        let kernels = options.kernels;
        let table = format!("{prefix}model.embed_tokens.weight");
        let embedding = Table::load(checkpoint, &table, vocabulary, hidden)?;
        let head = if config.tie_word_embeddings {
            Linear::tied(kernels, &embedding)?
        } else {
            let name = format!("{prefix}lm_head");
            Linear::load(checkpoint, kernels, &name, vocabulary, hidden, false)?
        };
        let prefix_of_layers = format!("{prefix}model.layers");
        let layers = (0..config.layers)
            .map(|index| Layer::load(checkpoint, kernels, &prefix_of_layers, index, config))
            .collect::<Result<_, _>>()?;
        let shared = Shared {
            kernels: options.kernels,
            heads: Heads {
                query: config.query_heads,
                kv: config.kv_heads,
                dim: config.head_dim,
            },
            rotary: Rotary::new(config.head_dim, config.rope_theta, config.rope_scaling)?,
            activation: config.activation,
            hidden,
        };
        let norm = format!("{prefix}model.norm");
        Ok(Self {
            shared,
            max_positions: config.max_positions,
            chunk: options.prefill_chunk.max(1),
            embedding,
            layers,
            norm: RmsNorm::load(checkpoint, &norm, hidden, config.rms_norm_eps)?,
            head,
            buffers: Mutex::default(),
        })
    }

    /// The cache that the decoder fills, with elements of type `dtype`.
    pub fn cache_shape(&self, dtype: DType) -> CacheShape {
        CacheShape {
            layers: self.layers.len(),
            query_heads: self.shared.heads.query,
            kv_heads: self.shared.heads.kv,
            head_dim: self.shared.heads.dim,
            dtype,
        }
    }

    /// Element type of the decoder's weights.
    pub fn dtype(&self) -> DType {
        let first = self.layers.first();
        first.map_or(self.embedding.dtype(), Layer::dtype)
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
        let mut collector = Collector::new(
            self.shared.kernels,
            self.shared.heads,
            self.layers.len(),
            inputs.info,
            needs,
        )?;
        cache.reserve(total)?;
        // Those of a whole chunk are not kept.
        let mut buffers = Buffers::default();
        let mut logits = Vec::new();
        for start in (0..total).step_by(self.chunk) {
            let end = (start + self.chunk).min(total);
            let every = observer.every_position();
            let mut x = self.embed(inputs, start..end);
            for (index, layer) in self.layers.iter().enumerate() {
                if every {
                    observer.hidden(index, start, &x);
                }
                // Behind the last layer's keys and values nothing but the last position matters.
                let last_layer = index + 1 == self.layers.len();
                let outputs = if every || !last_layer {
                    end - start
                } else {
                    usize::from(end == total)
                };
                layer.prefill(
                    &self.shared,
                    &mut buffers,
                    cache,
                    &mut x,
                    start,
                    outputs,
                    &mut collector,
                )?;
            }
            if every {
                let normed = self.normed(&x);
                observer.hidden(self.layers.len(), start, &normed);
                logits = self.logits(&normed);
                observer.logits(start, &logits);
            } else if end == total {
                logits = self.logits(&self.normed(&x));
            }
            if observer.progress(end, total).is_break() {
                return Err(ModelError::Cancelled);
            }
        }
        let logits = logits.split_off(logits.len() - self.head.outputs());
        check_finite(&logits)?;
        let statistics = collector.time();
        let times = PrefillTimes {
            decoder: begin.elapsed().saturating_sub(statistics),
            statistics,
            ..PrefillTimes::default()
        };
        Ok(Prefill {
            logits,
            statistics: collector.finish()?,
            times,
        })
    }

    /// One decoding step of several sequences; see [`crate::Model::decode_batch`].
    ///
    /// # Errors
    /// As [`crate::Model::decode_batch`].
    ///
    /// # Panics
    /// As [`crate::Model::decode_batch`].
    pub fn decode_batch(
        &self,
        tokens: &[u32],
        caches: &mut [&mut KvCache],
    ) -> Result<Vec<f32>, ModelError> {
        assert_eq!(tokens.len(), caches.len(), "one token for each cache");
        let max = self.max_positions;
        for (&token, cache) in tokens.iter().zip(caches.iter()) {
            let tokens = cache.logical_len() + 1;
            if tokens > max {
                return Err(ModelError::TooLong { tokens, max });
            }
            self.check_id(token)?;
            self.check_shape(cache)?;
        }
        let positions: Vec<u32> = caches.iter().map(|c| c.logical_len() as u32).collect();
        let mut buffers = self.take_buffers();
        let logits = self.decode_at(&positions, tokens, caches, &mut buffers);
        self.give_buffers(buffers);
        if logits.is_err() {
            // Some layers may have taken the tokens already; a failed step has to leave no trace.
            for (cache, position) in caches.iter_mut().zip(positions) {
                cache.truncate(position as usize)?;
            }
        }
        logits
    }

    fn decode_at(
        &self,
        positions: &[u32],
        tokens: &[u32],
        caches: &mut [&mut KvCache],
        buffers: &mut Buffers,
    ) -> Result<Vec<f32>, ModelError> {
        let hidden = self.shared.hidden;
        let mut memory = std::mem::take(&mut buffers.x);
        let x = sized(&mut memory, tokens.len() * hidden);
        for (x, token) in x.chunks_exact_mut(hidden).zip(tokens) {
            self.embedding.row(*token as usize, x);
        }
        for layer in &self.layers {
            layer.decode(&self.shared, buffers, caches, x, positions)?;
        }
        let normed = sized(&mut buffers.normed, x.len());
        self.norm.apply(self.shared.kernels, normed, x);
        let logits = self.logits(normed);
        buffers.x = memory;
        check_finite(&logits)?;
        Ok(logits)
    }

    fn take_buffers(&self) -> Buffers {
        let mut free = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn give_buffers(&self, buffers: Buffers) {
        let mut free = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(buffers);
    }

    /// Token embeddings with the image features merged in, `[rows, hidden]`.
    ///
    /// # Panics
    /// If `rows` is outside the prompt, or the features are not as many as the visual tokens.
    pub fn embed(&self, inputs: Inputs, rows: Range<usize>) -> Vec<f32> {
        let hidden = self.shared.hidden;
        let mut x = vec![0.0; rows.len() * hidden];
        for (out, &id) in x.chunks_exact_mut(hidden).zip(&inputs.ids[rows.clone()]) {
            // The placeholder's id may lie outside the table; its row is overwritten below.
            if (id as usize) < self.embedding.rows() {
                self.embedding.row(id as usize, out);
            }
        }
        let mut before = 0;
        for span in &inputs.info.visual {
            let (from, to) = (span.start.max(rows.start), span.end.min(rows.end));
            if from < to {
                let feature = (before + from - span.start) * hidden;
                let at = (from - rows.start) * hidden;
                let len = (to - from) * hidden;
                x[at..at + len].copy_from_slice(&inputs.features[feature..feature + len]);
            }
            before += span.len();
        }
        x
    }

    fn normed(&self, x: &[f32]) -> Vec<f32> {
        let mut normed = vec![0.0; x.len()];
        self.norm.apply(self.shared.kernels, &mut normed, x);
        normed
    }

    fn logits(&self, normed: &[f32]) -> Vec<f32> {
        let rows = normed.len() / self.shared.hidden;
        let mut logits = vec![0.0; rows * self.head.outputs()];
        self.head.apply(self.shared.kernels, &mut logits, normed);
        logits
    }

    fn check(&self, inputs: Inputs, cache: &KvCache) -> Result<(), ModelError> {
        let (tokens, max) = (inputs.ids.len(), self.max_positions);
        inputs.info.validate()?;
        if tokens != inputs.info.len {
            let described = inputs.info.len;
            return Err(ModelError::Prompt(format!(
                "it has {tokens} tokens, but is described as {described}"
            )));
        }
        self.check_shape(cache)?;
        if tokens > max {
            return Err(ModelError::TooLong { tokens, max });
        }
        let tokens = cache.logical_len();
        if tokens != 0 {
            return Err(ModelError::CacheNotEmpty { tokens });
        }
        let tokens: usize = inputs.info.visual.iter().map(ExactSizeIterator::len).sum();
        let features = inputs.features.len() / self.shared.hidden;
        if tokens != features {
            return Err(ModelError::ImageTokens { tokens, features });
        }
        // Visual tokens are not looked up.
        let mut next = 0;
        for span in &inputs.info.visual {
            self.check_ids(&inputs.ids[next..span.start])?;
            next = span.end;
        }
        self.check_ids(&inputs.ids[next..])
    }

    fn check_shape(&self, cache: &KvCache) -> Result<(), ModelError> {
        let found = *cache.shape();
        let expected = self.cache_shape(found.dtype);
        if found == expected {
            Ok(())
        } else {
            Err(ModelError::CacheShape { expected, found })
        }
    }

    fn check_ids(&self, ids: &[u32]) -> Result<(), ModelError> {
        ids.iter().try_for_each(|&id| self.check_id(id))
    }

    fn check_id(&self, id: u32) -> Result<(), ModelError> {
        let vocabulary = self.embedding.rows();
        if (id as usize) < vocabulary {
            Ok(())
        } else {
            Err(ModelError::UnknownToken { id, vocabulary })
        }
    }
}

fn check_finite(logits: &[f32]) -> Result<(), ModelError> {
    if logits.iter().all(|logit| logit.is_finite()) {
        Ok(())
    } else {
        Err(ModelError::NotFinite)
    }
}
