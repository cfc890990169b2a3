//! Where the optimizing commands find compilers, sandbox, run store and artifacts, and the flags that say so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::Args;
use whittle_optimizer::archive::Archive;
use whittle_toolchain::sandbox::{Sandbox, SandboxOptions};
use whittle_toolchain::tools::{Found, Store, Toolchain};

use crate::cli::Usage;

/// Where runs are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArguments {
    /// File with all runs [default: `$WHITTLE_STORE`, else whittle/runs.sqlite in `$XDG_STATE_HOME` or
    /// ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
}

/// Which compilers, and how they are called.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tools")]
pub(crate) struct ToolArguments {
    /// Folder of the LLVM to use, with bin/clang in it [default: `$WHITTLE_LLVM_PREFIX`, else the newest in /usr/lib
    /// and PATH]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) llvm_prefix: Option<PathBuf>,
    /// Where compiled artifacts are kept, so that nothing is built twice [default: whittle in `$XDG_CACHE_HOME` or
    /// ~/.cache]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cache: Option<PathBuf>,
    /// Go on where no layer of the sandbox works: compilers and candidates then run with your rights
    #[arg(long)]
    pub(crate) unsafe_no_sandbox: bool,
}

impl StoreArguments {
    /// The file, whether it is there or not.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        if let Some(file) = self.store.clone().or_else(|| variable("WHITTLE_STORE")) {
            return Ok(file);
        }
        let state = user_folder("XDG_STATE_HOME", ".local/state", "--store FILE")?;
        Ok(state.join("whittle/runs.sqlite"))
    }

    /// Opens the run store, which is made if it is missing.
    pub(crate) fn open(&self) -> Result<Archive> {
        Ok(Archive::open(&self.path()?)?)
    }

    /// Opens the run store if there is one.
    pub(crate) fn open_if_there(&self) -> Result<Option<Archive>> {
        let path = self.path()?;
        Ok(if path.exists() {
            Some(Archive::open(&path)?)
        } else {
            None
        })
    }
}

impl ToolArguments {
    /// The folder of artifacts, whether it is there or not.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.cache {
            return Ok(folder.clone());
        }
        Ok(user_folder("XDG_CACHE_HOME", ".cache", "--cache FOLDER")?.join("whittle"))
    }

    /// The folder of LLVM, if the user named one.
    pub(crate) fn prefix(&self) -> Option<PathBuf> {
        self.llvm_prefix
            .clone()
            .or_else(|| variable("WHITTLE_LLVM_PREFIX"))
    }

    /// Finds the compilers and sets up the sandbox they run in; whatever runs there ends when `cancel` becomes true.
    pub(crate) fn toolchain(&self, cancel: Arc<AtomicBool>) -> Result<Toolchain> {
        let found = Found::find(self.prefix().as_deref())?;
        let sandbox = Sandbox::new(SandboxOptions {
            allow_none: self.unsafe_no_sandbox,
            cancel,
            ..SandboxOptions::default()
        })?;
        let store = Store::open(self.cache()?)?;
        Ok(Toolchain::new(found, sandbox, store)?)
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(Into::into)
}

/// A folder of the XDG base directories; `instead` is the flag that makes it unnecessary.
fn user_folder(name: &str, below_home: &str, instead: &str) -> Result<PathBuf> {
    // The specification wants relative paths ignored.
    if let Some(folder) = variable(name).filter(|folder| folder.is_absolute()) {
        return Ok(folder);
    }
    let home = variable("HOME").ok_or_else(|| {
        Usage(format!(
            "neither {name} nor HOME is set: give {instead} to say where to write"
        ))
    })?;
    Ok(home.join(below_home))
}
