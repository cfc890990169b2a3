//! What a user can set about a policy.

use crate::PlanError;

/// How the tenth of the budget that is reserved for recent tokens is read (VL-Cache leaves it open).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowReading {
    /// `alpha * m / 10` tokens in every layer: a tenth of the average budget.
    #[default]
    Shared,
    /// A tenth of each layer's own budget.
    PerLayer,
}

/// Options of all policies; each policy reads those that concern it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyOptions {
    /// Budget: the fraction of the prompt's KV entries to keep over all layers, in (0, 1].
    pub alpha: f64,
    /// Threshold filter p, in [0, 1): an attention entry below p times its row's maximum counts as zero.
    pub filter: f64,
    /// Exact mode: the total kept per KV head is `floor(alpha * L * m)` (at least one per layer), recent window
    /// included; what a layer cannot take goes to the others. Otherwise the published code's arithmetic, to the index.
    pub exact: bool,
    /// Exact mode of the policies built on VL-Cache: every layer keeps at least this fraction, in [0, 1], of the average
    /// budget. The paper has no such floor; without it a layer whose few rows look sharply at a few tokens is left with
    /// too little for the tokens that the answer reads next (measured in `docs/evaluation.md`).
    pub layer_floor: f64,
    /// How the recent window is read by the policies built on VL-Cache.
    pub window: WindowReading,
    /// Each KV head keeps its own positions; otherwise all KV heads of a layer keep the same ones.
    pub head_adaptive: bool,
    /// Quality floor, in (0, 1]: the budget of a request grows until every layer retains this share of its post-vision
    /// attention.
    pub min_mass: Option<f64>,
    /// Query rows that stand in for the post-vision tokens where nothing follows the last image, or there is none.
    pub observation_window: usize,
    /// Recent tokens always kept by streaming, h2o, snapkv and pyramidkv; `None`: a tenth of the budget.
    pub recent: Option<usize>,
    /// Streaming: first tokens always kept, all the rest recent, as in the paper. `None`: nine tenths of the budget.
    pub sinks: Option<usize>,
    /// Width of the average pooling over scores (snapkv, pyramidkv), odd.
    pub pool: usize,
    /// Steepness of the pyramid (pyramidkv), at least 1.
    pub pyramid_beta: usize,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self {
            alpha: 0.1,
            filter: 0.01,
            exact: true,
            layer_floor: 0.75,
            window: WindowReading::Shared,
            head_adaptive: true,
            min_mass: None,
            observation_window: 32,
            recent: None,
            sinks: None,
            pool: 5,
            pyramid_beta: 20,
        }
    }
}

impl PolicyOptions {
    /// Checks every value.
    pub fn validate(&self) -> Result<(), PlanError> {
        check_alpha(self.alpha)?;
        if !(0.0..1.0).contains(&self.filter) {
            return Err(PlanError::Filter(self.filter));
        }
        if !(0.0..=1.0).contains(&self.layer_floor) {
            return Err(PlanError::LayerFloor(self.layer_floor));
        }
        if let Some(floor) = self.min_mass
            && !(floor > 0.0 && floor <= 1.0)
        {
            return Err(PlanError::MinMass(floor));
        }
        if self.pool.is_multiple_of(2) {
            return Err(PlanError::Option {
                option: "pool",
                expected: "odd",
                value: self.pool,
            });
        }
        for (option, value) in [
            ("observation_window", self.observation_window),
            ("pyramid_beta", self.pyramid_beta),
            ("recent", self.recent.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(PlanError::Option {
                    option,
                    expected: "at least 1",
                    value,
                });
            }
        }
        Ok(())
    }
}

/// A budget is a fraction in (0, 1].
pub(crate) fn check_alpha(alpha: f64) -> Result<(), PlanError> {
    if alpha > 0.0 && alpha <= 1.0 {
        Ok(())
    } else {
        Err(PlanError::Budget(alpha))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut PolicyOptions)) -> Result<(), PlanError> {
        let mut options = PolicyOptions::default();
        change(&mut options);
        options.validate()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(check(|o| o.alpha = 1.0), Ok(()));
        assert_eq!(check(|o| o.filter = 0.0), Ok(()));
    }

    #[test]
    fn budgets_outside_zero_to_one_are_refused() {
        for alpha in [0.0, -0.1, 1.000_001, f64::INFINITY] {
            assert_eq!(check(|o| o.alpha = alpha), Err(PlanError::Budget(alpha)));
        }
        assert!(matches!(
            check(|o| o.alpha = f64::NAN),
            Err(PlanError::Budget(_))
        ));
    }

    #[test]
    fn filters_outside_zero_to_one_are_refused() {
        for filter in [1.0, -0.01, f64::INFINITY] {
            assert_eq!(check(|o| o.filter = filter), Err(PlanError::Filter(filter)));
        }
        assert!(matches!(
            check(|o| o.filter = f64::NAN),
            Err(PlanError::Filter(_))
        ));
    }

    #[test]
    fn other_options_name_themselves() {
        assert_eq!(
            check(|o| o.min_mass = Some(0.0)),
            Err(PlanError::MinMass(0.0))
        );
        assert_eq!(
            check(|o| o.min_mass = Some(1.5)),
            Err(PlanError::MinMass(1.5))
        );
        for floor in [-0.1, 1.1] {
            assert_eq!(
                check(|o| o.layer_floor = floor),
                Err(PlanError::LayerFloor(floor))
            );
        }
        assert!(check(|o| o.layer_floor = f64::NAN).is_err());
        for (change, name) in [
            (
                (|o| o.pool = 4) as fn(&mut PolicyOptions),
                "pool must be odd, not 4",
            ),
            (
                |o| o.observation_window = 0,
                "observation_window must be at least 1, not 0",
            ),
            (
                |o| o.pyramid_beta = 0,
                "pyramid_beta must be at least 1, not 0",
            ),
            (|o| o.recent = Some(0), "recent must be at least 1, not 0"),
        ] {
            assert_eq!(check(change).unwrap_err().to_string(), name);
        }
    }
}
