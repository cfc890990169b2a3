//! Exponential and error function on vectors.

use super::Vector;

/// e^x to about 1 ulp for x in [-87.3, 88]; 0 below, saturated at e^88 above, NaN for NaN.
///
/// # Safety
/// The CPU has V's instruction set.
#[inline(always)]
pub(crate) unsafe fn exp<V: Vector>(x: V) -> V {
    // A macro, because a closure would not be compiled for the instruction set.
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller grants the instruction set.
            unsafe { V::splat($x) }
        };
    }
    let lowest = c!(-87.336_54);
    // x is the second operand of max and min, so that NaN survives.
    let clamped = c!(88.0).min(lowest.max(x));
    let n = clamped.mul(c!(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, so that n * ln 2 is subtracted exactly.
    let r = n.neg_mul_add(c!(0.693_359_4), clamped);
    let r = n.neg_mul_add(c!(-2.121_944_4e-4), r);
    // Minimax polynomial of Cephes' expf.
    let p = c!(1.987_569_1e-4);
    let p = p.mul_add(r, c!(1.398_2e-3));
    let p = p.mul_add(r, c!(8.333_452e-3));
    let p = p.mul_add(r, c!(4.166_579_6e-2));
    let p = p.mul_add(r, c!(1.666_666_5e-1));
    let p = p.mul_add(r, c!(0.5));
    let p = p.mul_add(r.mul(r), r).add(c!(1.0));
    x.select_less(lowest, c!(0.0), p.scale(n))
}

/// The error function to about 1 ulp (the two polynomials are N. Juffa's, from his public `my_erff`).
///
/// # Safety
/// The CPU has V's instruction set.
#[inline(always)]
pub(crate) unsafe fn erf<V: Vector>(x: V) -> V {
    // A macro, because a closure would not be compiled for the instruction set.
    macro_rules! c {
        ($x:expr) => {
            // SAFETY: the caller grants the instruction set.
            unsafe { V::splat($x) }
        };
    }
    let t = x.abs();
    let s = x.mul(x);
    let near = c!(-5.967_617e-4);
    let near = near.mul_add(s, c!(4.991_194_2e-3));
    let near = near.mul_add(s, c!(-2.676_813_5e-2));
    let near = near.mul_add(s, c!(1.128_199_25e-1));
    let near = near.mul_add(s, c!(-3.761_253_4e-1));
    let near = near.mul_add(s, c!(1.283_791_7e-1));
    let near = near.mul_add(x, x);

    let far = c!(-1.728_534_7e-5).mul_add(t, c!(3.831_971_3e-4));
    let low = c!(-3.883_964_4e-3).mul_add(t, c!(2.425_462_2e-2));
    let far = far.mul_add(s, low);
    let far = far.mul_add(t, c!(-1.067_778_8e-1));
    let far = far.mul_add(t, c!(-0.634_846_7));
    let far = far.mul_add(t, c!(-1.287_175_1e-1));
    let far = far.mul_add(t, c!(0.0).sub(t));
    // Beyond 10 the polynomial has left its range, and the function is 1 to the last bit.
    let far = t.select_less(c!(10.0), far, c!(-100.0));
    // SAFETY: as above.
    let far = c!(1.0).sub(unsafe { exp(far) }).copy_sign(x);
    let result = t.select_less(c!(0.927_734_4), near, far);
    // NaN fails both comparisons and has to be put back; infinities, which fail this one, become 1 and -1.
    let end = c!(1.0).min(c!(-1.0).max(x));
    t.select_less(c!(f32::INFINITY), result, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::arch::{self, Operation};

    /// e^x (or erf x) of a whole number of vectors.
    struct Map<'a>(&'a mut [f32], bool);

    impl Operation for Map<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<V: Vector>(self) {
            for x in self.0.chunks_exact_mut(V::LANES) {
                // SAFETY: chunks of LANES elements; the caller grants the instruction set.
                unsafe {
                    let v = V::load(x.as_ptr());
                    let y = if self.1 { exp(v) } else { erf(v) };
                    y.store(x.as_mut_ptr());
                }
            }
        }
    }

    fn map(isa: Isa, x: &[f32], exponential: bool) -> Vec<f32> {
        let mut y = x.to_vec();
        // SAFETY: the callers take `isa` from the available ones.
        unsafe { arch::run(isa, Map(&mut y, exponential)) }
        y
    }

    fn paths() -> Vec<Isa> {
        Isa::available()
            .into_iter()
            .filter(|isa| *isa != Isa::Scalar)
            .collect()
    }

    /// Distance to the true value in units of the last place of an f32.
    fn ulps(got: f32, want: f64) -> f64 {
        let ulp = f64::from((want as f32).abs().next_up() - (want as f32).abs());
        ((f64::from(got) - want) / ulp).abs()
    }

    #[test]
    fn exp_is_within_two_ulps() {
        let x: Vec<f32> = (0..1 << 20)
            .map(|i| -87.3 + i as f32 * (175.3 / (1 << 20) as f32))
            .collect();
        for isa in paths() {
            for (x, y) in x.iter().zip(map(isa, &x, true)) {
                let error = ulps(y, f64::from(*x).exp());
                assert!(error <= 2.0, "{isa:?}: exp({x}) = {y}, {error} ulps off");
            }
        }
    }

    #[test]
    fn exp_keeps_its_promises_at_the_ends() {
        let x = [
            f32::NEG_INFINITY,
            -1000.0,
            -88.0,
            0.0,
            1000.0,
            f32::INFINITY,
            f32::NAN,
            1.0,
        ];
        let x = [x, x].concat();
        for isa in paths() {
            let y = map(isa, &x, true);
            assert_eq!(y[..4], [0.0, 0.0, 0.0, 1.0], "{isa:?}");
            assert!(y[4] > 1e38 && y[4].is_finite() && y[5] == y[4], "{isa:?}");
            assert!(y[6].is_nan(), "{isa:?}");
        }
    }

    #[test]
    fn erf_is_within_two_ulps() {
        let x: Vec<f32> = (0..1 << 16)
            .map(|i| -6.0 + i as f32 * (12.0 / (1 << 16) as f32))
            .collect();
        for isa in paths() {
            for (x, y) in x.iter().zip(map(isa, &x, false)) {
                let error = ulps(y, arch::scalar::erf(f64::from(*x)));
                assert!(error <= 2.0, "{isa:?}: erf({x}) = {y}, {error} ulps off");
            }
            let ends = [f32::NEG_INFINITY, -20.0, 20.0, f32::INFINITY].repeat(4);
            assert_eq!(
                map(isa, &ends, false)[..4],
                [-1.0, -1.0, 1.0, 1.0],
                "{isa:?}"
            );
        }
    }
}
