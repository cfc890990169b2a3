//! The paged cache against a model of it made of vectors, under random operations.

use proptest::prelude::*;
use proptest::sample::Index;
use whittle_kernels::{DType, KvView, bf16, f16};
use whittle_kv::{CacheError, CacheShape, Kept, KvCache, MemoryPool, Plan};

use crate::random::Random;

/// A row: position, key, value, as stored.
type Row = (u32, Vec<f32>, Vec<f32>);

/// The same sequence without pages.
#[derive(Clone)]
struct Model {
    shape: CacheShape,
    logical: usize,
    compressed: usize,
    /// `[layer][KV head]`
    rows: Vec<Vec<Vec<Row>>>,
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Keeps each position with this probability.
    Apply(f64),
    Truncate(Index),
    /// Goes on with a fork and keeps the original to compare at the end.
    Fork,
    /// Goes on with the oldest sequence that was left behind; the fork that used it is dropped.
    Back,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..200).prop_map(Step::Append),
        6 => Just(Step::Append(1)),
        3 => (0.0..1.0).prop_map(Step::Apply),
        2 => any::<Index>().prop_map(Step::Truncate),
        2 => Just(Step::Fork),
        1 => Just(Step::Back),
        1 => Just(Step::Clear),
    ]
}

fn shape() -> impl Strategy<Value = CacheShape> {
    let dtype = prop_oneof![Just(DType::F32), Just(DType::F16), Just(DType::BF16)];
    (1_usize..4, 1_usize..3, 1_usize..4, 1_usize..20, dtype).prop_map(
        |(layers, group, kv_heads, head_dim, dtype)| CacheShape {
            layers,
            query_heads: kv_heads * group,
            kv_heads,
            head_dim,
            dtype,
        },
    )
}

fn stored(dtype: DType, value: f32) -> f32 {
    match dtype {
        DType::F32 => value,
        DType::F16 => f16::from_f32(value).to_f32(),
        DType::BF16 => bf16::from_f32(value).to_f32(),
    }
}

impl Model {
    fn new(shape: CacheShape) -> Self {
        let rows = vec![vec![Vec::new(); shape.kv_heads]; shape.layers];
        Self {
            shape,
            logical: 0,
            compressed: 0,
            rows,
        }
    }

    fn append(&mut self, cache: &mut KvCache, count: usize, random: &mut Random) {
        let (heads, dim) = (self.shape.kv_heads, self.shape.head_dim);
        for layer in 0..self.shape.layers {
            let mut values = || {
                (0..count * heads * dim)
                    .map(|_| random.unit() as f32 * 8.0 - 4.0)
                    .collect::<Vec<_>>()
            };
            let (keys, values) = (values(), values());
            cache.append(layer, &keys, &values, count).unwrap();
            for (row, head) in (0..count).flat_map(|row| (0..heads).map(move |head| (row, head))) {
                let at = (row * heads + head) * dim;
                let stored = |x: &[f32]| {
                    x[at..at + dim]
                        .iter()
                        .map(|v| stored(self.shape.dtype, *v))
                        .collect()
                };
                let row = ((self.logical + row) as u32, stored(&keys), stored(&values));
                self.rows[layer][head].push(row);
            }
        }
        self.logical += count;
    }

    /// A plan that keeps some of what is there, at least one position per head.
    fn plan(&self, share: f64, random: &mut Random) -> Option<Plan> {
        let keep = |rows: &Vec<Row>, random: &mut Random| {
            let mut kept: Vec<u32> = rows
                .iter()
                .map(|row| row.0)
                .filter(|_| random.unit() < share)
                .collect();
            if kept.is_empty() {
                kept.extend(rows.last().map(|row| row.0));
            }
            kept.into()
        };
        let kept: Kept = self
            .rows
            .iter()
            .map(|heads| heads.iter().map(|rows| keep(rows, random)).collect())
            .collect();
        (self.logical > 0).then(|| Plan::new(self.logical, kept).unwrap())
    }

    fn apply(&mut self, plan: &Plan) {
        let before = self.rows.clone();
        for (layer, heads) in self.rows.iter_mut().enumerate() {
            for (head, rows) in heads.iter_mut().enumerate() {
                rows.retain(|row| plan.kept(layer, head).contains(&row.0));
            }
        }
        if before != self.rows {
            self.compressed = self.logical;
        }
    }

    fn truncate(&mut self, len: usize) {
        self.logical = self.logical.min(len);
        self.rows
            .iter_mut()
            .flatten()
            .for_each(|rows| rows.retain(|row| (row.0 as usize) < len));
    }

    fn check(&self, cache: &KvCache) -> Result<(), TestCaseError> {
        prop_assert_eq!(cache.logical_len(), self.logical);
        let mut used = 0;
        for layer in 0..self.shape.layers {
            let views = cache.views(layer);
            prop_assert_eq!(views.len(), self.shape.kv_heads);
            for (head, view) in views.iter().enumerate() {
                let rows = &self.rows[layer][head];
                prop_assert_eq!(view.len(), rows.len());
                prop_assert_eq!(cache.physical_len(layer, head), rows.len());
                prop_assert_eq!(
                    cache.positions(layer, head),
                    rows.iter().map(|row| row.0).collect::<Vec<_>>()
                );
                let (keys, values) = flat(view);
                prop_assert!(
                    keys.iter().eq(rows.iter().flat_map(|row| &row.1)),
                    "keys of {layer}, {head}"
                );
                prop_assert!(
                    values.iter().eq(rows.iter().flat_map(|row| &row.2)),
                    "values of {layer}, {head}"
                );
                used += rows.len() * self.shape.head_dim * self.shape.dtype.size() * 2;
            }
        }
        prop_assert!(cache.bytes() >= used);
        Ok(())
    }
}

fn flat(view: &KvView) -> (Vec<f32>, Vec<f32>) {
    let mut both = (Vec::new(), Vec::new());
    for chunk in &view.chunks {
        both.0.extend(chunk.keys.to_f32_vec());
        both.1.extend(chunk.values.to_f32_vec());
    }
    both
}

proptest! {
    #[test]
    fn the_cache_is_a_list_of_rows(shape in shape(), steps in prop::collection::vec(step(), 1..25), seed in any::<u64>()) {
        let pool = MemoryPool::default();
        let mut random = Random(seed);
        let mut now = (KvCache::with_pool(shape, &pool).unwrap(), Model::new(shape));
        let mut left = Vec::new();
        for step in steps {
            let (cache, model) = &mut now;
            match step {
                Step::Append(count) => model.append(cache, count, &mut random),
                Step::Apply(share) => {
                    if let Some(plan) = model.plan(share, &mut random) {
                        cache.apply(&plan).unwrap();
                        model.apply(&plan);
                    }
                }
                Step::Truncate(len) => {
                    let len = len.index(model.logical + 2);
                    // Layers differ in whether the plan dropped anything; the model knows the strictest.
                    if len >= model.compressed {
                        cache.truncate(len).unwrap();
                        model.truncate(len);
                    } else {
                        let refused = matches!(cache.truncate(len), Err(CacheError::Compressed { .. }));
                        prop_assert!(refused, "truncated into the compressed prompt");
                    }
                }
                Step::Fork => {
                    let fork = (cache.fork(), model.clone());
                    left.insert(0, std::mem::replace(&mut now, fork));
                }
                Step::Back => if let Some(before) = left.pop() {
                    now = before;
                },
                Step::Clear => {
                    cache.clear();
                    *model = Model::new(shape);
                    prop_assert_eq!(cache.bytes(), 0);
                }
            }
            now.1.check(&now.0)?;
        }
        left.push(now);
        for (cache, model) in &left {
            model.check(cache)?;
        }
        let counted: usize = left.iter().map(|(cache, _)| cache.bytes()).sum();
        prop_assert!(pool.used() <= counted, "shared blocks count once");
        if let [(cache, _)] = &left[..] {
            prop_assert_eq!(pool.used(), cache.bytes());
        }
        drop(left);
        prop_assert_eq!(pool.used(), 0, "pages leak");
    }
}

fn shape_of(dtype: DType) -> CacheShape {
    CacheShape {
        layers: 2,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 64,
        dtype,
    }
}

/// A cache whose layers hold `rows` rows that count up.
fn filled(rows: usize) -> KvCache {
    let mut cache = KvCache::new(shape_of(DType::F32)).unwrap();
    let values: Vec<f32> = (0..rows * 128).map(|v| v as f32).collect();
    for layer in 0..2 {
        cache.append(layer, &values, &values, rows).unwrap();
    }
    cache
}

fn plan(len: usize, kept: impl Iterator<Item = u32>) -> Plan {
    let kept: std::sync::Arc<[u32]> = kept.collect();
    Plan::new(len, vec![vec![kept; 2]; 2]).unwrap()
}

#[test]
fn bytes_are_those_of_the_kept_rows_after_compaction() {
    let mut cache = filled(1024);
    let row = 64 * 4;
    assert_eq!(cache.bytes(), 2 * 2 * 2 * 1024 * row);
    cache.apply(&plan(1024, (0..1024).step_by(8))).unwrap();
    assert_eq!(cache.bytes(), 2 * 2 * 2 * 128 * row);
    // The next token takes a page of 64 rows in its layer only.
    cache.append(0, &[0.0; 128], &[0.0; 128], 1).unwrap();
    assert_eq!(cache.bytes(), (2 * 2 * 2 * 128 + 2 * 2 * 64) * row);
}

#[test]
fn compaction_beside_the_cache_needs_one_layer_at_a_time() {
    let pool = MemoryPool::default();
    let shape = CacheShape {
        layers: 8,
        ..shape_of(DType::BF16)
    };
    let mut cache = KvCache::with_pool(shape, &pool).unwrap();
    let values = vec![1.0; 2048 * 128];
    for layer in 0..8 {
        cache.append(layer, &values, &values, 2048).unwrap();
    }
    let full = pool.used();
    let half: std::sync::Arc<[u32]> = (0..2048).step_by(2).collect();
    cache
        .apply(&Plan::new(2048, vec![vec![half; 2]; 8]).unwrap())
        .unwrap();
    assert_eq!(pool.used(), full / 2);
    assert_eq!(
        pool.peak(),
        full + full / 16,
        "the full cache and one compacted layer"
    );
}

#[test]
fn a_plan_for_another_model_or_prompt_is_refused_and_changes_nothing() {
    let mut cache = filled(10);
    let all: std::sync::Arc<[u32]> = (0..10).collect();
    for (bad, message) in [
        (
            Plan::new(10, vec![vec![all.clone(); 2]; 3]).unwrap(),
            "the plan has 3 layers, the cache 2",
        ),
        (
            Plan::new(10, vec![vec![all.clone(); 1]; 2]).unwrap(),
            "the plan has 1 KV heads, the cache 2",
        ),
        (plan(11, 0..5), "the plan has 11 tokens, the cache 10"),
    ] {
        assert_eq!(cache.apply(&bad).unwrap_err().to_string(), message);
        assert_eq!(cache.physical_len(1, 1), 10);
    }
    cache.apply(&plan(10, 5..8)).unwrap();
    let error = cache.apply(&plan(10, 4..8)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer 0, KV head 0: position 4 is no longer in the cache"
    );
    assert_eq!(cache.positions(0, 0), [5, 6, 7]);
}

#[test]
fn wrong_rows_and_layers_are_refused() {
    let mut cache = filled(1);
    let error = cache.append(1, &[0.0; 127], &[0.0; 128], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer 1: 127 key values were given for 1 rows, 128 are needed"
    );
    let error = cache.append(0, &[0.0; 128], &[0.0; 129], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer 0: 129 value values were given for 1 rows, 128 are needed"
    );
    assert!(matches!(
        cache.append(2, &[0.0; 128], &[0.0; 128], 1),
        Err(CacheError::Layer {
            layer: 2,
            layers: 2
        })
    ));
    assert!(matches!(
        cache.append(0, &[], &[], usize::MAX),
        Err(CacheError::TooLong)
    ));
    assert_eq!((cache.logical_len(), cache.physical_len(0, 0)), (1, 1));
}

#[test]
fn impossible_shapes_are_refused() {
    let good = shape_of(DType::F16);
    for bad in [
        CacheShape { layers: 0, ..good },
        CacheShape {
            kv_heads: 0,
            ..good
        },
        CacheShape {
            query_heads: 0,
            ..good
        },
        CacheShape {
            query_heads: 3,
            ..good
        },
        CacheShape {
            head_dim: 0,
            ..good
        },
        CacheShape {
            head_dim: usize::MAX / 2,
            ..good
        },
    ] {
        assert!(
            matches!(KvCache::new(bad), Err(CacheError::Shape { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn a_full_pool_refuses_and_the_step_can_be_taken_back() {
    let shape = shape_of(DType::F32);
    let layer = 2 * 2 * 64 * 64 * 4; // one page of 64 rows in one layer
    let pool = MemoryPool::with_limit(3 * layer);
    let mut cache = KvCache::with_pool(shape, &pool).unwrap();
    let row = vec![1.0; 64 * 128];
    cache.append(0, &row, &row, 64).unwrap();
    cache.append(1, &row, &row, 64).unwrap();
    cache.append(0, &row[..128], &row[..128], 1).unwrap();
    let error = cache.append(1, &row[..128], &row[..128], 1).unwrap_err();
    assert!(matches!(error, CacheError::Limit { .. }), "{error}");
    assert_eq!(
        cache.logical_len(),
        64,
        "the token counts once all layers have it"
    );
    cache.truncate(64).unwrap();
    assert_eq!((cache.physical_len(0, 0), pool.used()), (64, 2 * layer));
}
