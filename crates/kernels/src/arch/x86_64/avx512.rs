//! AVX-512 F, BW, DQ and VL, with or without BF16: sixteen lanes, thirty-two registers.

#[allow(clippy::wildcard_imports)] // the intrinsics
use std::arch::x86_64::*;

use half::{bf16, f16};

use crate::arch::{Bf16Dot, Operation, PairOperation, Vector};

/// Sixteen f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

/// Compiles the operation for AVX-512.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL, AVX2, FMA and F16C, and what the operation asks for holds.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(crate) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    // SAFETY: passed on to the caller.
    unsafe { operation.run::<F32x16>() }
}

/// Compiles the operation for AVX-512 with BF16.
///
/// # Safety
/// As for [`run`], and the CPU has AVX-512 BF16.
#[target_feature(enable = "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(crate) unsafe fn run_pairs<O: PairOperation>(operation: O) -> O::Output {
    // SAFETY: passed on to the caller.
    unsafe { operation.run::<F32x16>() }
}

// SAFETY (all blocks of this impl): unsafe functions pass their conditions on to the caller; the safe ones have an
// operand, which proves that the CPU has the instructions (see the trait).
impl Vector for F32x16 {
    const LANES: usize = 16;
    const PANEL: usize = 4;
    const DOT_ROWS: usize = 6;
    const OUTER_ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) })
    }

    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(first_lanes(n) as u16, p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, first_lanes(n) as u16, self.0) }
    }

    #[inline(always)]
    fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self(unsafe { _mm512_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm512_fnmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { _mm512_abs_ps(self.0) })
    }

    #[inline(always)]
    fn copy_sign(self, b: Self) -> Self {
        unsafe {
            let sign = _mm512_set1_ps(-0.0);
            Self(_mm512_or_ps(
                _mm512_andnot_ps(sign, self.0),
                _mm512_and_ps(sign, b.0),
            ))
        }
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(unsafe {
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)
        })
    }

    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
    }

    #[inline(always)]
    fn select_less(self, limit: Self, a: Self, b: Self) -> Self {
        unsafe {
            let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, limit.0);
            Self(_mm512_mask_blend_ps(less, b.0, a.0))
        }
    }

    #[inline(always)]
    fn count_ge(self, b: Self) -> u32 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, b.0) }.count_ones()
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    fn max_lane(self) -> f32 {
        unsafe { _mm512_reduce_max_ps(self.0) }
    }

    #[inline(always)]
    fn sums(v: [Self; 4]) -> [f32; 4] {
        unsafe {
            // Two rounds of a transposition within each quarter, adding on the way: every quarter then holds a partial
            // sum of each of the four vectors.
            let ab = _mm512_add_ps(
                _mm512_unpacklo_ps(v[0].0, v[1].0),
                _mm512_unpackhi_ps(v[0].0, v[1].0),
            );
            let cd = _mm512_add_ps(
                _mm512_unpacklo_ps(v[2].0, v[3].0),
                _mm512_unpackhi_ps(v[2].0, v[3].0),
            );
            let quarters = _mm512_add_ps(
                _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd),
            );
            let halves = _mm256_add_ps(
                _mm512_castps512_ps256(quarters),
                _mm512_extractf32x8_ps::<1>(quarters),
            );
            let sums = _mm_add_ps(
                _mm256_castps256_ps128(halves),
                _mm256_extractf128_ps::<1>(halves),
            );
            std::mem::transmute(sums)
        }
    }
}

// SAFETY (all blocks of this impl): unsafe functions pass their conditions on to the caller; `dot_pairs` has operands
// that only the unsafe functions make.
impl Bf16Dot for F32x16 {
    type Pairs = __m512bh;

    #[inline(always)]
    unsafe fn load_pairs(p: *const bf16) -> __m512bh {
        unsafe { std::mem::transmute(_mm512_loadu_si512(p.cast())) }
    }

    #[inline(always)]
    unsafe fn splat_pair(p: *const bf16) -> __m512bh {
        unsafe { std::mem::transmute(_mm512_set1_epi32(p.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    fn interleave(a: __m512bh, b: __m512bh) -> [__m512bh; 2] {
        unsafe {
            let a = std::mem::transmute::<__m512bh, __m512i>(a);
            let b = std::mem::transmute::<__m512bh, __m512i>(b);
            [
                std::mem::transmute::<__m512i, __m512bh>(_mm512_unpacklo_epi16(a, b)),
                std::mem::transmute::<__m512i, __m512bh>(_mm512_unpackhi_epi16(a, b)),
            ]
        }
    }

    #[inline(always)]
    fn dot_pairs(self, a: __m512bh, b: __m512bh) -> Self {
        Self(unsafe { _mm512_dpbf16_ps(self.0, a, b) })
    }

    #[inline(always)]
    unsafe fn store_rounded(low: Self, high: Self, p: *mut bf16) {
        unsafe {
            let pairs = _mm512_cvtne2ps_pbh(high.0, low.0);
            _mm512_storeu_si512(p.cast(), std::mem::transmute::<__m512bh, __m512i>(pairs));
        }
    }
}

/// A mask whose first `n` <= 32 bits are set.
#[inline(always)]
fn first_lanes(n: usize) -> u32 {
    ((1_u64 << n) - 1) as u32
}
