//! What IR and assembly consist of: functions, counts, and a form in which listings can be compared.

mod assembly;
mod assembly_parts;
pub(super) mod data;
mod excerpt_assembly;
mod excerpt_ir;
mod ir;
mod ir_text;
mod splice;
mod splice_assembly;
mod splice_ir;
pub(super) mod statements;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use assembly::{
    AssemblyStatistics, assembly_functions, assembly_statistics, normalized_assembly,
};
pub use excerpt_assembly::{assembly_callees, assembly_excerpt};
pub use excerpt_ir::{ir_callees, ir_excerpt};
pub use ir::{IrStatistics, ir_functions, ir_statistics, without_use_lists};
pub use splice::SpliceError;
pub use splice_assembly::splice_assembly;
pub use splice_ir::splice_ir;

/// Where a function stands in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionLines {
    /// Its name, as the linker knows it.
    pub name: String,
    /// Its lines, from 0, the first and last included.
    pub lines: Range<usize>,
}

impl FunctionLines {
    /// Its part of the listing.
    pub fn text<'a>(&self, listing: &'a str) -> &'a str {
        let start = line_start(listing, self.lines.start);
        &listing[start..start + line_start(&listing[start..], self.lines.len())]
    }
}

/// Where the line of this number begins, or the end.
fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}
