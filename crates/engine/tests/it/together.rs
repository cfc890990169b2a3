//! Requests that are answered side by side.

use std::sync::Arc;

use whittle_engine::{
    Engine, EngineOptions, Event, Limits, PolicyChoice, Prefix, Sequence, step_together,
};
use whittle_kv::KvCache;
use whittle_kv::Needs;
use whittle_models::{Model, ModelError, Prefill, PrefillObserver, Prompt};

use crate::common::{LLAVA, ask, case, delegate_to_inner, engine, model};

#[test]
fn answers_side_by_side_are_those_of_requests_alone() {
    let engine = engine(LLAVA);
    let requests = || {
        (0..3).flat_map(|number| {
            [("full", 1.0), ("vl-cache", 0.3)].map(|(policy, budget)| {
                let mut request = case(LLAVA, number).request;
                request.policy = PolicyChoice::new(policy, budget);
                request
            })
        })
    };
    let alone: Vec<Vec<u32>> = requests()
        .map(|request| ask(&engine, request).ids)
        .collect();
    // All are queued before the first is answered.
    let answers: Vec<_> = requests()
        .map(|request| engine.submit(request).unwrap())
        .collect();
    for (answer, alone) in answers.into_iter().zip(alone) {
        let ids: Vec<u32> = answer
            .filter_map(|event| match event.unwrap() {
                Event::Token { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(ids, alone);
    }
}

/// The reference model, which counts its passes and knows a token that breaks it.
struct Counting {
    inner: Arc<dyn Model>,
    passes: std::sync::atomic::AtomicUsize,
    broken: Option<u32>,
}

impl Model for Counting {
    delegate_to_inner!();

    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        self.inner.prefill(prompt, cache, needs, observer)
    }

    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        self.decode_batch(&[token], &mut [cache])
    }

    fn decode_batch(
        &self,
        tokens: &[u32],
        caches: &mut [&mut KvCache],
    ) -> Result<Vec<f32>, ModelError> {
        self.passes
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if tokens.iter().any(|token| Some(*token) == self.broken) {
            return Err(ModelError::NotFinite);
        }
        self.inner.decode_batch(tokens, caches)
    }
}

impl Counting {
    fn new(broken: Option<u32>) -> Self {
        Self {
            inner: model(LLAVA),
            passes: 0.into(),
            broken,
        }
    }

    fn passes(&self) -> usize {
        self.passes.swap(0, std::sync::atomic::Ordering::SeqCst)
    }

    /// The sequence of a case, prefilled with the full cache.
    fn sequence(&self, number: usize) -> Sequence<'_> {
        let request = case(LLAVA, number).request;
        let policy = request.policy.build().unwrap();
        let prompt = self.prompt(&request.messages, &request.images).unwrap();
        let needs = policy.needs(&prompt.info).unwrap();
        let time = std::time::Duration::ZERO;
        let prefix = Prefix::new(self, prompt, &needs, None, time, &mut ()).unwrap();
        let limits = Limits {
            max_tokens: 10,
            ignore_eos: true,
            ..Limits::default()
        };
        prefix.into_sequence(self, &*policy, limits).unwrap().1
    }
}

#[test]
fn the_model_runs_once_for_all() {
    let model = Counting::new(None);
    let mut sequences: Vec<Sequence> = (0..3).map(|number| model.sequence(number)).collect();
    let mut all: Vec<&mut Sequence> = sequences.iter_mut().collect();
    for step in 0..5 {
        let ids: Vec<u32> = step_together(&mut all)
            .into_iter()
            .map(|s| s.unwrap().id)
            .collect();
        let expected: Vec<u32> = (0..3).map(|number| case(LLAVA, number).ids[step]).collect();
        assert_eq!(ids, expected);
        assert_eq!(
            model.passes(),
            usize::from(step > 0),
            "the first token comes from prefill"
        );
    }
    assert!(step_together(&mut []).is_empty());
}

#[test]
fn a_sequence_that_fails_does_not_disturb_the_others() {
    // The second token of case 1 is the one that the model cannot take.
    let broken = case(LLAVA, 1).ids[1];
    let model = Counting::new(Some(broken));
    let mut sequences: Vec<Sequence> = (0..3).map(|number| model.sequence(number)).collect();
    let mut all: Vec<&mut Sequence> = sequences.iter_mut().collect();
    for step in 0..3 {
        let steps = step_together(&mut all);
        for (number, found) in steps.into_iter().enumerate() {
            if number == 1 && step == 2 {
                assert!(found.is_err());
            } else {
                assert_eq!(found.unwrap().id, case(LLAVA, number).ids[step]);
            }
        }
    }
}

#[test]
fn the_engine_goes_on_with_the_others() {
    let broken = case(LLAVA, 1).ids[1];
    let model = Arc::new(Counting::new(Some(broken)));
    let engine = Engine::start(model, EngineOptions::default()).unwrap();
    let answers = [0, 1, 2].map(|number| engine.submit(case(LLAVA, number).request).unwrap());
    for (number, answer) in answers.into_iter().enumerate() {
        let failed = answer.into_iter().any(|event| event.is_err());
        assert_eq!(
            failed,
            case(LLAVA, number).ids.contains(&broken),
            "case {number}"
        );
    }
}
