//! Differences between original and winner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Level;

/// The difference in one file or function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The level. IR is shown after the middle end and without metadata, assembly without comments and directives.
    pub level: Level,
    /// The file, or the function for IR and assembly.
    pub name: String,
    /// Lines that are new.
    pub added: u64,
    /// Lines that are gone.
    pub removed: u64,
    /// Unified diff without its header; cut when it is long.
    pub diff: String,
    /// How many lines of the diff were cut off.
    pub cut_lines: u64,
}
