//! The interface between algorithms and instruction sets.

use half::{bf16, f16};

/// A register of f32 lanes.
///
/// Values can only be made by the unsafe functions (loads and splats), which ask for the instruction set; so where a
/// value exists the instructions exist, and the arithmetic on values is safe.
pub(crate) trait Vector: Copy {
    /// Number of lanes.
    const LANES: usize;
    /// Vectors of a panel of packed weights.
    const PANEL: usize;
    /// Rows of `x` in a register tile of dot products with four weight rows.
    const DOT_ROWS: usize;
    /// Rows in a register tile of outer products that is two vectors wide.
    const OUTER_ROWS: usize;

    /// All lanes `x`.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn splat(x: f32) -> Self;
    /// Reads LANES elements; no alignment needed.
    ///
    /// # Safety
    /// The CPU has the instruction set; LANES elements are readable. The same goes for the other loads.
    unsafe fn load(p: *const f32) -> Self;
    /// Reads LANES elements and widens them.
    ///
    /// # Safety
    /// As for `load`.
    unsafe fn load_bf16(p: *const bf16) -> Self;
    /// Reads LANES elements and widens them.
    ///
    /// # Safety
    /// As for `load`.
    unsafe fn load_f16(p: *const f16) -> Self;
    /// Reads `n` <= LANES elements, and touches no others; the remaining lanes are 0.
    ///
    /// # Safety
    /// As for `load`, with `n` readable elements.
    unsafe fn load_partial(p: *const f32, n: usize) -> Self;
    /// Writes LANES elements; no alignment needed.
    ///
    /// # Safety
    /// LANES elements are writable.
    unsafe fn store(self, p: *mut f32);
    /// Writes the first `n` <= LANES lanes, and touches nothing else.
    ///
    /// # Safety
    /// `n` elements are writable.
    unsafe fn store_partial(self, p: *mut f32, n: usize);

    /// Asks for the cache line at `p`, which need not be readable.
    fn prefetch(p: *const u8);

    /// self + b.
    fn add(self, b: Self) -> Self;
    /// self - b.
    fn sub(self, b: Self) -> Self;
    /// self * b.
    fn mul(self, b: Self) -> Self;
    /// self / b.
    fn div(self, b: Self) -> Self;
    /// self * b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// c - self * b, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// The larger of each; `b` if `b` is NaN.
    fn max(self, b: Self) -> Self;
    /// The smaller of each; `b` if `b` is NaN.
    fn min(self, b: Self) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;
    /// Magnitude of self with the sign of `b`.
    fn copy_sign(self, b: Self) -> Self;
    /// Nearest integer, ties to even.
    fn round(self) -> Self;
    /// self * 2^n for whole n in -126..=127.
    fn scale(self, n: Self) -> Self;
    /// Lanes of `a` where self < limit, of `b` elsewhere (also where NaN).
    fn select_less(self, limit: Self, a: Self, b: Self) -> Self;
    /// Number of lanes where self >= b.
    fn count_ge(self, b: Self) -> u32;
    /// Sum of the lanes.
    fn sum(self) -> f32;
    /// Largest lane; not specified if one is NaN.
    fn max_lane(self) -> f32;
    /// The sums of the lanes of four vectors.
    fn sums(v: [Self; 4]) -> [f32; 4];
}

/// Vectors with dot products of bf16 pairs: lane i of the sum gains a[2i] * b[2i] + a[2i + 1] * b[2i + 1].
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only x86-64 has such a path
pub(crate) trait Bf16Dot: Vector {
    /// A register of 2 * LANES bf16.
    type Pairs: Copy;

    /// Reads 2 * LANES elements.
    ///
    /// # Safety
    /// The CPU has the instruction set; 2 * LANES elements are readable.
    unsafe fn load_pairs(p: *const bf16) -> Self::Pairs;
    /// Reads two elements and repeats them.
    ///
    /// # Safety
    /// As for `load_pairs`, with two readable elements.
    unsafe fn splat_pair(p: *const bf16) -> Self::Pairs;
    /// The elements of `a` and `b` that have the same index as pairs, in two registers: first those whose index divided
    /// by four is even, then the others.
    fn interleave(a: Self::Pairs, b: Self::Pairs) -> [Self::Pairs; 2];
    /// self + the products of each pair.
    fn dot_pairs(self, a: Self::Pairs, b: Self::Pairs) -> Self;
    /// Rounds `low` and `high` to bf16 and writes them one after the other: 2 * LANES elements.
    ///
    /// # Safety
    /// 2 * LANES elements are writable.
    unsafe fn store_rounded(low: Self, high: Self, p: *mut bf16);
}

/// A stored element type that vectors can be loaded from.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Reads `V::LANES` elements.
    ///
    /// # Safety
    /// As for [`Vector::load`].
    unsafe fn load<V: Vector>(p: *const Self) -> V;

    /// Widens one element.
    fn widen(self) -> f32;

    /// Reads `n` <= `V::LANES` elements; the remaining lanes are 0.
    ///
    /// # Safety
    /// As for [`Vector::load_partial`].
    #[inline(always)]
    unsafe fn load_partial<V: Vector>(p: *const Self, n: usize) -> V {
        let mut lanes = [0.0; 16];
        for (i, lane) in lanes.iter_mut().enumerate().take(n.min(V::LANES)) {
            // SAFETY: the caller grants n readable elements.
            *lane = unsafe { *p.add(i) }.widen();
        }
        // SAFETY: the caller grants the instruction set; no vector has more than 16 lanes.
        unsafe { V::load(lanes.as_ptr()) }
    }
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(p: *const Self) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::load(p) }
    }

    #[inline(always)]
    unsafe fn load_partial<V: Vector>(p: *const Self, n: usize) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::load_partial(p, n) }
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

impl Element for f16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(p: *const Self) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::load_f16(p) }
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Element for bf16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(p: *const Self) -> V {
        // SAFETY: passed on to the caller.
        unsafe { V::load_bf16(p) }
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// A piece of work to be compiled for each instruction set; implementations are `#[inline(always)]`.
pub(crate) trait Operation {
    /// What it returns.
    type Output;

    /// Does the work.
    ///
    /// # Safety
    /// The CPU has V's instruction set, and what the operation's own documentation asks for holds.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// An [`Operation`] that needs bf16 dot products.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only x86-64 has such a path
pub(crate) trait PairOperation {
    /// What it returns.
    type Output;

    /// Does the work.
    ///
    /// # Safety
    /// As for [`Operation::run`].
    unsafe fn run<V: Bf16Dot>(self) -> Self::Output;
}
