//! Rotary position embedding (arXiv 2104.09864) in the half-split layout of Hugging Face transformers: element j of a
//! head is rotated together with element j + `head_dim` / 2.

use crate::scratch::Scratch;
use crate::{KernelError, threads};

/// Rows that one task rotates.
const TASK_ROWS: usize = 8;

/// How the rotation frequencies are changed for longer contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RotaryScaling {
    /// Unchanged.
    #[default]
    None,
    /// All positions divided by a factor.
    Linear(f32),
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a smooth blend between
    /// (transformers `modeling_rope_utils._compute_llama3_parameters`).
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f32,
        /// Wavelengths longer than `original_max_positions` / `low_freq_factor` are scaled.
        low_freq_factor: f32,
        /// Wavelengths shorter than `original_max_positions` / `high_freq_factor` are kept.
        high_freq_factor: f32,
        /// Context length that the model was first trained with.
        original_max_positions: usize,
    },
}

/// Rotary embedding for one head size and base.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// Radians per position, [`head_dim` / 2].
    frequencies: Vec<f32>,
}

impl Rotary {
    /// Frequencies theta^(-2j / `head_dim`), scaled. `head_dim` has to be even and positive, `theta` and the scaling's
    /// factors positive.
    pub fn new(head_dim: usize, theta: f32, scaling: RotaryScaling) -> Result<Self, KernelError> {
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(argument("rotary head dim", &head_dim, "even and positive"));
        }
        if !(theta.is_finite() && theta > 0.0) {
            return Err(argument("rotary theta", &theta, "positive"));
        }
        check_scaling(scaling)?;
        // f32 throughout, as in transformers: angles at far positions depend on the rounding here.
        let frequencies = (0..head_dim / 2)
            .map(|j| {
                1.0 / (f64::from(theta).powf(f64::from((2 * j) as f32 / head_dim as f32)) as f32)
            })
            .map(|f| scale_frequency(f, scaling))
            .collect();
        Ok(Self { frequencies })
    }

    /// Elements of a head.
    pub fn head_dim(&self) -> usize {
        2 * self.frequencies.len()
    }

    /// Radians per position for each pair of elements, [`head_dim` / 2].
    pub fn frequencies(&self) -> &[f32] {
        &self.frequencies
    }

    /// Rotates `x` [rows, heads, `head_dim`] in place; row i is at `positions[i]`.
    ///
    /// # Panics
    /// If `x` is not rows * heads * `head_dim` long.
    pub fn apply(&self, x: &mut [f32], heads: usize, positions: &[u32]) {
        self.rotate(x, heads, positions.len(), |row, _| positions[row]);
    }

    /// Rotates `x` [rows, heads, `head_dim`] in place by three positions per row (temporal, height, width), as Qwen2-VL
    /// does: `sections` says how many of the `head_dim` / 2 frequencies each of the three drives, in order.
    ///
    /// # Panics
    /// If the shapes disagree, or unless there are three sections that sum to `head_dim` / 2; a model checks that when it
    /// reads its configuration.
    pub fn apply_multimodal(
        &self,
        x: &mut [f32],
        heads: usize,
        positions: [&[u32]; 3],
        sections: &[usize],
    ) {
        assert_eq!(sections.len(), 3, "sections for time, height and width");
        assert_eq!(
            sections.iter().sum::<usize>(),
            self.frequencies.len(),
            "sections {sections:?} have to sum to head_dim / 2"
        );
        let rows = positions[0].len();
        assert!(
            positions.iter().all(|p| p.len() == rows),
            "three positions for each row"
        );
        let axes: Vec<usize> = (0..3)
            .flat_map(|axis| std::iter::repeat_n(axis, sections[axis]))
            .collect();
        self.rotate(x, heads, rows, |row, j| positions[axes[j]][row]);
    }

    fn rotate(
        &self,
        x: &mut [f32],
        heads: usize,
        rows: usize,
        position: impl Fn(usize, usize) -> u32 + Sync,
    ) {
        let half = self.frequencies.len();
        let row_len = heads * 2 * half;
        assert_eq!(
            x.len(),
            rows * row_len,
            "x is [{rows}, {heads}, {}]",
            2 * half
        );
        if row_len == 0 {
            return;
        }
        threads::for_each_chunk(x, TASK_ROWS * row_len, |task, x| {
            let mut scratch = Scratch::take();
            let (cos, sin) = scratch.elements(2 * half).split_at_mut(half);
            for (i, x) in x.chunks_exact_mut(row_len).enumerate() {
                for (j, &f) in self.frequencies.iter().enumerate() {
                    let angle = position(task * TASK_ROWS + i, j) as f32 * f;
                    let (s, c) = f64::from(angle).sin_cos();
                    (cos[j], sin[j]) = (c as f32, s as f32);
                }
                for head in x.chunks_exact_mut(2 * half) {
                    rotate_head(head, cos, sin);
                }
            }
        });
    }
}

fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len());
    for (((a, b), &c), &s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

fn scale_frequency(frequency: f32, scaling: RotaryScaling) -> f32 {
    match scaling {
        RotaryScaling::None => frequency,
        RotaryScaling::Linear(factor) => frequency / factor,
        RotaryScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        } => {
            let original = original_max_positions as f32;
            let wavelength = 2.0 * std::f32::consts::PI / frequency;
            if wavelength < original / high_freq_factor {
                frequency
            } else if wavelength > original / low_freq_factor {
                frequency / factor
            } else {
                let smooth = (original / wavelength - low_freq_factor)
                    / (high_freq_factor - low_freq_factor);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

fn check_scaling(scaling: RotaryScaling) -> Result<(), KernelError> {
    let positive = |what, x: f32| {
        if x.is_finite() && x > 0.0 {
            Ok(())
        } else {
            Err(argument(what, &x, "positive"))
        }
    };
    match scaling {
        RotaryScaling::None => Ok(()),
        RotaryScaling::Linear(factor) => positive("rotary scaling factor", factor),
        RotaryScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        } => {
            positive("rotary scaling factor", factor)?;
            positive("low_freq_factor", low_freq_factor)?;
            if high_freq_factor.is_nan() || high_freq_factor <= low_freq_factor {
                return Err(argument(
                    "high_freq_factor",
                    &high_freq_factor,
                    "above low_freq_factor",
                ));
            }
            positive("original_max_positions", original_max_positions as f32)
        }
    }
}

fn argument(what: &'static str, value: &impl ToString, range: &'static str) -> KernelError {
    KernelError::Argument {
        what,
        value: value.to_string(),
        range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA3: RotaryScaling = RotaryScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192,
    };

    /// The formula in f64, straight from the paper: a rotation of each pair by position * frequency.
    fn expected(x: &[f32], frequencies: &[f64], positions: impl Fn(usize) -> u32) -> Vec<f32> {
        let half = frequencies.len();
        let mut out = vec![0.0; x.len()];
        for j in 0..half {
            let (sin, cos) = (f64::from(positions(j)) * frequencies[j]).sin_cos();
            let (a, b) = (f64::from(x[j]), f64::from(x[j + half]));
            out[j] = (a * cos - b * sin) as f32;
            out[j + half] = (b * cos + a * sin) as f32;
        }
        out
    }

    fn assert_close(got: &[f32], want: &[f32], tolerance: f32) {
        for (i, (a, b)) in got.iter().zip(want).enumerate() {
            assert!((a - b).abs() <= tolerance, "element {i}: {a} against {b}");
        }
    }

    fn sample(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0)
            .collect()
    }

    #[test]
    fn plain_rotation_follows_the_formula() {
        let (heads, dim, theta) = (3, 8, 10_000.0_f64);
        let rotary = Rotary::new(dim, theta as f32, RotaryScaling::None).unwrap();
        let frequencies: Vec<f64> = (0..dim / 2)
            .map(|j| theta.powf(-2.0 * j as f64 / dim as f64))
            .collect();
        let positions = [0, 1, 7, 100];
        let x = sample(positions.len() * heads * dim);
        let mut got = x.clone();
        rotary.apply(&mut got, heads, &positions);
        for (i, (got, x)) in got.chunks(dim).zip(x.chunks(dim)).enumerate() {
            let p = positions[i / heads];
            assert_close(got, &expected(x, &frequencies, |_| p), 1e-5);
        }
        assert_eq!(
            got[..heads * dim],
            x[..heads * dim],
            "position 0 is not rotated"
        );
    }

    #[test]
    fn linear_scaling_divides_positions() {
        let plain = Rotary::new(16, 10_000.0, RotaryScaling::None).unwrap();
        let scaled = Rotary::new(16, 10_000.0, RotaryScaling::Linear(4.0)).unwrap();
        let (mut a, mut b) = (sample(16), sample(16));
        plain.apply(&mut a, 1, &[5]);
        scaled.apply(&mut b, 1, &[20]);
        assert_close(&a, &b, 1e-6);
    }

    #[test]
    fn llama3_scaling_keeps_short_and_divides_long_wavelengths() {
        let (dim, theta) = (128, 500_000.0_f64);
        let rotary = Rotary::new(dim, theta as f32, LLAMA3).unwrap();
        let mut seen = [false; 3];
        for (j, &got) in rotary.frequencies().iter().enumerate() {
            let f = theta.powf(-2.0 * j as f64 / dim as f64);
            let turns = 8192.0 * f / std::f64::consts::TAU; // turns within the original context
            let (kind, want) = if turns > 4.0 {
                (0, f)
            } else if turns < 1.0 {
                (1, f / 8.0)
            } else {
                let smooth = (turns - 1.0) / 3.0;
                (2, (1.0 - smooth) * f / 8.0 + smooth * f)
            };
            seen[kind] = true;
            assert!(
                (f64::from(got) / want - 1.0).abs() < 1e-5,
                "frequency {j}: {got} against {want}"
            );
        }
        assert_eq!(seen, [true; 3], "all three ranges occur");
    }

    #[test]
    fn multimodal_sections_take_their_own_position() {
        let (heads, dim, theta) = (2, 16, 1_000_000.0_f64);
        let rotary = Rotary::new(dim, theta as f32, RotaryScaling::None).unwrap();
        let frequencies: Vec<f64> = (0..dim / 2)
            .map(|j| theta.powf(-2.0 * j as f64 / dim as f64))
            .collect();
        let positions: [&[u32]; 3] = [&[3, 4], &[10, 20], &[7, 0]];
        let x = sample(2 * heads * dim);
        let mut got = x.clone();
        rotary.apply_multimodal(&mut got, heads, positions, &[2, 3, 3]);
        for (i, (got, x)) in got.chunks(dim).zip(x.chunks(dim)).enumerate() {
            let axis = |j: usize| {
                if j < 2 {
                    0
                } else if j < 5 {
                    1
                } else {
                    2
                }
            };
            assert_close(
                got,
                &expected(x, &frequencies, |j| positions[axis(j)][i / heads]),
                1e-5,
            );
        }
    }

    #[test]
    fn equal_multimodal_positions_are_plain() {
        let rotary = Rotary::new(16, 10_000.0, RotaryScaling::None).unwrap();
        let (mut a, mut b) = (sample(32), sample(32));
        rotary.apply(&mut a, 1, &[11, 12]);
        rotary.apply_multimodal(&mut b, 1, [&[11, 12]; 3], &[4, 2, 2]);
        assert_eq!(a, b);
    }

    #[test]
    fn bad_settings_are_errors() {
        assert!(Rotary::new(0, 1e4, RotaryScaling::None).is_err());
        assert!(Rotary::new(7, 1e4, RotaryScaling::None).is_err());
        assert!(Rotary::new(8, f32::NAN, RotaryScaling::None).is_err());
        assert!(Rotary::new(8, 1e4, RotaryScaling::Linear(0.0)).is_err());
        let flat = RotaryScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 4.0,
            high_freq_factor: 4.0,
            original_max_positions: 8192,
        };
        assert!(Rotary::new(8, 1e4, flat).is_err());
    }
}
