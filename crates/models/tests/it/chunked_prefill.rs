//! Prefill in chunks: the same results, whatever the chunks are and wherever the post-vision rows begin.

use std::ops::ControlFlow;

use whittle_kernels::{DType, Isa, Kernels};
use whittle_kv::{KvCache, Needs, Statistics};
use whittle_models::llava_next::LlavaNext;
use whittle_models::{LoadOptions, Message, Model, ModelError, PrefillObserver, Prompt};

use crate::golden::{Case, Deviations, model_folder};
use crate::parity::{argmax, cached, new_cache, prefill};

fn load(chunk: usize) -> LlavaNext {
    // The scalar path sums in f64: what differs between chunk sizes is then a mistake, not rounding.
    let kernels = Kernels::with_isa(Isa::Scalar).unwrap();
    let options = LoadOptions {
        prefill_chunk: chunk,
        kernels,
        ..LoadOptions::default()
    };
    LlavaNext::load(model_folder("llava-next-mistral").path(), &options).unwrap()
}

fn prompt(model: &LlavaNext) -> Prompt {
    let case = Case::open("llava-next-mistral/case_2");
    model
        .prompt(&[Message::user(case.user_text(), 2)], &case.images())
        .unwrap()
}

const NEEDS: Needs = Needs {
    post_vision: Some(40),
    tail: Some(7),
    column_sums: true,
    filter: 0.01,
};

fn compare_statistics(got: &Statistics, expected: &Statistics) {
    for (got, expected) in got.layers.iter().zip(&expected.layers) {
        let pairs = [
            (&got.post_vision, &expected.post_vision),
            (&got.tail, &expected.tail),
            (&got.column_sums, &expected.column_sums),
        ];
        for (got, expected) in pairs {
            let (got, expected) = (got.as_ref().unwrap(), expected.as_ref().unwrap());
            assert_eq!(got.rows(), expected.rows());
            assert!((got.sparsity() - expected.sparsity()).abs() < 1e-4);
            for head in 0..expected.kv_heads() {
                Deviations::default().compare("scores", got.head(head), expected.head(head), 1e-3);
            }
        }
    }
}

#[test]
fn every_chunk_size_gives_the_same_logits_cache_and_statistics() {
    let whole = load(4096);
    let prompt = prompt(&whole);
    let (expected, expected_cache, recorded) = prefill(&whole, &prompt, &NEEDS);
    assert_eq!(recorded.progress, [(202, 202)]);
    let layers = whole.description().cache.layers;
    // 1: a row at a time; 33, 64: the 40 post-vision rows straddle chunks; 202: the prompt itself.
    for chunk in [1, 33, 64, 201, 202] {
        let model = load(chunk);
        for record in [false, true] {
            let mut cache = new_cache(&model);
            let got = if record {
                let (got, filled, _) = prefill(&model, &prompt, &NEEDS);
                cache = filled;
                got
            } else {
                model.prefill(&prompt, &mut cache, &NEEDS, &mut ()).unwrap()
            };
            let mut deviations = Deviations::default();
            deviations.compare("logits", &got.logits, &expected.logits, 1e-4);
            for layer in 0..layers {
                for keys in [true, false] {
                    deviations.compare(
                        "cache",
                        &cached(&cache, layer, keys),
                        &cached(&expected_cache, layer, keys),
                        1e-4,
                    );
                }
            }
            compare_statistics(&got.statistics, &expected.statistics);
        }
    }
}

#[test]
fn an_observer_sees_progress_and_can_stop() {
    struct StopAt(usize, Vec<usize>);
    impl PrefillObserver for StopAt {
        fn progress(&mut self, done: usize, total: usize) -> ControlFlow<()> {
            assert_eq!(total, 202);
            self.1.push(done);
            if done >= self.0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    let model = load(50);
    let prompt = prompt(&model);
    let mut observer = StopAt(100, Vec::new());
    let stopped = model.prefill(
        &prompt,
        &mut new_cache(&model),
        &Needs::default(),
        &mut observer,
    );
    assert!(matches!(stopped, Err(ModelError::Cancelled)));
    assert_eq!(observer.1, [50, 100]);
}

#[test]
fn a_cache_has_to_be_empty() {
    let model = load(512);
    let prompt = prompt(&model);
    let mut cache = new_cache(&model);
    model
        .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
        .unwrap();
    let again = model.prefill(&prompt, &mut cache, &Needs::default(), &mut ());
    assert!(
        matches!(again, Err(ModelError::CacheNotEmpty { tokens: 202 })),
        "{again:?}"
    );
}

#[test]
fn a_half_precision_cache_holds_half_the_bytes_and_gives_nearly_the_same() {
    let full = load(512);
    let prompt = prompt(&full);
    let expected = full
        .prefill(&prompt, &mut new_cache(&full), &Needs::default(), &mut ())
        .unwrap();
    let bytes = |model: &LlavaNext| {
        let mut cache: KvCache = new_cache(model);
        let got = model
            .prefill(&prompt, &mut cache, &Needs::default(), &mut ())
            .unwrap();
        let rows: usize = cache.views(0)[0]
            .chunks
            .iter()
            .map(|chunk| chunk.keys.len() * chunk.keys.dtype().size())
            .sum();
        (rows, got.logits)
    };
    for dtype in [DType::BF16, DType::F16] {
        let options = LoadOptions {
            cache_dtype: Some(dtype),
            ..LoadOptions::default()
        };
        let model = LlavaNext::load(model_folder("llava-next-mistral").path(), &options).unwrap();
        assert_eq!(model.description().cache.dtype, dtype);
        let (half, logits) = bytes(&model);
        assert_eq!(half * 2, bytes(&full).0);
        assert_eq!(argmax(&logits), argmax(&expected.logits));
        // Keys and values are rounded to 8 bits of mantissa, logits are up to 10.
        Deviations::default().compare("logits", &logits, &expected.logits, 0.5);
        assert_ne!(logits, expected.logits);
    }
}
