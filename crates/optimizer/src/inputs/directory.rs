//! `--tests DIR`: tests in files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use whittle_toolchain::tools::Digest;

use crate::inputs::{Origin, RawCase};

/// Files larger than this are refused.
const LARGEST_FILE: u64 = 64 << 20;
/// More tests than this are refused: each is run many times.
const MOST_TESTS: usize = 10_000;

/// Tests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too large.
    #[error("{} has {bytes} bytes; the limit is {LARGEST_FILE}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file of arguments is no text.
    #[error("{} is not UTF-8 text without NUL characters; it must have one argument per line", .0.display())]
    NotText(PathBuf),
    /// There is nothing to run.
    #[error(
        "{} has no tests: expected NAME.in for standard input, or NAME.args with one argument per line, and if you like \
         NAME.out with the expected output",
        .0.display()
    )]
    Empty(PathBuf),
    /// An expected output without a test.
    #[error("{} belongs to no test: there is neither {name}.in nor {name}.args beside it", .path.display())]
    Orphan {
        /// The file.
        path: PathBuf,
        /// The test's name.
        name: String,
    },
    /// There are too many.
    #[error("{} has {count} tests; the limit is {MOST_TESTS}", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// Reads all tests of a folder, in the order of their names.
pub(crate) fn read(folder: &Path) -> Result<Vec<RawCase>, DirectoryError> {
    let names = names(folder)?;
    let beside = |name: &str, extension: &str| folder.join(format!("{name}.{extension}"));
    names
        .into_iter()
        .map(|name| {
            let arguments = match read_file(&beside(&name, "args"))? {
                Some(text) => {
                    arguments(text).ok_or_else(|| DirectoryError::NotText(beside(&name, "args")))?
                }
                None => Vec::new(),
            };
            Ok(RawCase {
                arguments,
                input: read_file(&beside(&name, "in"))?.unwrap_or_default(),
                declared_output: read_file(&beside(&name, "out"))?,
                origin: Origin::User,
                name,
            })
        })
        .collect()
}

/// A digest of all tests of a folder.
pub fn digest_of_tests(folder: &Path) -> Result<Digest, DirectoryError> {
    let mut files = Vec::new();
    for name in names(folder)? {
        for extension in ["args", "in", "out"] {
            let file = format!("{name}.{extension}");
            if let Some(content) = read_file(&folder.join(&file))? {
                files.push((file, content));
            }
        }
    }
    let parts: Vec<&[u8]> = files
        .iter()
        .flat_map(|(name, content)| [name.as_bytes(), content])
        .collect();
    Ok(Digest::of(&parts))
}

fn names(folder: &Path) -> Result<BTreeSet<String>, DirectoryError> {
    let failed = |source| DirectoryError::Read {
        path: folder.to_owned(),
        source,
    };
    let (mut names, mut outputs) = (BTreeSet::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("in" | "args") => {
                names.insert(name.to_owned());
            }
            Some("out") => outputs.push((name.to_owned(), path.clone())),
            _ => {}
        }
    }
    outputs.sort();
    if let Some((name, path)) = outputs.into_iter().find(|(name, _)| !names.contains(name)) {
        return Err(DirectoryError::Orphan { path, name });
    }
    if names.is_empty() {
        return Err(DirectoryError::Empty(folder.to_owned()));
    }
    if names.len() > MOST_TESTS {
        return Err(DirectoryError::TooMany {
            path: folder.to_owned(),
            count: names.len(),
        });
    }
    Ok(names)
}

/// A file's content; `None` if there is no such file.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, DirectoryError> {
    let failed = |source| DirectoryError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if bytes > LARGEST_FILE {
        return Err(DirectoryError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    fs::read(path).map(Some).map_err(failed)
}

/// One argument per line.
fn arguments(text: Vec<u8>) -> Option<Vec<String>> {
    let text = String::from_utf8(text)
        .ok()
        .filter(|text| !text.contains('\0'))?;
    Some(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn error(files: &[(&str, &[u8])]) -> String {
        read(folder(files).path()).unwrap_err().to_string()
    }

    #[test]
    fn a_test_is_up_to_three_files() {
        let folder = folder(&[
            ("b.in", b"1\xff\n"),
            ("b.args", b"-n\n\nx y\n"),
            ("b.out", b"2\n"),
            ("a.args", b"7\n"),
            ("a.c.in", b""),
            ("README", b"?"),
        ]);
        let tests = read(folder.path()).unwrap();
        let names: Vec<_> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["a", "a.c", "b"]);
        assert_eq!(tests[0].arguments, ["7"]);
        assert_eq!(tests[0].input, b"");
        assert_eq!(tests[0].declared_output, None);
        assert_eq!(tests[2].arguments, ["-n", "", "x y"]);
        assert_eq!(tests[2].input, b"1\xff\n");
        assert_eq!(tests[2].declared_output.as_deref(), Some(&b"2\n"[..]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(error(&[]).contains("has no tests"));
        assert!(error(&[("a.in", b""), ("b.out", b"")]).contains("b.out belongs to no test"));
        assert!(error(&[("a.args", b"\xff")]).contains("a.args is not UTF-8"));
        assert!(error(&[("a.args", b"a\0b")]).contains("a.args is not UTF-8"));
        let missing = read(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/at/all"));
    }

    #[test]
    fn the_digest_is_of_all_that_is_a_test() {
        let digest = |files| digest_of_tests(folder(files).path()).unwrap();
        let one = digest(&[("a.in", b"1")]);
        assert_eq!(one, digest(&[("a.in", b"1"), ("README", b"?")]));
        assert_ne!(one, digest(&[("a.in", b"2")]));
        assert_ne!(one, digest(&[("b.in", b"1")]));
        assert_ne!(one, digest(&[("a.args", b"1")]));
        assert_ne!(one, digest(&[("a.in", b"1"), ("a.out", b"")]));
    }

    #[test]
    fn huge_files_are_not_read() {
        let folder = folder(&[("a.in", b"")]);
        let file = fs::File::create(folder.path().join("a.in")).unwrap();
        file.set_len(LARGEST_FILE + 1).unwrap();
        assert!(
            read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("a.in has 67108865 bytes")
        );
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_an_error() {
        let folder = folder(&[]);
        fs::create_dir(folder.path().join("a.in")).unwrap();
        assert!(
            read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("a.in")
        );
    }
}
