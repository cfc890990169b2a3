//! Integration tests of the toolchain crate.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod measure;
mod measure_single;
mod pipeline;
mod tools;
