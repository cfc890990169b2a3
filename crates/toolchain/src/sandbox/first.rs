//! What happens between fork and `execve`, first half: the process that starts the job and waits for it.
//!
//! The parent may have many threads, so that after the fork no lock may be taken and nothing allocated: only raw system
//! calls on what [`Plan`] holds. Both processes work on copies of the parent's memory; only [`Report`] is shared.

use std::ffi::CStr;
use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

use super::job;
use super::plan::{MAX_DESCRIPTORS, Plan, Report};
use super::raw::{Outcome, Step, check, fail, microseconds, now, write_file};

/// The job's process id, for the signal handler of the first process. Zero: not started yet.
static JOB: AtomicI32 = AtomicI32::new(0);

/// The first process: prepares the namespaces, starts the job, waits for it, reports, and takes the rest along.
///
/// # Safety
///
/// To be called in a freshly forked process with all signals blocked; the pointers of the plan must be valid.
pub(super) unsafe fn first_process(plan: &Plan) -> ! {
    // SAFETY: the caller promises a valid plan; the report lives in a shared mapping and is made of atomics.
    unsafe {
        let report = &*plan.report;
        if let Err(step) = prepare(plan) {
            fail(report, step);
        }
        let job = libc::clone(
            job::process,
            plan.stack.cast(),
            // Shares the memory until execve, so that no page tables are copied and later torn down in measured time.
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            std::ptr::from_ref(plan).cast_mut().cast(),
        );
        if job < 0 {
            fail(report, Step::Start);
        }
        JOB.store(job, Ordering::SeqCst);
        let mut signals: libc::sigset_t = zeroed();
        libc::sigemptyset(addr_of_mut!(signals));
        libc::sigaddset(addr_of_mut!(signals), libc::SIGTERM);
        libc::sigprocmask(libc::SIG_UNBLOCK, addr_of!(signals), null_mut());
        wait_for(job, report);
        JOB.store(0, Ordering::SeqCst);
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
        // No job may attach to this process, whoever it runs as.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        descriptors(plan)?;
        let mut action: libc::sigaction = zeroed();
        check(
            libc::sigaction(libc::SIGCHLD, addr_of!(action), null_mut()),
            Step::Signals,
        )?;
        let handler: extern "C" fn(c_int) = kill_job;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART;
        check(
            libc::sigaction(libc::SIGTERM, addr_of!(action), null_mut()),
            Step::Signals,
        )?;
        libc::setsid();
        let death = if plan.namespaces & libc::CLONE_NEWPID == 0 {
            check(
                libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
                Step::Start,
            )?;
            // So that the handler and the clearing up still run.
            libc::SIGTERM
        } else {
            libc::SIGKILL
        };
        check(
            libc::prctl(libc::PR_SET_PDEATHSIG, death, 0, 0, 0),
            Step::Signals,
        )
    }
}

/// Asked to end the job early: the wait that follows sees it end.
extern "C" fn kill_job(_: c_int) {
    let job = JOB.load(Ordering::SeqCst);
    if job > 0 {
        // SAFETY: kill is async-signal-safe; the job is a child that has not been waited for, or this does nothing.
        unsafe { libc::kill(job, libc::SIGKILL) };
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

/// Waits until the job has ended and reports. Reaps orphans meanwhile.
unsafe fn wait_for(job: c_int, report: &Report) {
    // SAFETY: the pointers are to locals.
    unsafe {
        let mut status = 0;
        let mut usage: libc::rusage = zeroed();
        loop {
            let ended = libc::wait4(-1, addr_of_mut!(status), libc::__WALL, addr_of_mut!(usage));
            if ended == job {
                break;
            }
            if ended < 0 && *libc::__errno_location() != libc::EINTR {
                return;
            }
        }
        report.end.store(now(), Ordering::Relaxed);
        report.status.store(status, Ordering::Relaxed);
        report
            .user
            .store(microseconds(usage.ru_utime), Ordering::Relaxed);
        report
            .system
            .store(microseconds(usage.ru_stime), Ordering::Relaxed);
        report
            .max_resident
            .store(usage.ru_maxrss as u64, Ordering::Relaxed);
        report.ended.store(1, Ordering::Release);
    }
}

/// Without a PID namespace: this process is the reaper of all descendants, so that each becomes a child in the end.
unsafe fn kill_descendants(job: c_int) {
    // SAFETY: plain system calls on local buffers.
    unsafe {
        libc::kill(-job, libc::SIGKILL);
        loop {
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
