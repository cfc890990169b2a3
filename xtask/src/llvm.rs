//! The LLVM that the optimizing half needs: found, installed where that is allowed, or named in one command.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::apt::{self, Rights};

/// Versions that are installed, the first one known to apt.
const VERSIONS: [u32; 4] = [19, 18, 17, 16];
/// The oldest version that works.
const OLDEST: u32 = 16;
/// What must lie beside each other.
const TOOLS: [&str; 7] = [
    "clang",
    "opt",
    "llc",
    "llvm-link",
    "llvm-mca",
    "llvm-profdata",
    "llvm-cov",
];

/// Whether LLVM is there.
pub(crate) enum Llvm {
    /// It is, or it was installed.
    Ready,
    /// It is not.
    Missing {
        /// What to do about it.
        remedy: String,
    },
}

impl Llvm {
    /// An error where the optimizing half must work.
    pub(crate) fn required(self) -> Result<()> {
        match self {
            Self::Ready => Ok(()),
            Self::Missing { remedy } => {
                bail!(
                    "clang, opt and the other tools of LLVM {OLDEST} or newer are missing; {remedy}"
                )
            }
        }
    }
}

/// Looks for LLVM and installs it if it is missing and this user may.
pub(crate) fn ensure() -> Llvm {
    if !cfg!(target_os = "linux") || found() {
        return Llvm::Ready;
    }
    if let Some(prefix) = named_prefix() {
        let remedy = format!(
            "WHITTLE_LLVM_PREFIX names {}, which has not all of them",
            prefix.display()
        );
        return Llvm::Missing { remedy };
    }
    if !apt::is_there() {
        let remedy = "install clang, llvm and compiler-rt with your system's package manager";
        return Llvm::Missing {
            remedy: remedy.to_owned(),
        };
    }
    let mut version = VERSIONS[0];
    if let Some(rights) = Rights::here() {
        println!("LLVM {OLDEST} or newer is missing; installing it with apt-get ...");
        match install(&rights) {
            Ok(()) if found() => return Llvm::Ready,
            Ok(()) => version = known_version(),
            Err(error) => println!("{error:#}"),
        }
    }
    let packages = packages(version).join(" ");
    Llvm::Missing {
        remedy: format!("install them with: sudo apt-get install {packages}"),
    }
}

fn install(rights: &Rights) -> Result<()> {
    rights.update();
    rights.install(&packages(known_version()))
}

fn packages(version: u32) -> [String; 3] {
    [
        format!("clang-{version}"),
        format!("llvm-{version}"),
        format!("libclang-rt-{version}-dev"),
    ]
}

/// The version that apt can install.
fn known_version() -> u32 {
    let known = |version: &u32| apt::knows(&format!("clang-{version}"));
    VERSIONS.into_iter().find(known).unwrap_or(VERSIONS[0])
}

/// Whether some folder has all tools, and their sanitizers work.
fn found() -> bool {
    folders().iter().any(|folder| is_complete(folder))
}

/// Where LLVM may be.
fn folders() -> Vec<PathBuf> {
    if let Some(prefix) = named_prefix() {
        return vec![prefix.join("bin"), prefix];
    }
    let versioned = std::fs::read_dir("/usr/lib").into_iter().flatten();
    let versioned = versioned.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("llvm-")?.parse::<u32>().ok()?;
        Some(entry.path().join("bin"))
    });
    // `clang` in PATH mostly is a link into the folder with all the others.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter_map(|folder| {
        Some(
            folder
                .join("clang")
                .canonicalize()
                .ok()?
                .parent()?
                .to_owned(),
        )
    });
    versioned.chain(in_path).collect()
}

/// The only place to look, if the user names one.
fn named_prefix() -> Option<PathBuf> {
    std::env::var_os("WHITTLE_LLVM_PREFIX")
        .filter(|prefix| !prefix.is_empty())
        .map(Into::into)
}

fn is_complete(folder: &Path) -> bool {
    let clang = folder.join("clang");
    TOOLS.iter().all(|tool| folder.join(tool).is_file())
        && major_version(&clang) >= Some(OLDEST)
        && sanitizers_work(&clang)
}

fn major_version(clang: &Path) -> Option<u32> {
    let output = Command::new(clang).arg("-dumpversion").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split('.').next()?.trim().parse().ok()
}

/// The runtime of the sanitizers is a package of its own.
fn sanitizers_work(clang: &Path) -> bool {
    let target = crate::target();
    if std::fs::create_dir_all(&target).is_err() {
        return false;
    }
    let child = Command::new(clang)
        .args(["-fsanitize=address,undefined", "-x", "c", "-", "-o"])
        .arg(target.join("llvm-check"))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut input) = child.stdin.take() {
        // A compiler that does not read its input fails by itself.
        let _ = input.write_all(b"int main(void) { return 0; }\n");
    }
    child.wait().is_ok_and(|status| status.success())
}
