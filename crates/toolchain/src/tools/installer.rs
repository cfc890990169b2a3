//! The command that installs what is missing.

use std::path::Path;

use super::find::is_executable;
use super::tool::Tool;

/// The command that installs one tool, or a word that says there is no package of it.
pub(crate) fn install_command(tool: Tool, major: u32) -> String {
    match tool.package(major) {
        Some(package) => Installer::detect().command(&[package]),
        None => format!("put {tool} into a folder of PATH"),
    }
}

/// How packages are installed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installer {
    Apt { root: bool },
    Dnf { root: bool },
    Pacman { root: bool },
    Unknown,
}

impl Installer {
    pub(crate) fn detect() -> Installer {
        let has = |name: &str| is_executable(&Path::new("/usr/bin").join(name));
        let root = nix::unistd::geteuid().is_root();
        if has("apt-get") {
            Installer::Apt { root }
        } else if has("dnf") {
            Installer::Dnf { root }
        } else if has("pacman") {
            Installer::Pacman { root }
        } else {
            Installer::Unknown
        }
    }

    /// The command that installs these packages, given by their Debian names.
    pub(crate) fn command(self, debian: &[String]) -> String {
        let sudo = |root: bool| if root { "" } else { "sudo " };
        match self {
            Installer::Apt { root } => {
                format!("{}apt-get install {}", sudo(root), debian.join(" "))
            }
            Installer::Dnf { root } => format!(
                "{}dnf install {}",
                sudo(root),
                unversioned(debian, "compiler-rt", "perf")
            ),
            Installer::Pacman { root } => format!(
                "{}pacman -S {}",
                sudo(root),
                unversioned(debian, "compiler-rt", "perf")
            ),
            Installer::Unknown => format!(
                "your system's package manager: {}",
                unversioned(debian, "compiler-rt", "perf")
            ),
        }
    }
}

/// Names of packages as other distributions have them: `clang-19` is `clang`.
fn unversioned(debian: &[String], runtime: &str, perf: &str) -> String {
    let name = |package: &String| -> String {
        match package.as_str() {
            package if package.starts_with("libclang-rt") => runtime.to_owned(),
            "linux-perf" => perf.to_owned(),
            package => package
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
                .to_owned(),
        }
    };
    debian.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_distributions_name_packages_without_versions() {
        let packages = ["clang-19", "llvm-19", "libclang-rt-19-dev"].map(str::to_owned);
        assert_eq!(
            Installer::Dnf { root: true }.command(&packages),
            "dnf install clang llvm compiler-rt"
        );
        assert_eq!(
            Installer::Pacman { root: false }.command(&packages),
            "sudo pacman -S clang llvm compiler-rt"
        );
    }
}
