//! Cancelling frees what a request holds.

use std::sync::Arc;
use std::time::Duration;

use whittle_engine::{Engine, EngineError, EngineOptions, Event, FinishReason};
use whittle_kv::{KvCache, Needs};
use whittle_models::{Model, ModelError, Prefill, PrefillObserver, Prompt};

use crate::common::{LLAVA, ask, case, delegate_to_inner, engine, model};

/// A reference model that counts the caches in use and can be slow or broken.
struct Watched {
    inner: Arc<dyn Model>,
    caches: whittle_kv::MemoryPool,
    panics: bool,
}

impl Watched {
    fn engine(panics: bool) -> (Engine, whittle_kv::MemoryPool) {
        let caches = whittle_kv::MemoryPool::default();
        let model = Self {
            inner: model(LLAVA),
            caches: caches.clone(),
            panics,
        };
        (
            Engine::start(Arc::new(model), EngineOptions::default()).unwrap(),
            caches,
        )
    }
}

impl Model for Watched {
    delegate_to_inner!();

    fn prefill(
        &self,
        prompt: &Prompt,
        cache: &mut KvCache,
        needs: &Needs,
        observer: &mut dyn PrefillObserver,
    ) -> Result<Prefill, ModelError> {
        *cache = KvCache::with_pool(*cache.shape(), &self.caches)?;
        self.inner.prefill(prompt, cache, needs, observer)
    }

    fn decode(&self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>, ModelError> {
        assert!(!self.panics, "a bug in the model");
        std::thread::sleep(Duration::from_millis(2));
        self.inner.decode(token, cache)
    }
}

/// A request for as many tokens as the model has positions.
fn long_request() -> whittle_engine::Request {
    let mut request = case(LLAVA, 0).request;
    request.limits.max_tokens = 1_000_000;
    request
}

fn reason(event: Option<Result<Event, EngineError>>) -> FinishReason {
    match event.unwrap().unwrap() {
        Event::Done(done) => done.reason,
        other => panic!("expected the end, not {other:?}"),
    }
}

#[test]
fn cancelling_ends_the_answer_and_frees_the_cache() {
    let (engine, caches) = Watched::engine(false);
    let mut answer = engine.submit(long_request()).unwrap();
    assert!(matches!(answer.next(), Some(Ok(Event::Prefilled(_)))));
    assert!(matches!(answer.next(), Some(Ok(Event::Token { .. }))));
    assert!(caches.used() > 0);
    answer.cancel();
    let end = answer.find(|event| !matches!(event, Ok(Event::Token { .. })));
    assert_eq!(reason(end), FinishReason::Cancelled);
    assert_eq!(
        caches.used(),
        0,
        "the cache is freed before the last event is sent"
    );
    assert!(answer.next().is_none());

    let next = ask(&engine, case(LLAVA, 1).request);
    assert_eq!(
        next.ids,
        case(LLAVA, 1).ids,
        "the engine goes on with the next request"
    );
    assert_eq!(caches.used(), 0);
}

#[test]
fn a_dropped_answer_does_not_hold_up_the_next_request() {
    let (engine, caches) = Watched::engine(false);
    drop(engine.submit(long_request()).unwrap());
    assert_eq!(ask(&engine, case(LLAVA, 0).request).ids, case(LLAVA, 0).ids);
    assert_eq!(caches.used(), 0);
}

#[test]
fn a_waiting_request_can_be_cancelled() {
    let (engine, _) = Watched::engine(false);
    let mut running = engine.submit(long_request()).unwrap();
    assert!(matches!(running.next(), Some(Ok(Event::Prefilled(_)))));
    let mut waiting = engine.submit(case(LLAVA, 1).request).unwrap();
    waiting.cancel();
    running.cancel();
    assert_eq!(
        reason(waiting.next()),
        FinishReason::Cancelled,
        "without having been prefilled"
    );
}

#[test]
fn dropping_the_engine_ends_everything() {
    let (engine, caches) = Watched::engine(false);
    let mut answer = engine.submit(long_request()).unwrap();
    assert!(matches!(answer.next(), Some(Ok(Event::Prefilled(_)))));
    drop(engine);
    assert_eq!(caches.used(), 0);
    let end = answer.find(|event| !matches!(event, Ok(Event::Token { .. })));
    assert_eq!(reason(end), FinishReason::Cancelled);
}

#[test]
fn a_panic_in_the_model_is_an_error_of_the_request() {
    let (engine, _) = Watched::engine(true);
    let errors: Vec<_> = engine
        .submit(case(LLAVA, 0).request)
        .unwrap()
        .filter_map(Result::err)
        .collect();
    assert!(matches!(errors[..], [EngineError::Stopped]));
    // While the thread unwinds, a request may still get into the queue; then its answer says the same.
    let errors: Vec<_> = match engine.submit(case(LLAVA, 0).request) {
        Err(error) => vec![error],
        Ok(answer) => answer.filter_map(Result::err).collect(),
    };
    assert!(matches!(errors[..], [EngineError::Stopped]));
}

#[test]
fn an_answer_can_end_for_want_of_positions() {
    let engine = engine(LLAVA);
    let positions = model(LLAVA).description().max_positions;
    let answer = ask(&engine, long_request());
    assert_eq!(answer.done.reason, FinishReason::MaxPositions);
    // The last token generated has no position of its own: it is never decoded.
    assert_eq!(
        answer.prefilled.prompt_tokens + answer.ids.len(),
        positions + 1
    );
}
