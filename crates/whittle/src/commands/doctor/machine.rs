//! Processor and disks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::statvfs::statvfs;
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
pub(super) struct Processor {
    /// Its name.
    pub(super) name: String,
    /// How many of its cores this process may use.
    pub(super) cores: usize,
    /// Parts of its instruction set.
    pub(super) features: Vec<&'static str>,
}

impl Processor {
    /// This machine's.
    pub(super) fn here() -> Self {
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

/// What lies somewhere, and how much more can.
#[derive(Serialize)]
pub(super) struct Disk {
    /// What for.
    pub(super) what: &'static str,
    /// The file or folder.
    pub(super) path: PathBuf,
    /// Bytes used by it; 0 when it is not there yet.
    pub(super) used: u64,
    /// Bytes left on its disk.
    pub(super) free: u64,
}

impl Disk {
    /// Looks at a file or folder that need not be there.
    pub(super) fn look_at(what: &'static str, path: &Path) -> Result<Self> {
        let there = path
            .ancestors()
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("."));
        let system = statvfs(there)
            .with_context(|| format!("cannot ask for the free space at {}", there.display()))?;
        Ok(Self {
            what,
            path: path.to_owned(),
            used: size(path),
            free: system.blocks_available() as u64 * system.fragment_size() as u64,
        })
    }
}

/// Bytes in a file, or in a folder and below; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
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

    #[test]
    fn sizes_add_up_and_missing_places_have_room() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [0; 100]).unwrap();
        std::fs::write(folder.path().join("c"), [0; 11]).unwrap();
        assert_eq!(size(folder.path()), 111);
        let disk = Disk::look_at("x", &folder.path().join("not/yet")).unwrap();
        assert_eq!(disk.used, 0);
        assert!(disk.free > 0);
    }
}
