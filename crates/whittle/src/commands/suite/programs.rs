//! Which programs are compared: files, folders that are a program, folders of both.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use whittle_optimizer::inputs::{self, InputError};
use whittle_optimizer::program::Program;
use whittle_optimizer::session::SessionError;

use crate::cli::Usage;
use crate::commands::optimize::words;

/// The folder of tests in the folder of a program.
const TESTS: &str = "tests";
/// The file of flags in the folder of a program.
const FLAGS: &str = "program.json";

/// A program, and where its tests are.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) program: Program,
    pub(crate) tests: Option<PathBuf>,
}

/// The content of [`FLAGS`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnFlags {
    cflags: String,
    ldflags: String,
}

/// The flags of all programs.
pub(crate) struct CommonFlags<'a> {
    pub(crate) compiler: &'a [String],
    pub(crate) linker: &'a [String],
}

/// Reads all programs, in the order in which they were given, those of a folder by name.
pub(crate) fn read(paths: &[PathBuf], flags: &CommonFlags<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut places: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in paths {
        for place in places_of(path)? {
            let entry = Entry::read(&place, flags)?;
            let name = entry.program.name.clone();
            if let Some(other) = places.insert(name.clone(), place.clone()) {
                return Err(Usage(format!(
                    "two programs are named {name}: {} and {}; results are kept by name, so names must differ",
                    other.display(),
                    place.display()
                ))
                .into());
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The programs at a path: the path itself, or those in the folder.
fn places_of(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() || is_program(path) {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = files_of(path)?;
    found.retain(|entry| is_c(entry) || is_program(entry));
    if found.is_empty() {
        return Err(Usage(format!(
            "{} holds no program: neither a C file nor a folder with {TESTS} or {FLAGS} in it",
            path.display()
        ))
        .into());
    }
    Ok(found)
}

/// What lies in a folder, by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read the folder {}", folder.display());
    let entries = fs::read_dir(folder).with_context(failed)?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(failed)?;
    files.sort();
    Ok(files)
}

/// Whether a folder is one program.
fn is_program(folder: &Path) -> bool {
    folder.join(TESTS).is_dir() || folder.join(FLAGS).is_file()
}

fn is_c(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "c") && file.is_file()
}

impl Entry {
    fn read(place: &Path, flags: &CommonFlags<'_>) -> Result<Self> {
        let (mut compiler, mut linker) = (flags.compiler.to_vec(), flags.linker.to_vec());
        if !place.is_dir() {
            return Ok(Self {
                program: Program::read(&[place.to_owned()], compiler, linker)?,
                tests: tests(&place.with_extension(TESTS))?,
            });
        }
        let own = place.join(FLAGS);
        if own.is_file() {
            let (more_compiler, more_linker) = own_flags(&own)?;
            compiler.extend(more_compiler);
            linker.extend(more_linker);
        }
        let mut files = files_of(place)?;
        files.retain(|file| is_c(file));
        if files.is_empty() {
            return Err(Usage(format!(
                "{} is the folder of a program, but holds no C file",
                place.display()
            ))
            .into());
        }
        let mut program = Program::read(&files, compiler, linker)?;
        // "." has a name, too.
        if let Some(name) = whole(place)?.file_name() {
            program.name = name.to_string_lossy().into_owned();
        }
        Ok(Self {
            program,
            tests: tests(&place.join(TESTS))?,
        })
    }
}

/// The folder of tests, if there is one. What is wrong with them is said here, before the first run.
fn tests(folder: &Path) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let checked = inputs::digest_of_tests(folder).map_err(InputError::from);
    checked.map_err(SessionError::from)?;
    whole(folder).map(Some)
}

/// A folder's path as it is from everywhere.
fn whole(folder: &Path) -> Result<PathBuf> {
    fs::canonicalize(folder).with_context(|| format!("cannot read the folder {}", folder.display()))
}

/// Flags for the compiler and the linker.
fn own_flags(file: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let failed = || format!("cannot read {}", file.display());
    let reader = BufReader::new(File::open(file).with_context(failed)?);
    let own: OwnFlags = serde_json::from_reader(reader).with_context(failed)?;
    let split = |key: &str, text: &str| match words(text) {
        Ok(words) => Ok(words.0),
        Err(why) => Err(Usage(format!("{}: {key}: {why}", file.display()))),
    };
    Ok((
        split("cflags", &own.cflags)?,
        split("ldflags", &own.ldflags)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FLAGS: CommonFlags<'_> = CommonFlags {
        compiler: &[],
        linker: &[],
    };

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn error(folder: &tempfile::TempDir, names: &[&str]) -> String {
        let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
        format!("{:#}", read(&paths, &NO_FLAGS).unwrap_err())
    }

    #[test]
    fn a_folder_with_tests_or_flags_is_one_program_and_other_folders_hold_programs() {
        let folder = folder(&[
            ("all/b.c", ""),
            ("all/b.tests/1.in", ""),
            ("all/a.c", ""),
            ("all/two/main.c", "#include \"x.h\"\n"),
            ("all/two/help.c", ""),
            ("all/two/x.h", ""),
            ("all/two/tests/1.in", ""),
            ("all/math/m.c", ""),
            (
                "all/math/program.json",
                r#"{"cflags": "-DX='1 2'", "ldflags": "-lm"}"#,
            ),
            ("all/notes/old.c", ""),
        ]);
        let all = fs::canonicalize(folder.path()).unwrap().join("all");
        let flags = [vec!["-DALL".to_owned()], vec!["-s".to_owned()]];
        let flags = CommonFlags {
            compiler: &flags[0],
            linker: &flags[1],
        };
        let entries = read(std::slice::from_ref(&all), &flags).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| &*entry.program.name).collect();
        assert_eq!(names, ["a", "b", "math", "two"]);
        let tests: Vec<_> = entries.iter().map(|entry| entry.tests.clone()).collect();
        let two = all.join("two/tests");
        assert_eq!(tests, [None, Some(all.join("b.tests")), None, Some(two)]);
        assert_eq!(entries[1].program.flags, ["-DALL"]);
        assert_eq!(entries[2].program.flags, ["-DALL", "-DX=1 2"]);
        assert_eq!(entries[2].program.link_flags, ["-s", "-lm"]);
        assert_eq!(entries[3].program.units.len(), 3);

        let alone = read(&[all.join("two"), all.join("a.c")], &flags).unwrap();
        assert_eq!(alone[0].program, entries[3].program);
        assert_eq!(alone[1].program, entries[0].program);
    }

    #[test]
    fn what_is_no_program_is_named() {
        let folder = folder(&[
            ("empty/README", ""),
            ("bare/tests/1.in", ""),
            ("wrong/a.c", ""),
            ("wrong/program.json", r#"{"flags": "-lm"}"#),
            ("open/a.c", ""),
            ("open/program.json", r#"{"cflags": "-D'x"}"#),
            ("x/a.c", ""),
            ("y/a.c", ""),
            ("prog.py", ""),
            ("orphan/a.c", ""),
            ("orphan/tests/1.out", ""),
        ]);
        assert!(error(&folder, &["empty"]).contains("empty holds no program"));
        assert!(error(&folder, &["bare"]).contains("bare is the folder of a program, but"));
        let wrong = error(&folder, &["wrong"]);
        assert!(
            wrong.contains("program.json") && wrong.contains("unknown field `flags`"),
            "{wrong}"
        );
        let open = error(&folder, &["open"]);
        assert!(open.contains("program.json: cflags: a quote"), "{open}");
        let same = error(&folder, &["x", "y"]);
        assert!(
            same.contains("two programs are named a") && same.contains("y/a.c"),
            "{same}"
        );
        assert!(error(&folder, &["orphan"]).contains("1.out belongs to no test"));
        assert!(error(&folder, &["nowhere"]).contains("nowhere"));
        assert!(error(&folder, &["prog.py"]).contains("prog.py is not a C file"));
    }
}
