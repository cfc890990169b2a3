//! Packages of Debian and Ubuntu, installed where this user may.

use std::process::{Command, Stdio};

use anyhow::Result;

/// Whether there is apt at all.
pub(crate) fn is_there() -> bool {
    succeeds(Command::new("apt-get").arg("--version"))
}

/// Whether apt knows a package.
pub(crate) fn knows(package: &str) -> bool {
    succeeds(Command::new("apt-cache").args(["show", package]))
}

/// How packages may be installed here.
pub(crate) enum Rights {
    Root,
    Sudo,
}

impl Rights {
    /// `None` if they may not without a password.
    pub(crate) fn here() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().ok()?;
        if id.stdout.trim_ascii() == b"0" {
            return Some(Self::Root);
        }
        succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    /// Renews the list of packages.
    pub(crate) fn update(&self) {
        // One broken source of packages must not be in the way of the others.
        if let Err(error) = crate::run(self.command("apt-get").args(["update", "--quiet"])) {
            println!("{error:#}");
        }
    }

    /// Installs packages.
    pub(crate) fn install<P: AsRef<str>>(&self, packages: &[P]) -> Result<()> {
        let mut install = self.command("apt-get");
        install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
        crate::run(install.args(packages.iter().map(AsRef::as_ref)))
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

/// Whether a command ends well; it says and reads nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
