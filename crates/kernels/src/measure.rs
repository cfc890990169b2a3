//! What the machine can do at best, as a measure for what the kernels reach.

use std::time::Instant;

use rayon::prelude::*;

/// Words that one task adds up: 1 MiB.
const CHUNK: usize = 1 << 17;

/// Bytes per second at which all threads together read a block of `bytes` from memory: the best of `repeat` passes.
pub fn read_bandwidth(bytes: usize, repeat: usize) -> f64 {
    let words = vec![1_u64; (bytes / size_of::<u64>()).max(1)];
    let pass = || {
        let start = Instant::now();
        let sum: u64 = words
            .par_chunks(CHUNK)
            .map(|chunk| chunk.iter().sum::<u64>())
            .sum();
        std::hint::black_box(sum);
        start.elapsed().as_secs_f64()
    };
    let best = (0..repeat.max(1)).map(|_| pass()).fold(f64::MAX, f64::min);
    size_of_val(words.as_slice()) as f64 / best.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_some_time() {
        let rate = read_bandwidth(1 << 20, 2);
        assert!(rate.is_finite() && rate > 0.0);
    }
}
