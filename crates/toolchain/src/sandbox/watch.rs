//! The first process of a job, as its parent sees it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::plan::Plan;
use super::{End, SandboxError, first, raw};

/// How often the cancel flag is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long a job that is told to end may take before everything is killed without asking.
const GRACE: Duration = Duration::from_secs(2);

/// Killed and reaped on drop.
pub(super) struct Process {
    pid: libc::pid_t,
    handle: OwnedFd,
}

impl Process {
    /// Forks; the new process does what the plan says.
    pub(super) fn start(plan: &Plan) -> Result<Self, SandboxError> {
        let mut handle = -1;
        // SAFETY: signals are blocked around the fork, so that no handler runs in the child; there, first_process makes
        // only system calls on the plan, whose pointers are valid.
        let (pid, error) = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let pid = raw::fork(plan.namespaces | libc::CLONE_PIDFD, &raw mut handle);
            if pid == 0 {
                first::first_process(plan);
            }
            let error = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            (pid, error)
        };
        if pid < 0 {
            return Err(SandboxError::Setup {
                step: "start a process",
                source: error,
            });
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let handle = unsafe { OwnedFd::from_raw_fd(handle) };
        Ok(Process { pid, handle })
    }

    /// Waits until no process of the job lives any more. Says whether and why it was ended early.
    pub(super) fn watch(
        self,
        wall: Duration,
        cancel: &AtomicBool,
    ) -> Result<Option<End>, SandboxError> {
        let start = Instant::now();
        let mut told: Option<(End, Instant)> = None;
        loop {
            let elapsed = start.elapsed();
            let reason = if cancel.load(Ordering::Relaxed) {
                Some(End::Cancelled)
            } else if elapsed >= wall {
                Some(End::WallTime)
            } else {
                None
            };
            match (told, reason) {
                (None, Some(reason)) => {
                    // The first process kills the job and reports what it used.
                    self.signal(libc::SIGTERM);
                    told = Some((reason, Instant::now()));
                }
                (Some((_, when)), _) if when.elapsed() > GRACE => self.signal(libc::SIGKILL),
                _ => {}
            }
            let patience = if told.is_some() {
                TICK
            } else {
                TICK.min(wall.saturating_sub(elapsed))
            };
            if self.has_ended_within(patience)? {
                return Ok(told.map(|(end, _)| end));
            }
        }
    }

    fn has_ended_within(&self, time: Duration) -> Result<bool, SandboxError> {
        let mut poll = libc::pollfd {
            fd: self.handle.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // Rounded up, so that the last millisecond is not spent in a loop.
        let milliseconds = time.as_micros().div_ceil(1000) as libc::c_int;
        // SAFETY: one valid pollfd.
        match unsafe { libc::poll(&raw mut poll, 1, milliseconds) } {
            0 => Ok(false),
            ready if ready > 0 => Ok(true),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                source => Err(SandboxError::Setup {
                    step: "wait for the job",
                    source,
                }),
            },
        }
    }

    fn signal(&self, signal: libc::c_int) {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a system call on a valid descriptor; no information is passed.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.handle.as_raw_fd(),
                signal,
                nothing,
                0,
            )
        };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to kill after a normal end.
        self.signal(libc::SIGKILL);
        // SAFETY: reaps our own child, which either has ended or has just been killed.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL) };
    }
}
