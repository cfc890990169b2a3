//! The trait that all policies implement.

use crate::options::check_alpha;
use crate::plan::{all_positions, retained_mass};
use crate::{Kept, Needs, Plan, PlanError, PolicyOptions, PromptInfo, Scores, Statistics};

/// What a policy can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerances {
    /// The prompt may be prefilled in chunks, if the statistics cover all of them and the plan is made after the last.
    pub chunked_prefill: bool,
    /// What is kept of a prefix serves other continuations as well, so compressed prefixes may be shared.
    pub shared_prefix: bool,
    /// The rule makes sense again and again while decoding, not only once after prefill.
    pub decode_time: bool,
}

/// Decides which positions of a prompt stay in the KV cache.
///
/// A policy is one file in `policies/` and one line in its registry: it declares what it needs and selects positions for
/// a budget. [`Policy::plan`], the same for all, checks the statistics, measures the retained attention mass and grows
/// the budget where a quality floor demands it.
pub trait Policy: Send + Sync {
    /// Name in the registry.
    fn name(&self) -> &'static str;

    /// The options that it was built with.
    fn options(&self) -> &PolicyOptions;

    /// Which statistics the engine has to collect for this prompt.
    fn needs(&self, prompt: &PromptInfo) -> Result<Needs, PlanError>;

    /// Positions to keep at budget `alpha` in (0, 1], ascending. The statistics are checked and hold what
    /// [`Policy::needs`] asked for.
    fn select(&self, statistics: &Statistics, alpha: f64) -> Result<Kept, PlanError>;

    /// What it can stand.
    fn tolerates(&self) -> Tolerances;

    /// The plan for a prompt.
    ///
    /// With [`PolicyOptions::min_mass`] the budget grows until the retained mass of *every* layer reaches the floor: the
    /// smallest such budget to within one position per layer and KV head, found by bisection over the statistics at hand.
    /// If not even a budget of 1 reaches it (in paper mode layers can be clipped), everything is kept.
    fn plan(&self, statistics: &Statistics) -> Result<Plan, PlanError> {
        let options = self.options();
        options.validate()?;
        statistics.validate(&self.needs(&statistics.prompt)?)?;
        let post_vision: Vec<&Scores> = statistics
            .layers
            .iter()
            .filter_map(|layer| layer.post_vision.as_ref())
            .collect();
        let measured = post_vision.len() == statistics.layers.len();
        let post_vision = if measured { post_vision } else { Vec::new() };

        let kept = self.select(statistics, options.alpha)?;
        let (alpha, kept) = match options.min_mass {
            Some(floor) if !reaches(&kept, &post_vision, floor) => {
                grow(self, statistics, &post_vision, floor)?
            }
            _ => (options.alpha, kept),
        };
        let plan = Plan::new(statistics.prompt.len, kept)?;
        Ok(plan.with_report(self.name(), options.alpha, alpha, &post_vision))
    }
}

fn reaches(kept: &Kept, post_vision: &[&Scores], floor: f64) -> bool {
    retained_mass(kept, post_vision)
        .iter()
        .all(|mass| *mass >= floor)
}

/// Bisection between the requested budget, which misses the floor, and 1.
fn grow<P: Policy + ?Sized>(
    policy: &P,
    statistics: &Statistics,
    post_vision: &[&Scores],
    floor: f64,
) -> Result<(f64, Kept), PlanError> {
    let (mut low, mut high) = (policy.options().alpha, 1.0);
    check_alpha(low)?;
    let mut best = policy.select(statistics, high)?;
    if !reaches(&best, post_vision, floor) {
        let everything = all_positions(
            statistics.prompt.len,
            statistics.layers.len(),
            statistics.kv_heads,
        );
        return Ok((1.0, everything));
    }
    let resolution = 1.0 / statistics.prompt.len as f64;
    while high - low > resolution {
        let middle = 0.5 * (low + high);
        let kept = policy.select(statistics, middle)?;
        if reaches(&kept, post_vision, floor) {
            (high, best) = (middle, kept);
        } else {
            low = middle;
        }
    }
    Ok((high, best))
}

#[cfg(test)]
mod tests {
    use crate::{PlanError, PolicyOptions, policy, registry};

    #[test]
    fn every_name_builds_its_policy() {
        for entry in registry() {
            assert_eq!(
                policy(entry.name, &PolicyOptions::default())
                    .unwrap()
                    .name(),
                entry.name
            );
            assert!(!entry.summary.is_empty());
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let Err(error) = policy("vlcache", &PolicyOptions::default()) else {
            panic!("no such policy")
        };
        assert!(error.to_string().contains("vl-cache"), "{error}");
    }

    #[test]
    fn every_policy_checks_its_options() {
        for entry in registry() {
            let options = PolicyOptions {
                alpha: 0.0,
                ..PolicyOptions::default()
            };
            assert_eq!(
                policy(entry.name, &options).err(),
                Some(PlanError::Budget(0.0)),
                "{}",
                entry.name
            );
        }
    }
}
