//! Working memory that threads keep: no kernel call gets memory from the system once the largest call has run.

use std::cell::RefCell;

use bytemuck::Pod;

thread_local! {
    /// Buffers that are not in use. A stack, as a task may run another one while it waits for its parts.
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Memory that starts at a cache line and only ever grows; goes back to its thread on drop.
#[derive(Default)]
pub(crate) struct Scratch(Vec<Line>);

/// A cache line.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Scratch {
    /// One of this thread's buffers.
    pub(crate) fn take() -> Self {
        Self(FREE.with_borrow_mut(Vec::pop).unwrap_or_default())
    }

    /// `len` elements; what they hold is left over from before.
    pub(crate) fn elements<T: Pod>(&mut self, len: usize) -> &mut [T] {
        let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; 64]));
        }
        &mut bytemuck::cast_slice_mut(&mut self.0[..lines])[..len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0);
        // At the end of the thread there is no list any more.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut() {
                free.push(memory);
            }
        });
    }
}
