//! Requests that cannot be served get typed errors, before any work where that is possible.

use whittle_engine::{
    Engine, EngineError, EngineOptions, PolicyChoice, Request, Sampling, SamplingError,
};
use whittle_kv::PlanError;
use whittle_models::{Message, ModelError};

use crate::common::{LLAVA, ask, case, engine, model};

fn error(engine: &Engine, request: Request) -> EngineError {
    match engine.submit(request) {
        Err(error) => error,
        Ok(mut answer) => answer.find_map(Result::err).unwrap(),
    }
}

#[test]
fn unusable_options_are_refused_at_once() {
    let engine = engine(LLAVA);
    let request = || case(LLAVA, 0).request;
    let refused = |change: fn(&mut Request)| {
        let mut request = request();
        change(&mut request);
        engine.submit(request).map(|_| ()).unwrap_err()
    };
    let budget = refused(|request| request.policy = PolicyChoice::new("vl-cache", 1.5));
    assert!(
        matches!(budget, EngineError::Plan(PlanError::Budget(_))),
        "{budget}"
    );
    let policy = refused(|request| request.policy = PolicyChoice::new("vlcache", 0.1));
    assert!(
        matches!(policy, EngineError::Plan(PlanError::UnknownPolicy { .. })),
        "{policy}"
    );
    let top_p = refused(|request| {
        request.limits.sampling = Sampling {
            top_p: 0.0,
            ..Sampling::default()
        }
    });
    assert!(
        matches!(
            top_p,
            EngineError::Sampling(SamplingError::Option {
                option: "top-p",
                ..
            })
        ),
        "{top_p}"
    );
    let none = refused(|request| request.limits.max_tokens = 0);
    assert!(matches!(none, EngineError::NoTokens), "{none}");
}

#[test]
fn too_little_memory_is_found_before_prefill() {
    let engine = Engine::start(
        model(LLAVA),
        EngineOptions {
            memory_limit: Some(10_000),
        },
    )
    .unwrap();
    let error = error(&engine, case(LLAVA, 0).request);
    let EngineError::TooLittleMemory {
        prompt_tokens: 91,
        needed,
        available: 10_000,
    } = error
    else {
        panic!("{error}")
    };
    // The cache alone: 3 layers x 2 KV heads x keys and values of 16 f32.
    assert!(needed > 91 * 3 * 2 * 2 * 16 * 4);
    let enough = Engine::start(
        model(LLAVA),
        EngineOptions {
            memory_limit: Some(needed),
        },
    )
    .unwrap();
    assert_eq!(ask(&enough, case(LLAVA, 0).request).ids, case(LLAVA, 0).ids);
}

#[test]
fn a_prompt_longer_than_the_positions_is_an_error_of_the_model() {
    let engine = engine(LLAVA);
    let request = Request {
        messages: vec![Message::user("word ".repeat(20_000), 0)],
        ..case(LLAVA, 0).request
    };
    let error = error(
        &engine,
        Request {
            images: Vec::new(),
            ..request
        },
    );
    assert!(
        matches!(error, EngineError::Model(ModelError::TooLong { .. })),
        "{error}"
    );
    assert_eq!(
        ask(&engine, case(LLAVA, 0).request).ids,
        case(LLAVA, 0).ids,
        "the engine goes on"
    );
}

#[test]
fn a_missing_image_is_an_error_of_the_model() {
    let engine = engine(LLAVA);
    let error = error(
        &engine,
        Request {
            images: Vec::new(),
            ..case(LLAVA, 0).request
        },
    );
    assert!(matches!(error, EngineError::Model(_)), "{error}");
}
