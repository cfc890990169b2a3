//! The reference data's greedy generations, through the engine.

use whittle_engine::{FinishReason, PolicyChoice};
use whittle_kv::PolicyOptions;

use crate::common::{LLAVA, ask, case, engine, ids};

#[test]
fn full_cache_reproduces_the_greedy_ids() {
    for (model, cases) in [(LLAVA, 3), ("llama", 2)] {
        let engine = engine(model);
        for number in 0..cases {
            let case = case(model, number);
            let answer = ask(&engine, case.request);
            assert_eq!(answer.ids, case.ids, "{model}, case {number}");
            assert_eq!(answer.prefilled.prompt_tokens, case.prompt_tokens);
            assert_eq!(answer.done.reason, FinishReason::MaxTokens);
            assert_eq!(answer.done.generated_tokens, 24);
            assert_eq!(
                answer.done.decode_steps, 23,
                "the first token comes from prefill"
            );
        }
    }
}

#[test]
fn vl_cache_in_paper_mode_reproduces_the_compressed_generations() {
    let engine = engine(LLAVA);
    for (alpha, heads, head_adaptive) in [
        (0.1, "heads_shared", false),
        (0.1, "heads_kv", true),
        (0.5, "heads_shared", false),
        (0.5, "heads_kv", true),
    ] {
        let mut case = case(LLAVA, 0);
        case.request.policy = PolicyChoice {
            name: "vl-cache".to_owned(),
            options: PolicyOptions {
                alpha,
                head_adaptive,
                exact: false,
                ..PolicyOptions::default()
            },
        };
        let answer = ask(&engine, case.request);
        let run = format!("{LLAVA}.a{alpha}.{heads}");
        assert_eq!(
            answer.ids,
            ids(
                "compression/generation.safetensors",
                &format!("{run}.generated_ids")
            ),
            "{run}"
        );
    }
}
