//! What the machine can do at most: the limits that speeds are compared with.

use std::time::{Duration, Instant};

use crate::arch::{Operation, Vector};
use crate::mmap::AnonymousMap;
use crate::{Isa, KernelError, Kernels, arch, threads};

/// Elements that a task reads: long enough a walk for the hardware to read ahead.
const TASK: usize = 1 << 22;

/// Memory to be read, larger than the caches.
pub struct ReadMeter {
    memory: AnonymousMap,
}

impl ReadMeter {
    /// Takes `bytes` bytes of memory. Fails if there is not that much.
    pub fn new(bytes: usize) -> Result<Self, KernelError> {
        let mut memory = AnonymousMap::huge(bytes)?;
        threads::for_each_chunk(memory.elements_mut::<f32>(), TASK, |_, chunk| {
            chunk.fill(1.0);
        });
        Ok(Self { memory })
    }

    /// How long all threads together take to read it once.
    pub fn read(&self) -> Duration {
        let isa = Kernels::detect().isa();
        let elements = self.memory.elements::<f32>();
        let start = Instant::now();
        let sums = threads::map(elements.len().div_ceil(TASK), |i| {
            let chunk = &elements[i * TASK..elements.len().min((i + 1) * TASK)];
            match isa {
                Isa::Scalar => chunk.iter().sum::<f32>(),
                // SAFETY: `isa` is one that the machine has.
                isa => unsafe { arch::run(isa, Sum(chunk)) },
            }
        });
        // The sums have to be used, or they need not be computed.
        std::hint::black_box(sums);
        start.elapsed()
    }

    /// Bytes that [`ReadMeter::read`] reads.
    pub fn bytes(&self) -> usize {
        self.memory.bytes().len()
    }
}

/// Bytes per second at which all threads together read memory: the best of `repeat` walks over `bytes` bytes, which
/// should be several times the last cache.
///
/// Fails if there is not that much memory.
pub fn read_bandwidth(bytes: usize, repeat: usize) -> Result<f64, KernelError> {
    let meter = ReadMeter::new(bytes)?;
    let best = (0..repeat).map(|_| meter.read()).min().unwrap_or_default();
    Ok(bytes as f64 / best.as_secs_f64())
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
