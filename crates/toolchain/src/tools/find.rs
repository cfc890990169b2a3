//! Which compilers and companions this machine has, and how to install what is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::error::ToolError;
use super::installer::Installer;
use super::tool::Tool;

/// The oldest LLVM that works.
const OLDEST: u32 = 16;
/// The LLVM that is suggested when none is there.
const SUGGESTED: u32 = 19;
/// Names the folder LLVM is installed in, as `--llvm-prefix` does.
const PREFIX_VARIABLE: &str = "WHITTLE_LLVM_PREFIX";

/// A tool that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// The program.
    pub path: PathBuf,
    /// The line in which it states its version.
    pub version: String,
}

/// A complete set of tools of one LLVM, and the optional ones that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The folder that holds LLVM's `bin` and `lib`.
    pub prefix: PathBuf,
    /// LLVM's major version.
    pub major: u32,
    /// Where each tool is.
    pub tools: BTreeMap<Tool, Located>,
}

impl Found {
    /// Finds LLVM: under `prefix` or `$WHITTLE_LLVM_PREFIX` if one is given, else the newest in `/usr/lib/llvm-*` or `PATH`.
    pub fn find(prefix: Option<&Path>) -> Result<Found, ToolError> {
        Inventory::take(prefix).into_found()
    }

    /// Where a tool is; `None` for an optional one that isn't there.
    pub fn path(&self, tool: Tool) -> Option<&Path> {
        self.tools.get(&tool).map(|located| located.path.as_path())
    }

    /// The version a tool states.
    pub fn version(&self, tool: Tool) -> Option<&str> {
        self.tools
            .get(&tool)
            .map(|located| located.version.as_str())
    }
}

/// One line of the [`Inventory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryLine {
    /// The tool.
    pub tool: Tool,
    /// Whether nothing works without it.
    pub required: bool,
    /// Where it is, if it is.
    pub located: Option<Located>,
    /// The command that installs it when it is missing, if there is a package.
    pub install_command: Option<String>,
}

/// What is there and what is missing, tool by tool: what `whittle doctor` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The folder that holds LLVM's `bin` and `lib`, when there is one.
    pub prefix: Option<PathBuf>,
    /// LLVM's major version.
    pub major: Option<u32>,
    /// Every tool.
    pub lines: Vec<InventoryLine>,
    /// The one command that installs all that is required and missing; `None` when nothing is.
    pub install_command: Option<String>,
}

impl Inventory {
    /// Looks the machine over; see [`Found::find`] for where.
    pub fn take(prefix: Option<&Path>) -> Inventory {
        let from_environment = std::env::var_os(PREFIX_VARIABLE).map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        Search {
            prefix: prefix.map(Path::to_owned).or(from_environment),
            versions: PathBuf::from("/usr/lib"),
            path: std::env::split_paths(&path).collect(),
            installer: Installer::detect(),
        }
        .inventory()
    }

    /// The complete set of tools, or an error that names what is missing and the command that installs it.
    pub fn into_found(self) -> Result<Found, ToolError> {
        let install_command = self.install_command.clone().unwrap_or_default();
        if let (Some(prefix), Some(major)) = (&self.prefix, self.major)
            && major < OLDEST
        {
            return Err(ToolError::TooOld {
                path: prefix.clone(),
                version: major.to_string(),
                install_command,
            });
        }
        let missing: Vec<String> = self
            .lines
            .iter()
            .filter(|line| line.required && line.located.is_none())
            .map(|line| line.tool.name().to_owned())
            .collect();
        match (self.prefix, self.major) {
            (Some(prefix), Some(major)) if missing.is_empty() => {
                let tools = self
                    .lines
                    .into_iter()
                    .filter_map(|line| Some((line.tool, line.located?)))
                    .collect();
                Ok(Found {
                    prefix,
                    major,
                    tools,
                })
            }
            _ => Err(ToolError::NotFound {
                missing,
                install_command,
            }),
        }
    }
}

/// Where to look; apart from [`Inventory::take`] for tests.
struct Search {
    prefix: Option<PathBuf>,
    versions: PathBuf,
    path: Vec<PathBuf>,
    installer: Installer,
}

/// A folder with a clang in it.
struct Candidate {
    bin: PathBuf,
    version: String,
    major: u32,
}

impl Search {
    fn inventory(&self) -> Inventory {
        let candidates = self.candidates();
        // The newest complete one; else the newest, so that the error names what it lacks.
        let best = candidates
            .iter()
            .find(|candidate| candidate.major >= OLDEST && self.missing_from(candidate).is_empty())
            .or(candidates.first());
        let lines = Tool::ALL
            .iter()
            .map(|&tool| self.line(tool, best))
            .collect::<Vec<_>>();
        let lacks = best.is_none_or(|candidate| candidate.major < OLDEST)
            || lines
                .iter()
                .any(|line| line.required && line.located.is_none());
        let wanted = wanted_version(best);
        Inventory {
            prefix: best
                .map(|candidate| candidate.bin.parent().unwrap_or(&candidate.bin).to_owned()),
            major: best.map(|candidate| candidate.major),
            lines,
            install_command: lacks.then(|| {
                self.installer.command(&[
                    format!("clang-{wanted}"),
                    format!("llvm-{wanted}"),
                    format!("libclang-rt-{wanted}-dev"),
                ])
            }),
        }
    }

    /// Folders with a clang, newest first; only the prefix when one is given.
    fn candidates(&self) -> Vec<Candidate> {
        let mut folders = match &self.prefix {
            Some(prefix) => vec![prefix.join("bin"), prefix.clone()],
            None => self.default_folders(),
        };
        folders.dedup();
        let mut candidates: Vec<Candidate> =
            folders.into_iter().filter_map(Candidate::look_at).collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.major));
        candidates
    }

    fn default_folders(&self) -> Vec<PathBuf> {
        let versioned = fs::read_dir(&self.versions)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_prefix("llvm-")?
                    .parse::<u32>()
                    .ok()?;
                Some(entry.path().join("bin"))
            });
        // Behind `clang` or `clang-19` in PATH there mostly is a link to the folder with all the others.
        let in_path = self
            .path
            .iter()
            .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let behind_links = in_path.filter_map(|entry| {
            let name = entry.file_name();
            let rest = name.to_str()?.strip_prefix("clang")?;
            let is_clang = rest.is_empty()
                || rest
                    .strip_prefix('-')
                    .is_some_and(|version| version.parse::<u32>().is_ok());
            let target = is_clang.then(|| fs::canonicalize(entry.path()).ok())??;
            Some(target.parent()?.to_owned())
        });
        versioned.chain(behind_links).collect()
    }

    fn missing_from(&self, candidate: &Candidate) -> Vec<Tool> {
        let required = Tool::ALL.iter().copied().filter(|tool| tool.is_required());
        required
            .filter(|&tool| self.locate(tool, Some(candidate)).is_none())
            .collect()
    }

    fn line(&self, tool: Tool, candidate: Option<&Candidate>) -> InventoryLine {
        let located = self.locate(tool, candidate);
        let package = tool.package(wanted_version(candidate));
        InventoryLine {
            tool,
            required: tool.is_required(),
            install_command: package
                .filter(|_| located.is_none())
                .map(|package| self.installer.command(&[package])),
            located,
        }
    }

    fn locate(&self, tool: Tool, candidate: Option<&Candidate>) -> Option<Located> {
        if tool.is_required() {
            let candidate = candidate?;
            let suffixed = format!("{}-{}", tool.name(), candidate.major);
            let beside = [
                candidate.bin.join(tool.name()),
                candidate.bin.join(&suffixed),
            ];
            let in_path = self.path.iter().map(|folder| folder.join(&suffixed));
            let path = beside
                .into_iter()
                .chain(in_path)
                .find(|path| is_executable(path))?;
            return Some(Located {
                path,
                version: candidate.version.clone(),
            });
        }
        let path = self
            .path
            .iter()
            .map(|folder| folder.join(tool.name()))
            .find(|path| is_executable(path))?;
        // alive-tv prints LLVM's long banner; the others one line.
        let version = version_line(&path).unwrap_or_else(|| "unknown version".to_owned());
        Some(Located { path, version })
    }
}

impl Candidate {
    fn look_at(bin: PathBuf) -> Option<Candidate> {
        // Debian's /usr/bin holds only clang-19, /usr/lib/llvm-19/bin both.
        let names = fs::read_dir(&bin)
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let numbered = names
            .filter_map(|name| name.strip_prefix("clang-")?.parse::<u32>().ok())
            .max()
            .map(|version| format!("clang-{version}"));
        let clang = std::iter::once("clang".to_owned())
            .chain(numbered)
            .map(|name| bin.join(name))
            .find(|path| is_executable(path))?;
        let version = version_line(&clang)?;
        let major = major_version(&version)?;
        Some(Candidate {
            bin,
            version,
            major,
        })
    }
}

fn wanted_version(candidate: Option<&Candidate>) -> u32 {
    candidate
        .map(|candidate| candidate.major)
        .filter(|&major| major >= OLDEST)
        .unwrap_or(SUGGESTED)
}

/// The `19` of `Debian clang version 19.1.7 (3~deb12u1)`.
fn major_version(line: &str) -> Option<u32> {
    let after = line.split("version ").nth(1)?;
    after
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The first line that `--version` prints with a digit in it. These are the machine's own tools, so no sandbox is needed.
fn version_line(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(str::trim)
        .find(|line| line.bytes().any(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}

pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by another process: a file that this one has open for writing can't be run while a fork of it lives.
    fn script(path: &Path, version: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let command =
            format!("printf '#!/bin/sh\\necho \"{version}\"\\n' > \"$0\" && chmod 755 \"$0\"");
        assert!(
            Command::new("sh")
                .arg("-c")
                .arg(command)
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
    }

    fn install(root: &Path, major: u32, without: &[Tool]) -> PathBuf {
        let prefix = root.join(format!("llvm-{major}"));
        for &tool in Tool::ALL
            .iter()
            .filter(|tool| tool.is_required() && !without.contains(tool))
        {
            script(
                &prefix.join("bin").join(tool.name()),
                &format!("clang version {major}.1.7"),
            );
        }
        prefix
    }

    fn search(root: &Path) -> Search {
        Search {
            prefix: None,
            versions: root.to_owned(),
            path: vec![root.join("path")],
            installer: Installer::Apt { root: false },
        }
    }

    #[test]
    fn the_newest_complete_one_is_taken() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), 17, &[]);
        let expected = install(root.path(), 18, &[]);
        install(root.path(), 20, &[Tool::Llc]);
        let found = search(root.path()).inventory().into_found().unwrap();
        assert_eq!((found.major, &found.prefix), (18, &expected));
        assert_eq!(
            found.path(Tool::Llc),
            Some(expected.join("bin/llc").as_path())
        );
        assert_eq!(found.path(Tool::AliveTv), None);
    }

    #[test]
    fn a_prefix_goes_before_all() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), 18, &[]);
        let older = install(root.path(), 17, &[]);
        let search = Search {
            prefix: Some(older),
            ..search(root.path())
        };
        assert_eq!(search.inventory().into_found().unwrap().major, 17);
    }

    #[test]
    fn links_in_path_lead_to_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let prefix = install(&root.path().join("elsewhere"), 19, &[]);
        fs::create_dir(root.path().join("path")).unwrap();
        std::os::unix::fs::symlink(prefix.join("bin/clang"), root.path().join("path/clang-19"))
            .unwrap();
        script(&root.path().join("path/alive-tv"), "alive 1");
        let found = search(root.path()).inventory().into_found().unwrap();
        assert_eq!(found.prefix, fs::canonicalize(prefix).unwrap());
        assert_eq!(found.version(Tool::AliveTv), Some("alive 1"));
    }

    #[test]
    fn what_is_missing_is_named_with_the_command() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), 18, &[Tool::Opt, Tool::LlvmMca]);
        let error = search(root.path()).inventory().into_found().unwrap_err();
        insta::assert_snapshot!(error, @"opt and llvm-mca not found; install with: sudo apt-get install clang-18 llvm-18 libclang-rt-18-dev");
    }

    #[test]
    fn nothing_at_all() {
        let root = tempfile::tempdir().unwrap();
        let inventory = search(root.path()).inventory();
        assert!(inventory.lines.iter().all(|line| line.located.is_none()));
        let error = inventory.into_found().unwrap_err();
        insta::assert_snapshot!(error, @"clang, opt, llc, llvm-link, llvm-mca, llvm-profdata, llvm-cov, llvm-nm, llvm-objdump and llvm-symbolizer not found; install with: sudo apt-get install clang-19 llvm-19 libclang-rt-19-dev");
    }

    #[test]
    fn an_old_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), 14, &[]);
        let error = search(root.path()).inventory().into_found().unwrap_err();
        let text = error
            .to_string()
            .replace(root.path().to_str().unwrap(), "ROOT");
        insta::assert_snapshot!(text, @"LLVM 14 in ROOT/llvm-14 is too old: 16 or newer is needed; install with: sudo apt-get install clang-19 llvm-19 libclang-rt-19-dev");
    }
}
