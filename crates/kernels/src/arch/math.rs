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
    // NaN fails both comparisons and has to be put back.
    t.select_less(c!(f32::INFINITY), result, far.add(x.sub(x)))
}
