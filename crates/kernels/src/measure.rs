//! What the machine can do at most: the limits that speeds are compared with.

use std::time::Instant;

use crate::arch::{Operation, Vector};
use crate::mmap::AnonymousMap;
use crate::{KernelError, Kernels, arch, threads};

/// Elements that a task reads.
const TASK: usize = 1 << 18;

/// Bytes per second at which all threads together read memory: the best of `repeat` walks over `bytes` bytes, which
/// should be several times the last cache.
///
/// Fails if there is not that much memory.
pub fn read_bandwidth(bytes: usize, repeat: usize) -> Result<f64, KernelError> {
    let isa = Kernels::detect().isa();
    let mut memory = AnonymousMap::huge(bytes)?;
    threads::for_each_chunk(memory.elements_mut::<f32>(), TASK, |_, chunk| {
        chunk.fill(1.0)
    });
    let elements = memory.elements::<f32>();
    let mut best = f64::INFINITY;
    for _ in 0..repeat {
        let start = Instant::now();
        let sums = threads::map(elements.len().div_ceil(TASK), |i| {
            let chunk = &elements[i * TASK..elements.len().min((i + 1) * TASK)];
            match isa {
                crate::Isa::Scalar => chunk.iter().sum(),
                // SAFETY: `isa` is one that the machine has.
                isa => unsafe { arch::run(isa, Sum(chunk)) },
            }
        });
        // The sum has to be used, or it need not be computed.
        if std::hint::black_box(sums.iter().sum::<f32>()) >= 0.0 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(bytes as f64 / best)
}

/// The sum of all elements.
struct Sum<'a>(&'a [f32]);

impl Operation for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> f32 {
        // SAFETY: chunks of eight vectors; the caller grants the instruction set.
        unsafe {
            let mut sums = [V::splat(0.0); 8];
            let chunks = self.0.chunks_exact(8 * V::LANES);
            let rest: f32 = chunks.remainder().iter().sum();
            for chunk in chunks {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(chunk.as_ptr().add(i * V::LANES)));
                }
            }
            sums.iter().map(|sum| sum.sum()).sum::<f32>() + rest
        }
    }
}
