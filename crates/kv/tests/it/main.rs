//! Integration tests: reference data, invariants, storage and memory.

// Clippy allows it in test functions only, not in their helpers.
#![allow(clippy::unwrap_used)]
// A list of visual spans with one span is meant.
#![allow(clippy::single_range_in_vec_init)]

mod cache;
mod case;
mod effivlm;
mod exact_mode;
mod hostile;
mod kvpress;
#[cfg(target_os = "linux")]
mod memory;
mod min_mass;
mod pitfalls;
mod random;
