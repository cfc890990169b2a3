//! The measurements of `whittle bench`, each in a process of its own.

mod machine;
mod matmul;
mod point;
mod vision;

use anyhow::Result;
use clap::{Args, Subcommand};

pub(crate) use machine::Speed;
pub(crate) use matmul::Timed;
pub(crate) use point::{Details, Point, Times};

/// Measures one thing; run by `whittle bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Threads to compute with
    #[arg(long, global = true)]
    threads: Option<usize>,
    #[command(subcommand)]
    what: What,
}

/// What is measured. The result is a line of JSON.
#[derive(Subcommand)]
enum What {
    /// Bandwidth and rate of the machine
    Machine(machine::Arguments),
    /// A prompt and its continuation
    Point(point::Arguments),
    /// The products of a model's layers
    Matmul(matmul::Arguments),
    /// Vision tower and projector
    Vision(vision::Arguments),
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    whittle_kernels::set_threads(arguments.threads)?;
    let line = match &arguments.what {
        What::Machine(arguments) => serde_json::to_string(&machine::measure(arguments)?),
        What::Point(arguments) => serde_json::to_string(&point::measure(arguments)?),
        What::Matmul(arguments) => serde_json::to_string(&matmul::measure(arguments)?),
        What::Vision(arguments) => serde_json::to_string(&vision::measure(arguments)?),
    };
    println!("{}", line?);
    Ok(())
}

/// Numbers of a linear congruential generator (Knuth's MMIX): any will do, as long as they are the same ones.
fn pseudo_random(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    })
    .skip(1)
    .map(|state| state >> 33)
}

/// The same between -1 and 1.
fn pseudo_random_floats(count: usize) -> Vec<f32> {
    pseudo_random(1)
        .map(|bits| bits as f32 / (1_u64 << 30) as f32 - 1.0)
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_differ_by_seed() {
        let floats = pseudo_random_floats(1000);
        assert!(floats.iter().all(|x| x.abs() <= 1.0));
        let mean = floats.iter().sum::<f32>() / 1000.0;
        assert!(mean.abs() < 0.1, "{mean}");
        let first = |seed| pseudo_random(seed).take(8).collect::<Vec<_>>();
        assert_ne!(first(1), first(2));
    }
}
