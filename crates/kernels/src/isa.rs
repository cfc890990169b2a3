//! Which instruction sets there are, and which of them this machine has.

use std::sync::OnceLock;

/// An instruction-set path of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust that accumulates in f64: slow, and the oracle that all other paths are tested against.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 as above with BF16 dot products: products of many rows with bf16 weights, and prefill attention over a
    /// bf16 cache, round their input to bf16.
    Avx512Bf16,
    /// NEON, part of every aarch64 CPU.
    Neon,
}

impl Isa {
    /// All paths, slowest first.
    pub const ALL: [Self; 5] = [
        Self::Scalar,
        Self::Neon,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Bf16,
    ];

    /// The name that `WHITTLE_ISA` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Neon => "neon",
        }
    }

    /// The path named `name`, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// Whether this machine (and this build) can run the path.
    pub fn is_available(self) -> bool {
        Self::detected().contains(&self)
    }

    /// All paths that this machine can run, slowest first.
    pub fn available() -> Vec<Self> {
        Self::detected().to_vec()
    }

    /// The fastest path that this machine can run.
    ///
    /// That is not always the last one: Intel's cores (measured on family 6 model 207) start a bf16 dot product every
    /// second cycle but two f32 multiply-adds in each, so that widening bf16 weights to f32 is twice as fast there, and
    /// exact. AMD's have bf16 dot products at the full rate.
    pub fn best() -> Self {
        let slow = |isa: &Self| *isa == Self::Avx512Bf16 && !crate::arch::has_fast_bf16_dot();
        let paths = Self::detected().iter().rev().copied();
        paths
            .into_iter()
            .find(|isa| !slow(isa))
            .unwrap_or(Self::Scalar)
    }

    fn detected() -> &'static [Self] {
        static DETECTED: OnceLock<Vec<Isa>> = OnceLock::new();
        DETECTED.get_or_init(|| Self::ALL.into_iter().filter(|isa| isa.detect()).collect())
    }

    fn detect(self) -> bool {
        crate::arch::detect(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood() {
        for isa in Isa::ALL {
            assert_eq!(Isa::from_name(isa.name()), Some(isa));
        }
        assert_eq!(Isa::from_name("AVX3"), None);
    }

    #[test]
    fn the_best_path_is_available() {
        assert!(Isa::best().is_available());
        assert!(Isa::available().contains(&Isa::Scalar));
        assert!(!(Isa::Avx2.is_available() && Isa::Neon.is_available()));
    }
}
