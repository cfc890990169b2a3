//! Norms and activations.

use rayon::prelude::*;

use crate::Activation;

/// Scales each row of `x` by 1 / sqrt(mean square + eps) and by `weight`.
pub(crate) fn rms_norm(out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let n = weight.len();
    out.par_chunks_exact_mut(n)
        .zip(x.par_chunks_exact(n))
        .for_each(|(out, x)| {
            let mean_square = super::dot(x.iter().copied(), x.iter().copied()) / n as f64;
            let scale = 1.0 / (mean_square + f64::from(eps)).sqrt();
            for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
                *out = (f64::from(x) * scale * f64::from(w)) as f32;
            }
        });
}

/// Normalises each row of `x` to mean 0 and variance 1, then applies `weight` and `bias`.
pub(crate) fn layer_norm(out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], eps: f32) {
    let n = weight.len();
    out.par_chunks_exact_mut(n)
        .zip(x.par_chunks_exact(n))
        .for_each(|(out, x)| {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
            let variance = x
                .iter()
                .map(|&x| (f64::from(x) - mean).powi(2))
                .sum::<f64>()
                / n as f64;
            let scale = 1.0 / (variance + f64::from(eps)).sqrt();
            for (((out, &x), &w), &b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = ((f64::from(x) - mean) * scale * f64::from(w) + f64::from(b)) as f32;
            }
        });
}

/// Applies the activation to `x` in place, and multiplies by `up` if there is one.
pub(crate) fn activate(activation: Activation, x: &mut [f32], up: Option<&[f32]>) {
    x.par_iter_mut()
        .with_min_len(1024)
        .enumerate()
        .for_each(|(i, x)| {
            let y = apply(activation, f64::from(*x));
            *x = (y * up.map_or(1.0, |up| f64::from(up[i]))) as f32;
        });
}

fn apply(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
    }
}

/// The error function to about 1e-15: its Maclaurin series near 0, the continued fraction of erfc beyond.
pub(crate) fn erf(x: f64) -> f64 {
    let a = x.abs();
    let scale = std::f64::consts::FRAC_2_SQRT_PI;
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        scale * sum
    } else if a < 6.0 {
        let fraction = (1..=60)
            .rev()
            .fold(0.0, |f, n| f64::from(n) / 2.0 / (a + f));
        1.0 - (-a * a).exp() * scale / 2.0 / (a + fraction)
    } else if a.is_nan() {
        a
    } else {
        1.0
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_agrees_with_tables() {
        // Abramowitz and Stegun, table 7.1, and Wolfram for the far end.
        for (x, want) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_9),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (2.999, 0.999_977_771_308_618_8),
            (3.5, 0.999_999_256_901_627_7),
        ] {
            assert!((erf(x) - want).abs() < 2e-9, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
        assert!(
            (erf(3.0 - 1e-9) - erf(3.0 + 1e-9)).abs() < 1e-12,
            "the two formulas meet"
        );
        assert!(erf(f64::NAN).is_nan());
    }
}
