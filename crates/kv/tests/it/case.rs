//! The cases of `golden/compression`, and statistics measured from their queries and keys by the real kernels.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};
use whittle_kernels::{DType, Mask};
use whittle_kernels::{Heads, Kernels, RowStatistics};
use whittle_kv::{
    CacheShape, KvCache, LayerStatistics, Needs, Plan, PromptInfo, Scores, Statistics,
};

pub(crate) const CASES: [&str; 3] = ["r300", "r1000", "llava"];

/// A tensor of a golden file: scores or indices.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
    pub(crate) indices: Vec<u32>,
}

pub(crate) fn tensors(file: &str) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(whittle_testing::golden(&format!(
        "compression/{file}.safetensors"
    )))
    .unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |data: &[u8]| -> Vec<[u8; 4]> { data.as_chunks().0.to_vec() };
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let words = words(view.data());
            let (values, indices) = match view.dtype() {
                Dtype::F32 => (
                    words.into_iter().map(f32::from_le_bytes).collect(),
                    Vec::new(),
                ),
                Dtype::U32 => (
                    Vec::new(),
                    words.into_iter().map(u32::from_le_bytes).collect(),
                ),
                _ => (Vec::new(), Vec::new()), // token ids of the generation cases, not needed here
            };
            (
                name,
                Tensor {
                    shape: view.shape().to_vec(),
                    values,
                    indices,
                },
            )
        })
        .collect()
}

/// Queries and keys of one case with the cache that holds the keys.
pub(crate) struct Case {
    pub(crate) prompt: PromptInfo,
    pub(crate) heads: Heads,
    pub(crate) cache: KvCache,
    /// Per layer `[len, query heads, dim]`.
    queries: Vec<Vec<f32>>,
}

impl Case {
    pub(crate) fn load(name: &str) -> Self {
        let inputs = tensors(&format!("{name}_inputs"));
        let json = std::fs::read(whittle_testing::golden(&format!(
            "compression/{name}_inputs.json"
        )))
        .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let post_vision = json["post_vision"].as_u64().unwrap() as usize;
        let (query, key) = (&inputs["query"], &inputs["key"]);
        let [layers, query_heads, len, dim] = query.shape[..] else {
            panic!("query has four axes")
        };
        let heads = Heads {
            query: query_heads,
            kv: key.shape[1],
            dim,
        };
        let shape = CacheShape {
            layers,
            query_heads,
            kv_heads: heads.kv,
            head_dim: dim,
            dtype: DType::F32,
        };
        let mut cache = KvCache::new(shape).unwrap();
        let mut queries = Vec::new();
        for layer in 0..layers {
            queries.push(rows_first(&query.values, layer, query_heads, len, dim));
            let keys = rows_first(&key.values, layer, heads.kv, len, dim);
            // Where the case has no values, the keys serve: nothing here depends on them.
            let values = inputs
                .get("value")
                .map(|v| rows_first(&v.values, layer, heads.kv, len, dim));
            cache
                .append(layer, &keys, values.as_ref().unwrap_or(&keys), len)
                .unwrap();
        }
        let prompt = PromptInfo {
            len,
            visual: vec![1..len - post_vision],
        };
        Self {
            prompt,
            heads,
            cache,
            queries,
        }
    }

    pub(crate) fn layers(&self) -> usize {
        self.queries.len()
    }

    fn scale(&self) -> f32 {
        (self.heads.dim as f32).sqrt().recip()
    }

    /// Scores over the last `rows` rows of a layer.
    pub(crate) fn scores(
        &self,
        kernels: Kernels,
        layer: usize,
        rows: usize,
        filter: f32,
    ) -> Scores {
        self.scores_with(kernels, layer, rows, filter, None)
    }

    fn scores_with(
        &self,
        kernels: Kernels,
        layer: usize,
        rows: usize,
        filter: f32,
        softmax: Option<&RowStatistics>,
    ) -> Scores {
        let first = self.prompt.len - rows;
        let q = &self.queries[layer][first * self.heads.query * self.heads.dim..];
        let views = self.cache.views(layer);
        let found = kernels
            .attention_statistics(q, first, &views, self.heads, self.scale(), filter, softmax)
            .unwrap();
        Scores::new(
            self.heads.kv,
            self.prompt.len,
            rows,
            found.scores,
            found.passing,
            found.causal_entries,
        )
        .unwrap()
    }

    /// All that `needs` asks for.
    pub(crate) fn statistics(&self, kernels: Kernels, needs: &Needs) -> Statistics {
        let layer = |layer| {
            let scores = |rows: Option<usize>| {
                rows.map(|rows| self.scores(kernels, layer, rows, needs.filter))
            };
            LayerStatistics {
                post_vision: scores(needs.post_vision),
                tail: scores(needs.tail),
                column_sums: scores(needs.column_sums.then_some(self.prompt.len)),
            }
        };
        let layers = (0..self.layers()).map(layer).collect();
        Statistics {
            prompt: self.prompt.clone(),
            kv_heads: self.heads.kv,
            layers,
        }
    }

    /// Post-vision statistics in one walk over the keys, with what prefill attention left behind.
    pub(crate) fn fused_statistics(&self, kernels: Kernels, needs: &Needs) -> Statistics {
        let rows = needs.post_vision.unwrap();
        let layer = |layer: usize| {
            let mut softmax = RowStatistics::new(rows, self.heads.query);
            let q = &self.queries[layer];
            let views = self.cache.views(layer);
            let mask = Mask::Causal { offset: 0 };
            let mut out = vec![0.0; q.len()];
            kernels.prefill_attention(
                &mut out,
                q,
                &views,
                self.heads,
                mask,
                self.scale(),
                Some(&mut softmax),
            );
            let scores = self.scores_with(kernels, layer, rows, needs.filter, Some(&softmax));
            LayerStatistics {
                post_vision: Some(scores),
                ..LayerStatistics::default()
            }
        };
        let layers = (0..self.layers()).map(layer).collect();
        Statistics {
            prompt: self.prompt.clone(),
            kv_heads: self.heads.kv,
            layers,
        }
    }
}

/// `[heads, len, dim]` of one layer to `[len, heads, dim]`.
fn rows_first(values: &[f32], layer: usize, heads: usize, len: usize, dim: usize) -> Vec<f32> {
    let layer = &values[layer * heads * len * dim..(layer + 1) * heads * len * dim];
    let row = |at: usize, head: usize| &layer[(head * len + at) * dim..(head * len + at + 1) * dim];
    (0..len)
        .flat_map(|at| (0..heads).flat_map(move |head| row(at, head).iter().copied()))
        .collect()
}

/// Compares one layer with golden indices `[kv_heads, n]`, or `[n]` for all heads.
pub(crate) fn assert_layer(plan: &Plan, layer: usize, expected: &[u32], rows: usize, what: &str) {
    let n = expected.len() / rows;
    for head in 0..plan.kv_heads() {
        let row = if rows == 1 { 0 } else { head };
        assert_eq!(
            plan.kept(layer, head),
            &expected[row * n..(row + 1) * n],
            "{what}, layer {layer}, head {head}"
        );
    }
}
