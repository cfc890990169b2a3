//! The register tile that products of packed blocks are made of: a sum of outer products.
//!
//! C [rows, two vectors] += A [rows, depth] * B [depth, two vectors]: each step reads two vectors of B and multiplies
//! them by one repeated element of each row of A. A vector of B is used once per row and an element of A in 2 * LANES
//! columns, which is the least traffic that the registers allow.

use half::bf16;

use crate::arch::{Bf16Dot, Vector};

/// How packed elements are multiplied.
pub(crate) trait Outer<V: Vector> {
    /// An element of a packed block.
    type Packed: Copy + Default + Send + Sync + bytemuck::Pod;
    /// A register of packed elements.
    type Factor: Copy;
    /// How many elements along the depth a packed one holds.
    const DEPTH: usize;

    /// Repeats one packed element.
    ///
    /// # Safety
    /// The CPU has the instruction set; the element is readable.
    unsafe fn splat(p: *const Self::Packed) -> Self::Factor;
    /// Reads LANES packed elements.
    ///
    /// # Safety
    /// The CPU has the instruction set; LANES elements are readable.
    unsafe fn load(p: *const Self::Packed) -> Self::Factor;
    /// Writes the 2 * LANES values of `low` and `high`, which are consecutive along the depth.
    ///
    /// # Safety
    /// 2 * LANES / DEPTH elements are writable.
    unsafe fn store(low: V, high: V, p: *mut Self::Packed);
    /// sum + a * b.
    fn accumulate(sum: V, a: Self::Factor, b: Self::Factor) -> V;
    /// A packed element of `first` and, if it holds two, `second`.
    fn pack(first: f32, second: f32) -> Self::Packed;
    /// Sets value `i` < DEPTH of a packed element.
    fn set(packed: &mut Self::Packed, i: usize, value: f32);
}

/// f32, multiplied one by one.
pub(crate) struct Single;

impl<V: Vector> Outer<V> for Single {
    type Packed = f32;
    type Factor = V;
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn splat(p: *const f32) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::splat(*p) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::load(p) }
    }

    #[inline(always)]
    unsafe fn store(low: V, high: V, p: *mut f32) {
        // SAFETY: passed on to the caller.
        unsafe {
            low.store(p);
            high.store(p.add(V::LANES));
        }
    }

    #[inline(always)]
    fn accumulate(sum: V, a: V, b: V) -> V {
        a.mul_add(b, sum)
    }

    #[inline(always)]
    fn pack(first: f32, _: f32) -> f32 {
        first
    }

    #[inline(always)]
    fn set(packed: &mut f32, _: usize, value: f32) {
        *packed = value;
    }
}

/// bf16, multiplied in pairs.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only x86-64 has such a path
pub(crate) struct Paired;

impl<V: Bf16Dot> Outer<V> for Paired {
    type Packed = [bf16; 2];
    type Factor = V::Pairs;
    const DEPTH: usize = 2;

    #[inline(always)]
    unsafe fn splat(p: *const [bf16; 2]) -> V::Pairs {
        // SAFETY: passed on to the caller.
        unsafe { V::splat_pair(p.cast()) }
    }

    #[inline(always)]
    unsafe fn load(p: *const [bf16; 2]) -> V::Pairs {
        // SAFETY: passed on to the caller.
        unsafe { V::load_pairs(p.cast()) }
    }

    #[inline(always)]
    unsafe fn store(low: V, high: V, p: *mut [bf16; 2]) {
        // SAFETY: passed on to the caller.
        unsafe { V::store_rounded(low, high, p.cast()) }
    }

    #[inline(always)]
    fn accumulate(sum: V, a: V::Pairs, b: V::Pairs) -> V {
        sum.dot_pairs(a, b)
    }

    #[inline(always)]
    fn pack(first: f32, second: f32) -> [bf16; 2] {
        [bf16::from_f32(first), bf16::from_f32(second)]
    }

    #[inline(always)]
    fn set(packed: &mut [bf16; 2], i: usize, value: f32) {
        packed[i] = bf16::from_f32(value);
    }
}

/// The left factor of a tile: element (row, step) is at row * `row` + step * `step`.
#[derive(Clone, Copy)]
pub(crate) struct Left<P> {
    pub(crate) start: *const P,
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// The right factor of a tile: two vectors for each step, `step` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Right<P> {
    pub(crate) start: *const P,
    pub(crate) step: usize,
}

/// Where a tile's result goes: rows of two vectors, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) start: *mut f32,
    pub(crate) stride: usize,
}

/// Sets a tile of R rows to the sum of `depth` outer products, or adds that to it. (Every index into the sums is a
/// constant once the loops are unrolled, so that they live in registers.)
///
/// # Safety
/// The CPU has V's instruction set. For all steps below `depth`, R elements of `left` and 2 * LANES of `right` are
/// readable; R rows of the target are writable.
#[inline(always)]
pub(crate) unsafe fn outer_tile<V: Vector, P: Outer<V>, const R: usize>(
    depth: usize,
    left: Left<P::Packed>,
    right: Right<P::Packed>,
    target: Target,
    add: bool,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; R];
        for t in 0..depth {
            let b = right.start.add(t * right.step);
            let (b0, b1) = (P::load(b), P::load(b.add(V::LANES)));
            let a = left.start.add(t * left.step);
            for (r, sums) in sums.iter_mut().enumerate() {
                let a = P::splat(a.add(r * left.row));
                sums[0] = P::accumulate(sums[0], a, b0);
                sums[1] = P::accumulate(sums[1], a, b1);
            }
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let p = target.start.add(r * target.stride);
            if add {
                *sums = [
                    sums[0].add(V::load(p)),
                    sums[1].add(V::load(p.add(V::LANES))),
                ];
            }
            sums[0].store(p);
            sums[1].store(p.add(V::LANES));
        }
    }
}
