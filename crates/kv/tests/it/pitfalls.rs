//! The ways in which others get eviction wrong, one test each.

use std::sync::Arc;

use whittle_kernels::{DType, Heads, Kernels};
use whittle_kv::{
    CacheShape, KvCache, LayerStatistics, MemoryPool, Plan, PlanError, PolicyOptions, Scores,
    Statistics, policy, registry,
};

use crate::case::Case;
use crate::random::{Random, Recipe};

const LEN: usize = 400;

fn shape() -> CacheShape {
    CacheShape {
        layers: 3,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 16,
        dtype: DType::F32,
    }
}

fn recipe(seed: u64) -> Recipe {
    Recipe {
        layers: 3,
        kv_heads: 2,
        group: 2,
        len: LEN,
        vision_end: 370,
        seed,
    }
}

fn plan(seed: u64) -> Plan {
    recipe(seed).plan("vl-cache", &PolicyOptions::default())
}

/// Appends tokens whose every key and value tells position, layer and head.
fn append(cache: &mut KvCache, rows: usize) {
    let start = cache.logical_len();
    for layer in 0..3 {
        let mut values = Vec::new();
        for (position, head) in (start..start + rows).flat_map(|p| [(p, 0), (p, 1)]) {
            values.extend([(position * 10 + layer * 2 + head) as f32; 16]);
        }
        cache.append(layer, &values, &values, rows).unwrap();
    }
}

fn prefilled(pool: &MemoryPool) -> KvCache {
    let mut cache = KvCache::with_pool(shape(), pool).unwrap();
    append(&mut cache, LEN);
    cache
}

/// First element of each stored key.
fn contents(cache: &KvCache, layer: usize, head: usize) -> Vec<f32> {
    let views = cache.views(layer);
    views[head]
        .chunks
        .iter()
        .flat_map(|c| {
            (0..c.rows)
                .map(|row| c.keys.get(row * 16))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn expected(positions: impl Iterator<Item = u32>, layer: usize, head: usize) -> Vec<f32> {
    positions
        .map(|p| (p as usize * 10 + layer * 2 + head) as f32)
        .collect()
}

/// Attention of a step sees the whole prompt and the step's own token; only then may entries go. That views cannot
/// outlive a compaction is shown by a doc test of `KvCache`.
#[test]
fn nothing_is_evicted_before_the_steps_attention_has_used_it() {
    let mut cache = prefilled(&MemoryPool::default());
    let plan = plan(1);
    assert_eq!(
        contents(&cache, 2, 1),
        expected(0..LEN as u32, 2, 1),
        "planning alone drops nothing"
    );
    cache.apply(&plan).unwrap();
    append(&mut cache, 1);
    let kept = plan.kept(2, 1).iter().copied();
    assert_eq!(
        contents(&cache, 2, 1),
        expected(kept.chain([LEN as u32]), 2, 1),
        "the step's own token is there"
    );
}

/// Statistics of a chunk are refused, and after the last chunk the cache holds exactly the budget.
#[test]
fn chunked_prefill_does_not_exceed_the_budget() {
    let mut cache = KvCache::new(shape()).unwrap();
    for chunk in [128, 128, 100, 44] {
        append(&mut cache, chunk);
    }
    let plan = plan(2);
    cache.apply(&plan).unwrap();
    let physical: usize = (0..3)
        .flat_map(|l| [(l, 0), (l, 1)])
        .map(|(l, h)| cache.physical_len(l, h))
        .sum();
    assert_eq!(physical, plan.kept_total());
    assert_eq!(
        plan.kept_total(),
        2 * (3 * LEN / 10),
        "a tenth of three layers, for each of two heads"
    );
    assert!(
        cache.bytes() <= plan.kept_total() * 2 * 16 * 4 + 3 * 4096,
        "no chunk's memory is left"
    );
    let mut whole = prefilled(&MemoryPool::default());
    whole.apply(&plan).unwrap();
    for layer in 0..3 {
        assert_eq!(
            contents(&cache, layer, 0),
            contents(&whole, layer, 0),
            "chunks change nothing"
        );
    }

    for entry in registry().iter().filter(|entry| entry.name != "full") {
        let policy = policy(entry.name, &PolicyOptions::default()).unwrap();
        assert!(policy.tolerates().chunked_prefill, "{}", entry.name);
        let recipe = recipe(3);
        let needs = policy.needs(&recipe.prompt()).unwrap();
        let mut statistics = recipe.statistics(&needs);
        // As if the last chunk had held only ten of the post-vision rows.
        let scores =
            Scores::new(2, LEN, 10, vec![0.1; 2 * LEN], vec![1; 4], 10 * LEN as u64).unwrap();
        statistics.layers[1].post_vision = Some(scores);
        let error = policy.plan(&statistics).unwrap_err();
        assert!(
            matches!(
                error,
                PlanError::Rows {
                    layer: 1,
                    expected: 30,
                    found: 10,
                    ..
                }
            ),
            "{error}"
        );
        // As if they covered only the first chunk's positions.
        let scores = Scores::new(2, 128, 30, vec![0.1; 2 * 128], vec![1; 4], 30 * 128).unwrap();
        statistics.layers[1].post_vision = Some(scores);
        assert!(matches!(
            policy.plan(&statistics),
            Err(PlanError::Shape { .. })
        ));
    }
}

/// New tokens continue at the logical position, kept rows are found by their physical index.
#[test]
fn kept_rows_are_not_indexed_by_the_logical_offset() {
    let mut cache = prefilled(&MemoryPool::default());
    let plan = plan(4);
    cache.apply(&plan).unwrap();
    assert_eq!(cache.logical_len(), LEN);
    for step in 0..70 {
        assert_eq!(cache.logical_len(), LEN + step);
        append(&mut cache, 1);
    }
    for (layer, head) in [(0, 0), (1, 1), (2, 0)] {
        let positions = || {
            plan.kept(layer, head)
                .iter()
                .copied()
                .chain(LEN as u32..LEN as u32 + 70)
        };
        assert_eq!(
            cache.physical_len(layer, head),
            plan.kept(layer, head).len() + 70
        );
        assert_eq!(
            cache.positions(layer, head),
            positions().collect::<Vec<_>>()
        );
        assert_eq!(
            contents(&cache, layer, head),
            expected(positions(), layer, head)
        );
    }
    // A later plan names logical positions as well: drop the first half of the generated tokens.
    let kept = |layer, head| {
        plan.kept(layer, head)
            .iter()
            .copied()
            .chain(435..470)
            .collect::<Arc<[u32]>>()
    };
    let second = Plan::new(
        LEN + 70,
        (0..3).map(|l| vec![kept(l, 0), kept(l, 1)]).collect(),
    )
    .unwrap();
    cache.apply(&second).unwrap();
    assert_eq!(
        contents(&cache, 1, 1),
        expected(kept(1, 1).iter().copied(), 1, 1)
    );
    assert_eq!(cache.logical_len(), LEN + 70);
}

/// Every sequence of a batch is compressed by its own plan and attends to what that plan kept.
#[test]
fn a_batch_does_not_fall_back_to_the_full_cache() {
    let pool = MemoryPool::default();
    let mut batch: Vec<KvCache> = (0..4).map(|_| prefilled(&pool)).collect();
    let full = pool.used();
    let plans: Vec<Plan> = (0..4).map(plan).collect();
    for (cache, plan) in batch.iter_mut().zip(&plans) {
        cache.apply(plan).unwrap();
    }
    assert!(pool.used() * 5 < full, "{} of {full} bytes", pool.used());
    for (cache, plan) in batch.iter_mut().zip(&plans) {
        append(cache, 1);
        for (layer, head) in [(0, 1), (2, 0)] {
            let positions = plan.kept(layer, head).iter().copied().chain([LEN as u32]);
            assert_eq!(
                contents(cache, layer, head),
                expected(positions, layer, head)
            );
        }
    }
    assert!(
        plans
            .windows(2)
            .all(|pair| pair[0].kept(0, 0) != pair[1].kept(0, 0)),
        "the plans differ"
    );
}

/// What is dropped is not masked: attention over the compacted cache is attention over the kept rows, which are all that
/// is stored.
#[test]
fn dropped_entries_do_not_keep_their_memory() {
    let mut case = Case::load("r300");
    let kernels = Kernels::detect();
    let policy = policy("vl-cache", &PolicyOptions::default()).unwrap();
    let plan = policy
        .plan(&case.statistics(kernels, &policy.needs(&case.prompt).unwrap()))
        .unwrap();
    let Heads { query, dim, .. } = case.heads;
    let mut random = Random(5);
    let q: Vec<f32> = (0..query * dim)
        .map(|_| random.unit() as f32 - 0.5)
        .collect();
    let oracle: Vec<Vec<f32>> = (0..case.layers())
        .map(|layer| attention_over(&case, &plan, layer, &q))
        .collect();

    let before = case.cache.bytes();
    case.cache.apply(&plan).unwrap();
    let rows = 2 * dim * 4;
    assert!(case.cache.bytes() <= plan.kept_total() * rows + case.layers() * 4096);
    assert!(
        case.cache.bytes() * 4 < before,
        "{} of {before} bytes",
        case.cache.bytes()
    );
    for (layer, oracle) in oracle.iter().enumerate() {
        let mut out = vec![0.0; q.len()];
        kernels.decode_attention(&mut out, &q, &case.cache.views(layer), case.heads, 0.4);
        for (found, expected) in out.iter().zip(oracle) {
            assert!(
                (found - expected).abs() < 1e-5,
                "layer {layer}: {found}, {expected}"
            );
        }
    }
}

/// Attention of one query over the kept rows of the uncompressed cache, in double precision.
fn attention_over(case: &Case, plan: &Plan, layer: usize, q: &[f32]) -> Vec<f32> {
    let Heads { query, kv, dim } = case.heads;
    let views = case.cache.views(layer);
    let mut out = Vec::new();
    for head in 0..query {
        let chunk = &views[head / (query / kv)].chunks[0];
        let q = &q[head * dim..(head + 1) * dim];
        let weight = |p: &u32| {
            let dot: f64 = (0..dim)
                .map(|d| f64::from(q[d] * chunk.keys.get(*p as usize * dim + d)))
                .sum();
            (dot * 0.4).exp()
        };
        let kept = plan.kept(layer, head / (query / kv));
        let weights: Vec<f64> = kept.iter().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        out.extend((0..dim).map(|d| {
            let value = |p: &u32| f64::from(chunk.values.get(*p as usize * dim + d));
            (kept
                .iter()
                .zip(&weights)
                .map(|(p, w)| value(p) * w)
                .sum::<f64>()
                / sum) as f32
        }));
    }
    out
}

/// Two requests start from one prefilled prefix; each compresses, decodes and ends without the other noticing.
#[test]
fn a_shared_prefix_is_not_evicted_under_another_requests_feet() {
    let pool = MemoryPool::default();
    let mut first = prefilled(&pool);
    let full = pool.used();
    let mut second = first.fork();
    assert_eq!(pool.used(), full, "the prefix is there once");

    let plan = plan(6);
    first.apply(&plan).unwrap();
    append(&mut first, 3);
    assert_eq!(
        contents(&second, 1, 0),
        expected(0..LEN as u32, 1, 0),
        "evicted by the other request"
    );
    append(&mut second, 2);
    assert_eq!(contents(&second, 1, 0), expected(0..LEN as u32 + 2, 1, 0));
    let kept = plan
        .kept(1, 0)
        .iter()
        .copied()
        .chain(LEN as u32..LEN as u32 + 3);
    assert_eq!(
        contents(&first, 1, 0),
        expected(kept, 1, 0),
        "written by the other request"
    );

    drop(first);
    assert_eq!(contents(&second, 2, 1), expected(0..LEN as u32 + 2, 2, 1));
    drop(second);
    assert_eq!(pool.used(), 0, "a request that ends frees all its pages");
}

/// Only a policy whose choice does not depend on the question may be shared by prefix.
#[test]
fn what_depends_on_the_question_is_not_shared_by_prefix() {
    for entry in registry() {
        let policy = policy(entry.name, &PolicyOptions::default()).unwrap();
        assert_eq!(
            policy.tolerates().shared_prefix,
            entry.name == "full",
            "{}",
            entry.name
        );
    }
    // Indeed another question over the same image keeps other positions.
    assert_ne!(plan(7).kept(0, 0), plan(8).kept(0, 0));
}

/// The full cache needs no statistics and drops nothing.
#[test]
fn the_full_cache_is_left_alone() {
    let policy = policy("full", &PolicyOptions::default()).unwrap();
    let prompt = recipe(9).prompt();
    assert_eq!(policy.needs(&prompt).unwrap().rows(LEN), 0);
    let statistics = Statistics {
        prompt,
        kv_heads: 2,
        layers: vec![LayerStatistics::default(); 3],
    };
    let plan = policy.plan(&statistics).unwrap();
    let mut cache = prefilled(&MemoryPool::default());
    let before = cache.bytes();
    cache.apply(&plan).unwrap();
    assert_eq!((cache.bytes(), cache.physical_len(2, 1)), (before, LEN));
    assert_eq!((plan.alpha(), plan.kept_fraction()), (1.0, 1.0));
}
