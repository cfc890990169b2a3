//! What the bench found, for JSON and for tables.

use serde::Serialize;

use crate::processor::Processor;

use super::one::Speed;
use super::results::{Ratio, Row, Samples};
use super::scale::Product;

/// Everything; the fields of parts that were not measured are empty.
#[derive(Serialize, Debug)]
pub(super) struct Report {
    /// Where it was measured.
    pub(super) machine: Machine,
    /// What was measured.
    pub(super) model: ModelReport,
    /// Tokens generated after each prompt.
    pub(super) new_tokens: usize,
    /// Rounds that the medians are over.
    pub(super) repeat: usize,
    /// The peers asked for.
    pub(super) peers: Vec<PeerReport>,
    /// Prompts and their continuations.
    pub(super) grid: Vec<Row>,
    /// Our settings against peers and the full cache.
    pub(super) ratios: Vec<Ratio>,
    /// Matrix products.
    pub(super) matmul: Vec<ProductReport>,
    /// Vision tower and projector over the tiles of an image.
    pub(super) vision: Vec<Samples>,
}

/// The machine.
#[derive(Serialize, Debug)]
pub(super) struct Machine {
    /// Name of the processor.
    pub(super) processor: String,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// Threads that every engine computes with.
    pub(super) threads: usize,
    /// The best of all rounds.
    #[serde(flatten)]
    pub(super) speed: Speed,
}

impl Machine {
    /// This one.
    pub(super) fn here(threads: usize, speed: Speed) -> Self {
        let Processor { name, cores, .. } = Processor::here();
        Self {
            processor: name,
            cores,
            threads,
            speed,
        }
    }
}

/// The model.
#[derive(Serialize, Debug)]
pub(super) struct ModelReport {
    /// Name of the shape.
    pub(super) shape: String,
    /// Number of weights.
    pub(super) parameters: usize,
}

/// A peer.
#[derive(Serialize, Debug)]
pub(super) struct PeerReport {
    /// Its name.
    pub(super) name: &'static str,
    /// Its version, if it is installed.
    pub(super) version: Option<String>,
    /// Why it was not measured, or not any more.
    pub(super) problem: Option<String>,
}

/// A matrix product.
#[derive(Serialize, Debug)]
pub(super) struct ProductReport {
    /// Its shape.
    #[serde(flatten)]
    pub(super) product: Product,
    /// Floating-point operations.
    pub(super) operations: f64,
    /// The times of all engines.
    pub(super) engines: Vec<Samples>,
}
