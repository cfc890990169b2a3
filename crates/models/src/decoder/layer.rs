//! One decoder layer: grouped-query attention and a gated MLP, an RMS norm in front of each.

use whittle_kernels::{Activation, DType, Heads, Kernels, KvView, Mask, Rotary, RowStatistics};
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
}

/// Activations of a pass through the layers, which the layers share and passes reuse.
#[derive(Default)]
pub(super) struct Buffers {
    /// The residual stream of a decode step.
    pub(super) x: Vec<f32>,
    pub(super) normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

/// The first `len` elements of a buffer that only ever grows; what they hold is left over from before.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
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
        kernels: Kernels,
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
            Linear::load(
                checkpoint,
                kernels,
                &name,
                outputs,
                inputs,
                config.attention_bias,
            )
        };
        let mlp = |name: &str, outputs, inputs| {
            let name = format!("{prefix}.mlp.{name}");
            Linear::load(checkpoint, kernels, &name, outputs, inputs, config.mlp_bias)
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
    #[allow(clippy::too_many_arguments)] // what a layer works on
    pub(super) fn prefill(
        &self,
        shared: &Shared,
        buffers: &mut Buffers,
        cache: &mut KvCache,
        x: &mut Vec<f32>,
        start: usize,
        outputs: usize,
        collector: &mut Collector,
    ) -> Result<(), ModelError> {
        let width = shared.query_width();
        let rows = x.len() / shared.hidden;
        let scored = collector.tail_rows(start, rows);
        let queries = outputs.max(scored);
        let positions: Vec<u32> = (start as u32..(start + rows) as u32).collect();
        self.project(shared, buffers, x, &positions, queries);
        cache.append(
            self.index,
            &buffers.k[..rows * self.k.outputs()],
            &buffers.v[..rows * self.v.outputs()],
            rows,
        )?;

        let q = &buffers.q[..queries * width];
        let views = cache.views(self.index);
        let mut softmax = (scored > 0 && scored <= outputs)
            .then(|| RowStatistics::new(scored, shared.heads.query));
        if outputs > 0 {
            shared.kernels.prefill_attention(
                sized(&mut buffers.mixed, outputs * width),
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

        x.drain(..(rows - outputs) * shared.hidden);
        if outputs > 0 {
            self.after_attention(shared, buffers, x);
        }
        Ok(())
    }

    /// One new token of each sequence: row i of `x` is at `positions[i]` and goes to `caches[i]`, which may be
    /// compressed.
    pub(super) fn decode(
        &self,
        shared: &Shared,
        buffers: &mut Buffers,
        caches: &mut [&mut KvCache],
        x: &mut [f32],
        positions: &[u32],
    ) -> Result<(), ModelError> {
        let rows = positions.len();
        self.project(shared, buffers, x, positions, rows);
        let (keys, values) = (self.k.outputs(), self.v.outputs());
        for (row, cache) in caches.iter_mut().enumerate() {
            let k = &buffers.k[row * keys..(row + 1) * keys];
            let v = &buffers.v[row * values..(row + 1) * values];
            cache.append(self.index, k, v, 1)?;
        }
        let views: Vec<KvView> = caches
            .iter()
            .flat_map(|cache| cache.views(self.index))
            .collect();
        let width = rows * shared.query_width();
        shared.kernels.decode_attention(
            sized(&mut buffers.mixed, width),
            &buffers.q[..width],
            &views,
            shared.heads,
            shared.scale(),
        );
        self.after_attention(shared, buffers, x);
        Ok(())
    }

    /// Norms `x` and computes the rotated keys and the values of all rows, and the rotated queries of the last
    /// `queries` rows.
    fn project(
        &self,
        shared: &Shared,
        buffers: &mut Buffers,
        x: &[f32],
        positions: &[u32],
        queries: usize,
    ) {
        let (kernels, rows) = (shared.kernels, positions.len());
        let normed = sized(&mut buffers.normed, x.len());
        self.attention_norm.apply(kernels, normed, x);
        let q = sized(&mut buffers.q, queries * shared.query_width());
        let k = sized(&mut buffers.k, rows * self.k.outputs());
        let v = sized(&mut buffers.v, rows * self.v.outputs());
        if queries == rows {
            let products = &mut [self.q.product(q), self.k.product(k), self.v.product(v)];
            kernels.matmul_all(normed, products);
        } else {
            kernels.matmul_all(normed, &mut [self.k.product(k), self.v.product(v)]);
            let last = &normed[(rows - queries) * shared.hidden..];
            self.q.apply(kernels, q, last);
        }
        shared.rotary.apply(k, shared.heads.kv, positions);
        let last = &positions[rows - queries..];
        shared.rotary.apply(q, shared.heads.query, last);
    }

    /// Output projection of `mixed` and the MLP, both added to `x`.
    fn after_attention(&self, shared: &Shared, buffers: &mut Buffers, x: &mut [f32]) {
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
        kernels.matmul_all(normed, &mut [self.gate.product(gate), self.up.product(up)]);
        kernels.activate_mul(shared.activation, gate, up);
        self.down.apply(kernels, projected, gate);
        kernels.add(x, projected);
    }
}
