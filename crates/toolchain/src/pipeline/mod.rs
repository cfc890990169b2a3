//! LLVM's textual pass pipelines (`opt -passes=…`) as trees: parse, print, edit.
//!
//! No I/O, and no chance but what the caller brings along. A [`Pipeline`] is parsed from what clang prints and prints
//! itself as what `opt` takes; an [`Edit`] is one change to it that can be stored, applied and put into words; [`mutate`]
//! finds edits at random, with the [`Catalogue`] of passes that `-O3` leaves out.

mod catalogue;
mod crossover;
mod describe;
mod edit;
mod fixed;
mod mutate;
mod options;
mod parse;
mod tree;

pub use catalogue::{Catalogue, Extra};
pub use crossover::{crossover, transplant};
pub use edit::{Edit, EditError};
pub use fixed::is_fixed;
pub use mutate::{mutate, suggestion};
pub use options::{PassOption, PassOptions};
pub use parse::{ParseError, ParseErrorKind};
pub use tree::{DEEPEST, Level, Node, Pipeline, Place, Position};

#[cfg(test)]
mod tests;
