use proptest::prelude::*;
use whittle_kernels::{Elements, Isa, Kernels, Matrix, Product, bf16};

use crate::{Kind, Noise, Stored, assert_close, fast, scalar};

/// Rounds to bf16, as the bf16 path does with x.
fn rounded(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect()
}

fn check(m: usize, n: usize, k: usize, kind: Kind, with_bias: bool, front: usize, seed: u64) {
    let mut noise = Noise(seed);
    let (x, w, bias) = (
        noise.take(front + m * k),
        Stored::new(&noise.take(n * k), front),
        noise.take(n),
    );
    let x = &x[front..];
    let bias = with_bias.then_some(bias.as_slice());
    let w = Matrix::new(w.elements(kind), n, k).unwrap();
    let product = |kernels: Kernels, x: &[f32]| {
        let mut out = vec![f32::NAN; m * n];
        kernels.matmul(&mut out, x, &kernels.pack(w).unwrap(), bias);
        out
    };
    let want = product(scalar(), x);
    // Rounding errors of a sum of k products: each step errs by 2^-24 of what was summed so far, either way.
    let magnitudes = Stored::new(
        &w.elements()
            .to_f32_vec()
            .iter()
            .map(|w| w.abs())
            .collect::<Vec<_>>(),
        0,
    );
    let magnitudes = Matrix::new(magnitudes.elements(0), n, k).unwrap();
    let mut bounds = vec![0.0; m * n];
    let x_magnitudes: Vec<f32> = x.iter().map(|x| x.abs()).collect();
    scalar().matmul(
        &mut bounds,
        &x_magnitudes,
        &scalar().pack(magnitudes).unwrap(),
        bias.map(|_| vec![1.0; n]).as_deref(),
    );
    let step = (k as f32).sqrt() * 2.0_f32.powi(-24) + 2.0_f32.powi(-22);
    for kernels in fast() {
        let got = product(kernels, x);
        let want = if kernels.isa() == Isa::Avx512Bf16 && kind == 2 {
            &product(scalar(), &rounded(x))
        } else {
            &want
        };
        for (i, ((got, want), bound)) in got.iter().zip(want).zip(&bounds).enumerate() {
            assert!(
                (got - want).abs() <= step * bound,
                "{:?} {m} x {n} x {k} kind {kind}: element {i} is {got}, expected {want} within {}",
                kernels.isa(),
                step * bound
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_path_agrees_with_scalar(
        m in prop_oneof![1..8_usize, 30..60_usize, 126..160_usize],
        n in 1..100_usize,
        k in prop_oneof![1..70_usize, 380..420_usize],
        kind in 0..3_usize,
        with_bias: bool,
        front in 0..3_usize,
        seed: u64,
    ) {
        check(m, n, k, kind, with_bias, front, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_row_has_the_same_product_in_any_company(
        m in prop_oneof![1..20_usize, 100..140_usize],
        n in 1..150_usize,
        k in prop_oneof![1..70_usize, 500..600_usize],
        kind in 0..3_usize,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let (x, w) = (noise.take(m * k), Stored::new(&noise.take(n * k), 0));
        let w = Matrix::new(w.elements(kind), n, k).unwrap();
        for kernels in fast() {
            let w = kernels.pack(w).unwrap();
            let (mut all, mut one) = (vec![f32::NAN; m * n], vec![f32::NAN; n]);
            kernels.matmul(&mut all, &x, &w, None);
            for (x, all) in x.chunks_exact(k).zip(all.chunks_exact(n)) {
                kernels.matmul(&mut one, x, &w, None);
                prop_assert_eq!(&one, all, "{:?}", kernels.isa());
            }
        }
    }

    #[test]
    fn products_of_the_same_x_are_those_of_each(
        m in 1..20_usize,
        rows in prop::collection::vec(0..100_usize, 1..4),
        k in 1..200_usize,
        seed: u64,
    ) {
        let mut noise = Noise(seed);
        let x = noise.take(m * k);
        let stored: Vec<Stored> = rows.iter().map(|n| Stored::new(&noise.take(n * k), 0)).collect();
        for kernels in fast().into_iter().chain([scalar()]) {
            // One of each type: some of them need another form of x.
            let packed: Vec<_> = stored.iter().zip(&rows).enumerate()
                .map(|(i, (w, n))| kernels.pack(Matrix::new(w.elements(i % 3), *n, k).unwrap()).unwrap())
                .collect();
            let mut outs: Vec<Vec<f32>> = rows.iter().map(|n| vec![f32::NAN; m * n]).collect();
            let products = outs.iter_mut().zip(&packed);
            let mut products: Vec<_> = products.map(|(out, w)| Product { out, w, bias: None }).collect();
            kernels.matmul_all(&x, &mut products);
            for (out, w) in outs.iter().zip(&packed) {
                let mut alone = vec![f32::NAN; out.len()];
                kernels.matmul(&mut alone, &x, w, None);
                prop_assert_eq!(&alone, out, "{:?}", kernels.isa());
            }
        }
    }
}

#[test]
#[should_panic(expected = "packed for another path")]
fn weights_of_another_path_are_refused() {
    let w = Matrix::new(Elements::F32(&[1.0]), 1, 1).unwrap();
    let packed = scalar().pack(w).unwrap();
    let Some(other) = fast().pop() else {
        panic!("packed for another path: there is only one here")
    };
    other.matmul(&mut [0.0], &[1.0], &packed, None);
}

#[test]
fn large_products_agree_with_scalar() {
    for kind in 0..3 {
        // Several blocks in every direction, none of them whole.
        check(331, 300, 1037, kind, true, 1, 7);
        check(7, 1030, 2050, kind, false, 1, 8);
        check(1, 3001, 517, kind, true, 1, 9);
        // More rows than are packed at once.
        check(4100, 9, 33, kind, true, 0, 10);
    }
}

#[test]
fn scalar_product_follows_the_formula() {
    let w = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let w = Matrix::new(Elements::F32(&w), 2, 3).unwrap();
    let mut out = [0.0; 4];
    scalar().matmul(
        &mut out,
        &[1.0, 0.0, -1.0, 2.0, 1.0, 0.0],
        &scalar().pack(w).unwrap(),
        Some(&[10.0, 20.0]),
    );
    assert_eq!(out, [10.0 - 2.0, 20.0 - 2.0, 10.0 + 4.0, 20.0 + 13.0]);
}

#[test]
fn nothing_times_something_is_nothing() {
    let w = Matrix::new(Elements::F32(&[1.0, 2.0]), 1, 2).unwrap();
    for kernels in fast() {
        kernels.matmul(&mut [], &[], &kernels.pack(w).unwrap(), None);
        kernels.matmul(
            &mut [],
            &[1.0, 2.0],
            &kernels.pack(w.row_range(0..0)).unwrap(),
            None,
        );
    }
}

#[test]
fn row_range_is_the_product_of_those_rows() {
    let mut noise = Noise(3);
    let (x, w) = (noise.take(2 * 20), noise.take(12 * 20));
    let w = Matrix::new(Elements::F32(&w), 12, 20).unwrap();
    for kernels in fast() {
        let (mut all, mut some) = (vec![0.0; 2 * 12], vec![0.0; 2 * 5]);
        kernels.matmul(&mut all, &x, &kernels.pack(w).unwrap(), None);
        kernels.matmul(
            &mut some,
            &x,
            &kernels.pack(w.row_range(4..9)).unwrap(),
            None,
        );
        assert_close("row range", &some[..5], &all[4..9], 0.0);
        assert_close("row range", &some[5..], &all[16..21], 0.0);
    }
}

#[test]
fn matrix_of_the_wrong_length_is_an_error() {
    let message = Matrix::new(Elements::F32(&[0.0; 5]), 2, 3)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("[2, 3]") && message.contains('5'),
        "{message}"
    );
    assert!(Matrix::new(Elements::F32(&[]), usize::MAX, 2).is_err());
}
