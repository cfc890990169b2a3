//! Compression and decoding end to end against `golden/compression/generation`: VL-Cache in paper mode keeps the same
//! positions and generates the same tokens from what is left.

use whittle_kv::{PolicyOptions, policy};
use whittle_models::llava_next::LlavaNext;
use whittle_models::{Message, Model};

use crate::golden::{Case, Deviations, model_folder};
use crate::parity::{every_isa, greedy, new_cache};

#[test]
fn vl_cache_in_paper_mode_keeps_and_generates_what_the_reference_does() {
    let source = Case::open("llava-next-mistral/case_0");
    let reference = Case::open("compression/generation");
    let atol = reference.info["atol"].as_f64().unwrap() as f32;
    let folder = model_folder("llava-next-mistral");
    for options in every_isa() {
        let model = LlavaNext::load(folder.path(), &options).unwrap();
        let mut deviations = Deviations::default();
        for (alpha, head_adaptive) in [(0.1, false), (0.1, true), (0.5, false), (0.5, true)] {
            let heads = if head_adaptive {
                "heads_kv"
            } else {
                "heads_shared"
            };
            let run = format!("llava-next-mistral.a{alpha}.{heads}");
            let policy_options = PolicyOptions {
                alpha,
                head_adaptive,
                exact: false,
                ..PolicyOptions::default()
            };
            let policy = policy("vl-cache", &policy_options).unwrap();

            let prompt = model
                .prompt(&[Message::user(source.user_text(), 1)], &source.images())
                .unwrap();
            let needs = policy.needs(&prompt.info).unwrap();
            let mut cache = new_cache(&model);
            let prefill = model.prefill(&prompt, &mut cache, &needs, &mut ()).unwrap();
            let plan = policy.plan(&prefill.statistics).unwrap();
            for layer in 0..model.description().cache.layers {
                let expected = reference.ids(&format!("{run}.kept.{layer}"));
                let per_head = if head_adaptive {
                    expected.len() / 2
                } else {
                    expected.len()
                };
                for head in 0..2 {
                    let expected =
                        &expected[if head_adaptive { head * per_head } else { 0 }..][..per_head];
                    assert_eq!(
                        plan.kept(layer, head),
                        expected,
                        "{run}: layer {layer}, head {head}"
                    );
                }
            }
            cache.apply(&plan).unwrap();

            let expected = reference.ids(&format!("{run}.generated_ids"));
            let (ids, logits) = greedy(&model, prefill.logits, &mut cache, expected.len());
            assert_eq!(ids, expected, "{run}: greedy ids");
            deviations.compare(
                "step_logits",
                &logits,
                &reference.floats(&format!("{run}.step_logits")),
                atol,
            );
            // Positions go on from the prompt's length although fewer entries are left.
            assert_eq!(cache.logical_len(), prompt.ids.len() + expected.len() - 1);
        }
        deviations.print(&format!("generation {:?}", options.kernels.isa()));
    }
}
