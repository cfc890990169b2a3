//! Few rows of `x`: every weight is read from memory once, so all that counts is to keep memory busy.

use rayon::prelude::*;

use super::tile::dot_tile;
use crate::Isa;
use crate::arch::{self, Element, Operation, Vector};
use crate::shared::SharedMut;

/// Weights that one task reads: enough to hide what a task costs, few enough to balance the threads.
const TASK_ELEMENTS: usize = 1 << 16;

/// `out` [m, n] = `x` [m, k] * `w` [n, k] transposed + `bias` [n].
pub(super) fn matmul<E: Element>(
    isa: Isa,
    out: &mut [f32],
    x: &[f32],
    w: &[E],
    k: usize,
    bias: Option<&[f32]>,
) {
    let (m, n) = (x.len() / k, w.len() / k);
    let packed;
    let (x, height) = if m == 1 {
        (x, 1)
    } else {
        packed = pack(isa, x, k);
        (packed.as_slice(), arch::layout(isa).dot_rows)
    };
    let out = SharedMut::new(out);
    let rows = (TASK_ELEMENTS / k).next_multiple_of(4).max(4);
    let work = |(i, w): (usize, &[E])| {
        let task = Rows {
            out,
            first: i * rows,
            m,
            n,
            k,
            x,
            w,
            bias,
            height,
        };
        // SAFETY: `isa` is one that the machine has; each task has its own weight rows, and with them its own columns
        // of `out`.
        unsafe { arch::run(isa, task) }
    };
    if n <= rows {
        work((0, w)); // not worth waking a thread for
    } else {
        w.par_chunks(rows * k).enumerate().for_each(work);
    }
}

/// `x` in panels of `dot_rows` rows as `dot_tile` wants them, padded with zeros.
fn pack(isa: Isa, x: &[f32], k: usize) -> Vec<f32> {
    let (step, rows) = (arch::layout(isa).lanes, arch::layout(isa).dot_rows);
    let panel_len = rows * k.next_multiple_of(step);
    let mut packed = vec![0.0; (x.len() / k).div_ceil(rows) * panel_len];
    for (panel, x) in packed.chunks_exact_mut(panel_len).zip(x.chunks(rows * k)) {
        for (r, x) in x.chunks_exact(k).enumerate() {
            for (s, x) in x.chunks(step).enumerate() {
                panel[(s * rows + r) * step..][..x.len()].copy_from_slice(x);
            }
        }
    }
    packed
}

/// The products of all `x` with some weight rows, the first of which is row `first` of [n, k]. `x` is one plain row or
/// packed, as `height` says.
struct Rows<'a, E> {
    out: SharedMut<'a, f32>,
    first: usize,
    m: usize,
    n: usize,
    k: usize,
    x: &'a [f32],
    w: &'a [E],
    bias: Option<&'a [f32]>,
    height: usize,
}

impl<E: Element> Rows<'_, E> {
    /// # Safety
    /// The CPU has V's instruction set, and no other task writes these columns. R is `height`.
    #[inline(always)]
    unsafe fn run_tiles<V: Vector, const R: usize>(&self) {
        let rows = self.w.len() / self.k;
        let panel_len = if R == 1 {
            self.k
        } else {
            R * self.k.next_multiple_of(V::LANES)
        };
        for j in (0..rows).step_by(4) {
            let mut w = [self.w.as_ptr(); 4];
            for (c, w) in w.iter_mut().enumerate() {
                // Beyond the last row the last row is read again, and the result left out.
                *w = self.w[(j + c).min(rows - 1) * self.k..].as_ptr();
            }
            for (p, panel) in self.x.chunks_exact(panel_len).enumerate() {
                // SAFETY: each pointer starts a row of k weights; the panel holds R rows.
                let sums = unsafe { dot_tile::<V, E, R>(panel.as_ptr(), w, self.k) };
                for (r, sums) in sums.into_iter().enumerate().take(self.m - p * R) {
                    for (c, sum) in sums.into_iter().enumerate().take(rows - j) {
                        let column = self.first + j + c;
                        // SAFETY: the column belongs to this task.
                        let out = unsafe { self.out.at((p * R + r) * self.n + column) };
                        *out = sum + self.bias.map_or(0.0, |b| b[column]);
                    }
                }
            }
        }
    }
}

impl<E: Element> Operation for Rows<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: passed on to the caller.
        unsafe {
            match self.height {
                1 => self.run_tiles::<V, 1>(),
                6 if V::DOT_ROWS == 6 => self.run_tiles::<V, 6>(),
                3 if V::DOT_ROWS == 3 => self.run_tiles::<V, 3>(),
                rows => unreachable!("no tile of {rows} rows"),
            }
        }
    }
}
