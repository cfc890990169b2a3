//! A register tile of dot products: some rows of `x` against four weight rows, all along k.

use crate::arch::{Element, Vector};

/// Products of `R` rows of `x` with four weight rows along `k` elements, weights widened to f32 as they are read.
///
/// `x` is packed: LANES elements of the first row, of the second row, ... of the last row, then the next LANES of each.
/// (For R = 1 that is a plain row.)
///
/// # Safety
/// The CPU has V's instruction set; `x` holds R rows of k elements in that layout (the last step padded to LANES for
/// all rows but the last), each of `w` points to k elements.
#[inline(always)]
pub(crate) unsafe fn dot_tile<V: Vector, E: Element, const R: usize>(
    x: *const f32,
    w: [*const E; 4],
    k: usize,
) -> [[f32; 4]; R] {
    // SAFETY: the caller grants the instruction set and the ranges; every access below is within step `s` of a row,
    // or within the first `rest` elements of the last step.
    unsafe {
        let mut sums = [[V::splat(0.0); 4]; R];
        let steps = k / V::LANES;
        for s in 0..steps {
            let x = x.add(s * R * V::LANES);
            let mut factors = [V::splat(0.0); R];
            for (r, factor) in factors.iter_mut().enumerate() {
                *factor = V::load(x.add(r * V::LANES));
            }
            for (c, w) in w.into_iter().enumerate() {
                let w: V = E::load(w.add(s * V::LANES));
                for (sums, factor) in sums.iter_mut().zip(factors) {
                    sums[c] = factor.mul_add(w, sums[c]);
                }
            }
        }
        let rest = k % V::LANES;
        if rest > 0 {
            let x = x.add(steps * R * V::LANES);
            for (c, w) in w.into_iter().enumerate() {
                let w: V = E::load_partial(w.add(steps * V::LANES), rest);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = V::load_partial(x.add(r * V::LANES), rest);
                    sums[c] = x.mul_add(w, sums[c]);
                }
            }
        }
        let mut out = [[0.0; 4]; R];
        for (out, sums) in out.iter_mut().zip(sums) {
            *out = V::sums(sums);
        }
        out
    }
}
