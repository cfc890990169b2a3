//! Integration tests of the toolchain crate.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod measure;
mod measure_single;
mod pipeline;
mod sandbox;
mod sandbox_compile;
mod sandbox_denied;
mod sandbox_layers;
mod sandbox_run;
mod tools;
