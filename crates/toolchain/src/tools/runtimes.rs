//! Whether the compiler's own run-time libraries are installed: the sanitizers and the profile.

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::installer::Installer;
use super::store::Mode;
use super::{Tool, ToolError, Toolchain};

/// Which run-time libraries of clang are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtimes {
    /// For the address and the undefined-behaviour sanitizer.
    pub address: bool,
    /// For the memory sanitizer.
    pub memory: bool,
    /// For profiles and coverage.
    pub profile: bool,
    /// The command that installs them when one is missing.
    pub install_command: Option<String>,
}

impl Toolchain {
    /// Links a program with each of them. Looked at anew every time, as they may be installed meanwhile.
    pub fn runtimes(&self) -> Result<Runtimes, ToolError> {
        let address = self.links_with("-fsanitize=address,undefined")?;
        let memory = self.links_with("-fsanitize=memory")?;
        let profile = self.links_with("-fprofile-instr-generate")?;
        let install_command = (!(address && memory && profile)).then(|| {
            Installer::detect().command(&[format!("libclang-rt-{}-dev", self.found().major)])
        });
        Ok(Runtimes {
            address,
            memory,
            profile,
            install_command,
        })
    }

    fn links_with(&self, flag: &str) -> Result<bool, ToolError> {
        let call = Call::new(Tool::Clang)
            .args([flag, "main.c"])
            .input("main.c", "int main(void) { return 0; }\n")
            .output("-o", "out", Mode::Executable);
        match self.call_unrecorded(call) {
            Ok(_) => Ok(true),
            Err(ToolError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
