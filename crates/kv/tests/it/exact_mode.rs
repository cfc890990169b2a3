//! What holds for every plan, and the totals that exact mode promises.

use proptest::prelude::*;
use whittle_kv::budget::{Weights, apportion, exact_total, vl_cache};
use whittle_kv::select::top;
use whittle_kv::{Plan, PolicyOptions, WindowReading, registry};

use crate::random::{options, recipe};

/// Kept positions per KV head, summed over the layers.
fn total(plan: &Plan) -> usize {
    assert_eq!(
        plan.kept_total() % plan.kv_heads(),
        0,
        "all heads of a layer keep the same number"
    );
    plan.kept_total() / plan.kv_heads()
}

proptest! {
    #[test]
    fn kept_positions_are_ascending_unique_and_inside(recipe in recipe(), options in options()) {
        for entry in registry() {
            let plan = recipe.plan(entry.name, &options);
            prop_assert_eq!((plan.layers(), plan.kv_heads()), (recipe.layers, recipe.kv_heads));
            for layer in 0..recipe.layers {
                for head in 0..recipe.kv_heads {
                    let kept = plan.kept(layer, head);
                    prop_assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "{} {:?}", entry.name, kept);
                    prop_assert!(kept.last().is_some_and(|last| (*last as usize) < recipe.len), "{}", entry.name);
                }
            }
        }
    }

    #[test]
    fn the_recent_window_is_kept(recipe in recipe(), options in options()) {
        let len = recipe.len;
        for entry in registry() {
            let plan = recipe.plan(entry.name, &options);
            for layer in 0..recipe.layers {
                let kept = plan.kept(layer, 0).len();
                let window = match (entry.name, options.window) {
                    ("full", _) => len,
                    ("vl-cache" | "uniform-post-vision" | "sparsity-h2o", WindowReading::Shared) =>
                        (len as f64 * options.alpha * 0.1) as usize,
                    ("vl-cache" | "uniform-post-vision" | "sparsity-h2o", WindowReading::PerLayer) => kept / 11,
                    _ => ((len as f64 * options.alpha) as usize) / 10,
                };
                for head in 0..recipe.kv_heads {
                    let kept = plan.kept(layer, head);
                    let recent = (len - window.max(1)) as u32..len as u32;
                    prop_assert!(kept.ends_with(&recent.collect::<Vec<_>>()), "{}: {window} of {kept:?}", entry.name);
                }
            }
        }
    }

    #[test]
    fn exact_mode_meets_the_total(recipe in recipe(), options in options()) {
        let options = PolicyOptions { exact: true, ..options };
        let entries = recipe.layers * recipe.len;
        let budget = (options.alpha * entries as f64).floor() as usize;
        for entry in registry().iter().filter(|entry| entry.name != "full") {
            let plan = recipe.plan(entry.name, &options);
            let found = total(&plan);
            prop_assert!(found.abs_diff(budget) <= recipe.layers, "{}: {found} for {budget}", entry.name);
            if ["vl-cache", "uniform-post-vision", "sparsity-h2o"].contains(&entry.name) {
                prop_assert_eq!(found, exact_total(options.alpha, recipe.layers, recipe.len), "{}", entry.name);
            }
        }
    }

    #[test]
    fn a_budget_of_one_keeps_everything(recipe in recipe(), options in options()) {
        let options = PolicyOptions { exact: true, alpha: 1.0, ..options };
        for entry in registry() {
            let plan = recipe.plan(entry.name, &options);
            prop_assert_eq!(plan.kept_fraction(), 1.0, "{}", entry.name);
            prop_assert!(plan.retained_mass().iter().all(|mass| *mass == 1.0), "{}", entry.name);
        }
    }

    #[test]
    fn with_a_window_per_layer_a_larger_budget_drops_nothing(recipe in recipe(), a in 0.01..1.0, b in 0.01..1.0) {
        let plan = |alpha| {
            let options = PolicyOptions { alpha, window: WindowReading::PerLayer, ..PolicyOptions::default() };
            recipe.plan("vl-cache", &options)
        };
        let (small, large) = (plan(f64::min(a, b)), plan(f64::max(a, b)));
        for layer in 0..recipe.layers {
            for head in 0..recipe.kv_heads {
                let large = large.kept(layer, head);
                prop_assert!(small.kept(layer, head).iter().all(|position| large.contains(position)));
            }
        }
    }

    #[test]
    fn with_a_window_per_layer_a_larger_budget_takes_from_no_layer(
        sparsity in prop::collection::vec(0.0_f32..0.999, 1..40),
        len in 1_usize..3000,
        layer_floor in prop_oneof![0.0..=1.0, Just(0.75)],
        alphas in prop::collection::vec(0.001..1.0, 2..20),
    ) {
        let options = PolicyOptions { layer_floor, window: WindowReading::PerLayer, ..PolicyOptions::default() };
        // Also steps of one position, where rounding decides.
        let step = 1.0 / (sparsity.len() * len) as f64;
        let mut alphas: Vec<f64> = alphas.iter().flat_map(|a| (0..20).map(move |n| (a + f64::from(n) * step).min(1.0))).collect();
        alphas.sort_by(f64::total_cmp);
        let mut before = vec![0; sparsity.len()];
        for alpha in alphas {
            let budgets = vl_cache(Weights::Sparsity(&sparsity), len, alpha, &options).unwrap();
            let kept: Vec<usize> = budgets.iter().map(|budget| budget.scored + budget.window).collect();
            prop_assert!(before.iter().zip(&kept).all(|(before, kept)| before <= kept), "{before:?} {kept:?} at {alpha}");
            before = kept;
        }
    }

    #[test]
    fn retained_mass_is_what_the_kept_positions_received(recipe in recipe(), options in options()) {
        for entry in registry().iter().filter(|entry| entry.name != "full") {
            let policy = whittle_kv::policy(entry.name, &options).unwrap();
            let statistics = recipe.statistics(&policy.needs(&recipe.prompt()).unwrap());
            let plan = policy.plan(&statistics).unwrap();
            prop_assert_eq!(plan.retained_mass().len(), recipe.layers);
            for (layer, mass) in plan.retained_mass().iter().enumerate() {
                let scores = statistics.layers[layer].post_vision.as_ref().unwrap();
                let (mut kept, mut all) = (0.0, 0.0);
                for head in 0..recipe.kv_heads {
                    let scores = scores.head(head);
                    kept += plan.kept(layer, head).iter().map(|p| f64::from(scores[*p as usize])).sum::<f64>();
                    all += scores.iter().map(|score| f64::from(*score)).sum::<f64>();
                }
                prop_assert!((mass - kept / all).abs() < 1e-12, "{}: {mass}", entry.name);
            }
        }
    }

    #[test]
    fn shares_keep_their_bounds_and_their_sum(
        weights in prop::collection::vec(0.0_f64..1.0, 1..40),
        total in 0_usize..20_000,
        least in 0_usize..30,
        most in 1_usize..500,
    ) {
        prop_assume!(weights.iter().sum::<f64>() > 0.0);
        let leasts = vec![least; weights.len()];
        let shares = apportion(&weights, total, &leasts, most);
        let capacity = weights.len() * most;
        prop_assert_eq!(shares.iter().sum::<usize>(), total.min(capacity));
        prop_assert!(shares.iter().all(|share| *share <= most));
        if total >= weights.len() * least.min(most) {
            prop_assert!(shares.iter().all(|share| *share >= least.min(most)), "{shares:?}");
        }
        for (a, b) in (0..weights.len()).flat_map(|a| (0..weights.len()).map(move |b| (a, b))) {
            if weights[a] > weights[b] {
                prop_assert!(shares[a] >= shares[b], "a heavier layer gets less: {shares:?} for {weights:?}");
            }
        }
        let more = apportion(&weights, total + 1, &leasts, most);
        prop_assert!(shares.iter().zip(&more).all(|(less, more)| less <= more), "{shares:?} {more:?}");
    }

    #[test]
    fn unclipped_shares_are_in_proportion(weights in prop::collection::vec(0.1_f64..1.0, 1..40), total in 0_usize..20_000) {
        let shares = apportion(&weights, total, &vec![0; weights.len()], usize::MAX / 1000);
        let sum: f64 = weights.iter().sum();
        for (share, weight) in shares.iter().zip(&weights) {
            // Webster's rule may miss the exact quota by more than one only for many very unequal weights.
            let quota = weight / sum * total as f64;
            prop_assert!((*share as f64 - quota).abs() < 0.5 * weights.len() as f64 + 1.0, "{share} for {quota}");
        }
    }

    #[test]
    fn the_best_positions_are_those_of_a_full_sort(
        scores in prop::collection::vec(prop_oneof![0.0_f32..1.0, Just(0.5), Just(0.0)], 0..300),
        count in 0_usize..320,
    ) {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize])); // stable: ties by position
        order.truncate(count);
        order.sort_unstable();
        prop_assert_eq!(top(&scores, count), order);
    }
}
