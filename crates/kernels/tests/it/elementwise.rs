use proptest::prelude::*;
use whittle_kernels::Activation;

use crate::{Noise, assert_close, fast, scalar};

const ACTIVATIONS: [Activation; 4] = [
    Activation::Silu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::QuickGelu,
];

proptest! {
    #[test]
    fn norms_agree_with_scalar(rows in 0..40_usize, n in 1..700_usize, front in 0..3_usize, seed: u64) {
        let mut noise = Noise(seed);
        let x: Vec<f32> = noise.take(front + rows * n).iter().map(|x| 3.0 * x + 0.5).collect();
        let (x, weight, bias) = (&x[front..], noise.take(n), noise.take(n));
        let run = |kernels: whittle_kernels::Kernels| {
            let (mut a, mut b) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            kernels.rms_norm(&mut a, x, &weight, 1e-5);
            kernels.layer_norm(&mut b, x, &weight, &bias, 1e-3);
            (a, b)
        };
        let want = run(scalar());
        for kernels in fast() {
            let got = run(kernels);
            assert_close("rms norm", &got.0, &want.0, 3e-6);
            assert_close("layer norm", &got.1, &want.1, 3e-5);
        }
    }

    #[test]
    fn activations_agree_with_scalar(
        x in prop::collection::vec(prop_oneof![-12.0..12.0_f32, -1e-3..1e-3_f32, -200.0..200.0_f32], 0..200),
        front in 0..3_usize,
    ) {
        let x = &x[front.min(x.len())..];
        let up = Noise(1).take(x.len());
        for activation in ACTIVATIONS {
            let (mut want, mut want_mul) = (x.to_vec(), x.to_vec());
            scalar().activate(activation, &mut want);
            scalar().activate_mul(activation, &mut want_mul, &up);
            for kernels in fast() {
                let (mut got, mut got_mul) = (x.to_vec(), x.to_vec());
                kernels.activate(activation, &mut got);
                kernels.activate_mul(activation, &mut got_mul, &up);
                for (i, x) in x.iter().enumerate() {
                    // Relative to x: the functions are x times something between 0 and 1.
                    let tolerance = 4e-7 * x.abs() + 1e-30;
                    assert_close(&format!("{activation:?} of {x}"), &got[i..=i], &want[i..=i], tolerance);
                    assert_close(&format!("{activation:?} mul"), &got_mul[i..=i], &want_mul[i..=i], tolerance);
                }
            }
        }
    }

    #[test]
    fn addition_is_exact(n in 0..100_usize) {
        let mut noise = Noise(n as u64);
        let (x, y) = (noise.take(n), noise.take(n));
        let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        for kernels in fast() {
            let mut got = x.clone();
            kernels.add(&mut got, &y);
            prop_assert_eq!(&got, &want);
        }
    }
}

#[test]
fn activations_keep_nan_and_large_values() {
    for kernels in fast() {
        for activation in ACTIVATIONS {
            let mut x = [f32::NAN, 1e30, -1e30, 0.0];
            kernels.activate(activation, &mut x);
            assert!(x[0].is_nan(), "{activation:?}");
            assert_eq!(x[1], 1e30, "{activation:?}");
            assert!(x[2].abs() < 1e-7, "{activation:?} gives {}", x[2]);
            assert_eq!(x[3], 0.0, "{activation:?}");
        }
    }
}

#[test]
fn long_rows_of_activations_agree_with_scalar() {
    // Several tasks.
    let x = Noise(5).take(50_001);
    let up = Noise(6).take(50_001);
    let mut want = x.clone();
    scalar().silu_mul(&mut want, &up);
    for kernels in fast() {
        let mut got = x.clone();
        kernels.silu_mul(&mut got, &up);
        assert_close("silu_mul", &got, &want, 4e-7);
    }
}

#[test]
fn scalar_activations_follow_the_formulas() {
    let apply = |activation, x: f32| {
        let mut x = [x];
        scalar().activate(activation, &mut x);
        x[0]
    };
    // PyTorch 2: silu(1), gelu(1), gelu(1, approximate="tanh"), 1 * sigmoid(1.702).
    assert_close(
        "silu",
        &[apply(Activation::Silu, 1.0)],
        &[0.731_058_6],
        1e-7,
    );
    assert_close(
        "gelu",
        &[apply(Activation::Gelu, 1.0)],
        &[0.841_344_8],
        1e-7,
    );
    assert_close(
        "gelu tanh",
        &[apply(Activation::GeluTanh, 1.0)],
        &[0.841_192],
        1e-7,
    );
    assert_close(
        "quick gelu",
        &[apply(Activation::QuickGelu, 1.0)],
        &[0.845_795_8],
        1e-7,
    );
}
