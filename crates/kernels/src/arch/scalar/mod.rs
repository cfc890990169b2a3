//! Plain Rust, accumulating in f64: the path for any CPU, and the oracle for all others.
//!
//! Written to be obviously right rather than fast.

mod attention;
mod elementwise;
mod matmul;

pub(crate) use attention::{attention_statistics, decode_attention, prefill_attention};
#[cfg(test)]
pub(crate) use elementwise::erf;
pub(crate) use elementwise::{activate, layer_norm, rms_norm};
pub(crate) use matmul::matmul;

/// Sum of the products, in f64.
fn dot(a: impl Iterator<Item = f32>, b: impl Iterator<Item = f32>) -> f64 {
    a.zip(b).map(|(a, b)| f64::from(a) * f64::from(b)).sum()
}
