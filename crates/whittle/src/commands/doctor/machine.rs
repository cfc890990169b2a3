//! Disks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

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
