//! Edits as models write them: search/replace blocks, or a whole function. Each is applied exactly or sent back.

mod apply;
mod functions;
mod parse;
#[cfg(test)]
mod tests;

pub use apply::{EditError, apply};
pub use functions::{CFunction, c_functions};
pub use parse::{Edit, Replacement, parse};
pub(crate) use parse::{Reply, blocks};

/// Longest description of a change, in characters.
pub(crate) const LONGEST_LINE: usize = 120;

/// What somebody says that an edit changes, as it may stand in a list.
pub(crate) fn one_line(said: &str) -> String {
    let plain: String = said.chars().filter(|c| !c.is_control()).collect();
    plain.trim().chars().take(LONGEST_LINE).collect()
}
