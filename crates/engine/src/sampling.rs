//! From logits to a token.
//!
//! The order of the steps is that of Hugging Face's `generate`: repetition penalty, temperature, top-k,
//! top-p, min-p, then one draw. Temperature 0 means greedy.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How the next token is chosen. The default is greedy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f32,
    /// Only the k most likely tokens; 0 turns it off.
    pub top_k: usize,
    /// Only the smallest set of tokens whose probability reaches this (nucleus sampling); 1 turns it off.
    pub top_p: f32,
    /// Only tokens at least this fraction as likely as the most likely one; 0 turns it off.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen before (CTRL, arXiv 1909.05858); 1
    /// turns it off.
    pub repetition_penalty: f32,
    /// Seed of the random number generator: the same request with the same seed gives the same tokens.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

/// A sampling option outside its range, or logits that no token can be chosen from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// An option is outside its range.
    #[error("{option} must be {range}, not {value}")]
    Option {
        /// The option's name, as on the command line.
        option: &'static str,
        /// The range in words.
        range: &'static str,
        /// The value given.
        value: f32,
    },
    /// The logits hold NaN or +infinity, or nothing but -infinity: the weights or the input are broken.
    #[error("the model's logits are not finite (token {token}: {value}): are the weights broken?")]
    Logits {
        /// The first offending token.
        token: usize,
        /// Its logit.
        value: f32,
    },
    /// There are no logits at all.
    #[error("the model returned no logits")]
    Empty,
}

impl Sampling {
    /// Checks every option's range.
    pub fn validate(&self) -> Result<(), SamplingError> {
        let check = |ok: bool, option, range, value| {
            if ok {
                Ok(())
            } else {
                Err(SamplingError::Option {
                    option,
                    range,
                    value,
                })
            }
        };
        let Self {
            temperature,
            top_p,
            min_p,
            repetition_penalty,
            ..
        } = *self;
        check(
            temperature.is_finite() && temperature >= 0.0,
            "temperature",
            "finite and at least 0",
            temperature,
        )?;
        check(top_p > 0.0 && top_p <= 1.0, "top-p", "in (0, 1]", top_p)?;
        check((0.0..=1.0).contains(&min_p), "min-p", "in [0, 1]", min_p)?;
        check(
            repetition_penalty.is_finite() && repetition_penalty > 0.0,
            "repetition-penalty",
            "finite and above 0",
            repetition_penalty,
        )
    }
}

/// The sampling state of one sequence: options, random numbers, tokens seen.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    /// Whether a token occurred in the prompt or the answer; empty while the penalty is off.
    seen: Vec<bool>,
}

impl Sampler {
    /// A sampler for a prompt. `prompt` matters for the repetition penalty only.
    pub(crate) fn new(options: Sampling, prompt: &[u32]) -> Result<Self, SamplingError> {
        options.validate()?;
        let mut sampler = Self {
            options,
            random: ChaCha8Rng::seed_from_u64(options.seed),
            seen: Vec::new(),
        };
        if options.repetition_penalty != 1.0 {
            for &token in prompt {
                sampler.mark(token);
            }
        }
        Ok(sampler)
    }

    /// Chooses the next token and remembers it.
    pub(crate) fn next(&mut self, logits: &[f32]) -> Result<u32, SamplingError> {
        check_finite(logits)?;
        let mut logits = logits.to_vec();
        self.penalize(&mut logits);
        let token = if self.options.temperature == 0.0 {
            argmax(&logits)
        } else {
            let candidates = distribution(&logits, &self.options);
            draw(&candidates, self.random.random::<f64>())
        };
        if self.options.repetition_penalty != 1.0 {
            self.mark(token);
        }
        Ok(token)
    }

    fn mark(&mut self, token: u32) {
        let token = token as usize;
        if self.seen.len() <= token {
            self.seen.resize(token + 1, false);
        }
        self.seen[token] = true;
    }

    fn penalize(&self, logits: &mut [f32]) {
        let penalty = self.options.repetition_penalty;
        for (logit, _) in logits.iter_mut().zip(&self.seen).filter(|(_, seen)| **seen) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
    }
}

/// -infinity is a legitimate way to ban a token; NaN and +infinity are not.
fn check_finite(logits: &[f32]) -> Result<(), SamplingError> {
    if logits.is_empty() {
        return Err(SamplingError::Empty);
    }
    let broken = logits
        .iter()
        .position(|l| l.is_nan() || *l == f32::INFINITY);
    let banned = logits.iter().all(|l| *l == f32::NEG_INFINITY).then_some(0);
    match broken.or(banned) {
        Some(token) => Err(SamplingError::Logits {
            token,
            value: logits[token],
        }),
        None => Ok(()),
    }
}

/// The most likely token; of equals the first.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

/// The tokens left by top-k, top-p and min-p with their probabilities (sum 1), most likely first.
fn distribution(logits: &[f32], options: &Sampling) -> Vec<(u32, f64)> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit - largest) / f64::from(options.temperature)).exp();
    let mut candidates: Vec<(u32, f64)> = logits
        .iter()
        .enumerate()
        .map(|(token, logit)| (token as u32, weight(*logit)))
        .collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));

    if options.top_k > 0 {
        candidates.truncate(options.top_k);
    }
    if options.top_p < 1.0 {
        let total: f64 = candidates.iter().map(|c| c.1).sum();
        let target = f64::from(options.top_p) * total;
        let mut reached = 0.0;
        let enough = candidates.iter().position(|c| {
            reached += c.1;
            reached >= target
        });
        candidates.truncate(enough.map_or(candidates.len(), |last| last + 1));
    }
    let least = f64::from(options.min_p) * candidates[0].1;
    candidates.retain(|c| c.1 >= least && c.1 > 0.0);

    let total: f64 = candidates.iter().map(|c| c.1).sum();
    for candidate in &mut candidates {
        candidate.1 /= total;
    }
    candidates
}

/// The candidate at which the running sum of probabilities passes `uniform` in [0, 1).
fn draw(candidates: &[(u32, f64)], uniform: f64) -> u32 {
    let mut sum = 0.0;
    for (token, probability) in candidates {
        sum += probability;
        if uniform < sum {
            return *token;
        }
    }
    // Rounding can leave the sum a hair below 1.
    candidates.last().map_or(0, |c| c.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(temperature: f32) -> Sampling {
        Sampling {
            temperature,
            ..Sampling::default()
        }
    }

    fn logits() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-20.0f32..20.0, 1..60)
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        let mut sampler = Sampler::new(Sampling::default(), &[]).unwrap();
        assert_eq!(sampler.next(&[0.5, 3.0, 3.0, -1.0]).unwrap(), 1);
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [1.0f32, 0.0, 2.0, -1.0, 0.5];
        let temperature = 0.8;
        let weights: Vec<f64> = logits
            .iter()
            .map(|l| f64::from(l / temperature).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let mut sampler = Sampler::new(options(temperature), &[]).unwrap();
        let draws = 40_000;
        let mut counts = [0usize; 5];
        for _ in 0..draws {
            counts[sampler.next(&logits).unwrap() as usize] += 1;
        }
        // Pearson's chi-squared with 4 degrees of freedom: 18.5 is the 0.999 quantile; the seed is fixed.
        let chi_squared: f64 = counts
            .iter()
            .zip(&weights)
            .map(|(count, weight)| {
                let expected = draws as f64 * weight / total;
                (*count as f64 - expected).powi(2) / expected
            })
            .sum();
        assert!(
            chi_squared < 18.5,
            "chi-squared {chi_squared}, counts {counts:?}"
        );
    }

    #[test]
    fn repetition_penalty_moves_both_signs_away_from_seen_tokens() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(sampling, &[0]).unwrap();
        assert_eq!(sampler.next(&[3.0, 2.0, -1.0]).unwrap(), 1); // 1.5, 2, -1
        assert_eq!(sampler.next(&[3.0, 2.0, -1.0]).unwrap(), 0); // 1.5, 1, -1
        assert_eq!(sampler.next(&[-1.0, -1.1, -1.5]).unwrap(), 2); // -2, -2.2, -1.5
    }

    #[test]
    fn rejects_options_outside_their_range() {
        let cases = [
            (
                Sampling {
                    temperature: -1.0,
                    ..Sampling::default()
                },
                "temperature",
            ),
            (
                Sampling {
                    temperature: f32::NAN,
                    ..Sampling::default()
                },
                "temperature",
            ),
            (
                Sampling {
                    top_p: 0.0,
                    ..Sampling::default()
                },
                "top-p",
            ),
            (
                Sampling {
                    top_p: 1.5,
                    ..Sampling::default()
                },
                "top-p",
            ),
            (
                Sampling {
                    min_p: -0.1,
                    ..Sampling::default()
                },
                "min-p",
            ),
            (
                Sampling {
                    repetition_penalty: 0.0,
                    ..Sampling::default()
                },
                "repetition-penalty",
            ),
        ];
        for (sampling, name) in cases {
            match Sampler::new(sampling, &[]).map(|_| ()) {
                Err(SamplingError::Option { option, .. }) => assert_eq!(option, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn rejects_broken_logits() {
        let mut sampler = Sampler::new(Sampling::default(), &[]).unwrap();
        assert_eq!(sampler.next(&[]), Err(SamplingError::Empty));
        assert!(matches!(
            sampler.next(&[0.0, f32::NAN]),
            Err(SamplingError::Logits { token: 1, .. })
        ));
        assert!(matches!(
            sampler.next(&[f32::INFINITY]),
            Err(SamplingError::Logits { token: 0, .. })
        ));
        assert!(matches!(
            sampler.next(&[f32::NEG_INFINITY; 3]),
            Err(SamplingError::Logits { .. })
        ));
        assert_eq!(sampler.next(&[f32::NEG_INFINITY, -4.0]), Ok(1));
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_fall(logits in logits(), temperature in 0.05f32..5.0,
                                             k in 0usize..20, p in 0.05f32..=1.0, least in 0.0f32..=1.0) {
            let sampling = Sampling { temperature, top_k: k, top_p: p, min_p: least, ..Sampling::default() };
            let candidates = distribution(&logits, &sampling);
            prop_assert!(!candidates.is_empty());
            prop_assert!((candidates.iter().map(|c| c.1).sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(candidates.windows(2).all(|w| w[0].1 >= w[1].1));
            prop_assert_eq!(candidates[0].0, argmax(&logits));
            if k > 0 {
                prop_assert!(candidates.len() <= k);
            }
            let floor = f64::from(least) * candidates[0].1 * (1.0 - 1e-9);
            prop_assert!(candidates.iter().all(|c| c.1 >= floor));
        }

        #[test]
        fn top_p_keeps_the_smallest_sufficient_set(logits in logits(), p in 0.05f32..0.999) {
            let all = distribution(&logits, &options(1.0));
            let kept = distribution(&logits, &Sampling { top_p: p, ..options(1.0) }).len();
            let mass = |n: usize| all[..n].iter().map(|c| c.1).sum::<f64>();
            prop_assert!(mass(kept) >= f64::from(p) - 1e-9);
            prop_assert!(kept == 1 || mass(kept - 1) < f64::from(p) + 1e-9);
        }

        #[test]
        fn a_draw_is_a_candidate_and_the_seed_decides(logits in logits(), seed: u64, k in 1usize..5) {
            let sampling = Sampling { seed, top_k: k, ..options(1.0) };
            let run = || {
                let mut sampler = Sampler::new(sampling, &[]).unwrap();
                (0..8).map(|_| sampler.next(&logits).unwrap()).collect::<Vec<_>>()
            };
            let tokens = run();
            prop_assert_eq!(&tokens, &run());
            let candidates = distribution(&logits, &sampling);
            prop_assert!(tokens.iter().all(|t| candidates.iter().any(|c| c.0 == *t)));
        }

        #[test]
        fn top_k_of_one_is_greedy(logits in logits(), seed: u64) {
            let mut sampler = Sampler::new(Sampling { seed, top_k: 1, ..options(3.0) }, &[]).unwrap();
            prop_assert_eq!(sampler.next(&logits).unwrap(), argmax(&logits));
        }
    }
}
