//! Budgeters: how many positions each layer keeps.
//!
//! Exact mode counts the recent window as part of the budget and meets the total; paper mode is the arithmetic of the
//! published code (EffiVLM-Bench, `kv_cache_compression/kv_cache_utils.py`), float32 where that is float32, so that
//! kept sets agree to the index.

use crate::{PlanError, PolicyOptions, Scores, WindowReading};

/// Share of a budget that is reserved for recent tokens.
const WINDOW_SHARE: f64 = 0.1;
/// The least a layer gets, as a fraction of the prompt (VL-Cache clips budgets to 0.01 and 1).
const LEAST_SHARE: f64 = 0.01;

/// What one layer keeps per KV head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerBudget {
    /// Best-scored positions outside the window.
    pub scored: usize,
    /// Most recent positions, always kept.
    pub window: usize,
}

/// Which layers get how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weights<'a> {
    /// Every layer the same.
    Uniform {
        /// Number of layers.
        layers: usize,
    },
    /// By sparsity gamma: a layer's weight is `1 - gamma`.
    Sparsity(&'a [f32]),
}

/// Sparsity of every layer from its post-vision scores.
pub(crate) fn sparsity(scores: &[&Scores]) -> Vec<f32> {
    scores.iter().map(|layer| layer.sparsity()).collect()
}

/// Budgets of the policies that follow VL-Cache, for a prompt of `len` tokens at budget `alpha`.
///
/// In exact mode the sum over the layers is `floor(alpha * L * m)`, or L if that is more, windows included.
pub fn vl_cache(
    weights: Weights,
    len: usize,
    alpha: f64,
    options: &PolicyOptions,
) -> Result<Vec<LayerBudget>, PlanError> {
    if len == 0 {
        return Err(PlanError::EmptyPrompt);
    }
    if options.exact {
        exact(weights, len, alpha, options)
    } else {
        let fractions = paper_fractions(weights, alpha, options.window)?;
        Ok(fractions
            .into_iter()
            .map(|beta| paper_budget(beta, len, alpha, options.window))
            .collect())
    }
}

/// The budget fractions beta of the published code, without the window that it adds:
/// `clip((1 - gamma) / sum(1 - gamma) * alpha * c * L, 0.01 c, 1)`, c = 0.9 for a shared window and 1 otherwise.
pub fn paper_fractions(
    weights: Weights,
    alpha: f64,
    window: WindowReading,
) -> Result<Vec<f32>, PlanError> {
    let c = match window {
        WindowReading::Shared => 1.0 - WINDOW_SHARE,
        WindowReading::PerLayer => 1.0,
    };
    match weights {
        Weights::Uniform { layers } => Ok(vec![(alpha * c) as f32; layers]),
        Weights::Sparsity(sparsity) => {
            let dense: Vec<f32> = sparsity.iter().map(|gamma| 1.0 - gamma).collect();
            let sum: f32 = dense.iter().sum();
            check_density(sum as f64)?;
            let layers = dense.len() as f32;
            let least = (LEAST_SHARE * c) as f32;
            Ok(dense
                .iter()
                .map(|d| (d / sum * alpha as f32 * c as f32 * layers).clamp(least, 1.0))
                .collect())
        }
    }
}

/// The published code's counts from a budget fraction. float32 matters at the integers: 0.45 * 300 must be 135.
fn paper_budget(beta: f32, len: usize, alpha: f64, window: WindowReading) -> LayerBudget {
    let budget = beta * len as f32;
    let recent = match window {
        WindowReading::Shared => (len as f64 * alpha * WINDOW_SHARE) as usize,
        WindowReading::PerLayer => (budget * WINDOW_SHARE as f32) as usize,
    };
    let window = recent.clamp(1, len);
    LayerBudget {
        scored: (budget as usize).max(1).min(len - window),
        window,
    }
}

fn exact(
    weights: Weights,
    len: usize,
    alpha: f64,
    options: &PolicyOptions,
) -> Result<Vec<LayerBudget>, PlanError> {
    let weights: Vec<f64> = match weights {
        Weights::Uniform { layers } => vec![1.0; layers],
        Weights::Sparsity(sparsity) => sparsity.iter().map(|gamma| 1.0 - *gamma as f64).collect(),
    };
    check_density(weights.iter().sum())?;
    let layers = weights.len();
    let total = exact_total(alpha, layers, len);
    let least = ((LEAST_SHARE * len as f64) as usize).max(1);
    // The floors share one total: if each layer's were rounded by itself, a larger budget could lift them all at once
    // and take more from the heavy layers than it brings.
    let floors = equal_shares(&weights, (options.layer_floor * total as f64) as usize);
    let least = |window: usize| -> Vec<usize> {
        let at_least = |floor: &usize| least.max(floor.saturating_sub(window));
        floors.iter().map(at_least).collect()
    };
    Ok(match options.window {
        WindowReading::Shared => {
            let window = ((len as f64 * alpha * WINDOW_SHARE) as usize).max(1);
            apportion(
                &weights,
                total - layers * window,
                &least(window),
                len - window,
            )
            .into_iter()
            .map(|scored| LayerBudget { scored, window })
            .collect()
        }
        WindowReading::PerLayer => apportion(&weights, total, &least(0), len)
            .into_iter()
            .map(|kept| {
                let window = ((kept as f64 * WINDOW_SHARE) as usize).max(1);
                LayerBudget {
                    scored: kept - window,
                    window,
                }
            })
            .collect(),
    })
}

/// `floor(alpha * L * m)`, but at least one position per layer.
pub fn exact_total(alpha: f64, layers: usize, len: usize) -> usize {
    let entries = layers * len;
    ((alpha * entries as f64) as usize).clamp(layers, entries)
}

fn check_density(sum: f64) -> Result<(), PlanError> {
    if sum > 0.0 && sum.is_finite() {
        Ok(())
    } else {
        Err(PlanError::FullySparse)
    }
}

/// Shares out `total` units in proportion to `weights`, every share within its `least..=most` and their sum exactly
/// `total` (limited to what `most` allows): water-filling, rounded by Webster's rule. If `total` is too small for
/// `least` everywhere, the shares are equal up to one. A larger total never makes a share smaller.
///
/// # Panics
/// If there are no weights, or not as many in `least`.
pub fn apportion(weights: &[f64], total: usize, least: &[usize], most: usize) -> Vec<usize> {
    let layers = weights.len();
    assert_eq!(least.len(), layers, "a least share for every weight");
    let total = total.min(layers * most);
    let least: Vec<usize> = least.iter().map(|least| *least.min(&most)).collect();
    let heaviest = weights.iter().copied().fold(0.0, f64::max);
    // A layer of weight zero takes what nobody else can: a vanishing weight has that effect.
    let weights: Vec<f64> = weights.iter().map(|w| (w / heaviest).max(1e-9)).collect();
    if total <= least.iter().sum() {
        return equal_shares(&weights, total);
    }
    let shares = |level: f64| -> Vec<usize> {
        weights
            .iter()
            .zip(&least)
            .map(|(w, least)| ((level * w + 0.5) as usize).clamp(*least, most))
            .collect()
    };
    let (mut low, mut high) = (0.0, (most as f64 + 1.0) * 1e9);
    for _ in 0..128 {
        let middle = 0.5 * (low + high);
        if shares(middle).iter().sum::<usize>() <= total {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut shares = shares(low);
    // Layers that reach their next unit at the same level: heavier first, then the lower index.
    let mut left = total - shares.iter().sum::<usize>();
    while left > 0 {
        let level = |layer: usize| (shares[layer] as f64 + 0.5) / weights[layer];
        let next = (0..layers)
            .filter(|layer| shares[*layer] < most)
            .min_by(|a, b| {
                level(*a)
                    .total_cmp(&level(*b))
                    .then(weights[*b].total_cmp(&weights[*a]))
            });
        let Some(next) = next else { break };
        shares[next] += 1;
        left -= 1;
    }
    shares
}

/// Equal shares; what is left over goes to the heaviest.
fn equal_shares(weights: &[f64], total: usize) -> Vec<usize> {
    let layers = weights.len();
    let mut shares = vec![total / layers; layers];
    let mut order: Vec<usize> = (0..layers).collect();
    order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
    for layer in &order[..total % layers] {
        shares[*layer] += 1;
    }
    shares
}

/// The same budget for every layer, window included: `floor(alpha * m)`, at least one (streaming, h2o, snapkv).
///
/// # Panics
/// If `len` is 0.
pub fn flat(len: usize, alpha: f64, recent: Option<usize>) -> LayerBudget {
    let kept = ((len as f64 * alpha) as usize).clamp(1, len);
    let window = recent
        .unwrap_or((kept as f64 * WINDOW_SHARE) as usize)
        .clamp(1, kept);
    LayerBudget {
        scored: kept - window,
        window,
    }
}

/// `PyramidKV`: budgets that fall linearly from layer to layer, `2m - m/beta` to `m/beta` around m.
///
/// Paper mode divides by integers like the published code, so that the total strays from the budget by up to half a
/// step per layer; exact mode follows the same slope and keeps the total of [`flat`].
///
/// # Panics
/// If `len` is 0.
pub fn pyramid(layers: usize, len: usize, alpha: f64, options: &PolicyOptions) -> Vec<LayerBudget> {
    let LayerBudget {
        scored: middle,
        window,
    } = flat(len, alpha, options.recent);
    let most = len - window;
    let mut low = middle / options.pyramid_beta;
    let mut high = 2 * middle - low;
    if high >= most {
        high = most;
        low = 2 * middle - high;
    }
    let budget = |scored| LayerBudget { scored, window };
    if len < 2 * middle || layers < 2 || high <= low {
        return vec![budget(middle); layers];
    }
    if !options.exact {
        let step = (high - low) / (layers - 1);
        return (0..layers)
            .map(|layer| budget(high - layer * step))
            .collect();
    }
    // Layer k ends at the sum of its line's first k + 1 values, rounded: the counts add up to layers * middle.
    let end = |layer: usize| {
        let n = layer as f64;
        (n * high as f64 - (high - low) as f64 * n * (n - 1.0) / (2.0 * (layers - 1) as f64))
            .round() as usize
    };
    (0..layers)
        .map(|layer| budget((end(layer + 1) - end(layer)).min(most)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights_and_meet_the_total() {
        assert_eq!(apportion(&[1.0, 3.0], 40, &[0; 2], 100), [10, 30]);
        assert_eq!(apportion(&[1.0, 1.0, 1.0], 10, &[0; 3], 100), [4, 3, 3]);
    }

    #[test]
    fn shares_are_rounded_to_the_nearest_not_down() {
        // Webster's rule; rounding down (Jefferson's) would favour the heaviest: 4, 2, 1.
        assert_eq!(apportion(&[53.0, 24.0, 23.0], 7, &[0; 3], 100), [3, 2, 2]);
    }

    #[test]
    fn what_a_full_layer_cannot_take_goes_to_the_others() {
        // In proportion: 5, 5, 90. The last takes 50, the others share the rest.
        assert_eq!(apportion(&[1.0, 1.0, 18.0], 100, &[0; 3], 50), [25, 25, 50]);
    }

    #[test]
    fn a_starved_layer_gets_the_least() {
        assert_eq!(apportion(&[0.0, 1.0], 100, &[7; 2], 1000), [7, 93]);
        assert_eq!(apportion(&[0.0, 1.0], 9, &[7; 2], 1000), [4, 5]);
    }

    #[test]
    fn a_total_above_the_capacity_fills_everything() {
        assert_eq!(apportion(&[0.0, 1.0], 999, &[1; 2], 10), [10, 10]);
    }

    #[test]
    fn the_layer_floor_lifts_sparse_layers_and_keeps_the_total() {
        let sparsity = [0.99, 0.5, 0.5, 0.01];
        for window in [WindowReading::Shared, WindowReading::PerLayer] {
            let kept = |layer_floor: f64| -> Vec<usize> {
                let options = PolicyOptions {
                    layer_floor,
                    window,
                    ..PolicyOptions::default()
                };
                let budgets = vl_cache(Weights::Sparsity(&sparsity), 1000, 0.1, &options);
                let sizes = |b: &LayerBudget| b.scored + b.window;
                budgets.unwrap().iter().map(sizes).collect()
            };
            let (without, with, level) = (kept(0.0), kept(0.75), kept(1.0));
            assert!(without[0] < 25, "{without:?}");
            assert_eq!(with[0], 75, "{with:?}");
            assert!(with[3] > with[1], "{with:?}");
            assert_eq!(level, [100; 4]);
            assert_eq!(with.iter().sum::<usize>(), without.iter().sum());
        }
    }

    #[test]
    fn float32_decides_at_the_integers() {
        let budget = paper_budget(0.45_f32, 300, 0.5, WindowReading::Shared);
        assert_eq!(
            budget,
            LayerBudget {
                scored: 135,
                window: 15
            }
        );
    }

    #[test]
    fn the_shared_window_is_computed_in_double_precision() {
        // In float32 it would be 90.
        let budget = paper_budget(0.234, 3500, 0.26, WindowReading::Shared);
        assert_eq!(budget.window, 91);
    }

    #[test]
    fn fully_sparse_layers_cannot_share() {
        let options = PolicyOptions::default();
        for exact in [true, false] {
            let options = PolicyOptions {
                exact,
                ..options.clone()
            };
            assert_eq!(
                vl_cache(Weights::Sparsity(&[1.0, 1.0]), 100, 0.1, &options),
                Err(PlanError::FullySparse)
            );
        }
    }

    #[test]
    fn the_exact_pyramid_keeps_the_flat_total() {
        for (len, alpha) in [
            (300, 0.1),
            (1000, 0.05),
            (300, 0.55),
            (4096, 0.2),
            (17, 0.3),
            (1, 1.0),
        ] {
            let options = PolicyOptions::default();
            let flat = flat(len, alpha, None);
            for layers in [1, 2, 8, 32] {
                let total: usize = pyramid(layers, len, alpha, &options)
                    .iter()
                    .map(|b| b.scored + b.window)
                    .sum();
                assert_eq!(
                    total,
                    layers * (flat.scored + flat.window),
                    "len {len} alpha {alpha} layers {layers}"
                );
            }
        }
    }
}
