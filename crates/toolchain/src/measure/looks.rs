//! When the interval is looked at, and with what confidence.
//!
//! Whoever looks after every block and stops when pleased finds differences that are none. So the moments are fixed
//! beforehand, and each spends a share of the error that is allowed: the last look half of it, the one before a quarter, and
//! so on, the first as much as the second. The shares add up to no more than the whole, whatever the rule to stop.

/// The most looks of one comparison.
const MOST: usize = 5;

/// The rounds after which to look: from the first to the last in about equal ratios.
pub(super) fn rounds_to_look_at(first: usize, last: usize) -> Vec<usize> {
    let last = last.max(1);
    let first = first.clamp(1, last);
    let growth = (last as f64 / first as f64).powf(1.0 / (MOST - 1) as f64);
    let mut looks: Vec<usize> = (0..MOST)
        .map(|i| (first as f64 * growth.powi(i as i32)).round() as usize)
        .collect();
    looks[MOST - 1] = last;
    looks.dedup();
    looks
}

/// The confidence of the interval at a look (counted from 0), so that all `looks` together keep `confidence`.
pub(super) fn confidence_at(look: usize, looks: usize, confidence: f64) -> f64 {
    let halvings = if looks < 2 {
        0
    } else {
        (looks - look).min(looks - 1)
    };
    1.0 - (1.0 - confidence) * 0.5f64.powi(halvings as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_few_rising_and_end_at_the_last_round() {
        for (first, last) in [(1, 1), (1, 2), (2, 80), (7, 3), (0, 0), (3, 1000)] {
            let looks = rounds_to_look_at(first, last);
            assert!(
                looks.len() <= MOST && looks.is_sorted_by(|a, b| a < b),
                "{looks:?}"
            );
            assert_eq!(looks.last(), Some(&last.max(1)));
        }
        assert_eq!(rounds_to_look_at(1, 16), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn the_looks_share_the_allowed_error() {
        for looks in 1..=MOST {
            let spent: f64 = (0..looks)
                .map(|look| 1.0 - confidence_at(look, looks, 0.95))
                .sum();
            assert!((spent - 0.05).abs() < 1e-12, "{looks} looks spend {spent}");
        }
        assert!((confidence_at(4, 5, 0.95) - 0.975).abs() < 1e-12);
    }
}
