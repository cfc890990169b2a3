//! System calls for processes that have just been forked: no locks, no allocation, no panics.

use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut};

use libc::c_int;
use seccompiler::sock_filter;

use super::plan::{Plan, Usage};

/// A step of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    MapIds,
    Descriptors,
    Signals,
    Start,
    Session,
    Limits,
    Layout,
    Directory,
    Privileges,
    Rules,
    Capabilities,
    Filter,
    Execute,
}

impl Step {
    /// For errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Step::MapIds => "map the user and group",
            Step::Descriptors => "set up the descriptors",
            Step::Signals => "set up the signals",
            Step::Start => "start the job",
            Step::Session => "start a session",
            Step::Limits => "set a resource limit",
            Step::Layout => "fix the address layout",
            Step::Directory => "enter the working directory",
            Step::Privileges => "forbid new privileges",
            Step::Rules => "apply the Landlock rules",
            Step::Capabilities => "drop the capabilities",
            Step::Filter => "install the system call filter",
            Step::Execute => "execute the program",
        }
    }
}

/// What a step comes to. The error number is the thread's.
pub(super) type Outcome = Result<(), Step>;

/// As `fork`, in new namespaces if the flags say so. The end of the process sends no signal.
///
/// # Safety
///
/// The child may make only async-signal-safe calls.
pub(super) unsafe fn fork(flags: c_int) -> libc::pid_t {
    // SAFETY: without a stack of its own the child goes on in a copy of the memory, as after fork.
    unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, 0, 0, 0) as libc::pid_t }
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

/// What the kernel says was used.
pub(super) fn usage(usage: &libc::rusage) -> Usage {
    let microseconds = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Usage {
        user: microseconds(usage.ru_utime),
        system: microseconds(usage.ru_stime),
        max_resident: usage.ru_maxrss as u64,
    }
}

pub(super) fn check(result: c_int, step: Step) -> Outcome {
    if result < 0 { Err(step) } else { Ok(()) }
}

/// Reports a failed step and ends the process.
///
/// # Safety
///
/// For the two processes only.
pub(super) unsafe fn fail(plan: &Plan, step: Step) -> ! {
    // SAFETY: the slot belongs to the job; reads this thread's error number and ends the process.
    unsafe {
        let report = plan.slot.report();
        (*report).errno = *libc::__errno_location();
        (*report).failed = Some(step);
        libc::_exit(127)
    }
}
