//! What happens between fork and `execve`, second half: the job restricts itself.

use std::mem::zeroed;
use std::ptr::{addr_of, addr_of_mut, null_mut};

use libc::{c_int, c_void};
use seccompiler::sock_filter;

use super::plan::{Plan, RULES};
use super::raw::{Outcome, Step, check, fail, install, now, usage};

/// The job until `execve`. The first process stands still meanwhile.
pub(super) extern "C" fn process(plan: *mut c_void) -> c_int {
    // SAFETY: the first process passes its plan, which outlives this; see there.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        let step = match restrict(plan) {
            Ok(()) => {
                execute(plan);
                Step::Execute
            }
            Err(step) => step,
        };
        fail(plan, step)
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
        if let Some(own_files) = &plan.landlock {
            for file in own_files {
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
        if plan.drop_capabilities {
            drop_capabilities()?;
        }
        if plan.own_signals_only {
            install(&own_signals(libc::getpid())).map_err(|()| Step::Filter)?;
        }
        let path = plan.program.as_bytes_with_nul();
        std::ptr::copy_nonoverlapping(path.as_ptr(), plan.slot.path(), path.len());
        for filter in plan.filters {
            install(filter).map_err(|()| Step::Filter)?;
        }
        Ok(())
    }
}

/// Takes the time and executes; returns only on failure.
unsafe fn execute(plan: &Plan) {
    // SAFETY: the arrays end with null pointers, the strings with NUL; the slot belongs to this job.
    unsafe {
        let report = plan.slot.report();
        let mut used: libc::rusage = zeroed();
        libc::getrusage(libc::RUSAGE_SELF, addr_of_mut!(used));
        (*report).before = usage(&used);
        let mut signals: libc::sigset_t = zeroed();
        libc::sigemptyset(addr_of_mut!(signals));
        libc::sigprocmask(libc::SIG_SETMASK, addr_of!(signals), null_mut());
        (*report).start = now();
        libc::execve(
            plan.slot.path().cast(),
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
        check(added as c_int, Step::Rules)
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
unsafe fn drop_capabilities() -> Outcome {
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
