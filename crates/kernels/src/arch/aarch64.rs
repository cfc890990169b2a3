//! NEON: four lanes, thirty-two registers.

#[allow(clippy::wildcard_imports)] // the intrinsics
use std::arch::aarch64::*;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::arch::{Operation, Vector};

/// Four f32.
#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);

/// Compiles the operation for NEON.
///
/// # Safety
/// The CPU has NEON, and what the operation asks for holds.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    // SAFETY: passed on to the caller.
    unsafe { operation.run::<F32x4>() }
}

// SAFETY (all blocks of this impl): unsafe functions pass their conditions on to the caller; the safe ones have an
// operand, which proves that the CPU has the instructions (see the trait).
impl Vector for F32x4 {
    const LANES: usize = 4;
    const PANEL: usize = 4;
    const DOT_ROWS: usize = 6;
    const OUTER_ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { vdupq_n_f32(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { vld1q_f32(p) })
    }

    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        unsafe {
            Self(vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(
                vld1_u16(p.cast()),
            ))))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        let mut lanes = [0.0; 4];
        unsafe {
            std::slice::from_raw_parts(p, 4).convert_to_f32_slice(&mut lanes);
            Self(vld1q_f32(lanes.as_ptr()))
        }
    }

    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> Self {
        let mut lanes = [0.0; 4];
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            Self(vld1q_f32(lanes.as_ptr()))
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { vst1q_f32(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, p: *mut f32, n: usize) {
        let mut lanes = [0.0; 4];
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), self.0);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }

    #[inline(always)]
    fn prefetch(p: *const u8) {
        let _ = p; // no stable intrinsic
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self(unsafe { vaddq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self(unsafe { vsubq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self(unsafe { vmulq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self(unsafe { vdivq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { vfmsq_f32(c.0, self.0, b.0) })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self(unsafe { vmaxq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self(unsafe { vminq_f32(self.0, b.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { vabsq_f32(self.0) })
    }

    #[inline(always)]
    fn copy_sign(self, b: Self) -> Self {
        Self(unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), b.0, self.0) })
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(unsafe { vrndnq_f32(self.0) })
    }

    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        unsafe {
            let exponent = vaddq_s32(vcvtnq_s32_f32(n.0), vdupq_n_s32(127));
            Self(vmulq_f32(
                self.0,
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)),
            ))
        }
    }

    #[inline(always)]
    fn select_less(self, limit: Self, a: Self, b: Self) -> Self {
        Self(unsafe { vbslq_f32(vcltq_f32(self.0, limit.0), a.0, b.0) })
    }

    #[inline(always)]
    fn count_ge(self, b: Self) -> u32 {
        unsafe { vaddvq_u32(vshrq_n_u32::<31>(vcgeq_f32(self.0, b.0))) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { vaddvq_f32(self.0) }
    }

    #[inline(always)]
    fn max_lane(self) -> f32 {
        unsafe { vmaxvq_f32(self.0) }
    }

    #[inline(always)]
    fn sums(v: [Self; 4]) -> [f32; 4] {
        unsafe {
            let sums = vpaddq_f32(vpaddq_f32(v[0].0, v[1].0), vpaddq_f32(v[2].0, v[3].0));
            std::mem::transmute(sums)
        }
    }
}
