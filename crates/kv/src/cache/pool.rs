//! Where blocks of cache memory come from: the operating system, counted and if wanted limited.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use whittle_kernels::KernelError;
use whittle_kernels::mmap::AnonymousMap;

use crate::CacheError;

/// Counts the memory of all caches that share it, and refuses what would go over its limit.
///
/// Nothing is kept back: a block that is dropped goes to the operating system at once.
#[derive(Debug, Clone, Default)]
pub struct MemoryPool(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    limit: Option<usize>,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl MemoryPool {
    /// A pool that hands out at most `limit` bytes at a time.
    pub fn with_limit(limit: usize) -> Self {
        Self(Arc::new(Counters {
            limit: Some(limit),
            ..Counters::default()
        }))
    }

    /// Bytes in use by all caches of the pool; blocks shared by forked caches count once.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }

    /// The most bytes that were ever in use.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Acquire)
    }

    /// The limit, if there is one.
    pub fn limit(&self) -> Option<usize> {
        self.0.limit
    }

    pub(super) fn allocate(&self, bytes: usize) -> Result<Memory, CacheError> {
        let limit = self.0.limit.unwrap_or(usize::MAX);
        let reserve = |used: usize| used.checked_add(bytes).filter(|used| *used <= limit);
        let used = self
            .0
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, reserve)
            .map_err(|used| CacheError::Limit { bytes, used, limit })?;
        self.0.peak.fetch_max(used + bytes, Ordering::AcqRel);
        // From here on the bytes are given back when `Memory` is dropped, also if the mapping fails.
        let mut memory = Memory {
            map: None,
            bytes,
            pool: self.clone(),
        };
        memory.map = Some(
            AnonymousMap::huge(bytes).map_err(|error| CacheError::OutOfMemory {
                bytes,
                source: match error {
                    KernelError::MapMemory { source, .. } => source,
                    other => std::io::Error::other(other),
                },
            })?,
        );
        Ok(memory)
    }
}

/// Zeroed memory of a pool.
#[derive(Debug)]
pub(super) struct Memory {
    map: Option<AnonymousMap>,
    bytes: usize,
    pool: MemoryPool,
}

impl Memory {
    pub(super) fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], AnonymousMap::bytes)
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_mut().map_or(&mut [], AnonymousMap::bytes_mut)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.map = None;
        self.pool.0.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_memory_is_no_longer_in_use() {
        let pool = MemoryPool::default();
        let a = pool.allocate(1000).unwrap();
        let b = pool.allocate(500).unwrap();
        drop(a);
        assert_eq!((pool.used(), pool.peak()), (500, 1500));
        drop(b);
        assert_eq!((pool.used(), pool.peak()), (0, 1500));
    }

    #[test]
    fn the_limit_holds_and_a_refusal_takes_nothing() {
        let pool = MemoryPool::with_limit(1000);
        let _a = pool.allocate(600).unwrap();
        let error = pool.allocate(401).unwrap_err();
        assert_eq!(
            error.to_string(),
            "401 bytes of KV cache do not fit: 600 of 1000 bytes are in use"
        );
        assert_eq!(pool.used(), 600);
        assert!(pool.allocate(400).is_ok());
    }

    #[test]
    fn what_the_system_refuses_is_not_counted() {
        let pool = MemoryPool::default();
        let error = pool.allocate(usize::MAX / 2).unwrap_err();
        assert!(matches!(error, CacheError::OutOfMemory { .. }), "{error}");
        assert_eq!(pool.used(), 0);
    }
}
