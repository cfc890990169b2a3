//! The register tile of the matrix product: some rows of `x` against one panel of weights.

use half::bf16;

use crate::arch::{Bf16Dot, Element, Vector};

/// Most rows of `x` in a tile: six rows and the vectors of a panel fill the registers with sums.
pub(super) const TILE_ROWS: usize = 6;

/// How elements of `x` meet weights.
pub(super) trait Multiply<V: Vector> {
    /// A packed element of `x`.
    type X: Copy + Default + Send + Sync;
    /// A packed weight.
    type W: Copy + Default + Send + Sync;
    /// What a product with many rows reads in place of `W`: weights that are ready to be multiplied.
    type Ready: Copy + Default + Send + Sync;
    /// The multiplication of `X` by `Ready`.
    type Many: Multiply<V, X = Self::X, W = Self::Ready>;
    /// Operand of a multiplication.
    type Factor: Copy;

    /// Repeats one packed element of `x`.
    ///
    /// # Safety
    /// The CPU has the instruction set; the element is readable.
    unsafe fn repeat(p: *const Self::X) -> Self::Factor;
    /// Reads `V::LANES` packed weights.
    ///
    /// # Safety
    /// The CPU has the instruction set; the weights are readable.
    unsafe fn load(p: *const Self::W) -> Self::Factor;
    /// sum + a * b.
    fn accumulate(sum: V, a: Self::Factor, b: Self::Factor) -> V;
    /// Makes weights ready, in `scratch` unless they are already.
    ///
    /// # Safety
    /// The CPU has the instruction set; `scratch` is as long as `weights`, a multiple of `V::LANES`.
    unsafe fn ready<'a>(weights: &'a [Self::W], scratch: &'a mut [f32]) -> &'a [Self::Ready];
}

/// f32 by weights that are widened to f32.
pub(super) struct Widened<E>(std::marker::PhantomData<E>);

impl<V: Vector, E: Element + Default> Multiply<V> for Widened<E> {
    type X = f32;
    type W = E;
    type Ready = f32;
    type Many = Widened<f32>;
    type Factor = V;

    #[inline(always)]
    unsafe fn repeat(p: *const f32) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::splat(*p) }
    }

    #[inline(always)]
    unsafe fn load(p: *const E) -> V {
        // SAFETY: passed on to the caller.
        unsafe { E::load(p) }
    }

    #[inline(always)]
    fn accumulate(sum: V, a: V, b: V) -> V {
        a.mul_add(b, sum)
    }

    #[inline(always)]
    unsafe fn ready<'a>(weights: &'a [E], scratch: &'a mut [f32]) -> &'a [f32] {
        for (from, to) in weights
            .chunks_exact(V::LANES)
            .zip(scratch.chunks_exact_mut(V::LANES))
        {
            // SAFETY: chunks of LANES; the caller grants the instruction set.
            unsafe { E::load::<V>(from.as_ptr()).store(to.as_mut_ptr()) };
        }
        scratch
    }
}

/// Pairs of bf16 by pairs of bf16.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only x86-64 has such a path
pub(super) struct Pairs;

impl<V: Bf16Dot> Multiply<V> for Pairs {
    type X = [bf16; 2];
    type W = [bf16; 2];
    type Ready = [bf16; 2];
    type Many = Self;
    type Factor = V::Pairs;

    #[inline(always)]
    unsafe fn repeat(p: *const [bf16; 2]) -> V::Pairs {
        // SAFETY: passed on to the caller.
        unsafe { V::splat_pair(p.cast()) }
    }

    #[inline(always)]
    unsafe fn load(p: *const [bf16; 2]) -> V::Pairs {
        // SAFETY: passed on to the caller.
        unsafe { V::load_pairs(p.cast()) }
    }

    #[inline(always)]
    fn accumulate(sum: V, a: V::Pairs, b: V::Pairs) -> V {
        sum.dot_pairs(a, b)
    }

    #[inline(always)]
    unsafe fn ready<'a>(weights: &'a [[bf16; 2]], _: &'a mut [f32]) -> &'a [[bf16; 2]] {
        weights
    }
}

/// `sums` [R, C vectors] = (or +=, if `add`) the products of `depth` packed steps.
///
/// `x` is R rows of `depth` steps, `stride` apart, `w` [step][C vectors]. The sums continue where they were, so that each of them is one chain along
/// k, however k is cut into blocks and whichever tile computes it: results don't depend on how many rows there are.
///
/// # Safety
/// The CPU has V's instruction set; `x`, `w` and `sums` hold those elements.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, M: Multiply<V>, const R: usize, const C: usize>(
    depth: usize,
    x: *const M::X,
    stride: usize,
    w: *const M::W,
    sums: *mut f32,
    add: bool,
) {
    // SAFETY: every index below is inside the three operands.
    unsafe {
        let mut tile = [[V::splat(0.0); C]; R];
        if add {
            for (r, row) in tile.iter_mut().enumerate() {
                for (c, sum) in row.iter_mut().enumerate() {
                    *sum = V::load(sums.add((r * C + c) * V::LANES));
                }
            }
        }
        for step in 0..depth {
            let w = w.add(step * C * V::LANES);
            let weights: [M::Factor; C] = std::array::from_fn(|c| M::load(w.add(c * V::LANES)));
            for (r, row) in tile.iter_mut().enumerate() {
                let x = M::repeat(x.add(r * stride + step));
                for (sum, w) in row.iter_mut().zip(weights) {
                    *sum = M::accumulate(*sum, x, w);
                }
            }
        }
        for (r, row) in tile.iter().enumerate() {
            for (c, sum) in row.iter().enumerate() {
                sum.store(sums.add((r * C + c) * V::LANES));
            }
        }
    }
}
