//! Edits as models write them: search/replace blocks, or a whole function. Each is applied exactly or sent back.

mod apply;
mod functions;
mod parse;
#[cfg(test)]
mod tests;

pub use apply::{EditError, apply};
pub use functions::{CFunction, c_functions};
pub use parse::{Edit, Replacement, parse};
