//! A report with round numbers, and what follows from runs.

use whittle_models::random::RandomShape;

use super::grid::{Engine, Load, Setting};
use super::one::{Details, Speed, Times};
use super::peer::Peer;
use super::report::{Machine, ModelReport, PeerReport, ProductReport, Report};
use super::results::{Run, Samples, median, ratios, rows};
use super::scale::Product;

const LOADS: [Load; 3] = [
    Load {
        prompt_tokens: 2048,
        batch: 1,
    },
    Load {
        prompt_tokens: 8192,
        batch: 1,
    },
    Load {
        prompt_tokens: 2048,
        batch: 4,
    },
];

fn shape() -> RandomShape {
    RandomShape::named("m").unwrap()
}

fn speed() -> Speed {
    Speed {
        isa: "avx512bf16".to_owned(),
        read_bandwidth: 30e9,
        matmul_rate: 600e9,
    }
}

fn setting(policy: &str, budget: f64) -> Engine {
    Engine::Ours(Setting {
        policy: policy.to_owned(),
        budget,
    })
}

fn run(round: usize, load: Load, engine: Engine, seconds: f64) -> Run {
    let tokens = (load.prompt_tokens * load.batch) as f64;
    let entries = tokens * engine.budget() * 32.0;
    let times = Times {
        prefill_s: seconds * tokens / 2048.0,
        decode_step_s: seconds / 100.0,
        end_to_end_s: seconds * tokens / 2048.0 + seconds * 0.16,
        cache_bytes: entries as u64 * 512,
    };
    let ours = matches!(engine, Engine::Ours(_));
    let details = Details {
        read_bandwidth: 30e9,
        model_s: times.prefill_s * 0.99,
        statistics_s: times.prefill_s * 0.009,
        compress_s: times.prefill_s * 0.001,
        kept_entries: entries as u64,
        cache_bytes_before: tokens as u64 * 32 * 512,
        weight_bytes: 1_134_628_864,
        prefill_peak_bytes: Some(1_300_000_000),
        decode_peak_bytes: None,
    };
    Run {
        round,
        load,
        engine,
        times,
        details: ours.then_some(details),
    }
}

fn runs() -> Vec<Run> {
    let mut runs = Vec::new();
    for (round, slowness) in [1.0, 3.0, 1.1].into_iter().enumerate() {
        for load in LOADS {
            runs.push(run(round, load, setting("full", 1.0), 5.0 * slowness));
            runs.push(run(round, load, setting("vl-cache", 0.1), 4.0 * slowness));
            runs.push(run(
                round,
                load,
                Engine::Peer(Peer::Transformers),
                6.0 * slowness,
            ));
        }
    }
    runs
}

/// A report with everything in it.
pub(super) fn example() -> Report {
    let runs = runs();
    let samples = vec![
        Samples::new("whittle", vec![0.09, 0.08, 0.1]),
        Samples::new("transformers", vec![0.1]),
    ];
    let square = Product::square(2048);
    Report {
        machine: Machine {
            processor: "Some CPU @ 2 GHz".to_owned(),
            cores: 4,
            threads: 2,
            speed: speed(),
        },
        model: ModelReport {
            shape: "m".to_owned(),
            parameters: shape().parameters(),
        },
        new_tokens: 17,
        repeat: 3,
        peers: vec![
            PeerReport {
                name: "transformers",
                version: Some("5.24.0, torch 2.15.0".to_owned()),
                problem: None,
            },
            PeerReport {
                name: "llama.cpp",
                version: None,
                problem: Some("llama.cpp is not installed for python3".to_owned()),
            },
        ],
        grid: rows(&runs, &shape(), 17, &speed()),
        ratios: ratios(&runs),
        matmul: vec![ProductReport {
            operations: square.operations(),
            product: square,
            engines: samples.clone(),
        }],
        vision: samples,
    }
}

#[test]
fn medians() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(Vec::new()).is_nan());
}

#[test]
fn rows_are_medians_beside_bounds() {
    let rows = rows(&runs(), &shape(), 17, &speed());
    assert_eq!(rows.len(), 9);
    let full = &rows[0];
    assert!(
        (full.times.prefill_s - 5.5).abs() < 1e-9,
        "not the slow round"
    );
    assert_eq!(full.runs.len(), 3);
    assert!((full.overhead.unwrap() - 0.01 / 0.99).abs() < 1e-9);
    let step = full.times.decode_step_s / full.bounds.decode_bound_s;
    assert_eq!(full.decode_to_bound, step);
    let (compressed, peer) = (&rows[1], &rows[2]);
    assert!(compressed.bounds.decode_bound_s < full.bounds.decode_bound_s);
    assert!(peer.peer && peer.details.is_none() && peer.overhead.is_none());
    assert_eq!(
        peer.bounds, full.bounds,
        "a peer has the full cache to read"
    );
}

#[test]
fn ratios_compare_runs_of_a_round() {
    let mut runs = runs();
    // The peer failed in the second round and had been slower in the first than in the third.
    runs.retain(|run| matches!(run.engine, Engine::Ours(_)) || run.round != 1);
    let ratios = ratios(&runs);
    let of_first: Vec<_> = ratios
        .iter()
        .filter(|ratio| ratio.load == LOADS[0])
        .map(|ratio| (ratio.what.as_str(), ratio.against.as_str(), ratio.prefill))
        .collect();
    assert_eq!(of_first.len(), 3, "{of_first:?}");
    for ((what, against, found), expected) in of_first.into_iter().zip([
        ("full", "transformers", 1.2),
        ("vl-cache", "full", 1.25),
        ("vl-cache", "transformers", 1.5),
    ]) {
        assert_eq!((what, against), (expected.0, expected.1));
        assert!((found - expected.2).abs() < 1e-9, "{found}");
    }
}

#[test]
fn an_engine_without_a_common_round_has_no_ratio() {
    let peer = run(1, LOADS[0], Engine::Peer(Peer::LlamaCpp), 1.0);
    let ours = run(0, LOADS[0], setting("full", 1.0), 1.0);
    assert!(ratios(&[ours, peer])[0].prefill.is_nan());
}
