//! A buffer whose elements are written by several threads, each its own.

use std::marker::PhantomData;

/// A mutable slice that tasks share, each of them writing elements that no other one touches (the columns of a
/// row-major matrix, say, which slices cannot express).
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `at` and `pointer` only, whose callers promise that no two threads use an element.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Shares the slice for as long as it is borrowed.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            lifetime: PhantomData,
        }
    }

    /// Element `i`.
    ///
    /// # Safety
    /// No other thread uses element `i`, and the caller holds no other reference to it.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // that is its purpose
    pub(crate) unsafe fn at(&self, i: usize) -> &'a mut T {
        // SAFETY: `pointer` checks the bound; exclusivity is the caller's.
        unsafe { &mut *self.pointer(i, 1) }
    }

    /// The address of `count` elements from `i` on.
    ///
    /// # Safety
    /// No other thread uses these elements while the pointer is used.
    #[inline(always)]
    pub(crate) unsafe fn pointer(&self, i: usize, count: usize) -> *mut T {
        assert!(
            i + count <= self.len,
            "element {i} + {count} of {}",
            self.len
        );
        // SAFETY: within the slice, as just checked.
        unsafe { self.start.add(i) }
    }
}
