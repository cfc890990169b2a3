//! What a run found, for people and for machines: `report.json`, `report.html`, the winner and how to rebuild it.

mod build;
mod diff;
mod html;
mod names;
mod output;
#[cfg(test)]
mod rebuild_tests;
mod recipe;
mod script;
mod summary;
mod times;
pub mod wire;
mod words;

use whittle_toolchain::tools::Unit;

pub use html::render;
pub use output::{OutputError, check_output, write};
pub use script::PROFILE_FILE;
pub use summary::summary;
pub use wire::Report;
pub use words::sentence;

/// The original and the winner at the levels below source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// The original's IR after the middle end, by module.
    pub baseline_ir: Vec<Unit>,
    /// The winner's; empty if it is assembly.
    pub winner_ir: Vec<Unit>,
    /// The original's assembly, by module.
    pub baseline_assembly: Vec<Unit>,
    /// The winner's.
    pub winner_assembly: Vec<Unit>,
}
