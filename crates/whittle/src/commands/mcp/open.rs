//! From what the client asks to open to a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use whittle_optimizer::archive::Archive;
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{RunOptions, Setup};
use whittle_optimizer::{agents, guides};
use whittle_toolchain::tools::Toolchain;

use super::Limits;
use super::roots::Roots;
use super::run::Job;
use super::tools::{File, OpenProgram};
use crate::progress::Detail;

/// What the command line says, the same for all programs.
pub(super) struct Place {
    pub(super) roots: Roots,
    pub(super) toolchain: Toolchain,
    /// The run store.
    pub(super) store: PathBuf,
    /// The folder of results.
    pub(super) out: PathBuf,
    /// Ends every run.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) detail: Detail,
    pub(super) limits: Limits,
}

impl Place {
    /// The run that the client wants, or what to tell it.
    pub(super) fn job(&self, wanted: &OpenProgram) -> Result<Job, String> {
        let program = self.program(wanted)?;
        let time = self.time(wanted.budget_seconds)?;
        let seed = wanted.seed.unwrap_or_default();
        let tests = wanted.tests.as_deref().map(|folder| self.tests(folder));
        let inputs = InputOptions {
            tests: tests.transpose()?,
            seed,
            ..InputOptions::for_run_of(time)
        };
        let options = RunOptions {
            seed,
            // Neither has a say as long as the client is there; a run that is resumed without it goes on with them.
            guide: guides::usual(false).to_owned(),
            agents: agents::built_in(),
            budget: self.limits.budget(time),
            host: false,
            margin: self.limits.margin,
            fp_tolerance: self.limits.fp_tolerance,
            model: None,
        };
        let setup = Setup {
            toolchain: self.toolchain.clone(),
            archive: Archive::open(&self.store).map_err(|error| error.to_string())?,
            stop: self.stop.clone(),
            output: self.out.join(format!("{}.whittle", program.name)),
            model: None,
        };
        Ok(Job {
            setup,
            program,
            options,
            inputs,
            detail: self.detail,
        })
    }

    fn program(&self, wanted: &OpenProgram) -> Result<Program, String> {
        let cflags = words("cflags", wanted.cflags.as_deref())?;
        let ldflags = words("ldflags", wanted.ldflags.as_deref())?;
        let read = |files: &[PathBuf]| {
            Program::read(files, cflags.clone(), ldflags.clone()).map_err(|error| error.to_string())
        };
        match (wanted.paths.as_slice(), wanted.files.as_slice()) {
            ([], []) => Err(
                "give the C files of the program: their paths, or files with name and text"
                    .to_owned(),
            ),
            (paths, []) => {
                let found = paths.iter().map(|path| self.roots.find(Path::new(path)));
                let found = found.collect::<Result<Vec<PathBuf>, String>>()?;
                let program = read(&found)?;
                self.check_headers(&found, &program)?;
                Ok(program)
            }
            ([], files) => {
                let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                read(&write_down(files, folder.path())?)
            }
            _ => Err("give paths or files, not both".to_owned()),
        }
    }

    /// Headers come along by themselves, so each of them is looked at, too.
    fn check_headers(&self, files: &[PathBuf], program: &Program) -> Result<(), String> {
        for folder in files.iter().filter_map(|file| file.parent()) {
            for unit in &program.units {
                let path = folder.join(&unit.name);
                if path.exists() {
                    self.roots.find(&path)?;
                }
            }
        }
        Ok(())
    }

    fn tests(&self, folder: &str) -> Result<PathBuf, String> {
        let folder = self.roots.find(Path::new(folder))?;
        self.roots.check_entries(&folder)?;
        Ok(folder)
    }

    /// How long the run may last: as long as the user allows, or less.
    fn time(&self, seconds: Option<f64>) -> Result<Duration, String> {
        let most = self.limits.time;
        match seconds.map(Duration::try_from_secs_f64) {
            None => Ok(most),
            Some(Ok(time)) if time <= most && time >= Duration::from_secs(1) => Ok(time),
            Some(_) => Err(format!(
                "budget_seconds must be at least 1 and at most {}, which is what this server was given",
                most.as_secs_f64()
            )),
        }
    }
}

/// Puts files that came as text into a folder; answers the C files among them.
fn write_down(files: &[File], folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut sources = Vec::new();
    for file in files {
        let is_plain = file
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
        let extension = Path::new(&file.name)
            .extension()
            .and_then(|extension| extension.to_str());
        if !is_plain || !matches!(extension, Some("c" | "h")) {
            return Err(format!(
                "{:?} cannot be the name of a file here: letters, digits and ._+- only, ending in .c or .h",
                file.name
            ));
        }
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.text).map_err(|error| error.to_string())?;
        if extension == Some("c") {
            sources.push(path);
        }
    }
    Ok(sources)
}

fn words(what: &str, text: Option<&str>) -> Result<Vec<String>, String> {
    shlex::split(text.unwrap_or_default())
        .ok_or_else(|| format!("{what}: a quote is not closed, or nothing follows a backslash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_come_as_text_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File {
            name: name.to_owned(),
            text: "int x;\n".to_owned(),
        };
        let written = write_down(&[file("a.c"), file("a.h")], folder.path()).unwrap();
        assert_eq!(written, [folder.path().join("a.c")]);
        assert!(folder.path().join("a.h").is_file());
        for name in [
            "../a.c",
            "/tmp/a.c",
            "a/b.c",
            "",
            "..",
            "a.py",
            "a",
            "a\n.c",
            ".c/../x.c",
        ] {
            assert!(
                write_down(&[file(name)], folder.path()).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_run_without_a_model_has_a_guide_and_agents() {
        assert_eq!(guides::usual(false), "thompson");
        assert!(!agents::built_in().is_empty());
    }
}
