//! What happens between fork and `execve`, first half: the process that starts the job and watches it.
//!
//! Both processes run in our memory while the thread that started them is suspended, as after `vfork`. Other threads run
//! on, so that no lock may be taken and nothing allocated: there are only system calls on what [`Plan`] holds, and writes
//! to its slot.

use std::ffi::CStr;
use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut, null_mut};
use std::sync::atomic::Ordering;

use libc::{c_int, c_void};

use super::plan::{MAX_DESCRIPTORS, Plan};
use super::raw::{Outcome, Step, check, fail, now, usage, write_file};
use super::{End, job};

/// Nanoseconds after which the cancel flag is looked at again.
const TICK: u64 = 50_000_000;

/// Nanoseconds after which what cannot be killed is left behind.
const PATIENCE: u64 = 5_000_000_000;

/// The first process: prepares the namespaces, starts the job, watches it, reports, and takes the rest along.
///
/// To be started by `clone` on the plan's stack for it with all signals blocked, while the caller is suspended.
pub(super) extern "C" fn process(plan: *mut c_void) -> c_int {
    // SAFETY: the caller passes its plan and is suspended, so that the plan outlives this and the slot is ours alone.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        if let Err(step) = prepare(plan) {
            fail(plan, step);
        }
        let mut handle: c_int = -1;
        let job = libc::clone(
            job::process,
            plan.slot.job_stack().cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            std::ptr::from_ref(plan).cast_mut().cast(),
            addr_of_mut!(handle),
        );
        if job < 0 {
            fail(plan, Step::Start);
        }
        watch(plan, job, handle);
        wait_for(plan, job);
        if plan.namespaces & libc::CLONE_NEWPID == 0 {
            kill_descendants(job);
        }
        // In a PID namespace everything dies with its first process.
        libc::_exit(0)
    }
}

/// Maps one user and group in a new user namespace.
///
/// # Safety
///
/// To be called in a freshly forked process in a user namespace of its own.
pub(super) unsafe fn map_ids(user_map: &CStr, group_map: &CStr) -> Outcome {
    // SAFETY: plain system calls on valid pointers.
    unsafe {
        // Fails where groups cannot be set anyway.
        let _ = write_file(c"/proc/self/setgroups".as_ptr(), b"deny");
        write_file(c"/proc/self/uid_map".as_ptr(), user_map.to_bytes())
            .and_then(|()| write_file(c"/proc/self/gid_map".as_ptr(), group_map.to_bytes()))
            .map_err(|()| Step::MapIds)
    }
}

unsafe fn prepare(plan: &Plan) -> Outcome {
    // SAFETY: plain system calls on valid pointers.
    unsafe {
        if plan.namespaces & libc::CLONE_NEWUSER != 0 {
            map_ids(plan.user_map, plan.group_map)?;
        }
        descriptors(plan)?;
        let default: libc::sigaction = zeroed();
        check(
            libc::sigaction(libc::SIGCHLD, addr_of!(default), null_mut()),
            Step::Signals,
        )?;
        libc::setsid();
        if plan.namespaces & libc::CLONE_NEWPID == 0 {
            check(
                libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
                Step::Start,
            )
        } else {
            check(
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0),
                Step::Signals,
            )
        }
    }
}

/// Puts the descriptors in their places and closes everything else.
unsafe fn descriptors(plan: &Plan) -> Outcome {
    // SAFETY: plain system calls.
    unsafe {
        // First out of the way of the places.
        let mut moved = [-1; MAX_DESCRIPTORS];
        for (moved, &(descriptor, _)) in moved.iter_mut().zip(&plan.descriptors) {
            *moved = libc::fcntl(
                descriptor,
                libc::F_DUPFD_CLOEXEC,
                2 * MAX_DESCRIPTORS as c_int,
            );
            check(*moved, Step::Descriptors)?;
        }
        let mut place = 0;
        for (&moved, &(_, stays)) in moved.iter().zip(&plan.descriptors) {
            let flags = if stays { 0 } else { libc::O_CLOEXEC };
            check(libc::dup3(moved, place, flags), Step::Descriptors)?;
            place += 1;
        }
        if libc::syscall(libc::SYS_close_range, place, u32::MAX, 0) < 0 {
            let mut limit: libc::rlimit = zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, addr_of_mut!(limit));
            for descriptor in place..limit.rlim_cur.min(1 << 20) as c_int {
                libc::close(descriptor);
            }
        }
        Ok(())
    }
}

/// Returns when the job has ended, by itself or because it had to.
unsafe fn watch(plan: &Plan, job: c_int, handle: c_int) {
    let deadline = now().saturating_add(plan.wall_nanoseconds);
    let mut reason = None;
    // SAFETY: plain system calls on locals; the slot belongs to this job.
    unsafe {
        loop {
            let now = now();
            if reason.is_none() {
                // A namespace ends with us, of which this one does not learn the death otherwise.
                let alone =
                    plan.namespaces & libc::CLONE_NEWPID == 0 && libc::getppid() != plan.parent;
                if alone || plan.cancel.load(Ordering::Relaxed) {
                    reason = Some(End::Cancelled);
                } else if now >= deadline {
                    reason = Some(End::WallTime);
                }
                if reason.is_some() {
                    (*plan.slot.report()).cut_short = reason;
                    libc::kill(job, libc::SIGKILL);
                }
            }
            let time = if reason.is_some() {
                TICK
            } else {
                TICK.min(deadline - now)
            };
            let mut poll = libc::pollfd {
                fd: handle,
                events: libc::POLLIN,
                revents: 0,
            };
            // Rounded up, so that the last millisecond is not spent in a loop.
            if libc::poll(addr_of_mut!(poll), 1, time.div_ceil(1_000_000) as c_int) != 0 {
                return;
            }
        }
    }
}

/// Waits for the job and reports.
unsafe fn wait_for(plan: &Plan, job: c_int) {
    // SAFETY: the pointers are to locals; the slot belongs to this job.
    unsafe {
        let mut status = 0;
        let mut used: libc::rusage = zeroed();
        while libc::wait4(job, addr_of_mut!(status), libc::__WALL, addr_of_mut!(used)) != job {
            if *libc::__errno_location() != libc::EINTR {
                return;
            }
        }
        let report = plan.slot.report();
        (*report).end = now();
        (*report).status = status;
        (*report).total = usage(&used);
        (*report).ended = true;
    }
}

/// Without a PID namespace: this process is the reaper of all descendants, so that each becomes a child in the end.
unsafe fn kill_descendants(job: c_int) {
    // SAFETY: plain system calls on local buffers.
    unsafe {
        libc::kill(-job, libc::SIGKILL);
        let deadline = now().saturating_add(PATIENCE);
        while now() < deadline {
            kill_children();
            let mut ended = 0;
            loop {
                match libc::wait4(-1, null_mut(), libc::__WALL | libc::WNOHANG, null_mut()) {
                    0 => break,
                    pid if pid < 0 => return,
                    _ => ended += 1,
                }
            }
            if ended == 0 {
                let pause = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 200_000,
                };
                libc::nanosleep(addr_of!(pause), null_mut());
            }
        }
    }
}

/// Kills every child that the kernel lists.
unsafe fn kill_children() {
    // SAFETY: plain system calls on local buffers.
    unsafe {
        let file = libc::open(
            c"/proc/thread-self/children".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if file < 0 {
            return;
        }
        let mut buffer = [0_u8; 4096];
        let mut pid: c_int = 0;
        loop {
            let length = libc::read(file, buffer.as_mut_ptr().cast(), buffer.len());
            if length <= 0 {
                break;
            }
            for &byte in buffer.iter().take(length as usize) {
                if byte.is_ascii_digit() {
                    pid = pid.wrapping_mul(10).wrapping_add(c_int::from(byte - b'0'));
                } else if pid > 0 {
                    libc::kill(pid, libc::SIGKILL);
                    pid = 0;
                }
            }
        }
        libc::close(file);
    }
}
