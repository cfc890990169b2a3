//! System calls for processes that have just been forked: no locks, no allocation, no panics.

use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut};
use std::sync::atomic::Ordering;

use libc::c_int;
use seccompiler::sock_filter;

use super::plan::Report;

/// The steps of the set-up, for errors. The last one is `execve`.
pub(super) const STEPS: [&str; 16] = [
    "none",
    "map the user and group",
    "set up the descriptors",
    "handle signals",
    "start the job",
    "start a session",
    "set a resource limit",
    "fix the address layout",
    "enter the working directory",
    "forbid new privileges",
    "add a Landlock rule",
    "apply the Landlock rules",
    "drop capabilities",
    "install the filter for signals",
    "install the system call filter",
    "execute the program",
];

/// Index of a step in [`STEPS`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Step {
    MapIds = 1,
    Descriptors,
    Signals,
    Start,
    Session,
    Limits,
    Layout,
    Directory,
    Privileges,
    Rule,
    Rules,
    Capabilities,
    SignalFilter,
    Filter,
    Execute,
}

/// What a step comes to. The error number is the thread's.
pub(super) type Outcome = Result<(), Step>;

/// As `fork`, in new namespaces if the flags say so; with `CLONE_PIDFD`, `handle` gets a descriptor of the new process.
/// The end of the process sends no signal.
///
/// # Safety
///
/// The child may make only async-signal-safe calls.
pub(super) unsafe fn fork(flags: c_int, handle: *mut c_int) -> libc::pid_t {
    // SAFETY: without a stack of its own the child goes on in a copy of the memory, as after fork. The last two arguments
    // have their places exchanged between architectures; both are zero.
    unsafe {
        libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, handle, 0, 0) as libc::pid_t
    }
}

/// Installs one filter for the calling thread, in addition to those that it has.
pub(super) unsafe fn install(filter: &[sock_filter]) -> Result<(), ()> {
    // SAFETY: the program is valid for the duration of the call, which copies it.
    unsafe {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut().cast(),
        };
        // With SPEC_ALLOW a filtered program runs as fast as any other on kernels before 5.16 too.
        let installed = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            addr_of!(program),
        );
        if installed == 0 { Ok(()) } else { Err(()) }
    }
}

/// Writes a whole file.
pub(super) unsafe fn write_file(path: *const libc::c_char, text: &[u8]) -> Result<(), ()> {
    // SAFETY: plain system calls; the path ends with NUL.
    unsafe {
        let file = libc::open(path, libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return Err(());
        }
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        let error = *libc::__errno_location();
        libc::close(file);
        *libc::__errno_location() = error;
        if written == text.len() as isize {
            Ok(())
        } else {
            Err(())
        }
    }
}

/// Monotonic nanoseconds.
pub(super) fn now() -> u64 {
    // SAFETY: the pointer is to a local.
    unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, addr_of_mut!(time));
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

pub(super) fn microseconds(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

pub(super) fn check(result: c_int, step: Step) -> Outcome {
    if result < 0 { Err(step) } else { Ok(()) }
}

/// Reports a failed step and ends the process.
pub(super) unsafe fn fail(report: &Report, step: Step) -> ! {
    // SAFETY: reads this thread's error number and ends the process.
    unsafe {
        report
            .errno
            .store(*libc::__errno_location(), Ordering::Relaxed);
        report.step.store(step as u32, Ordering::Release);
        libc::_exit(127)
    }
}
