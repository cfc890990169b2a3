//! Matrix product with row-major weights [n, k]: streamed from memory for few rows of `x`, packed into cache blocks for
//! many.

mod packed;
mod streamed;
pub(crate) mod tile;

use crate::arch::{self, Element};
use crate::{Elements, Isa, Matrix};

/// From this many rows of `x` on, packing the weights costs less than it saves.
const PACKED_FROM: usize = 128;

/// Rows of `x` that are packed at once, which bounds the memory for it.
const MOST_ROWS: usize = 2048;

/// `out` [m, n] = `x` [m, k] * `w` [n, k] transposed + `bias` [n]. Shapes are the caller's to check; `isa` is one that
/// the machine has, other than the scalar one, and nothing is empty.
pub(crate) fn matmul(isa: Isa, out: &mut [f32], x: &[f32], w: Matrix, bias: Option<&[f32]>) {
    let (n, k) = (w.rows(), w.cols());
    let m = x.len() / k;
    // Blocks of about equal size rather than a small last one.
    let rows = m.div_ceil(m.div_ceil(MOST_ROWS));
    for (out, x) in out.chunks_mut(rows * n).zip(x.chunks(rows * k)) {
        match w.elements() {
            Elements::F32(e) => typed(isa, out, x, e, k, bias),
            Elements::F16(e) => typed(isa, out, x, e, k, bias),
            Elements::BF16(e) if arch::has_bf16_dot(isa) && x.len() >= PACKED_FROM * k => {
                packed::matmul_paired(isa, out, x, e, k, bias);
            }
            Elements::BF16(e) => typed(isa, out, x, e, k, bias),
        }
    }
}

fn typed<E: Element>(
    isa: Isa,
    out: &mut [f32],
    x: &[f32],
    w: &[E],
    k: usize,
    bias: Option<&[f32]>,
) {
    if x.len() < PACKED_FROM * k {
        streamed::matmul(isa, out, x, w, k, bias);
    } else {
        packed::matmul_single(isa, out, x, w, k, bias);
    }
}
