//! The binary, run as a user runs it.
#![allow(clippy::unwrap_used, missing_docs)]

mod ask;
mod common;
mod errors;
mod help;
mod others;
mod reader;
