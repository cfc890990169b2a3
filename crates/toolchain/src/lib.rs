//! Compilers as tools, sandboxed runs, measurement.
//!
//! Everything generated, compiled or run goes through [`sandbox::Sandbox`]; whoever wants a program's time goes through
//! [`measure`]. The crate knows nothing of agents, budgets or reports.
#![cfg(target_os = "linux")]

pub mod measure;
pub mod pipeline;
pub mod sandbox;
pub mod tools;
