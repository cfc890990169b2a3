//! The instruction sets: for each one a vector type, and the entry point that compiles an [`Operation`] for it.
//!
//! Algorithms are written once, generic over [`Vector`], as always-inlined functions; the entry point carries the
//! `#[target_feature]` that makes the compiler use the instructions. (The arrangement is memchr's.)

#[cfg(target_arch = "aarch64")]
mod aarch64;
pub(crate) mod math;
pub(crate) mod scalar;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use vector::{Bf16Dot, Element, Operation, PairOperation, Vector};

use crate::Isa;

/// Whether this machine and build have the instructions of `isa`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn detect(isa: Isa) -> bool {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match isa {
        Isa::Scalar => true,
        Isa::Avx2 => avx2,
        Isa::Avx512 => avx512,
        Isa::Avx512Bf16 => avx512 && is_x86_feature_detected!("avx512bf16"),
        Isa::Neon => false,
    }
}

/// Whether this machine and build have the instructions of `isa`.
#[cfg(target_arch = "aarch64")]
pub(crate) fn detect(isa: Isa) -> bool {
    matches!(isa, Isa::Scalar)
        || (isa == Isa::Neon && std::arch::is_aarch64_feature_detected!("neon"))
}

/// Whether this machine and build have the instructions of `isa`.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn detect(isa: Isa) -> bool {
    isa == Isa::Scalar
}

/// Runs the operation with the vectors of `isa`.
///
/// # Safety
/// The machine has the instructions of `isa`, and what the operation itself asks for holds. (`Kernels` is only ever
/// built with an instruction set that was detected.)
#[inline]
pub(crate) unsafe fn run<O: Operation>(isa: Isa, operation: O) -> O::Output {
    // SAFETY: passed on to the caller.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86_64::avx2::run(operation),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => x86_64::avx512::run(operation),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => aarch64::run(operation),
            _ => unreachable!("the scalar path has no vectors"),
        }
    }
}

/// Runs an operation that needs bf16 dot products.
///
/// # Safety
/// As for [`run`], with `isa` one for which [`has_bf16_dot`] says yes.
#[inline]
pub(crate) unsafe fn run_pairs<O: PairOperation>(isa: Isa, operation: O) -> O::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: passed on to the caller.
        Isa::Avx512Bf16 => unsafe { x86_64::avx512::run_pairs(operation) },
        _ => {
            let _ = operation;
            unreachable!("{isa:?} has no bf16 dot product")
        }
    }
}

/// Whether the path multiplies pairs of bf16 directly.
pub(crate) fn has_bf16_dot(isa: Isa) -> bool {
    isa == Isa::Avx512Bf16
}

/// Whether bf16 dot products, where there are any, do more work per cycle than f32 multiply-adds: on AMD's cores.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_fast_bf16_dot() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    name.as_flattened() == b"AuthenticAMD"
}

/// Whether bf16 dot products, where there are any, do more work per cycle than f32 multiply-adds.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_fast_bf16_dot() -> bool {
    false
}

/// Register-block sizes of a path, for code that lays out memory before it enters the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// f32 lanes of a vector.
    pub(crate) lanes: usize,
    /// [`Vector::PANEL`].
    pub(crate) panel: usize,
}

/// The register-block sizes of `isa`.
pub(crate) fn layout(isa: Isa) -> Layout {
    struct Ask;
    impl Operation for Ask {
        type Output = Layout;
        unsafe fn run<V: Vector>(self) -> Layout {
            Layout {
                lanes: V::LANES,
                panel: V::PANEL,
            }
        }
    }
    // SAFETY: the operation reads constants only; no vector instruction runs.
    unsafe { run(isa, Ask) }
}
