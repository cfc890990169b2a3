//! How sure a measured share is.

/// The Wilson score interval of `successes` out of `trials` at 95 % confidence (Wilson 1927), which unlike the
/// normal approximation stays within [0, 1] and is honest near both ends. Without trials: everything.
pub(crate) fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    /// The 0.975 quantile of the standard normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (
        ((centre - half) / scale).max(0.0),
        ((centre + half) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_published_values() {
        // Newcombe 1998, table I: 81/263 and 15/148, 0/20, 1/29 (score method without continuity correction).
        let cases = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (successes, trials, low, high) in cases {
            let interval = wilson(successes, trials);
            assert!(
                (interval.0 - low).abs() < 5e-5 && (interval.1 - high).abs() < 5e-5,
                "{successes}/{trials}: {interval:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn holds_the_share_within_bounds(trials in 1u64..100_000, part in 0.0f64..=1.0) {
            let successes = (trials as f64 * part) as u64;
            let (low, high) = wilson(successes, trials);
            let share = successes as f64 / trials as f64;
            prop_assert!(0.0 <= low && low <= share + 1e-12 && share <= high + 1e-12 && high <= 1.0);
        }
    }
}
