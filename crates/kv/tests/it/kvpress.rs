//! Those schemes of kvpress that are options of policies here. The library keeps `trunc(S * (1 - (1 - b)))`, so its
//! budgets are given as `1 - (1 - b)` in double precision.

use whittle_kernels::Kernels;
use whittle_kv::{PolicyOptions, policy};

use crate::case::{CASES, Case, assert_layer, tensors};

/// Budgets for which kvpress stores kept sets.
const BUDGETS: [f64; 4] = [0.05, 0.1, 0.2, 0.5];

fn check(press: &str, policy_name: &str, options: impl Fn(usize) -> PolicyOptions) {
    for name in CASES {
        let case = Case::load(name);
        let golden = tensors(&format!("{name}_kvpress"));
        let json = std::fs::read(whittle_testing::golden(&format!(
            "compression/{name}_kvpress.json"
        )))
        .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let window = json["snapkv_window"].as_u64().unwrap() as usize;
        for budget in BUDGETS {
            let options = PolicyOptions {
                alpha: 1.0 - (1.0 - budget),
                ..options(window)
            };
            let policy = policy(policy_name, &options).unwrap();
            let statistics =
                case.statistics(Kernels::detect(), &policy.needs(&case.prompt).unwrap());
            let plan = policy.plan(&statistics).unwrap();
            let tensor = format!("{press}.b{budget}.kept");
            let kept = &golden[&tensor];
            let per_layer = kept.indices.len() / case.layers();
            for (layer, indices) in kept.indices.chunks(per_layer).enumerate() {
                assert_layer(
                    &plan,
                    layer,
                    indices,
                    case.heads.kv,
                    &format!("{name}: {tensor}"),
                );
            }
        }
    }
}

#[test]
fn four_sinks_and_the_rest_recent() {
    check("streamingllm", "streaming", |_| PolicyOptions {
        sinks: Some(4),
        ..PolicyOptions::default()
    });
}

#[test]
fn snapkv_with_a_fixed_window() {
    check("snapkv", "snapkv", |window| PolicyOptions {
        recent: Some(window),
        ..PolicyOptions::default()
    });
}

#[test]
fn tova_is_snapkv_with_one_row_and_neither_pooling_nor_separate_heads() {
    check("tova", "snapkv", |_| PolicyOptions {
        recent: Some(1),
        pool: 1,
        head_adaptive: false,
        ..PolicyOptions::default()
    });
}
