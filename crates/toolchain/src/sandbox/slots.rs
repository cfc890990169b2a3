//! Memory that a job's first two processes share with us until the job is executed.
//!
//! They are started without copying our memory, so that a job costs the same whether we hold a megabyte or ten gigabytes.
//! In exchange, what they write to must be set aside for them: their stacks, the path of the program and the report.

use std::io;
use std::ptr::NonNull;
use std::sync::{Condvar, Mutex, PoisonError};

use super::plan::Report;

/// How many jobs can run at once; more wait.
const SLOTS: usize = 256;

/// Bytes of each stack.
const STACK: usize = 64 << 10;

/// Bytes for the path of the program, and for the report.
pub(super) const PAGE: usize = 4096;

/// Bytes of a slot: the report, the path, the stack of the job, the stack of the first process.
const SLOT: usize = 2 * PAGE + 2 * STACK;

/// The slots of a sandbox, in one stretch of addresses.
#[derive(Debug)]
pub(super) struct Slots {
    start: NonNull<u8>,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
}

// SAFETY: the memory is only reached through slots, each of which has one owner at a time.
unsafe impl Send for Slots {}
// SAFETY: as above; the list of free slots is behind a mutex.
unsafe impl Sync for Slots {}

/// One of them, given back on drop.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    index: usize,
}

impl Slots {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SLOTS * SLOT,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        match NonNull::new(start.cast()) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED.cast() => Ok(Slots {
                start,
                free: Mutex::new((0..SLOTS).rev().collect()),
                returned: Condvar::new(),
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The addresses of all slots.
    pub(super) fn addresses(&self) -> std::ops::Range<u64> {
        let start = self.start.as_ptr() as u64;
        start..start + (SLOTS * SLOT) as u64
    }

    /// Takes a slot, waiting for one if need be.
    pub(super) fn take(&self) -> Slot<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(index) = free.pop() {
                return Slot { slots: self, index };
            }
            free = self
                .returned
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and slots borrow from this value, so that none is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), SLOTS * SLOT) };
    }
}

impl Slot<'_> {
    fn at(&self, offset: usize) -> *mut u8 {
        self.slots
            .start
            .as_ptr()
            .wrapping_add(self.index * SLOT + offset)
    }

    pub(super) fn report(&self) -> *mut Report {
        const { assert!(size_of::<Report>() <= PAGE) };
        self.at(0).cast()
    }

    pub(super) fn path(&self) -> *mut u8 {
        self.at(PAGE)
    }

    /// One past the highest byte, since stacks grow down.
    pub(super) fn job_stack(&self) -> *mut u8 {
        self.at(2 * PAGE + STACK)
    }

    /// As above.
    pub(super) fn first_stack(&self) -> *mut u8 {
        self.at(2 * PAGE + 2 * STACK)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self
            .slots
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(self.index);
        self.slots.returned.notify_one();
    }
}
