//! One process at a time works on a run. The lock goes with its process, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A locked file with the number of the process in it.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another process has it.
    Held(Option<u32>),
    /// The file cannot be made.
    Failed(io::Error),
}

impl From<io::Error> for NotLocked {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, NotLocked> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(NotLocked::Held(holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            // The last holder may have removed the file between our opening and our locking it.
            let is_current = fs::metadata(path)
                .is_ok_and(|at| at.ino() == file.metadata().map_or(0, |own| own.ino()));
            if is_current {
                file.set_len(0)?;
                file.rewind()?;
                write!(file, "{}", std::process::id())?;
                return Ok(Self {
                    path: path.to_owned(),
                    _file: file,
                });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever locks the removed file looks again. What stays behind is harmless.
        let _ = fs::remove_file(&self.path);
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/a");
        let lock = Lock::take(&path).unwrap();
        assert!(
            matches!(Lock::take(&path), Err(NotLocked::Held(Some(pid))) if pid == std::process::id())
        );
        drop(lock);
        assert!(!path.exists());
        drop(Lock::take(&path).unwrap());
    }

    #[test]
    fn a_dead_holders_file_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "999999999999").unwrap();
        let _lock = Lock::take(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
    }

    #[test]
    fn a_place_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let lock = Lock::take(&folder.path().join("file/a"));
        assert!(matches!(lock, Err(NotLocked::Failed(_))));
    }
}
