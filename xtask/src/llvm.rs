//! The LLVM that the optimizing half needs: found, installed where that is allowed, or named in one command.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Versions that work, the one to install first.
const VERSIONS: [u32; 4] = [19, 18, 17, 16];
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
    /// It is not; the command installs it.
    Missing {
        /// What to run.
        command: String,
    },
}

/// Looks for LLVM and installs it if it is missing and this user may.
pub(crate) fn ensure() -> Result<Llvm> {
    if !cfg!(target_os = "linux") || found() {
        return Ok(Llvm::Ready);
    }
    let packages = |version| {
        [
            format!("clang-{version}"),
            format!("llvm-{version}"),
            format!("libclang-rt-{version}-dev"),
        ]
    };
    let by_hand = |version| format!("sudo apt-get install {}", packages(version).join(" "));
    if !succeeds(Command::new("apt-get").arg("--version")) {
        let command = "your system's package manager: clang, llvm and compiler-rt".to_owned();
        return Ok(Llvm::Missing { command });
    }
    let Some(rights) = Rights::here() else {
        return Ok(Llvm::Missing {
            command: by_hand(VERSIONS[0]),
        });
    };
    println!("LLVM 16 or newer is missing; installing it with apt-get ...");
    crate::run(rights.command("apt-get").args(["update", "--quiet"]))?;
    let version = VERSIONS
        .into_iter()
        .find(|version| is_known(&format!("clang-{version}")))
        .unwrap_or(VERSIONS[0]);
    let mut install = rights.command("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    crate::run(install.args(packages(version)))?;
    if found() {
        Ok(Llvm::Ready)
    } else {
        Ok(Llvm::Missing {
            command: by_hand(version),
        })
    }
}

/// Whether some folder has all tools, and their sanitizers work.
fn found() -> bool {
    folders().iter().any(|folder| is_complete(folder))
}

/// Where LLVM may be.
fn folders() -> Vec<PathBuf> {
    if let Some(prefix) = std::env::var_os("WHITTLE_LLVM_PREFIX").filter(|p| !p.is_empty()) {
        return vec![Path::new(&prefix).join("bin"), prefix.into()];
    }
    let versioned = std::fs::read_dir("/usr/lib").into_iter().flatten();
    let versioned = versioned.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let version: u32 = name.to_str()?.strip_prefix("llvm-")?.parse().ok()?;
        (version >= VERSIONS[VERSIONS.len() - 1]).then(|| entry.path().join("bin"))
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

fn is_complete(folder: &Path) -> bool {
    TOOLS.iter().all(|tool| folder.join(tool).is_file()) && sanitizers_work(&folder.join("clang"))
}

/// The runtime of the sanitizers is a package of its own.
fn sanitizers_work(clang: &Path) -> bool {
    let child = Command::new(clang)
        .args([
            "-fsanitize=address,undefined",
            "-x",
            "c",
            "-",
            "-o",
            "/dev/null",
        ])
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

/// How packages may be installed here.
enum Rights {
    Root,
    Sudo,
}

impl Rights {
    /// `None` if they may not without a password.
    fn here() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().ok()?;
        if id.stdout.trim_ascii() == b"0" {
            return Some(Self::Root);
        }
        succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", program]);
        command
    }
}

/// Whether apt can install a package.
fn is_known(package: &str) -> bool {
    succeeds(Command::new("apt-cache").args(["show", package]))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Llvm {
    /// An error where the optimizing half must work.
    pub(crate) fn required(self) -> Result<()> {
        match self {
            Self::Ready => Ok(()),
            Self::Missing { command } => bail!(
                "clang, opt and the other tools of LLVM 16 or newer are missing; install with: {command}"
            ),
        }
    }
}
