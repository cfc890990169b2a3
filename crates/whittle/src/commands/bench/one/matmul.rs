//! Matrix products of the shapes that the model's layers have.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};
use whittle_kernels::{Elements, Kernels, Matrix, bf16};

use super::pseudo_random_floats;
use crate::commands::bench::scale::{Product, Scale};

/// Options of the process.
#[derive(Args)]
pub(super) struct Arguments {
    #[arg(long)]
    shape: String,
    #[arg(long)]
    samples: usize,
}

/// Times of one product.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    /// Name of the product.
    pub(crate) name: String,
    /// Seconds of each run.
    pub(crate) seconds: Vec<f64>,
}

/// Measures all products of a shape.
pub(super) fn measure(arguments: &Arguments) -> Result<Vec<Timed>> {
    let products = Scale::named(&arguments.shape)?.products();
    let timed = products.into_iter().map(|product| {
        Ok(Timed {
            seconds: seconds(&product, arguments.samples)?,
            name: product.name,
        })
    });
    timed.collect()
}

/// Seconds of each of `samples` runs of our product with bf16 weights, after one that is not counted. This is the one
/// place of the bench that hands weights to the kernels.
pub(super) fn seconds(product: &Product, samples: usize) -> Result<Vec<f64>> {
    let Product { m, n, k, .. } = *product;
    let kernels = Kernels::detect();
    let weights: Vec<bf16> = pseudo_random_floats(n * k)
        .into_iter()
        .map(bf16::from_f32)
        .collect();
    let weights = kernels.pack(Matrix::new(Elements::BF16(&weights), n, k)?)?;
    let x = pseudo_random_floats(m * k);
    let mut out = vec![0.0; m * n];
    let mut run = || {
        let start = Instant::now();
        kernels.matmul(&mut out, &x, &weights, None);
        start.elapsed().as_secs_f64()
    };
    run();
    Ok((0..samples).map(|_| run()).collect())
}
