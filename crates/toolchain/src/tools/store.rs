//! A folder of artifacts, named by their content, and of calls with what came of them.
//!
//! `objects/ab/cdef…` holds the bytes whose SHA-256 is `abcdef…`; `calls/ab/cdef…` says what the call of that digest
//! (tool, arguments, inputs) produced. Everything is written beside its place and renamed, so that a reader never sees half
//! a file; what a crash or a bad disk spoiled is noticed by its digest and made anew.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::ToolError;

/// A SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of several parts; where one ends and the next begins counts.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self::from_hash(hash)
    }

    /// The digest of one run of bytes: what `sha256sum` prints.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_hash(hash: Sha256) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// `ab/cdef…`; `None` for a digest that was read from somewhere and is none.
    fn relative_path(&self) -> Option<PathBuf> {
        let well_formed = self.0.len() == 64 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        well_formed.then(|| Path::new(&self.0[..2]).join(&self.0[2..]))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Data,
    Executable,
}

/// The folder of artifacts. Cheap to clone; safe to share between threads and processes.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the folder, which is created when it isn't there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ToolError> {
        let root = root.into();
        let create = |path: &Path| fs::create_dir_all(path).map_err(|source| failed(path, source));
        create(&root)?;
        // Objects are handed to jobs in other working directories.
        let root = fs::canonicalize(&root).map_err(|source| failed(&root, source))?;
        create(&root.join("objects"))?;
        create(&root.join("calls"))?;
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps some bytes and says what they are called.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, ToolError> {
        self.put_as(bytes, Mode::Data)
    }

    /// The bytes of this digest; `None` when they aren't there or were spoiled.
    pub fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(digest)?).ok()?;
        (Digest::of_bytes(&bytes) == *digest).then_some(bytes)
    }

    /// The file with the bytes of this digest, whether it is there or not; `None` when the digest isn't one.
    pub fn path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.root.join("objects").join(digest.relative_path()?))
    }

    pub(crate) fn put_as(&self, bytes: &[u8], mode: Mode) -> Result<Digest, ToolError> {
        let digest = Digest::of_bytes(bytes);
        if let Some(path) = self.path(&digest)
            && !is_kept(&path, bytes, mode)
        {
            write_atomically(&path, bytes, mode)?;
        }
        Ok(digest)
    }

    pub(crate) fn call<T: DeserializeOwned>(&self, digest: &Digest) -> Option<T> {
        let path = self.root.join("calls").join(digest.relative_path()?);
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(crate) fn put_call<T: Serialize>(
        &self,
        digest: &Digest,
        record: &T,
    ) -> Result<(), ToolError> {
        let Some(relative) = digest.relative_path() else {
            return Ok(());
        };
        let path = self.root.join("calls").join(relative);
        let bytes = serde_json::to_vec(record).map_err(|error| failed(&path, error.into()))?;
        write_atomically(&path, &bytes, Mode::Data)
    }
}

fn is_kept(path: &Path, bytes: &[u8], mode: Mode) -> bool {
    let executable = |meta: &fs::Metadata| meta.permissions().mode() & 0o111 != 0;
    fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.is_file() && (mode == Mode::Data || executable(&meta)))
        && fs::read(path).is_ok_and(|kept| kept == bytes)
}

fn write_atomically(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), ToolError> {
    let folder = path.parent().unwrap_or(path);
    let attempt = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        let permissions = if mode == Mode::Executable {
            0o755
        } else {
            0o644
        };
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(permissions))?;
        file.persist(path)?;
        Ok(())
    };
    attempt().map_err(|source| failed(folder, source))
}

fn failed(path: &Path, source: io::Error) -> ToolError {
    ToolError::Store {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("a/b")).unwrap();
        (folder, store)
    }

    #[test]
    fn the_digest_of_one_text_is_its_sha256() {
        assert_eq!(
            Digest::of_bytes(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn where_parts_end_counts() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
        assert_ne!(Digest::of(&[b"a"]), Digest::of(&[b"a", b""]));
    }

    #[test]
    fn what_is_put_can_be_got() {
        let (_folder, store) = store();
        let digest = store.put(b"text").unwrap();
        assert_eq!(store.get(&digest).as_deref(), Some(&b"text"[..]));
        assert_eq!(store.get(&Digest::of_bytes(b"other")), None);
    }

    #[test]
    fn a_spoiled_object_is_noticed_and_made_anew() {
        let (_folder, store) = store();
        let digest = store.put(b"some text").unwrap();
        fs::write(store.path(&digest).unwrap(), b"some").unwrap();
        assert_eq!(store.get(&digest), None);
        assert_eq!(store.put(b"some text").unwrap(), digest);
        assert_eq!(store.get(&digest).as_deref(), Some(&b"some text"[..]));
    }

    #[test]
    fn executables_can_be_executed() {
        let (_folder, store) = store();
        let mode = |digest: &Digest| {
            fs::metadata(store.path(digest).unwrap())
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        let digest = store.put(b"#!/bin/sh\n").unwrap();
        assert_eq!(mode(&digest), 0o644);
        store.put_as(b"#!/bin/sh\n", Mode::Executable).unwrap();
        assert_eq!(mode(&digest), 0o755);
    }

    #[test]
    fn a_digest_from_elsewhere_leads_nowhere() {
        let (_folder, store) = store();
        let digest: Digest = serde_json::from_str("\"../../../../etc/passwd\"").unwrap();
        assert_eq!(store.path(&digest), None);
        assert_eq!(store.get(&digest), None);
    }

    #[test]
    fn an_error_names_the_folder() {
        let (_folder, store) = store();
        fs::remove_dir_all(store.root()).unwrap();
        fs::write(store.root(), b"in the way").unwrap();
        let error = store.put(b"text").unwrap_err().to_string();
        assert!(error.contains(store.root().to_str().unwrap()), "{error}");
    }
}
