//! What happens between fork and `execve`: the first process of the sandbox and the job itself.
//!
//! The parent may have many threads, so that after the fork no lock may be taken and nothing allocated: only raw system
//! calls on what [`Plan`] holds. Both processes work on copies of the parent's memory; only [`Report`] is shared.

use std::ffi::CStr;
use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void};
use seccompiler::sock_filter;

use super::plan::{MAX_DESCRIPTORS, Plan, RULES, Report};

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

/// The job's process id, for the signal handler of the first process. Zero: not started yet.
static JOB: AtomicI32 = AtomicI32::new(0);

type Outcome = Result<(), Step>;

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
            job_process,
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
        if plan.namespaces & libc::CLONE_NEWPID == 0 {
            kill_descendants(job);
        }
        // In a PID namespace everything dies with its first process.
        libc::_exit(0)
    }
}

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
        // Not only the thread but the kernel's whole view of this process: nobody may attach to it.
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

/// The job until `execve`. It shares the first process's memory, which stands still meanwhile.
extern "C" fn job_process(plan: *mut c_void) -> c_int {
    // SAFETY: the first process passes its plan, which outlives this; see there.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        let report = &*plan.report;
        let step = match restrict(plan) {
            Ok(()) => {
                execute(plan, report);
                Step::Execute
            }
            Err(step) => step,
        };
        fail(report, step)
    }
}

unsafe fn restrict(plan: &Plan) -> Outcome {
    // SAFETY: plain system calls on valid pointers.
    unsafe {
        check(
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0),
            Step::Session,
        )?;
        check(libc::setsid(), Step::Session)?;
        let default: libc::sigaction = zeroed();
        for signal in 1..65 {
            // Fails for the two that cannot be handled and those of the C library.
            libc::sigaction(signal, addr_of!(default), null_mut());
        }
        if plan.fixed_addresses {
            check(
                libc::personality(libc::ADDR_NO_RANDOMIZE as _),
                Step::Layout,
            )?;
        }
        check(libc::chdir(plan.directory.as_ptr()), Step::Directory)?;
        check(
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            Step::Privileges,
        )?;
        if plan.landlock {
            for file in &plan.own_files {
                allow_reading(file.as_ptr())?;
            }
            check(
                libc::syscall(libc::SYS_landlock_restrict_self, RULES, 0) as c_int,
                Step::Rules,
            )?;
        }
        for &(resource, soft, hard) in &plan.limits {
            set_limit(resource, soft, hard)?;
        }
        drop_capabilities()?;
        if plan.own_signals_only {
            install(&own_signals(libc::getpid())).map_err(|()| Step::SignalFilter)?;
        }
        let path = plan.program.as_bytes_with_nul();
        std::ptr::copy_nonoverlapping(path.as_ptr(), plan.path_page, path.len());
        for filter in plan.filters {
            install(filter).map_err(|()| Step::Filter)?;
        }
        Ok(())
    }
}

/// Takes the time and executes; returns only on failure.
unsafe fn execute(plan: &Plan, report: &Report) {
    // SAFETY: the arrays end with null pointers, the strings with NUL; they live in the copied memory.
    unsafe {
        let mut usage: libc::rusage = zeroed();
        libc::getrusage(libc::RUSAGE_SELF, addr_of_mut!(usage));
        report
            .user_before
            .store(microseconds(usage.ru_utime), Ordering::Relaxed);
        report
            .system_before
            .store(microseconds(usage.ru_stime), Ordering::Relaxed);
        let mut signals: libc::sigset_t = zeroed();
        libc::sigemptyset(addr_of_mut!(signals));
        libc::sigprocmask(libc::SIG_SETMASK, addr_of!(signals), null_mut());
        report.start.store(now(), Ordering::Relaxed);
        libc::execve(
            plan.path_page.cast(),
            plan.arguments.as_ptr(),
            plan.environment.as_ptr(),
        );
    }
}

/// Lets the job read one of its own files below `/proc/self`. What does not exist is left out.
unsafe fn allow_reading(path: *const libc::c_char) -> Outcome {
    // From include/uapi/linux/landlock.h.
    const RULE_PATH_BENEATH: c_int = 1;
    const ACCESS_FS_READ_FILE: u64 = 1 << 2;
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent_fd: c_int,
    }
    // SAFETY: plain system calls; the attribute has the kernel's layout.
    unsafe {
        let file = libc::open(path, libc::O_PATH | libc::O_CLOEXEC);
        if file < 0 {
            return Ok(());
        }
        let rule = PathBeneath {
            allowed_access: ACCESS_FS_READ_FILE,
            parent_fd: file,
        };
        let added = libc::syscall(
            libc::SYS_landlock_add_rule,
            RULES,
            RULE_PATH_BENEATH,
            addr_of!(rule),
            0,
        );
        libc::close(file);
        check(added as c_int, Step::Rule)
    }
}

unsafe fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Outcome {
    // SAFETY: plain system calls on locals.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        check(libc::getrlimit(resource, addr_of_mut!(limit)), Step::Limits)?;
        // A bound that already is lower cannot be raised.
        limit.rlim_max = limit.rlim_max.min(hard);
        limit.rlim_cur = soft.min(limit.rlim_max);
        check(libc::setrlimit(resource, addr_of!(limit)), Step::Limits)
    }
}

/// Gives up all capabilities and the right to gain some by `execve` as root.
pub(super) unsafe fn drop_capabilities() -> Outcome {
    // From include/uapi/linux/{securebits,capability}.h: no capabilities for user 0, and no way back.
    const NOROOT_LOCKED: libc::c_ulong = 0b11;
    const VERSION_3: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    // SAFETY: plain system calls; the structures have the kernel's layout.
    unsafe {
        // Fails where there are no capabilities to begin with.
        libc::prctl(libc::PR_SET_SECUREBITS, NOROOT_LOCKED, 0, 0, 0);
        let header = Header {
            version: VERSION_3,
            pid: 0,
        };
        let none = [0_u32; 6];
        check(
            libc::syscall(libc::SYS_capset, addr_of!(header), none.as_ptr()) as c_int,
            Step::Capabilities,
        )
    }
}

/// Installs one filter for the calling thread. Only calls that do not appear in earlier filters can be made for it.
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

/// Kills whoever sends signals to another process than its own. By hand: the process id is known only after the fork.
fn own_signals(pid: c_int) -> [sock_filter; 10] {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    // Offsets in struct seccomp_data; both architectures are little-endian.
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = 16;
    let operation = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    [
        operation(LOAD, NUMBER, 0, 0),
        operation(EQUAL, libc::SYS_kill as u32, 4, 0),
        operation(EQUAL, libc::SYS_tgkill as u32, 3, 0),
        operation(EQUAL, libc::SYS_rt_sigqueueinfo as u32, 2, 0),
        operation(EQUAL, libc::SYS_rt_tgsigqueueinfo as u32, 1, 0),
        operation(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        operation(LOAD, FIRST_ARGUMENT, 0, 0),
        operation(EQUAL, pid as u32, 0, 1),
        operation(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        operation(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ]
}

unsafe fn write_file(path: *const libc::c_char, text: &[u8]) -> Result<(), ()> {
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
fn now() -> u64 {
    // SAFETY: the pointer is to a local.
    unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, addr_of_mut!(time));
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

fn microseconds(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

fn check(result: c_int, step: Step) -> Outcome {
    if result < 0 { Err(step) } else { Ok(()) }
}

/// Reports a failed step and ends the process.
unsafe fn fail(report: &Report, step: Step) -> ! {
    // SAFETY: reads this thread's error number and ends the process.
    unsafe {
        report
            .errno
            .store(*libc::__errno_location(), Ordering::Relaxed);
        report.step.store(step as u32, Ordering::Release);
        libc::_exit(127)
    }
}
