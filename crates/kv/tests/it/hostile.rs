//! Broken statistics get a typed error that says where, never a panic and never a nonsensical plan.

use proptest::prelude::*;
use whittle_kernels::{Elements, Heads, Kernels, KvView};
use whittle_kv::{
    LayerStatistics, Plan, PlanError, PolicyOptions, PromptInfo, Scores, Statistics, WindowReading,
    policy, registry,
};

fn score() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => 0.0_f32..1.0,
        2 => Just(0.0),
        1 => Just(-0.0),
        1 => any::<u32>().prop_map(f32::from_bits), // NaN, infinities, denormals, negative
        1 => Just(f32::MAX),
    ]
}

fn scores() -> impl Strategy<Value = Scores> {
    (1_usize..3, 1_usize..3, 1_usize..40, 0_usize..40)
        .prop_flat_map(|(kv_heads, group, len, rows)| {
            let sums = prop::collection::vec(score(), kv_heads * len);
            let passing =
                prop::collection::vec(prop_oneof![0_u64..50, any::<u64>()], kv_heads * group);
            (
                Just((kv_heads, len, rows.min(len))),
                sums,
                passing,
                prop_oneof![0_u64..2000, any::<u64>()],
            )
        })
        .prop_map(|((kv_heads, len, rows), sums, passing, entries)| {
            Scores::new(kv_heads, len, rows, sums, passing, entries).unwrap()
        })
}

fn layer() -> impl Strategy<Value = LayerStatistics> {
    let some = || prop::option::weighted(0.9, scores());
    (some(), some(), some()).prop_map(|(post_vision, tail, column_sums)| LayerStatistics {
        post_vision,
        tail,
        column_sums,
    })
}

/// Anything that the types allow.
fn anything() -> impl Strategy<Value = Statistics> {
    let visual = prop::collection::vec((0_usize..50, 0_usize..50).prop_map(|(a, b)| a..b), 0..3);
    (
        0_usize..45,
        visual,
        0_usize..3,
        prop::collection::vec(layer(), 0..4),
    )
        .prop_map(|(len, visual, kv_heads, layers)| Statistics {
            prompt: PromptInfo { len, visual },
            kv_heads,
            layers,
        })
}

/// Shapes that fit each other and numbers that need not: what reaches the arithmetic.
fn plausible() -> impl Strategy<Value = Statistics> {
    (1_usize..4, 1_usize..3, 1_usize..60)
        .prop_flat_map(|(layers, kv_heads, len)| {
            let layer = prop::collection::vec(score(), kv_heads * len);
            let layer = (
                layer,
                prop::collection::vec(0_u64..400, kv_heads),
                0_u64..2000,
            );
            (Just((kv_heads, len)), prop::collection::vec(layer, layers))
        })
        .prop_map(|((kv_heads, len), layers)| {
            let rows = len.min(32);
            let scores = |sums: &[f32], passing: &[u64], entries, rows| {
                Some(
                    Scores::new(
                        kv_heads,
                        len,
                        rows,
                        sums.to_vec(),
                        passing.to_vec(),
                        entries,
                    )
                    .unwrap(),
                )
            };
            let layer = |(sums, passing, entries): (Vec<f32>, Vec<u64>, u64)| LayerStatistics {
                post_vision: scores(&sums, &passing, entries, rows),
                tail: scores(&sums, &passing, entries, 1),
                column_sums: scores(&sums, &passing, entries, len),
            };
            let layers = layers.into_iter().map(layer).collect();
            Statistics {
                prompt: PromptInfo::text(len),
                kv_heads,
                layers,
            }
        })
}

fn possible(statistics: &Statistics) -> bool {
    let all = statistics
        .layers
        .iter()
        .flat_map(|l| [&l.post_vision, &l.tail, &l.column_sums])
        .flatten();
    all.into_iter()
        .all(|s| (0..s.kv_heads()).all(|h| s.head(h).iter().all(|x| x.is_finite() && *x >= 0.0)))
}

fn check(statistics: &Statistics, alpha: f64, min_mass: Option<f64>) -> Result<(), TestCaseError> {
    for entry in registry() {
        for (exact, head_adaptive) in [(true, true), (false, false)] {
            for window in [WindowReading::Shared, WindowReading::PerLayer] {
                let recent = Some(1); // so that the tail above fits
                let options = PolicyOptions {
                    alpha,
                    exact,
                    head_adaptive,
                    window,
                    min_mass,
                    recent,
                    ..PolicyOptions::default()
                };
                let planned = policy(entry.name, &options).unwrap().plan(statistics);
                if !possible(statistics) {
                    prop_assert!(planned.is_err(), "{}: {planned:?}", entry.name);
                }
                let Ok(plan) = planned else { continue };
                prop_assert_eq!(plan.prompt_len(), statistics.prompt.len);
                prop_assert!(plan.kept_total() > 0 && plan.kept_fraction() <= 1.0);
                prop_assert!(
                    plan.retained_mass()
                        .iter()
                        .all(|mass| (0.0..=1.000_001).contains(mass)),
                    "{}: {:?}",
                    entry.name,
                    plan.retained_mass()
                );
                prop_assert!(plan.budgets().iter().all(|budget| budget.is_finite()));
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_statistics_make_a_policy_panic(statistics in anything(), alpha in 1e-6..=1.0) {
        check(&statistics, alpha, None)?;
    }

    #[test]
    fn no_numbers_make_a_policy_panic(
        statistics in plausible(),
        alpha in prop_oneof![1e-6..=1.0, Just(f64::MIN_POSITIVE), Just(1.0)],
        floor in prop::option::of(1e-6..=1.0),
    ) {
        check(&statistics, alpha, floor)?;
    }

    #[test]
    fn no_shape_makes_scores_panic(
        kv_heads in 0_usize..4, len in 0_usize..10, rows in 0_usize..12, sums in 0_usize..40, heads in 0_usize..9,
    ) {
        let made = Scores::new(kv_heads, len, rows, vec![0.0; sums], vec![0; heads], 1);
        let fits = len > 0 && rows <= len && kv_heads > 0 && sums == kv_heads * len && heads > 0 && heads % kv_heads == 0;
        prop_assert_eq!(made.is_ok(), fits, "{:?}", made);
    }
}

fn one_layer(sums: Vec<f32>, passing: u64) -> Result<Plan, PlanError> {
    let len = sums.len();
    let scores = Scores::new(1, len, 1, sums, vec![passing], len as u64)?;
    let layer = LayerStatistics {
        post_vision: Some(scores),
        ..LayerStatistics::default()
    };
    let prompt = PromptInfo {
        len,
        visual: vec![0..len - 1],
    };
    policy("vl-cache", &PolicyOptions::default())?.plan(&Statistics {
        prompt,
        kv_heads: 1,
        layers: vec![layer],
    })
}

#[test]
fn nan_and_infinity_name_layer_head_and_position() {
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let mut sums = vec![0.1; 10];
        sums[7] = bad;
        let error = one_layer(sums, 5).unwrap_err();
        let found = matches!(
            error,
            PlanError::Score {
                layer: 0,
                kv_head: 0,
                position: 7,
                ..
            }
        );
        assert!(found, "{error}");
    }
}

#[test]
fn all_layers_fully_sparse_is_an_error() {
    assert_eq!(one_layer(vec![0.1; 10], 0), Err(PlanError::FullySparse));
    assert!(one_layer(vec![0.1; 10], 1).is_ok());
}

#[test]
fn scores_of_zero_are_no_attention() {
    assert_eq!(one_layer(vec![0.0; 10], 5), Err(PlanError::NoAttention(0)));
}

#[test]
fn more_passing_entries_than_there_are_is_an_error() {
    assert!(matches!(
        one_layer(vec![0.1; 10], 11),
        Err(PlanError::Passing {
            layer: 0,
            head: 0,
            ..
        })
    ));
}

#[test]
fn more_rows_than_the_prompt_has_is_an_error() {
    let error = Scores::new(1, 5, 6, vec![0.0; 5], vec![1], 5).unwrap_err();
    assert_eq!(error, PlanError::TooManyRows { rows: 6, len: 5 });
}

#[test]
fn an_empty_prompt_is_an_error() {
    for entry in registry() {
        let policy = policy(entry.name, &PolicyOptions::default()).unwrap();
        assert_eq!(
            policy.needs(&PromptInfo::text(0)),
            Err(PlanError::EmptyPrompt),
            "{}",
            entry.name
        );
        let statistics = Statistics {
            prompt: PromptInfo::text(0),
            kv_heads: 1,
            layers: Vec::new(),
        };
        assert_eq!(
            policy.plan(&statistics),
            Err(PlanError::EmptyPrompt),
            "{}",
            entry.name
        );
    }
}

#[test]
fn visual_spans_must_lie_in_order_inside_the_prompt() {
    for visual in [vec![3..3], vec![5..11], vec![4..6, 5..7], vec![6..8, 1..2]] {
        let prompt = PromptInfo { len: 10, visual };
        let error = policy("vl-cache", &PolicyOptions::default())
            .unwrap()
            .needs(&prompt)
            .unwrap_err();
        assert!(matches!(error, PlanError::VisualSpan { .. }), "{error}");
    }
}

#[test]
fn layers_and_heads_must_agree() {
    let scores = |kv_heads: usize| {
        let scores = Scores::new(
            kv_heads,
            4,
            4,
            vec![0.5; 4 * kv_heads],
            vec![1; kv_heads],
            10,
        )
        .unwrap();
        LayerStatistics {
            post_vision: Some(scores),
            ..LayerStatistics::default()
        }
    };
    let plan = |layers| {
        let statistics = Statistics {
            prompt: PromptInfo::text(4),
            kv_heads: 2,
            layers,
        };
        policy("vl-cache", &PolicyOptions::default())
            .unwrap()
            .plan(&statistics)
    };
    assert!(plan(vec![scores(2), scores(2)]).is_ok());
    let error = plan(vec![scores(2), scores(1)]).unwrap_err();
    assert_eq!(error.to_string(), "layer 1: KV heads: 1 instead of 2");
    let error = plan(vec![scores(2), LayerStatistics::default()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer 1: no post-vision scores were collected"
    );
    assert!(plan(Vec::new()).is_err());
}

/// NaN in the attention itself is caught where it is measured.
#[test]
fn nan_in_a_key_is_an_error_of_the_kernel() {
    let mut keys = vec![0.5_f32; 8 * 4];
    keys[13] = f32::NAN;
    let view = KvView::contiguous(Elements::F32(&keys), Elements::F32(&keys), 8);
    let heads = Heads {
        query: 1,
        kv: 1,
        dim: 4,
    };
    assert!(
        Kernels::detect()
            .attention_statistics(&[1.0; 8], 6, &[view], heads, 0.5, 0.01, None)
            .is_err()
    );
}
