//! Several sequences decoded together: each of them gets the numbers that it gets alone.

use whittle_kv::{KvCache, Needs, PolicyOptions, policy};
use whittle_models::random::{RandomShape, write_random_checkpoint};
use whittle_models::{LoadOptions, Model, ModelError, load};

use crate::golden::model_folder;
use crate::parity::{argmax, every_isa, text_prompt};

/// Prompts of different lengths, one of them compressed.
fn prefilled(model: &dyn Model) -> Vec<KvCache> {
    let policy = policy(
        "vl-cache",
        &PolicyOptions {
            alpha: 0.3,
            ..PolicyOptions::default()
        },
    )
    .unwrap();
    (0..8)
        .map(|i| {
            let ids = (0..3 + 7 * i).map(|t| (t * t + i) % 250 + 3).collect();
            let prompt = text_prompt(ids);
            let mut cache = KvCache::new(model.description().cache).unwrap();
            let compressed = i == 5;
            let needs = if compressed {
                policy.needs(&prompt.info).unwrap()
            } else {
                Needs::default()
            };
            let prefill = model.prefill(&prompt, &mut cache, &needs, &mut ()).unwrap();
            if compressed {
                let plan = policy.plan(&prefill.statistics).unwrap();
                cache.apply(&plan).unwrap();
            }
            cache
        })
        .collect()
}

/// A few greedy steps of some sequences, alone and together.
fn check(model: &dyn Model) {
    let vocabulary = model.description().text.vocabulary;
    let mut together = prefilled(model);
    let mut alone: Vec<KvCache> = together.iter().map(KvCache::fork).collect();
    let mut tokens: Vec<u32> = (10..18).collect();
    for step in 0..4 {
        // Fewer sequences each time, as if some had ended.
        let count = 8 - 2 * step;
        let mut caches: Vec<&mut KvCache> = together[..count].iter_mut().collect();
        let logits = model.decode_batch(&tokens[..count], &mut caches).unwrap();
        assert_eq!(logits.len(), count * vocabulary);
        for (i, together) in logits.chunks_exact(vocabulary).enumerate() {
            let alone = model.decode(tokens[i], &mut alone[i]).unwrap();
            assert!(alone == together, "step {step}, sequence {i}");
            tokens[i] = argmax(together);
        }
    }
    assert!(model.decode_batch(&[], &mut []).unwrap().is_empty());
}

#[test]
fn a_sequence_decodes_in_company_as_alone() {
    for options in every_isa() {
        check(&*load(model_folder("llama").path(), &options).unwrap());
    }
}

#[test]
fn so_it_does_with_bf16_weights() {
    let folder = tempfile::tempdir().unwrap();
    let shape = RandomShape {
        hidden: 96,
        layers: 2,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 32,
        intermediate: 200,
        vocabulary: 300,
    };
    write_random_checkpoint(folder.path(), &shape, 3, |_, _| {}).unwrap();
    for options in every_isa() {
        check(&*load(folder.path(), &options).unwrap());
    }
}

#[test]
fn if_one_sequence_fails_none_takes_its_token() {
    let model = load(model_folder("llama").path(), &LoadOptions::default()).unwrap();
    let mut caches = prefilled(&*model);
    let before: Vec<usize> = caches.iter().map(KvCache::logical_len).collect();
    let mut all: Vec<&mut KvCache> = caches.iter_mut().collect();
    let tokens = [1, 2, 3, 4, 5, 6, 7, u32::MAX];
    let failed = model.decode_batch(&tokens, &mut all);
    assert!(matches!(
        failed,
        Err(ModelError::UnknownToken { id: u32::MAX, .. })
    ));
    let after: Vec<usize> = caches.iter().map(KvCache::logical_len).collect();
    assert_eq!(before, after);
}
