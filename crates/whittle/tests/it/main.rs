//! The binary, run as a user runs it.
#![allow(clippy::unwrap_used, missing_docs)]

mod ask;
mod bench;
mod common;
mod errors;
mod help;
#[cfg(target_os = "linux")]
mod mcp;
#[cfg(target_os = "linux")]
mod optimizing;
mod others;
mod reader;
