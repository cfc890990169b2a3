//! The program to make faster: C files as the user gave them, and how they are usually built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use whittle_toolchain::tools::Unit;

/// Files larger than this are refused: the search rebuilds the program hundreds of times.
const LARGEST_FILE: u64 = 4 << 20;

/// A C program: one or several files that read standard input and arguments and write standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Name for people, from the first file.
    pub name: String,
    /// Translation units (`.c`) and the headers (`.h`) beside them that they include with quotes.
    pub units: Vec<Unit>,
    /// The flags that the user builds with; the second baseline when they differ from `-O3`.
    pub flags: Vec<String>,
    /// Flags for the linker, such as `-lm`.
    pub link_flags: Vec<String>,
}

/// A program cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No file was given.
    #[error("no C file was given")]
    Empty,
    /// A file has another kind.
    #[error("{0} is not a C file: its name must end in .c")]
    NotC(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too large.
    #[error("{path} has {bytes} bytes; the limit is {LARGEST_FILE}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file is no text.
    #[error("{0} is not UTF-8 text")]
    NotText(PathBuf),
    /// Two files share a name.
    #[error("two of the files are named {0}; names must differ")]
    SameName(String),
}

impl Program {
    /// Reads C files, and the headers that they include with quotes from their own folders.
    pub fn read(
        files: &[PathBuf],
        flags: Vec<String>,
        link_flags: Vec<String>,
    ) -> Result<Self, ProgramError> {
        let first = files.first().ok_or(ProgramError::Empty)?;
        let mut units: Vec<Unit> = Vec::new();
        let mut seen = BTreeSet::new();
        for file in files {
            if file.extension().is_none_or(|extension| extension != "c") {
                return Err(ProgramError::NotC(file.clone()));
            }
            let name = file_name(file);
            if !seen.insert(name.clone()) {
                return Err(ProgramError::SameName(name));
            }
            let text = read(file)?;
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            let mut pending = includes(&text);
            units.push(Unit { name, text });
            while let Some(header) = pending.pop() {
                let path = folder.join(&header);
                // Whether a missing header is a mistake is the compiler's to say: it may be conditional.
                if !seen.contains(&header) && path.is_file() {
                    let text = read(&path)?;
                    pending.extend(includes(&text));
                    seen.insert(header.clone());
                    units.push(Unit { name: header, text });
                }
            }
        }
        let name = first
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name,
            units,
            flags,
            link_flags,
        })
    }

    /// The flags that say what the program means (`-D`, `-std=`, `-fwrapv` ...), without those that say how hard to
    /// optimize it and for which processor, and without debug information: its labels would hinder edits of assembly.
    pub fn base_flags(&self) -> Vec<String> {
        let tuning = [
            "-O",
            "-march=",
            "-mtune=",
            "-mcpu=",
            "-g",
            "-flto",
            "-fprofile",
        ];
        self.flags
            .iter()
            .filter(|flag| !tuning.iter().any(|prefix| flag.starts_with(prefix)))
            .cloned()
            .collect()
    }

    /// The flags of the first baseline: the program's meaning at `-O3`.
    pub fn o3_flags(&self) -> Vec<String> {
        let mut flags = self.base_flags();
        flags.push("-O3".to_owned());
        flags
    }

    /// Whether the user builds otherwise than with `-O3`.
    pub fn has_flags_of_its_own(&self) -> bool {
        !self.flags.is_empty() && self.flags != self.o3_flags()
    }

    /// The units that are compiled on their own, in order.
    pub fn translation_units(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| is_translation_unit(unit))
    }
}

/// Whether the unit is compiled on its own (and not included).
pub(crate) fn is_translation_unit(unit: &Unit) -> bool {
    Path::new(&unit.name)
        .extension()
        .is_some_and(|extension| extension != "h")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Result<String, ProgramError> {
    let failed = |source| ProgramError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > LARGEST_FILE {
        return Err(ProgramError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    String::from_utf8(fs::read(path).map_err(failed)?)
        .map_err(|_| ProgramError::NotText(path.to_owned()))
}

/// The names in `#include "..."` that lie in the file's folder or below.
fn includes(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix('#'))
        .filter_map(|line| line.trim_start().strip_prefix("include"))
        .filter_map(|line| line.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.starts_with('/') && !name.split('/').any(|part| part == ".."))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_beside_the_file_come_along() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "a.c",
            "#include \"a.h\"\n# include <stdio.h>\n#include \"/etc/passwd\"\n#include \"../x.h\"\n",
        );
        write("a.h", "#include \"b.h\"\n");
        write("b.h", "#include \"a.h\"\n");
        write("b.c", "#include \"a.h\"\nint main(void) {}\n");
        let files = [folder.path().join("a.c"), folder.path().join("b.c")];
        let program = Program::read(&files, vec![], vec![]).unwrap();
        let names: Vec<_> = program
            .units
            .iter()
            .map(|unit| unit.name.as_str())
            .collect();
        assert_eq!(names, ["a.c", "a.h", "b.h", "b.c"]);
        assert_eq!(program.translation_units().count(), 2);
        assert_eq!(program.name, "a");
    }

    #[test]
    fn candidates_are_built_without_tuning_and_debug_information() {
        let flags = "-O2 -g -DN=3 -g3 -ggdb -gdwarf-4 -std=c11 -march=native -fwrapv -gsplit-dwarf";
        let program = Program {
            name: "a".to_owned(),
            units: Vec::new(),
            flags: flags.split(' ').map(str::to_owned).collect(),
            link_flags: Vec::new(),
        };
        assert_eq!(program.base_flags(), ["-DN=3", "-std=c11", "-fwrapv"]);
        assert_eq!(program.o3_flags().last().unwrap(), "-O3");
        assert!(program.has_flags_of_its_own());
    }

    #[test]
    fn what_is_no_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("x.c"), [0xff, 0xfe, 0x00]).unwrap();
        fs::create_dir(path("y")).unwrap();
        fs::write(path("y/x.c"), "").unwrap();
        let read = |files: &[PathBuf]| {
            Program::read(files, vec![], vec![])
                .unwrap_err()
                .to_string()
        };
        assert!(read(&[]).contains("no C file"));
        assert!(read(&[path("x.c")]).contains("not UTF-8"));
        assert!(read(&[path("x.py")]).contains("must end in .c"));
        assert!(read(&[path("z.c")]).contains("z.c"));
        assert!(read(&[path("y/x.c"), path("y/x.c")]).contains("two of the files"));
    }
}
