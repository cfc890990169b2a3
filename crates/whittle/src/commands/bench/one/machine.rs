//! What the machine can do: the measures that bounds are made of.

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};
use whittle_kernels::Kernels;

use super::matmul;
use crate::commands::bench::scale::{Product, Scale};

/// Passes over the memory and products; the best counts.
const SAMPLES: usize = 5;

/// Options of the process.
#[derive(Args)]
pub(super) struct Arguments {
    #[arg(long)]
    shape: String,
}

/// How fast the machine is.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Speed {
    /// Instruction-set path of the kernels.
    pub(crate) isa: String,
    /// Bytes per second that all threads read from memory.
    pub(crate) read_bandwidth: f64,
    /// Floating-point operations per second of our own large square bf16 product.
    pub(crate) matmul_rate: f64,
}

/// Measures bandwidth and rate.
pub(super) fn measure(arguments: &Arguments) -> Result<Speed> {
    let scale = Scale::named(&arguments.shape)?;
    let square = Product::square(scale.rows);
    let seconds = matmul::seconds(&square, SAMPLES)?;
    let best = seconds.into_iter().fold(f64::INFINITY, f64::min);
    Ok(Speed {
        isa: Kernels::detect().isa().name().to_owned(),
        read_bandwidth: whittle_kernels::measure::read_bandwidth(scale.bandwidth_bytes, SAMPLES)?,
        matmul_rate: square.operations() / best,
    })
}
