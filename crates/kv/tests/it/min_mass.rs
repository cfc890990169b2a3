//! The quality floor: the budget grows for the request, just enough.

use proptest::prelude::*;
use whittle_kernels::Kernels;
use whittle_kv::{
    LayerStatistics, PolicyOptions, PromptInfo, Scores, Statistics, WindowReading, policy, registry,
};

use crate::case::{CASES, Case};
use crate::random::{options, recipe};

proptest! {
    #[test]
    fn every_layer_reaches_the_floor(recipe in recipe(), options in options(), floor in 0.01_f64..=1.0) {
        let floored = PolicyOptions { min_mass: Some(floor), ..options.clone() };
        for entry in registry().iter().filter(|entry| entry.name != "full") {
            let plan = recipe.plan(entry.name, &floored);
            prop_assert!(plan.lowest_mass().unwrap() >= floor, "{}: {:?}", entry.name, plan.retained_mass());
            prop_assert!((options.alpha..=1.0).contains(&plan.alpha()));
            prop_assert_eq!(plan.requested_alpha(), options.alpha);
            let without = recipe.plan(entry.name, &options);
            if without.lowest_mass().unwrap() >= floor {
                prop_assert_eq!(plan, without, "a budget that suffices is left alone");
            } else {
                prop_assert!(plan.alpha() > options.alpha || plan.kept_fraction() == 1.0);
            }
        }
    }

    #[test]
    fn a_higher_floor_never_takes_less(recipe in recipe(), options in options(), a in 0.01_f64..=1.0, b in 0.01_f64..=1.0) {
        let alpha = |floor| {
            let options = PolicyOptions { min_mass: Some(floor), ..options.clone() };
            registry().iter().map(|entry| recipe.plan(entry.name, &options).alpha()).collect::<Vec<_>>()
        };
        let (low, high) = (alpha(a.min(b)), alpha(a.max(b)));
        prop_assert!(low.iter().zip(&high).all(|(low, high)| low <= high), "{low:?} {high:?}");
    }

    #[test]
    fn one_position_less_would_miss_the_floor(recipe in recipe(), floor in 0.1_f64..0.999) {
        // With a window per layer kept sets grow with the budget, so the smallest budget is well defined.
        let options = PolicyOptions { alpha: 0.01, window: WindowReading::PerLayer, ..PolicyOptions::default() };
        let plan = recipe.plan("vl-cache", &PolicyOptions { min_mass: Some(floor), ..options.clone() });
        let less = plan.alpha() - 1.0 / recipe.len as f64;
        if less > options.alpha {
            let plan = recipe.plan("vl-cache", &PolicyOptions { alpha: less, ..options });
            prop_assert!(plan.lowest_mass().unwrap() < floor);
        }
    }
}

#[test]
fn the_reference_cases_reach_a_floor_of_95_percent() {
    for name in CASES {
        let case = Case::load(name);
        let options = PolicyOptions {
            alpha: 0.05,
            min_mass: Some(0.95),
            ..PolicyOptions::default()
        };
        let policy = policy("vl-cache", &options).unwrap();
        let statistics = case.statistics(Kernels::detect(), &policy.needs(&case.prompt).unwrap());
        let plan = policy.plan(&statistics).unwrap();
        assert!(plan.lowest_mass().unwrap() >= 0.95, "{name}");
        assert!(
            plan.alpha() > 0.05 && plan.alpha() < 1.0,
            "{name}: alpha {}",
            plan.alpha()
        );
    }
}

/// In paper mode a sparse layer stays small even at a budget of one; the floor is a promise, so everything is kept.
#[test]
fn where_the_papers_clipping_forbids_the_floor_everything_is_kept() {
    let layer = |passing| LayerStatistics {
        post_vision: Some(Scores::new(1, 100, 1, vec![0.01; 100], vec![passing], 100).unwrap()),
        ..LayerStatistics::default()
    };
    let prompt = PromptInfo {
        len: 100,
        visual: vec![0..99],
    };
    let statistics = Statistics {
        prompt,
        kv_heads: 1,
        layers: vec![layer(90), layer(10)],
    };
    let options = PolicyOptions {
        exact: false,
        ..PolicyOptions::default()
    };
    let plan_with = |options: &PolicyOptions| {
        policy("vl-cache", options)
            .unwrap()
            .plan(&statistics)
            .unwrap()
    };
    assert!(
        plan_with(&PolicyOptions {
            alpha: 1.0,
            ..options.clone()
        })
        .lowest_mass()
        .unwrap()
            < 0.5
    );
    let plan = plan_with(&PolicyOptions {
        min_mass: Some(0.95),
        ..options
    });
    assert_eq!((plan.kept_fraction(), plan.alpha()), (1.0, 1.0));
    assert_eq!(plan.retained_mass(), [1.0, 1.0]);
}
