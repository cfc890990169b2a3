//! Selectors: which positions stay. All results are ascending; among equal scores the lower position wins.

use std::ops::Range;
use std::sync::Arc;

use crate::budget::LayerBudget;
use crate::{Kept, Scores};

/// The `count` positions with the highest scores.
pub fn top(scores: &[f32], count: usize) -> Vec<u32> {
    let mut positions: Vec<u32> = (0..scores.len() as u32).collect();
    if count < positions.len() {
        let better = |a: &u32, b: &u32| {
            scores[*b as usize]
                .total_cmp(&scores[*a as usize])
                .then(a.cmp(b))
        };
        if count > 0 {
            positions.select_nth_unstable_by(count - 1, better);
        }
        positions.truncate(count);
        positions.sort_unstable();
    }
    positions
}

/// Average over `width` (odd) neighbours with zeros beyond both ends; always divides by `width`, also there.
pub fn average_pool(scores: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    (0..scores.len())
        .map(|at| {
            let window = at.saturating_sub(half)..(at + half + 1).min(scores.len());
            scores[window].iter().sum::<f32>() / width as f32
        })
        .collect()
}

/// The first `sinks` positions and the last ones, `kept` together.
pub fn sinks_and_recent(len: usize, kept: usize, sinks: usize) -> Vec<u32> {
    let kept = kept.min(len);
    let sinks = sinks.min(kept);
    (0..sinks as u32).chain(recent(len, kept - sinks)).collect()
}

fn recent(len: usize, count: usize) -> Range<u32> {
    (len - count) as u32..len as u32
}

/// How scores become kept positions.
#[derive(Debug, Clone, Copy)]
pub struct Selector {
    /// Per KV head, or one set for all heads of the layer.
    pub head_adaptive: bool,
    /// Pooling width over the candidates; 1 for none.
    pub pool: usize,
}

impl Selector {
    /// [`Selector::select`] for each layer, with its scores and its budget.
    pub fn select_layers<'a>(
        &self,
        scores: impl IntoIterator<Item = &'a Scores>,
        budgets: impl IntoIterator<Item = LayerBudget>,
    ) -> Kept {
        let layers = scores.into_iter().zip(budgets);
        layers
            .map(|(scores, budget)| self.select(scores, budget))
            .collect()
    }

    /// Per KV head: the window and the best-scored positions outside it. Window columns are no candidates, and pooling
    /// does not see them.
    pub fn select(&self, scores: &Scores, budget: LayerBudget) -> Vec<Arc<[u32]>> {
        let len = scores.len();
        let window = budget.window.min(len);
        let candidates = len - window;
        let choose = |scores: &[f32]| -> Arc<[u32]> {
            let mut kept = if self.pool > 1 {
                top(&average_pool(scores, self.pool), budget.scored)
            } else {
                top(scores, budget.scored)
            };
            kept.extend(recent(len, window));
            kept.into()
        };
        let heads = 0..scores.kv_heads();
        if self.head_adaptive {
            return heads
                .map(|head| choose(&scores.head(head)[..candidates]))
                .collect();
        }
        let mut sum = vec![0.0_f32; candidates];
        for head in heads.clone() {
            for (sum, score) in sum.iter_mut().zip(scores.head(head)) {
                *sum += score;
            }
        }
        let kept = choose(&sum);
        heads.map(|_| Arc::clone(&kept)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_position() {
        assert_eq!(top(&[1.0, 2.0, 1.0, 2.0, 1.0], 3), [0, 1, 3]);
        assert_eq!(top(&[0.0; 5], 2), [0, 1]);
        assert_eq!(top(&[1.0, 2.0], 0), [0_u32; 0]);
        assert_eq!(top(&[1.0, 2.0], 9), [0, 1]);
    }

    #[test]
    fn pooling_divides_by_the_width_at_the_borders_too() {
        assert_eq!(
            average_pool(&[5.0, 0.0, 0.0, 10.0], 5),
            [1.0, 3.0, 3.0, 2.0]
        );
        assert_eq!(average_pool(&[], 5), [0.0_f32; 0]);
    }

    #[test]
    fn the_window_is_kept_and_does_not_use_up_scored_positions() {
        let scores = Scores::new(1, 6, 1, vec![0.0, 3.0, 1.0, 2.0, 9.0, 9.0], vec![1], 6).unwrap();
        let selector = Selector {
            head_adaptive: true,
            pool: 1,
        };
        let kept = selector.select(
            &scores,
            LayerBudget {
                scored: 2,
                window: 2,
            },
        );
        assert_eq!(&*kept[0], [1, 3, 4, 5]);
    }

    #[test]
    fn heads_choose_alone_or_together() {
        let scores =
            Scores::new(2, 3, 1, vec![3.0, 0.0, 0.0, 0.0, 4.0, 0.0], vec![1, 1], 3).unwrap();
        let budget = LayerBudget {
            scored: 1,
            window: 1,
        };
        let alone = Selector {
            head_adaptive: true,
            pool: 1,
        }
        .select(&scores, budget);
        assert_eq!((&*alone[0], &*alone[1]), (&[0, 2][..], &[1, 2][..]));
        let together = Selector {
            head_adaptive: false,
            pool: 1,
        }
        .select(&scores, budget);
        assert_eq!((&*together[0], &*together[1]), (&[1, 2][..], &[1, 2][..]));
    }

    #[test]
    fn sinks_then_recent() {
        assert_eq!(sinks_and_recent(10, 5, 2), [0, 1, 7, 8, 9]);
        assert_eq!(sinks_and_recent(3, 5, 4), [0, 1, 2]);
    }
}
