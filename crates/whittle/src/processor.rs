//! The processor.

use serde::Serialize;

/// Parts of the instruction set that compilers make use of, as the kernel calls them.
const FEATURES: [&str; 20] = [
    "sse4_2",
    "popcnt",
    "avx",
    "avx2",
    "fma",
    "bmi1",
    "bmi2",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_vpopcntdq",
    "amx_tile",
    "asimd",
    "asimddp",
    "sve",
    "sve2",
    "atomics",
    "crc32",
    "v",
];

/// The processor.
#[derive(Serialize)]
pub(crate) struct Processor {
    /// Its name.
    pub(crate) name: String,
    /// How many of its cores this process may use.
    pub(crate) cores: usize,
    /// Parts of its instruction set.
    pub(crate) features: Vec<&'static str>,
}

impl Processor {
    /// This machine's.
    pub(crate) fn here() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            ..Self::parse(&text)
        }
    }

    fn parse(cpuinfo: &str) -> Self {
        let field = |names: &[&str]| {
            cpuinfo
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| names.contains(&name.trim()))
                .map(|(_, value)| value.trim())
        };
        let flags: Vec<&str> = field(&["flags", "Features"])
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        Self {
            name: field(&["model name", "Model"])
                .unwrap_or(std::env::consts::ARCH)
                .to_owned(),
            cores: 1,
            features: FEATURES
                .into_iter()
                .filter(|feature| flags.contains(feature))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kernels_write() {
        let intel = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu sse4_2 avx2 avx512f popcnt\n";
        let processor = Processor::parse(intel);
        assert_eq!(processor.name, "Some CPU @ 2 GHz");
        assert_eq!(processor.features, ["sse4_2", "popcnt", "avx2", "avx512f"]);
        let arm = "processor\t: 0\nFeatures\t: fp asimd atomics\n";
        assert_eq!(Processor::parse(arm).features, ["asimd", "atomics"]);
        assert_eq!(Processor::parse("").name, std::env::consts::ARCH);
    }
}
