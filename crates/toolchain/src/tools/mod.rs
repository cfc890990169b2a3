//! Compilers and their companions as typed calls.
//!
//! Each call runs in the sandbox, in a folder of its own, and its outcome is kept in the [`Store`]: an identical call is
//! answered from there, a compile error as well as an artifact.

mod abi;
mod alive;
mod back_end;
mod baseline;
mod call;
mod counted;
mod coverage;
mod diagnostics;
mod error;
mod extensions;
mod find;
mod front_end;
mod gaps;
mod hot;
mod imports;
mod installer;
mod link;
mod listing;
mod mca;
mod middle_end;
mod profile;
mod program;
mod remarks;
mod runtimes;
mod sanitize;
mod scratch;
mod self_check;
mod store;
mod tool;
mod unit;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use abi::{AbiKind, AbiProblem, check_abi, check_abi_all};
pub use alive::AliveOutcome;
pub use coverage::{Coverage, CoveragePoint, CoverageShare, Covered, JointCoverage, Seen};
pub use diagnostics::{Diagnostic, Severity};
pub use error::ToolError;
pub use extensions::{Extension, ExtensionUse, extensions_declared, extensions_needed};
pub use find::{Found, Inventory, InventoryLine, Located};
pub use gaps::{CoverageGap, GapKind};
pub use hot::HotFunction;
pub use link::{Executable, Object};
pub use listing::{
    AssemblyStatistics, FunctionLines, IrStatistics, SpliceError, assembly_callees,
    assembly_excerpt, assembly_functions, assembly_statistics, ir_callees, ir_excerpt,
    ir_functions, ir_statistics, normalized_assembly, splice_assembly, splice_ir,
    without_use_lists,
};
pub use mca::{MachineCodeAnalysis, ResourcePressure};
pub use profile::Profile;
pub use remarks::{DEBUG_LINES, Remark, RemarkKind};
pub use runtimes::Runtimes;
pub use sanitize::{Place, Sanitizer, SanitizerOutcome};
pub use self_check::{SelfCheck, SelfCheckError, SelfCheckOptions, self_check};
pub use store::{Digest, Store};
pub use tool::Tool;
pub use unit::Unit;

use crate::sandbox::{Limits, Sandbox};

/// What a tool made, and what it had to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled<T> {
    /// What it made.
    pub output: T,
    /// Warnings and notes.
    pub diagnostics: Vec<Diagnostic>,
}

/// The tools of one LLVM, with the sandbox they run in and the store of what they made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Toolchain {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    found: Found,
    sandbox: Sandbox,
    store: Store,
    limits: Limits,
    identity: String,
    processor: String,
}

impl Toolchain {
    /// Puts the parts together, with the sandbox's ordinary limits for compilers.
    pub fn new(found: Found, sandbox: Sandbox, store: Store) -> Result<Self, ToolError> {
        Self::with_limits(found, sandbox, store, Limits::COMPILE)
    }

    /// The same with other limits for each call of a tool.
    pub fn with_limits(
        found: Found,
        sandbox: Sandbox,
        store: Store,
        limits: Limits,
    ) -> Result<Self, ToolError> {
        let version = found.version(Tool::Clang).unwrap_or_default();
        let identity = format!("{version}\n{}", call::identity_of_system());
        let processor = call::identity_of_processor();
        let inner = Arc::new(Inner {
            found,
            sandbox,
            store,
            limits,
            identity,
            processor,
        });
        let toolchain = Self { inner };
        for tool in Tool::ALL.iter().filter(|tool| tool.is_required()) {
            toolchain.program(*tool)?;
        }
        Ok(toolchain)
    }

    /// The programs.
    pub fn found(&self) -> &Found {
        &self.inner.found
    }

    /// The sandbox.
    pub fn sandbox(&self) -> &Sandbox {
        &self.inner.sandbox
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    fn compile_limits(&self) -> Limits {
        self.inner.limits
    }

    /// The versions of the compiler and of the system's headers.
    fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// What kind of processor this is.
    fn processor(&self) -> &str {
        &self.inner.processor
    }

    fn program(&self, tool: Tool) -> Result<&Path, ToolError> {
        self.found().path(tool).ok_or_else(|| ToolError::NotFound {
            missing: vec![tool.name().to_owned()],
            install_command: installer::install_command(tool, self.found().major),
        })
    }

    /// What a tool must read beside what the sandbox lets every compiler read: its own installation, when outside `/usr`.
    fn readable(&self, tool: Tool) -> Vec<PathBuf> {
        let own = self
            .found()
            .path(tool)
            .and_then(Path::parent)
            .map(Path::to_owned);
        let folders = [Some(self.found().prefix.clone()), own]
            .into_iter()
            .flatten();
        folders
            .filter(|folder| !folder.starts_with("/usr"))
            .collect()
    }

    /// The bytes of a file in this store's folder of objects; nothing else is ever brought into a call by its path.
    fn own_object(&self, path: &Path) -> Option<Vec<u8>> {
        let relative = path
            .strip_prefix(self.store().root())
            .ok()?
            .strip_prefix("objects")
            .ok()?;
        let digest = relative.to_str()?.replace('/', "");
        let digest: Digest = serde_json::from_value(digest.into()).ok()?;
        self.store().get(&digest)
    }

    /// An output as text.
    fn text(&self, tool: Tool, digest: &Digest) -> Result<String, ToolError> {
        let bytes = self.store().get(digest).ok_or_else(|| ToolError::Store {
            path: self.store().path(digest).unwrap_or_default(),
            source: std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "the artifact is gone or spoiled",
            ),
        })?;
        String::from_utf8(bytes).map_err(|_| ToolError::Parse {
            tool,
            what: "it isn't text".to_owned(),
        })
    }

    /// Runs a call with one output that is text.
    fn call_for_text(&self, tool: Tool, call: call::Call) -> Result<Compiled<String>, ToolError> {
        let done = self.call(call)?;
        let Some(digest) = done.outputs.first() else {
            return Err(ToolError::Parse {
                tool,
                what: "it wrote nothing".to_owned(),
            });
        };
        Ok(Compiled {
            output: self.text(tool, digest)?,
            diagnostics: done.diagnostics,
        })
    }
}
