//! A plan: what a policy decided for one prompt.

use std::sync::Arc;

use crate::{PlanError, Scores};

/// Kept positions, `[layer][KV head]`; heads that keep the same share one list.
pub type Kept = Vec<Vec<Arc<[u32]>>>;

/// Which positions of a prompt stay in the cache, per layer and KV head, and what that costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    len: usize,
    kept: Kept,
    policy: String,
    requested_alpha: f64,
    alpha: f64,
    retained_mass: Vec<f64>,
    sparsity: Vec<f32>,
}

impl Plan {
    /// A plan made by hand for a prompt of `len` tokens: every list ascending, below `len` and not empty, and every
    /// layer with as many KV heads as the first.
    pub fn new(len: usize, kept: Kept) -> Result<Self, PlanError> {
        if len == 0 {
            return Err(PlanError::EmptyPrompt);
        }
        if u32::try_from(len).is_err() {
            return Err(PlanError::PromptTooLong(len));
        }
        let kv_heads = kept.first().map_or(0, Vec::len);
        if kv_heads == 0 {
            return Err(PlanError::Shape {
                what: "layers and KV heads of a plan".into(),
                expected: 1,
                found: 0,
            });
        }
        for (layer, heads) in kept.iter().enumerate() {
            if heads.len() != kv_heads {
                let what = format!("layer {layer}: KV heads of the plan");
                return Err(PlanError::Shape {
                    what,
                    expected: kv_heads,
                    found: heads.len(),
                });
            }
            for (kv_head, positions) in heads.iter().enumerate() {
                let ascending = positions.is_sorted_by(|a, b| a < b);
                let inside = positions.last().is_some_and(|last| (*last as usize) < len);
                if !(ascending && inside) {
                    return Err(PlanError::Positions {
                        layer,
                        kv_head,
                        len,
                    });
                }
            }
        }
        let mut plan = Self {
            len,
            kept,
            policy: String::new(),
            requested_alpha: 1.0,
            alpha: 1.0,
            retained_mass: Vec::new(),
            sparsity: Vec::new(),
        };
        plan.alpha = plan.kept_fraction();
        plan.requested_alpha = plan.alpha;
        Ok(plan)
    }

    /// A plan that keeps everything.
    pub fn keep_all(len: usize, layers: usize, kv_heads: usize) -> Result<Self, PlanError> {
        Self::new(len, all_positions(len, layers, kv_heads))
    }

    pub(crate) fn with_report(
        mut self,
        policy: &str,
        requested: f64,
        used: f64,
        post_vision: &[&Scores],
    ) -> Self {
        self.policy = policy.into();
        self.requested_alpha = requested;
        self.alpha = used;
        self.retained_mass = retained_mass(&self.kept, post_vision);
        self.sparsity = crate::budget::sparsity(post_vision);
        self
    }

    /// Name of the policy; empty for a plan made by hand.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Prompt length m that the plan is for. New tokens continue at this position.
    pub fn prompt_len(&self) -> usize {
        self.len
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.kept.len()
    }

    /// Number of KV heads.
    pub fn kv_heads(&self) -> usize {
        self.kept[0].len()
    }

    /// Kept positions of one layer and KV head, ascending.
    ///
    /// # Panics
    /// If there is no such layer or head.
    pub fn kept(&self, layer: usize, kv_head: usize) -> &[u32] {
        &self.kept[layer][kv_head]
    }

    pub(crate) fn kept_shared(&self, layer: usize, kv_head: usize) -> &Arc<[u32]> {
        &self.kept[layer][kv_head]
    }

    /// Kept entries over all layers and KV heads; the full cache has `layers * kv_heads * prompt_len`.
    pub fn kept_total(&self) -> usize {
        self.kept
            .iter()
            .flatten()
            .map(|positions| positions.len())
            .sum()
    }

    /// Kept entries as a fraction of the full cache.
    pub fn kept_fraction(&self) -> f64 {
        self.kept_total() as f64 / (self.layers() * self.kv_heads() * self.len) as f64
    }

    /// Kept fraction of every layer: the budget curve.
    pub fn budgets(&self) -> Vec<f64> {
        let per_layer = (self.kv_heads() * self.len) as f64;
        let kept =
            |heads: &Vec<Arc<[u32]>>| heads.iter().map(|positions| positions.len()).sum::<usize>();
        self.kept
            .iter()
            .map(|heads| kept(heads) as f64 / per_layer)
            .collect()
    }

    /// The budget that was asked for.
    pub fn requested_alpha(&self) -> f64 {
        self.requested_alpha
    }

    /// The budget that was used: more than was asked for if the quality floor demanded it.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Retained attention mass of every layer: the share of the post-vision attention that falls on kept positions.
    /// Empty if it was not measured (a plan made by hand; the full cache, which retains everything).
    pub fn retained_mass(&self) -> &[f64] {
        &self.retained_mass
    }

    /// The lowest retained mass of any layer; `None` if it was not measured.
    pub fn lowest_mass(&self) -> Option<f64> {
        self.retained_mass.iter().copied().reduce(f64::min)
    }

    /// The mean retained mass over the layers; `None` if it was not measured.
    pub fn mean_mass(&self) -> Option<f64> {
        let layers = self.retained_mass.len();
        (layers > 0).then(|| self.retained_mass.iter().sum::<f64>() / layers as f64)
    }

    /// Post-vision sparsity gamma of every layer; empty if it was not measured.
    pub fn sparsity(&self) -> &[f32] {
        &self.sparsity
    }
}

/// Everything, once: all layers and heads share one list.
pub(crate) fn all_positions(len: usize, layers: usize, kv_heads: usize) -> Kept {
    let all: Arc<[u32]> = (0..len as u32).collect();
    vec![vec![all; kv_heads]; layers]
}

/// Share of each layer's post-vision attention on kept positions, all KV heads together.
pub(crate) fn retained_mass(kept: &Kept, post_vision: &[&Scores]) -> Vec<f64> {
    post_vision
        .iter()
        .zip(kept)
        .map(|(scores, heads)| {
            let (mut retained, mut total) = (0.0, 0.0);
            for (head, positions) in heads.iter().enumerate() {
                let scores = scores.head(head);
                let sum =
                    |scores: &mut dyn Iterator<Item = f32>| scores.map(f64::from).sum::<f64>();
                let all = sum(&mut scores.iter().copied());
                total += all;
                // What is not dropped is kept: no rounding below 1 where nothing was dropped.
                retained += if positions.len() == scores.len() {
                    all
                } else {
                    sum(&mut positions.iter().map(|position| scores[*position as usize]))
                };
            }
            retained / total
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_must_be_ascending_and_inside() {
        let plan = |kept: &[u32]| Plan::new(4, vec![vec![kept.into()]]);
        assert!(plan(&[0, 2, 3]).is_ok());
        for bad in [&[][..], &[1, 1], &[2, 1], &[4]] {
            assert_eq!(
                plan(bad),
                Err(PlanError::Positions {
                    layer: 0,
                    kv_head: 0,
                    len: 4
                }),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn layers_must_agree_about_the_heads() {
        let one: Arc<[u32]> = [0].into();
        let ragged = vec![vec![one.clone(), one.clone()], vec![one]];
        let error = Plan::new(4, ragged).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layer 1: KV heads of the plan: 1 instead of 2"
        );
        assert!(Plan::new(4, Vec::new()).is_err());
        assert_eq!(Plan::new(0, Vec::new()), Err(PlanError::EmptyPrompt));
    }

    #[test]
    fn mass_is_the_share_of_the_scores() {
        let scores = Scores::new(2, 2, 1, vec![3.0, 1.0, 0.0, 4.0], vec![1, 1], 2).unwrap();
        let kept: Kept = vec![vec![[0].into(), [0].into()]];
        assert_eq!(retained_mass(&kept, &[&scores]), [3.0 / 8.0]);
    }

    #[test]
    fn a_plan_counts_what_it_keeps() {
        let plan = Plan::new(
            4,
            vec![
                vec![[0, 1].into(), [2].into()],
                vec![[3].into(), [0, 1, 2, 3].into()],
            ],
        )
        .unwrap();
        assert_eq!(plan.kept_total(), 8);
        assert_eq!(plan.kept_fraction(), 0.5);
        assert_eq!(plan.budgets(), [0.375, 0.625]);
        assert_eq!(plan.alpha(), 0.5);
    }
}
