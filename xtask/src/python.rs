//! The Python environment in which a real MCP client drives `whittle mcp`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Rights, succeeds};

/// What the environment has to have.
const REQUIREMENTS: &str = "crates/whittle/tests/it/mcp/requirements.txt";
/// Names a Python that has it all, instead of the environment made here.
pub(crate) const VARIABLE: &str = "WHITTLE_MCP_PYTHON";

/// The Python for the tests: the one that the user names, else one in an environment that is made if need be.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(python) = std::env::var_os(VARIABLE).filter(|python| !python.is_empty()) {
        return Ok(python.into());
    }
    let folder = crate::target().join("mcp-venv");
    let python = folder.join("bin/python");
    let wanted = std::fs::read(crate::root().join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    // Written last: an environment without it is unfinished.
    let stamp = folder.join("requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|made| made == wanted)
        && succeeds(Command::new(&python).arg("--version"))
    {
        return Ok(python);
    }
    println!("Making a Python environment with an MCP client for the tests ...");
    create(&folder)?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    crate::run(install.arg(crate::root().join(REQUIREMENTS))).with_context(|| {
        format!("cannot install {REQUIREMENTS}; name a Python that has it in {VARIABLE}")
    })?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// Makes an empty environment. On Debian and Ubuntu the module for it is a package of its own.
fn create(folder: &Path) -> Result<()> {
    if make(folder) {
        return Ok(());
    }
    if apt::is_there()
        && let Some(rights) = Rights::here()
    {
        println!("python3 cannot make environments; installing python3-venv with apt-get ...");
        rights.update();
        if let Err(error) = rights.install(&["python3", "python3-venv"]) {
            println!("{error:#}");
        }
        if make(folder) {
            return Ok(());
        }
    }
    bail!(
        "`python3 -m venv` does not work here; install Python 3.10 or newer with venv (sudo apt-get install python3-venv)"
    )
}

fn make(folder: &Path) -> bool {
    succeeds(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )
}
