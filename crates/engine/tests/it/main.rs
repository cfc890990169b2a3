//! The engine on the tiny reference models.
#![allow(clippy::unwrap_used, missing_docs)]

mod answers;
mod cancel;
mod common;
mod golden;
mod memory;
mod refusals;
mod together;
