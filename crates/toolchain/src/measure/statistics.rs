//! The statistics that measurements rest on. Pure: numbers in, numbers out.

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation of the population that the values are a sample of; `None` of fewer than two.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The `p`-quantile with linear interpolation between order statistics (Hyndman and Fan's type 7); `None` of nothing.
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The mean of the middle half: a quarter of the values is left out at either end (of three values one, so that it is the
/// median). Nearly as precise as the mean for well-behaved values and untouched by a quarter of wild ones. Reorders the
/// values; `None` of nothing.
pub fn midmean(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let cut = (values.len() + 1) / 4;
    mean(&values[cut..values.len() - cut])
}

/// The standard normal distribution function, by Marsaglia's series.
pub fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut n) = (x, x, 1.0);
    loop {
        n += 2.0;
        term *= x * x / n;
        if sum + term == sum {
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            return 0.5 + density * sum;
        }
        sum += term;
    }
}

/// The distribution function of Student's t with `degrees` of freedom, by its finite series (Abramowitz and Stegun 26.7.3,
/// 26.7.4). From 1,000 degrees on it is taken as normal.
pub fn student_cdf(t: f64, degrees: usize) -> f64 {
    if degrees == 0 {
        return 0.5;
    }
    if degrees >= 1000 {
        return normal_cdf(t);
    }
    let angle = (t / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    // Terms cos^k with k up to degrees - 2, in steps of two; odd degrees start at k = 1, even ones at k = 0.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut k = usize::from(odd);
    while k + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * (k + 1) as f64 / (k + 2) as f64;
        k += 2;
    }
    let within = if odd {
        (angle + sine * sum) * std::f64::consts::FRAC_2_PI
    } else {
        sine * sum
    };
    0.5 + 0.5 * within
}

/// The `p`-quantile of Student's t with `degrees` of freedom (at least one; none counts as one).
pub fn student_quantile(p: f64, degrees: usize) -> f64 {
    if p < 0.5 {
        return -student_quantile(1.0 - p, degrees);
    }
    let degrees = degrees.max(1);
    let mut high = 1.0;
    while student_cdf(high, degrees) < p && high < 1e9 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if student_cdf(middle, degrees) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(mean(&[]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(midmean(&mut []), None);
        assert_eq!(standard_deviation(&[1.0]), None);
    }

    #[test]
    fn small_samples_by_hand() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        near(
            standard_deviation(&[1.0, 2.0, 6.0]).unwrap(),
            7f64.sqrt(),
            1e-12,
        );
        assert_eq!(median(&[5.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.25), Some(1.75));
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 1.0), Some(4.0));
        assert_eq!(midmean(&mut [7.0]), Some(7.0));
        assert_eq!(midmean(&mut [7.0, 8.0]), Some(7.5));
        assert_eq!(midmean(&mut [100.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(midmean(&mut [100.0, 2.0, 4.0, -50.0]), Some(3.0));
    }

    #[test]
    fn a_quarter_of_wild_values_leaves_the_midmean_alone() {
        let mut values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e9, -1e9, 1e9, 1.0, 1.0, -1e9];
        assert_eq!(midmean(&mut values), Some(1.0));
    }

    #[test]
    fn the_normal_distribution_is_as_tabled() {
        near(normal_cdf(0.0), 0.5, 1e-15);
        near(normal_cdf(1.0), 0.841_344_746_068_543, 1e-14);
        near(normal_cdf(-1.959_963_984_540_054), 0.025, 1e-14);
        near(normal_cdf(-6.0), 9.865_876e-10, 1e-14);
        assert_eq!((normal_cdf(50.0), normal_cdf(-50.0)), (1.0, 0.0));
    }

    #[test]
    fn students_quantiles_are_as_tabled() {
        for (degrees, p, expected) in [
            (1, 0.975, 12.706_204_736),
            (2, 0.995, 9.924_843_201),
            (4, 0.975, 2.776_445_105),
            (5, 0.995, 4.032_142_984),
            (10, 0.95, 1.812_461_123),
            (30, 0.975, 2.042_272_456),
            (100_000, 0.975, 1.959_963_985),
        ] {
            near(student_quantile(p, degrees), expected, 1e-8);
            near(student_quantile(1.0 - p, degrees), -expected, 1e-8);
        }
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within(values in prop::collection::vec(-1e6..1e6, 1..50), p in 0.0..1.0, q in 0.0..1.0) {
            let (low, high) = (quantile(&values, f64::min(p, q)).unwrap(), quantile(&values, f64::max(p, q)).unwrap());
            prop_assert!(low <= high);
            prop_assert!(quantile(&values, 0.0).unwrap() <= low && high <= quantile(&values, 1.0).unwrap());
        }

        #[test]
        fn the_midmean_lies_within(mut values in prop::collection::vec(-1e6..1e6, 3..50)) {
            let (low, high) = (quantile(&values, 0.0).unwrap(), quantile(&values, 1.0).unwrap());
            let middle = midmean(&mut values).unwrap();
            prop_assert!(low <= middle + 1e-6 && middle <= high + 1e-6);
        }

        #[test]
        fn quantile_and_distribution_are_inverse(p in 0.001..0.999, degrees in 1usize..200) {
            prop_assert!((student_cdf(student_quantile(p, degrees), degrees) - p).abs() < 1e-9);
        }
    }
}
