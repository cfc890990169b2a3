//! One decoder layer: grouped-query attention and a gated MLP, an RMS norm in front of each.

use whittle_kernels::{Activation, DType, Heads, Kernels, Mask, Rotary, RowStatistics};
use whittle_kv::KvCache;

use crate::checkpoint::Checkpoint;
use crate::config::TextConfig;
use crate::error::ModelError;
use crate::layers::{Linear, RmsNorm};
use crate::statistics::{Collector, TailQueries};

/// What all layers of a decoder have in common.
pub(super) struct Shared {
    pub(super) kernels: Kernels,
    pub(super) heads: Heads,
    pub(super) rotary: Rotary,
    pub(super) activation: Activation,
    /// Width of the residual stream.
    pub(super) hidden: usize,
}

impl Shared {
    /// Width of all queries of a row.
    fn query_width(&self) -> usize {
        self.heads.query * self.heads.dim
    }

    /// Attention scores are multiplied by this.
    fn scale(&self) -> f32 {
        (self.heads.dim as f32).sqrt().recip()
    }

    fn rotate(&self, x: &mut [f32], heads: usize, first: usize) {
        let rows = x.len() / (heads * self.heads.dim);
        let positions: Vec<u32> = (first as u32..(first + rows) as u32).collect();
        self.rotary.apply(x, heads, &positions);
    }
}

/// A pass of some rows through the layers: the cache they go to, and buffers that the layers share.
pub(super) struct Pass<'a> {
    pub(super) shared: &'a Shared,
    pub(super) cache: &'a mut KvCache,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// The first `len` elements of a buffer that only ever grows; what they hold is left over from before.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl<'a> Pass<'a> {
    pub(super) fn new(shared: &'a Shared, cache: &'a mut KvCache) -> Self {
        let buffers = Buffers::default();
        Self {
            shared,
            cache,
            buffers,
        }
    }
}

pub(super) struct Layer {
    index: usize,
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
    /// Takes the tensors of layer `index` below `prefix` out of a checkpoint.
    pub(super) fn load(
        checkpoint: &Checkpoint,
        prefix: &str,
        index: usize,
        config: &TextConfig,
    ) -> Result<Self, ModelError> {
        let prefix = format!("{prefix}.{index}");
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let q = config.query_heads * config.head_dim;
        let kv = config.kv_heads * config.head_dim;
        let attention = |name: &str, outputs, inputs| {
            let name = format!("{prefix}.self_attn.{name}");
            Linear::load(checkpoint, &name, outputs, inputs, config.attention_bias)
        };
        let mlp = |name: &str, outputs, inputs| {
            let name = format!("{prefix}.mlp.{name}");
            Linear::load(checkpoint, &name, outputs, inputs, config.mlp_bias)
        };
        let norm = |name: &str| {
            let name = format!("{prefix}.{name}");
            RmsNorm::load(checkpoint, &name, hidden, config.rms_norm_eps)
        };
        Ok(Self {
            index,
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

    /// Element type of the key projection, for which a cache is fitting.
    pub(super) fn dtype(&self) -> DType {
        self.k.dtype()
    }

    /// A chunk `x` `[rows, hidden]` of a prompt that starts at position `start`. Of its rows only the last `outputs`
    /// come out; keys, values and statistics are those of all.
    pub(super) fn prefill(
        &self,
        pass: &mut Pass,
        x: &mut Vec<f32>,
        start: usize,
        outputs: usize,
        collector: &mut Collector,
    ) -> Result<(), ModelError> {
        let shared = pass.shared;
        let (hidden, width) = (shared.hidden, shared.query_width());
        let rows = x.len() / hidden;
        self.keys_and_values(pass, x, start)?;

        let scored = collector.tail_rows(start, rows);
        let queries = outputs.max(scored);
        let normed = &pass.buffers.normed[(rows - queries) * hidden..rows * hidden];
        let q = sized(&mut pass.buffers.q, queries * width);
        self.q.apply(shared.kernels, q, normed);
        shared.rotate(q, shared.heads.query, start + rows - queries);

        let views = pass.cache.views(self.index);
        let mut softmax = (scored > 0 && scored <= outputs)
            .then(|| RowStatistics::new(scored, shared.heads.query));
        if outputs > 0 {
            shared.kernels.prefill_attention(
                sized(&mut pass.buffers.mixed, outputs * width),
                &q[(queries - outputs) * width..],
                &views,
                shared.heads,
                Mask::Causal {
                    offset: start + rows - outputs,
                },
                shared.scale(),
                softmax.as_mut(),
            );
        }
        let tail = TailQueries {
            q: &q[(queries - scored) * width..],
            start: start + rows - scored,
            softmax: softmax.as_ref(),
        };
        collector.collect(self.index, &tail, &views, shared.scale())?;

        x.drain(..(rows - outputs) * hidden);
        if outputs > 0 {
            self.after_attention(pass, x);
        }
        Ok(())
    }

    /// The row `x` of a new token at `position`, over a cache that may be compressed.
    pub(super) fn decode(
        &self,
        pass: &mut Pass,
        x: &mut [f32],
        position: usize,
    ) -> Result<(), ModelError> {
        let shared = pass.shared;
        self.keys_and_values(pass, x, position)?;
        let q = sized(&mut pass.buffers.q, shared.query_width());
        self.q
            .apply(shared.kernels, q, &pass.buffers.normed[..x.len()]);
        shared.rotate(q, shared.heads.query, position);
        let mixed = sized(&mut pass.buffers.mixed, q.len());
        let views = pass.cache.views(self.index);
        shared
            .kernels
            .decode_attention(mixed, q, &views, shared.heads, shared.scale());
        self.after_attention(pass, x);
        Ok(())
    }

    /// Norms `x` into `normed`, and appends the rows' keys and values to the cache.
    fn keys_and_values(
        &self,
        pass: &mut Pass,
        x: &[f32],
        position: usize,
    ) -> Result<(), ModelError> {
        let (shared, buffers) = (pass.shared, &mut pass.buffers);
        let rows = x.len() / shared.hidden;
        let normed = sized(&mut buffers.normed, x.len());
        self.attention_norm.apply(shared.kernels, normed, x);
        let k = sized(&mut buffers.k, rows * self.k.outputs());
        self.k.apply(shared.kernels, k, normed);
        shared.rotate(k, shared.heads.kv, position);
        let v = sized(&mut buffers.v, rows * self.v.outputs());
        self.v.apply(shared.kernels, v, normed);
        Ok(pass.cache.append(self.index, k, v, rows)?)
    }

    /// Output projection of `mixed` and the MLP, both added to `x`.
    fn after_attention(&self, pass: &mut Pass, x: &mut [f32]) {
        let (shared, buffers) = (pass.shared, &mut pass.buffers);
        let kernels = shared.kernels;
        let rows = x.len() / shared.hidden;
        let projected = sized(&mut buffers.projected, x.len());
        let mixed = &buffers.mixed[..rows * shared.query_width()];
        self.o.apply(kernels, projected, mixed);
        kernels.add(x, projected);

        let normed = sized(&mut buffers.normed, x.len());
        self.mlp_norm.apply(kernels, normed, x);
        let gate = sized(&mut buffers.gate, rows * self.gate.outputs());
        let up = sized(&mut buffers.up, rows * self.up.outputs());
        self.gate.apply(kernels, gate, normed);
        self.up.apply(kernels, up, normed);
        kernels.activate_mul(shared.activation, gate, up);
        self.down.apply(kernels, projected, gate);
        kernels.add(x, projected);
    }
}
