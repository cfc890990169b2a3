//! Whole comparisons with simulated clocks: what they promise is counted over many of them.

use std::ops::ControlFlow;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::blocks::{Times, compare_blocks};
use super::types::{ArmName, CompareOptions, Comparison, Verdict};
use crate::sandbox::Limits;

/// A machine and two programs on it.
#[derive(Clone, Copy)]
struct World {
    workloads: usize,
    layouts: usize,
    /// True ratio, baseline over candidate.
    ratio: f64,
    /// Standard deviation of the log of a time.
    noise: f64,
    /// Share of runs that take twice as long.
    disturbed: f64,
    /// Standard deviation of the log-time between layouts of one program.
    layout_effect: f64,
}

const QUIET: World = World {
    workloads: 2,
    layouts: 5,
    ratio: 1.0,
    noise: 0.02,
    disturbed: 0.0,
    layout_effect: 0.0,
};

/// The world that the machine this was written on resembles.
const ROUGH: World = World {
    disturbed: 0.05,
    layout_effect: 0.02,
    ..QUIET
};

/// A draw from the standard normal distribution (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn options(seed: u64, min_blocks: usize, max_blocks: usize) -> CompareOptions {
    let second = Duration::from_secs(1);
    let limits = Limits {
        wall: second,
        cpu: second,
        memory: None,
        processes: 1,
        output: 0,
    };
    CompareOptions {
        warm_up: 0,
        min_blocks,
        max_blocks,
        margin: 0.0,
        time_limit: Duration::MAX,
        ..CompareOptions::new(limits, seed)
    }
}

fn compare(world: World, options: &CompareOptions) -> Comparison {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0xface);
    let names: Vec<String> = (0..world.workloads).map(|w| format!("w{w}")).collect();
    let effects: Vec<[f64; 2]> = (0..world.layouts)
        .map(|_| [(); 2].map(|()| normal(&mut rng)))
        .collect();
    let mut runner = |arm: ArmName, layout: usize, workload: usize| {
        let which = usize::from(arm == ArmName::Candidate);
        let mut log = world.noise * normal(&mut rng) + world.layout_effect * effects[layout][which];
        log -= if which == 1 { world.ratio.ln() } else { 0.0 };
        let slowed = if rng.random_bool(world.disturbed) {
            2.0
        } else {
            1.0
        };
        let wall_s = 0.05 * (workload + 1) as f64 * log.exp() * slowed;
        Ok(Times {
            wall_s,
            cpu_s: 0.9 * wall_s,
        })
    };
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    compare_blocks(&names, world.layouts, options, 0, &mut runner, go_on).unwrap()
}

/// The share of simulated comparisons of which something holds.
fn share(
    n: u64,
    world: World,
    options: impl Fn(u64) -> CompareOptions,
    holds: impl Fn(&Comparison) -> bool,
) -> f64 {
    (0..n)
        .filter(|&seed| holds(&compare(world, &options(seed))))
        .count() as f64
        / n as f64
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let disturbed = World {
        disturbed: 0.05,
        ..QUIET
    };
    let covers = |c: &Comparison| c.interval[0] <= 1.05 && 1.05 <= c.interval[1];
    for (name, world) in [("quiet", QUIET), ("disturbed", disturbed), ("rough", ROUGH)] {
        let world = World {
            ratio: 1.05,
            ..world
        };
        let once = share(500, world, |seed| options(seed, 20, 20), covers);
        assert!(once >= 0.93, "{name}: {once}");
        let several_looks = share(500, world, |seed| options(seed, 10, 40), covers);
        assert!(
            several_looks >= 0.94,
            "{name}, several looks: {several_looks}"
        );
    }
}

#[test]
fn one_layout_covers_itself() {
    let world = World {
        layouts: 1,
        workloads: 1,
        disturbed: 0.05,
        ..QUIET
    };
    let covered = share(
        500,
        world,
        |seed| options(seed, 12, 12),
        |c| c.interval[0] <= 1.0 && 1.0 <= c.interval[1],
    );
    assert!((0.93..0.995).contains(&covered), "{covered}");
}

/// The hard case: no margin, layouts that differ, and a wish for precision that a lucky look fulfils.
#[test]
fn equal_programs_are_rarely_told_apart() {
    let told_apart = |c: &Comparison| matches!(c.verdict, Verdict::Faster | Verdict::Slower);
    for (name, world, target) in [("quiet", QUIET, 0.015), ("rough", ROUGH, 0.04)] {
        let hopeful = |seed| CompareOptions {
            target_half_width: target,
            ..options(seed, 10, 60)
        };
        let early = share(100, world, hopeful, |c| c.blocks < 60);
        assert!(
            early > 0.2,
            "{name}: stopping early is put to the test in {early} of the runs"
        );
        let errors = share(1000, world, hopeful, told_apart);
        assert!(errors <= 0.05, "{name}: {errors}");
    }
}

#[test]
fn a_margin_leaves_next_to_no_false_faster() {
    let careful = |seed| CompareOptions {
        margin: 0.01,
        ..options(seed, 10, 60)
    };
    assert!(share(500, QUIET, careful, |c| c.verdict == Verdict::Faster) <= 0.002);
}

#[test]
fn five_per_cent_are_found_in_two_per_cent_of_noise() {
    let careful = |seed| CompareOptions {
        margin: 0.01,
        ..options(seed, 10, 80)
    };
    let world = World {
        disturbed: 0.05,
        ratio: 1.05,
        ..QUIET
    };
    let faster = share(200, world, careful, |c| c.verdict == Verdict::Faster);
    assert!(faster >= 0.9, "{faster}");
    let slower = share(
        200,
        World {
            ratio: 1.0 / 1.05,
            ..world
        },
        careful,
        |c| c.verdict == Verdict::Slower,
    );
    assert!(slower >= 0.9, "{slower}");
}

#[test]
fn equality_is_shown_where_the_interval_fits_the_margin() {
    let wide = |seed| CompareOptions {
        margin: 0.03,
        target_half_width: 0.01,
        ..options(seed, 10, 80)
    };
    let equal = share(200, QUIET, wide, |c| c.verdict == Verdict::NoDifference);
    assert!(equal >= 0.9, "{equal}");
}

#[test]
fn the_noise_floor_replaces_a_smaller_margin() {
    let options = CompareOptions {
        margin: 0.01,
        noise_floor: 0.2,
        ..options(3, 10, 80)
    };
    let found = compare(
        World {
            ratio: 1.1,
            ..QUIET
        },
        &options,
    );
    assert_eq!((found.margin, found.verdict), (0.2, Verdict::NoDifference));
}
