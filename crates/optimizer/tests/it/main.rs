//! Integration tests of the optimizer crate.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cheats;
mod common;
mod cooperation;
mod inputs;
mod reference;
mod session;

mod archive;
mod archive_damage;
mod archive_kill;
mod report;
mod report_example;
mod report_output;
mod report_page;
