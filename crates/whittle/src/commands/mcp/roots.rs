//! Where the client may read: some folders, and nothing outside of them, by whatever path or link.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders that the client may read from.
#[derive(Debug)]
pub(super) struct Roots {
    /// What relative paths start from.
    current: PathBuf,
    /// As the system knows them, without links.
    folders: Vec<PathBuf>,
}

impl Roots {
    /// The current folder and the given ones.
    pub(super) fn new(current: PathBuf, given: &[PathBuf]) -> Result<Self> {
        let canonical = |folder: &Path| {
            let found = folder.canonicalize();
            found.with_context(|| format!("cannot read the folder {}", folder.display()))
        };
        let mut folders = Vec::new();
        // Some clients start their servers in /, which says nothing about what the user wants to show.
        if current.parent().is_some() {
            folders.push(canonical(&current)?);
        }
        for folder in given {
            let folder = canonical(folder)?;
            anyhow::ensure!(folder.is_dir(), "{} is no folder", folder.display());
            folders.push(folder);
        }
        Ok(Self { current, folders })
    }

    /// The file or folder behind a path, without links; otherwise what to tell the client. Whether something is there is
    /// not said of what lies outside.
    pub(super) fn find(&self, path: &Path) -> Result<PathBuf, String> {
        let found = self.current.join(path).canonicalize();
        found
            .ok()
            .filter(|found| self.folders.iter().any(|folder| found.starts_with(folder)))
            .ok_or_else(|| format!("there is no {} in {}", path.display(), self.describe()))
    }

    /// An error if anything in a folder is a link that leads out.
    pub(super) fn check_entries(&self, folder: &Path) -> Result<(), String> {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            self.find(&entry.path())?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let names: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        match names.as_slice() {
            [] => "any folder: this server was started without --root DIR, so send the program as text".to_owned(),
            names => format!("the folders that this server may read: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for folder in ["in", "in/tests", "more", "in-not"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        for file in ["in/a.c", "in/tests/1.in", "more/b.c", "in-not/c.c", "d.c"] {
            std::fs::write(path(file), "").unwrap();
        }
        symlink(path("d.c"), path("in/out.c")).unwrap();
        symlink(path("in/a.c"), path("in/same.c")).unwrap();
        symlink(place.path(), path("in/up")).unwrap();
        let roots = Roots::new(path("in"), &[path("more")]).unwrap();
        let find = |name: &str| roots.find(Path::new(name));

        let real = path("in").canonicalize().unwrap();
        assert_eq!(find("a.c").unwrap(), real.join("a.c"));
        assert_eq!(find("same.c").unwrap(), real.join("a.c"));
        assert_eq!(find("./tests/../a.c").unwrap(), real.join("a.c"));
        assert!(find("../more/b.c").is_ok());
        assert!(roots.find(&path("more/b.c")).is_ok());
        for name in [
            "../d.c",
            "out.c",
            "up/d.c",
            "../in-not/c.c",
            "/etc/passwd",
            "..",
            "none.c",
        ] {
            let refused = find(name).unwrap_err();
            assert!(refused.contains("may read"), "{name}: {refused}");
        }
        // What is outside and what is nowhere cannot be told apart.
        let said = |name: &str| find(name).unwrap_err().replace(name, "X");
        assert_eq!(said("/etc/passwd"), said("/nowhere"));

        assert!(roots.check_entries(&real.join("tests")).is_ok());
        symlink("/etc/passwd", path("in/tests/2.in")).unwrap();
        assert!(roots.check_entries(&real.join("tests")).is_err());
    }

    #[test]
    fn the_root_of_the_file_system_is_none_unless_it_is_named() {
        let roots = Roots::new(PathBuf::from("/"), &[]).unwrap();
        let refused = roots.find(Path::new("etc/passwd")).unwrap_err();
        assert!(refused.contains("--root"), "{refused}");
        let roots = Roots::new(PathBuf::from("/"), &[PathBuf::from("/")]).unwrap();
        assert!(roots.find(Path::new("etc/passwd")).is_ok());
        assert!(Roots::new(PathBuf::from("/"), &[PathBuf::from("/nowhere")]).is_err());
        assert!(Roots::new(PathBuf::from("/"), &[PathBuf::from("/etc/passwd")]).is_err());
    }
}
