//! Parity with the reference data, and errors on broken checkpoints.
#![allow(clippy::unwrap_used, missing_docs)]

mod batched;
mod broken_models;
mod checkpoints;
mod chunked_prefill;
mod golden;
mod golden_generation;
mod golden_llama;
mod golden_llava_next;
mod io_checkpoint;
mod io_common;
mod io_config;
mod io_config_errors;
mod io_images;
mod io_mutations;
mod io_prompt;
mod parity;
mod random_model;
mod unfit_prompts;
mod unusual_checkpoints;
