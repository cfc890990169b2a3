//! The least time that the work takes on this machine.
//!
//! A decode step has to read the weights and the cache from memory and, for a large batch, to do its arithmetic; a prefill
//! has to do its arithmetic.

use serde::Serialize;
use whittle_models::random::RandomShape;

use super::grid::Load;
use super::one::Speed;

/// Bytes of a weight and of a cache element: bf16.
const BYTES: usize = 2;

/// What a point needs, and the least time for it.
#[derive(Serialize, Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    /// Weights that a decode step reads.
    pub(super) decode_weight_bytes: f64,
    /// Keys and values that a decode step reads, mean over the steps.
    pub(super) decode_cache_bytes: f64,
    /// Floating-point operations of all prefills.
    pub(super) prefill_operations: f64,
    /// The least time of a decode step in seconds.
    pub(super) decode_bound_s: f64,
    /// The least time of all prefills.
    pub(super) prefill_bound_s: f64,
}

impl Bounds {
    /// The bounds of a load with `kept_entries` (over all sequences, layers and KV heads) in the cache after prefill.
    pub(super) fn new(
        shape: &RandomShape,
        load: Load,
        kept_entries: f64,
        new_tokens: usize,
        speed: &Speed,
    ) -> Self {
        let weights = weight_bytes(shape);
        // The cache grows by a token per step, so half of the new tokens are there on average.
        let new_entries =
            (load.batch * shape.layers * shape.kv_heads) as f64 * new_tokens as f64 / 2.0;
        let entry = (2 * shape.head_dim * BYTES) as f64;
        let cache = (kept_entries + new_entries) * entry;
        let operations = load.batch as f64 * prefill_operations(shape, load.prompt_tokens);
        Self {
            decode_weight_bytes: weights,
            decode_cache_bytes: cache,
            prefill_operations: operations,
            decode_bound_s: f64::max(
                (weights + cache) / speed.read_bandwidth,
                load.batch as f64 * weights / BYTES as f64 * 2.0 / speed.matmul_rate,
            ),
            prefill_bound_s: operations / speed.matmul_rate,
        }
    }
}

/// Entries of a full cache after prefill, over all sequences, layers and KV heads.
pub(super) fn full_entries(shape: &RandomShape, load: Load) -> f64 {
    (load.batch * load.prompt_tokens * shape.layers * shape.kv_heads) as f64
}

/// Bytes of the weights that a decode step reads: all but the embedding table, of which it reads a row.
fn weight_bytes(shape: &RandomShape) -> f64 {
    (BYTES * (shape.parameters() - shape.vocabulary * shape.hidden)) as f64
}

/// Operations of one prompt's prefill: linear layers and causal attention for all tokens, but in the last layer only
/// keys and values, as nothing but the last token's output is used; that one's head.
fn prefill_operations(shape: &RandomShape, tokens: usize) -> f64 {
    let (hidden, tokens) = (shape.hidden as f64, tokens as f64);
    let queries = (shape.query_heads * shape.head_dim) as f64;
    let keys = (shape.kv_heads * shape.head_dim) as f64;
    let of_all = 2.0 * hidden * keys;
    let of_outputs = hidden * (2.0 * queries + 3.0 * shape.intermediate as f64);
    // Scores and mixing: two products with every position up to the token's own.
    let attention = 4.0 * queries * tokens * (tokens + 1.0) / 2.0;
    let layer = 2.0 * (of_all + of_outputs) * tokens + attention;
    let last_layer = 2.0 * (of_all * tokens + of_outputs) + 4.0 * queries * tokens;
    (shape.layers as f64 - 1.0) * layer + last_layer + 2.0 * shape.vocabulary as f64 * hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> RandomShape {
        RandomShape {
            hidden: 8,
            layers: 2,
            query_heads: 2,
            kv_heads: 1,
            head_dim: 4,
            intermediate: 16,
            vocabulary: 10,
        }
    }

    #[test]
    fn operations_of_a_prefill() {
        // q, o: 64 each, k, v: 32 each, MLP: 3 x 128.
        let linear = 2 * (64 + 64 + 32 + 32 + 384) * 3;
        // Token i sees i positions: 1 + 2 + 3.
        let attention = 4 * 2 * 4 * 6;
        let head = 2 * 10 * 8;
        let last = 2 * (64 * 3 + 64 + 64 + 384) + 4 * 2 * 4 * 3;
        assert_eq!(
            prefill_operations(&shape(), 3),
            f64::from(linear + attention + last + head)
        );
    }

    #[test]
    fn a_step_reads_the_head_but_not_the_embeddings() {
        // Two layers of 576 weights and two norms, the last norm, the head.
        let expected = 2 * (2 * (576 + 16) + 8 + 80);
        assert_eq!(weight_bytes(&shape()), f64::from(expected));
    }

    #[test]
    fn bounds_follow_from_the_machine() {
        let speed = Speed {
            isa: "scalar".to_owned(),
            read_bandwidth: 100.0,
            matmul_rate: 1000.0,
        };
        let load = Load {
            prompt_tokens: 3,
            batch: 2,
        };
        let entries = full_entries(&shape(), load);
        assert_eq!(entries, 12.0);
        let bounds = Bounds::new(&shape(), load, entries, 5, &speed);
        // An entry is a key and a value of four elements; the new tokens count half.
        assert_eq!(bounds.decode_cache_bytes, (12.0 + 2.0 * 2.0 * 2.5) * 16.0);
        assert_eq!(
            bounds.decode_bound_s,
            (bounds.decode_cache_bytes + 2544.0) / 100.0
        );
        let fast_memory = Speed {
            read_bandwidth: 1e9,
            ..speed.clone()
        };
        let bounds = Bounds::new(&shape(), load, entries, 5, &fast_memory);
        assert_eq!(bounds.decode_bound_s, 2.0 * 2544.0 / 1000.0);
        let bounds = Bounds::new(&shape(), load, entries, 5, &speed);
        assert_eq!(
            bounds.prefill_bound_s,
            2.0 * prefill_operations(&shape(), 3) / 1000.0
        );
    }
}
