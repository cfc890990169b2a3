//! The output folder: all of it or nothing, and never over anything of the user's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use whittle_toolchain::tools::{Toolchain, Unit};

use super::names::{self, Named};
use super::script::{self, PROFILE_FILE};
use super::wire::{Report, TOOL};
use super::{Texts, html};
use crate::archive::RunRecord;
use crate::tree::NodeId;

/// What an output folder holds at most: `build` is where the script and the Makefile rule put the executable.
const NAMES: [&str; 8] = [
    "report.json",
    "report.html",
    "rebuild.sh",
    "winner.mk",
    "winner",
    "original",
    "inputs",
    "build",
];

/// The output folder cannot be written. Whatever was there is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The place is taken by something else.
    #[error("{} {what}; nothing was changed there: name another folder with --out", .path.display())]
    Taken {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// A file or folder cannot be written or read.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the program would lie outside of the folder.
    #[error("{0:?} cannot be the name of a file of the program")]
    UnitName(String),
    /// The report is no JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
    /// The page cannot be made.
    #[error("cannot make the page")]
    Page(#[from] minijinja::Error),
}

/// Whether a result could be written here. To be asked before a long run.
pub fn check_output(output: &Path) -> Result<(), OutputError> {
    let place = Place::find(output)?;
    // Not only permission: also a disk without room for a single file, and a folder that is a file.
    let partial = Partial::create(&place)?;
    partial.write("report.json", b"{}")
}

/// Writes the output folder: to a folder beside it first, which then takes its name.
pub fn write(
    output: &Path,
    report: &Report,
    record: &RunRecord,
    texts: &Texts,
    profile: Option<&Path>,
    toolchain: &Toolchain,
) -> Result<(), OutputError> {
    let place = Place::find(output)?;
    let partial = Partial::create(&place)?;
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    partial.write("report.json", &json)?;
    partial.write("report.html", html::render(report)?.as_bytes())?;
    partial.units("original", &record.header.program.units)?;
    for Named { path, case, .. } in record.inputs.iter().flat_map(names::of_cases) {
        partial.write(&format!("{path}.in"), &case.input)?;
        partial.write(&format!("{path}.out"), &case.expected.stdout)?;
        if !case.arguments.is_empty() {
            let lines: String = case
                .arguments
                .iter()
                .flat_map(|argument| [argument, "\n"])
                .collect();
            partial.write(&format!("{path}.args"), lines.as_bytes())?;
        }
    }
    let node = report
        .winner
        .as_ref()
        .and_then(|winner| record.tree.get(NodeId(winner.candidate)));
    if let (Some(winner), Some(node)) = (&report.winner, node) {
        partial.units("winner", &node.candidate.artifact.units)?;
        if let Some(profile) = profile {
            let bytes = fs::read(profile).map_err(|source| OutputError::Io {
                path: profile.to_owned(),
                source,
            })?;
            partial.write(PROFILE_FILE, &bytes)?;
        }
        let script = script::rebuild(report, winner, texts, toolchain.found());
        partial.write("rebuild.sh", script.as_bytes())?;
        partial.write("winner.mk", script::makefile(report, winner).as_bytes())?;
    }
    partial.move_to(&place)
}

/// Where the output goes.
struct Place {
    path: PathBuf,
    parent: PathBuf,
    name: String,
    /// Whether an earlier output is there.
    is_replaced: bool,
}

impl Place {
    fn find(output: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError::Io {
            path: output.to_owned(),
            source,
        };
        let taken = |what: String| OutputError::Taken {
            path: output.to_owned(),
            what,
        };
        let exists = fs::symlink_metadata(output).is_ok();
        // The folder itself, not a link to it or "." within it.
        let path = if exists {
            fs::canonicalize(output)
        } else {
            std::path::absolute(output)
        };
        let path = path.map_err(failed)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(taken("is no place for an output".to_owned()));
        };
        let (parent, name) = (parent.to_owned(), name.to_string_lossy().into_owned());
        let place = Self {
            path,
            parent,
            name,
            is_replaced: false,
        };
        if !exists {
            return Ok(place);
        }
        if !place.path.is_dir() {
            return Err(taken("is a file".to_owned()));
        }
        let entries: Vec<String> = fs::read_dir(&place.path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(failed)?
            .iter()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        if entries.is_empty() {
            return Ok(place);
        }
        if !is_report(&place.path.join("report.json")) {
            return Err(taken("is there and no output of whittle".to_owned()));
        }
        match entries.iter().find(|name| !NAMES.contains(&name.as_str())) {
            Some(stranger) => Err(taken(format!(
                "holds {stranger}, which whittle did not write"
            ))),
            None => Ok(Self {
                is_replaced: true,
                ..place
            }),
        }
    }
}

/// Whether a file is a report of whittle.
fn is_report(path: &Path) -> bool {
    #[derive(Deserialize)]
    struct Marker {
        tool: String,
    }
    let file = fs::File::open(path).map(io::BufReader::new).ok();
    let marker = file.and_then(|file| serde_json::from_reader::<_, Marker>(file).ok());
    marker.is_some_and(|marker| marker.tool == TOOL)
}

/// A folder beside the output, gone when it is dropped.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn create(place: &Place) -> Result<Self, OutputError> {
        let failed = |path: &Path, source| OutputError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(&place.parent).map_err(|source| failed(&place.parent, source))?;
        let path = beside(place, "partial");
        // With the permissions that the user's other folders get.
        fs::create_dir(&path).map_err(|source| failed(&path, source))?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        let path = self.path.join(name);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.path))?;
            fs::write(&path, bytes)
        };
        write().map_err(|source| OutputError::Io {
            path: path.clone(),
            source,
        })
    }

    fn units(&self, folder: &str, units: &[Unit]) -> Result<(), OutputError> {
        for unit in units {
            let inside = Path::new(&unit.name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || unit.name.is_empty() {
                return Err(OutputError::UnitName(unit.name.clone()));
            }
            self.write(&format!("{folder}/{}", unit.name), unit.text.as_bytes())?;
        }
        Ok(())
    }

    /// Takes the output's name; an earlier output is set aside first and removed last.
    fn move_to(self, place: &Place) -> Result<(), OutputError> {
        let failed = |source| OutputError::Io {
            path: place.path.clone(),
            source,
        };
        let old = place.is_replaced.then(|| beside(place, "old"));
        if let Some(old) = &old {
            fs::rename(&place.path, old).map_err(failed)?;
        }
        if let Err(source) = fs::rename(&self.path, &place.path) {
            if let Some(old) = &old {
                fs::rename(old, &place.path).map_err(failed)?;
            }
            return Err(failed(source));
        }
        // The new output stands; what cannot be removed of the old one is only litter.
        if let Some(old) = &old {
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A hidden name beside the output that nobody else has.
fn beside(place: &Place, what: &str) -> PathBuf {
    let (name, random) = (&place.name, rand::random::<u32>());
    place.parent.join(format!(".{name}.{random:08x}.{what}"))
}
