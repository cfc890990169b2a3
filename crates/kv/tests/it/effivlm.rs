//! Paper mode against the numbers of EffiVLM-Bench, from queries and keys to kept positions, on every instruction set.

use std::collections::{BTreeSet, HashMap};

use whittle_kernels::{Isa, Kernels};
use whittle_kv::budget::{Weights, paper_fractions};
use whittle_kv::{PolicyOptions, Statistics, WindowReading, policy};

use crate::case::{CASES, Case, Tensor, assert_layer, tensors};

/// What a tensor's name says about how it was made.
struct Setting {
    policy: &'static str,
    options: PolicyOptions,
}

/// `vlcache.a<alpha>.<window>.<layers>.<heads>` or `<policy>.b<alpha>[.<heads>]`, the parts after `.kept` cut off.
fn setting(name: &str) -> Setting {
    let (peer, rest) = name.split_once('.').unwrap();
    let rest = &rest[1..]; // the letter before the budget
    let end = rest
        .find(|c: char| c.is_ascii_alphabetic())
        .map_or(rest.len(), |at| at - 1);
    let words: BTreeSet<&str> = rest[end..].split('.').collect();
    let window = if words.contains("win_scaled") {
        WindowReading::PerLayer
    } else {
        WindowReading::Shared
    };
    let options = PolicyOptions {
        alpha: rest[..end].parse().unwrap(),
        exact: false,
        head_adaptive: !words.contains("heads_shared"),
        window,
        ..PolicyOptions::default()
    };
    let policy = match peer {
        "vlcache" if words.contains("uniform") => "uniform-post-vision",
        "vlcache" => "vl-cache",
        "streamingllm" => "streaming",
        "h2o" => "h2o",
        "snapkv" => "snapkv",
        "pyramidkv" => "pyramidkv",
        other => panic!("no policy for {other}"),
    };
    Setting { policy, options }
}

/// Statistics by need, measured once.
#[derive(Default)]
struct Measured(HashMap<String, Statistics>);

impl Measured {
    fn get(&mut self, case: &Case, kernels: Kernels, setting: &Setting) -> &Statistics {
        let policy = policy(setting.policy, &setting.options).unwrap();
        let needs = policy.needs(&case.prompt).unwrap();
        self.0
            .entry(format!("{needs:?}"))
            .or_insert_with(|| case.statistics(kernels, &needs))
    }
}

/// Checks every `kept` tensor of the case; returns how many kept sets (one per KV head) were compared.
fn check_kept(name: &str, isa: Isa) -> usize {
    let case = Case::load(name);
    let kernels = Kernels::with_isa(isa).unwrap();
    let golden = tensors(&format!("{name}_effivlm"));
    let mut measured = Measured::default();
    let mut compared = 0;
    for (tensor, Tensor { shape, indices, .. }) in &golden {
        let Some((prefix, layer)) = tensor.split_once(".kept") else {
            continue;
        };
        let setting = setting(prefix);
        let statistics = measured.get(&case, kernels, &setting);
        let plan = policy(setting.policy, &setting.options)
            .unwrap()
            .plan(statistics)
            .unwrap();
        let what = format!("{name}, {isa:?}: {tensor}");
        if let Some(layer) = layer.strip_prefix('.') {
            let rows = if shape.len() == 1 { 1 } else { shape[0] };
            assert_layer(&plan, layer.parse().unwrap(), indices, rows, &what);
            compared += case.heads.kv;
        } else {
            let per_layer = indices.len() / shape[0];
            for (layer, indices) in indices.chunks(per_layer).enumerate() {
                assert_layer(&plan, layer, indices, shape[1], &what);
                compared += case.heads.kv;
            }
        }
    }
    compared
}

#[test]
fn kept_positions_are_those_of_the_peer_r300() {
    for isa in Isa::available() {
        assert_eq!(check_kept("r300", isa), 1024, "kept sets compared");
    }
}

#[test]
fn kept_positions_are_those_of_the_peer_r1000() {
    for isa in Isa::available() {
        assert_eq!(check_kept("r1000", isa), 896, "kept sets compared");
    }
}

#[test]
fn kept_positions_are_those_of_the_peer_llava() {
    for isa in Isa::available() {
        assert_eq!(check_kept("llava", isa), 384, "kept sets compared");
    }
}

#[test]
fn one_walk_over_the_keys_keeps_the_same() {
    for name in CASES {
        let case = Case::load(name);
        let options = PolicyOptions {
            exact: false,
            ..PolicyOptions::default()
        };
        let policy = policy("vl-cache", &options).unwrap();
        let needs = policy.needs(&case.prompt).unwrap();
        let kernels = Kernels::detect();
        let two = policy.plan(&case.statistics(kernels, &needs)).unwrap();
        let one = policy
            .plan(&case.fused_statistics(kernels, &needs))
            .unwrap();
        for layer in 0..case.layers() {
            for head in 0..case.heads.kv {
                assert_eq!(
                    one.kept(layer, head),
                    two.kept(layer, head),
                    "{name}, layer {layer}, head {head}"
                );
            }
        }
    }
}

#[test]
fn sparsity_budgets_and_importance_are_those_of_the_peer() {
    for (name, isa) in CASES
        .into_iter()
        .flat_map(|name| Isa::available().into_iter().map(move |isa| (name, isa)))
    {
        let case = Case::load(name);
        let golden = tensors(&format!("{name}_effivlm"));
        let rows = case.prompt.post_vision(32);
        let kernels = Kernels::with_isa(isa).unwrap();
        let scores: Vec<_> = (0..case.layers())
            .map(|layer| case.scores(kernels, layer, rows, 0.01))
            .collect();

        // 1e-6 plus one threshold decision.
        let entries: usize = (case.prompt.len - rows..case.prompt.len)
            .map(|row| row + 1)
            .sum();
        let decision = 1.0 / (case.heads.query * entries) as f32;
        let sparsity: Vec<f32> = scores.iter().map(whittle_kv::Scores::sparsity).collect();
        for (layer, (found, peer)) in sparsity
            .iter()
            .zip(&golden["vlcache.sparsity"].values)
            .enumerate()
        {
            assert!(
                (found - peer).abs() <= 1e-6 + decision,
                "{name}, {isa:?}, layer {layer}: {found}, peer {peer}"
            );
        }

        let mut budgets = 0;
        for (tensor, peer) in golden
            .iter()
            .filter(|(tensor, _)| tensor.ends_with(".budget"))
        {
            let Setting { policy, options } = setting(tensor.trim_end_matches(".budget"));
            let weights = match policy {
                "vl-cache" => Weights::Sparsity(&sparsity),
                _ => Weights::Uniform {
                    layers: case.layers(),
                },
            };
            let found = paper_fractions(weights, options.alpha, options.window).unwrap();
            for (layer, (found, peer)) in found.iter().zip(&peer.values).enumerate() {
                assert!(
                    (found - peer).abs() <= 1e-6,
                    "{tensor}, {isa:?}, layer {layer}: {found}, peer {peer}"
                );
                budgets += 1;
            }
        }
        assert_eq!(budgets, 16 * case.layers(), "{name}: budgets compared");

        let importance = &golden["vlcache.importance"].values;
        let largest = importance.iter().copied().fold(0.0, f32::max);
        let (len, group) = (case.prompt.len, case.heads.group());
        for (layer, scores) in scores.iter().enumerate() {
            for head in 0..case.heads.kv {
                for (position, found) in scores.head(head).iter().enumerate() {
                    let query_head = |h: usize| {
                        importance[(layer * case.heads.query + head * group + h) * len + position]
                    };
                    let peer: f32 = (0..group).map(query_head).sum();
                    let error = (found - peer).abs();
                    assert!(
                        error <= 1e-5 * largest,
                        "{name}, {isa:?}, layer {layer}, head {head}, {position}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_end_to_end_cases_keep_what_the_peer_keeps() {
    let case = Case::load("llava");
    let golden = tensors("generation");
    let mut compared = 0;
    for (tensor, kept) in golden
        .iter()
        .filter(|(t, _)| t.starts_with("llava-next-mistral") && t.contains(".kept."))
    {
        let (prefix, layer) = tensor.split_once(".kept.").unwrap();
        let words: Vec<&str> = prefix
            .trim_start_matches("llava-next-mistral.a")
            .rsplitn(2, '.')
            .collect();
        let options = PolicyOptions {
            alpha: words[1].parse().unwrap(),
            head_adaptive: words[0] == "heads_kv",
            exact: false,
            ..PolicyOptions::default()
        };
        let policy = policy("vl-cache", &options).unwrap();
        let statistics = case.statistics(Kernels::detect(), &policy.needs(&case.prompt).unwrap());
        let plan = policy.plan(&statistics).unwrap();
        let rows = if kept.shape.len() == 1 {
            1
        } else {
            kept.shape[0]
        };
        assert_layer(&plan, layer.parse().unwrap(), &kept.indices, rows, tensor);
        compared += 1;
    }
    assert_eq!(compared, 12);
}
