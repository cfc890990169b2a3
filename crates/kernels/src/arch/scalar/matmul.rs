//! Matrix product.

use rayon::prelude::*;

use crate::Matrix;

/// `out` [m, n] = `x` [m, k] * `w` [n, k] transposed + `bias` [n].
pub(crate) fn matmul(out: &mut [f32], x: &[f32], w: Matrix, bias: Option<&[f32]>) {
    let (n, k) = (w.rows(), w.cols());
    for (out, x) in out.chunks_exact_mut(n).zip(x.chunks_exact(k)) {
        out.par_iter_mut()
            .with_min_len(16)
            .enumerate()
            .for_each(|(j, out)| {
                let row = w.elements().slice(j * k..(j + 1) * k);
                let sum = super::dot(x.iter().copied(), (0..k).map(|i| row.get(i)));
                *out = (sum + bias.map_or(0.0, |b| f64::from(b[j]))) as f32;
            });
    }
}
