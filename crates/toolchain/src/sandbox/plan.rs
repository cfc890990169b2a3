//! Everything a job needs, prepared before the fork: afterwards nothing may be allocated.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use nix::unistd::{getegid, geteuid};
use seccompiler::BpfProgram;

use super::raw::Step;
use super::slots::{PAGE, Slot};
use super::{End, Job, Profile, SandboxError};

/// The user and group that a job sees itself as, so that it holds no capabilities after `execve`.
const INSIDE_ID: u32 = 1000;

/// What the two processes report.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Report {
    /// The step of the set-up that failed.
    pub(super) failed: Option<Step>,
    /// The error number of that step.
    pub(super) errno: i32,
    /// Why the job was ended early.
    pub(super) cut_short: Option<End>,
    /// Whether the job was waited for, so that what follows is filled in.
    pub(super) ended: bool,
    /// As from `wait4`.
    pub(super) status: i32,
    /// Monotonic nanoseconds just before `execve`.
    pub(super) start: u64,
    /// Monotonic nanoseconds at the return of `wait4`.
    pub(super) end: u64,
    /// What the sandbox used itself, before `execve`.
    pub(super) before: Usage,
    /// What was used in all.
    pub(super) total: Usage,
}

/// From `getrusage` and `wait4`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// User CPU microseconds.
    pub(super) user: u64,
    /// System CPU microseconds.
    pub(super) system: u64,
    /// Largest resident size in KiB.
    pub(super) max_resident: u64,
}

/// Zero-terminated strings and the zero-terminated array of pointers to them, as `execve` takes them.
pub(super) struct Strings {
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Strings {
            _strings: strings,
            pointers,
        }
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// One limit: which, soft, hard.
pub(super) type ResourceLimit = (libc::__rlimit_resource_t, u64, u64);

/// Everything a job needs. The two processes read it in our memory.
pub(super) struct Plan<'a> {
    /// Flags of `clone` for new namespaces; 0 for none.
    pub(super) namespaces: libc::c_int,
    pub(super) user_map: &'a CStr,
    pub(super) group_map: &'a CStr,
    pub(super) program: CString,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    pub(super) directory: CString,
    /// What becomes descriptor 0, 1, 2 and so on, and whether it stays open in the job; at most [`MAX_DESCRIPTORS`].
    pub(super) descriptors: Vec<(RawFd, bool)>,
    pub(super) limits: Vec<ResourceLimit>,
    pub(super) fixed_addresses: bool,
    /// If descriptor [`RULES`] holds Landlock rules: files below `/proc/self`, which only the job itself can name, to be
    /// added to them as readable.
    pub(super) landlock: Option<Vec<CString>>,
    /// Whether all capabilities are given up before `execve`.
    pub(super) drop_capabilities: bool,
    /// The system call filters, installed in this order.
    pub(super) filters: &'a [BpfProgram],
    /// Signals go to the job itself only.
    pub(super) own_signals_only: bool,
    /// When the job is to be ended, from the start on.
    pub(super) wall_nanoseconds: u64,
    /// Ends the job when it becomes true.
    pub(super) cancel: &'a AtomicBool,
    /// Our process id.
    pub(super) parent: libc::pid_t,
    /// Memory for the two processes.
    pub(super) slot: &'a Slot<'a>,
}

/// How many descriptors a job can be given.
pub(super) const MAX_DESCRIPTORS: usize = 8;

/// The descriptor at which a job finds its Landlock rules: after standard input, output and error.
pub(super) const RULES: RawFd = 3;

/// The program's path, checked.
pub(super) fn program(path: &Path) -> Result<CString, SandboxError> {
    let program = c_string(path.as_os_str(), "the path of the program")?;
    if program.as_bytes_with_nul().len() > PAGE {
        let source = io::Error::from_raw_os_error(libc::ENAMETOOLONG);
        return Err(SandboxError::Program {
            path: path.into(),
            source,
        });
    }
    Ok(program)
}

/// The working directory.
pub(super) fn directory(path: &Path) -> Result<CString, SandboxError> {
    c_string(path.as_os_str(), "the path of the working directory")
}

/// A program's name and arguments.
pub(super) fn arguments(arguments: &[OsString]) -> Result<Strings, SandboxError> {
    let strings = arguments
        .iter()
        .map(|argument| c_string(argument, "an argument"));
    Ok(Strings::new(strings.collect::<Result<_, _>>()?))
}

/// The environment as `NAME=value`.
pub(super) fn environment(job: &Job) -> Result<Strings, SandboxError> {
    let variables = job.environment.iter().map(|(name, value)| {
        let mut variable = name.clone();
        variable.push("=");
        variable.push(value);
        c_string(&variable, "an environment variable")
    });
    Ok(Strings::new(variables.collect::<Result<_, _>>()?))
}

/// The lines for `/proc/self/uid_map` and `gid_map`.
pub(super) fn id_maps() -> (CString, CString) {
    let line = |outside: u32| CString::new(format!("{INSIDE_ID} {outside} 1")).unwrap_or_default();
    (line(geteuid().as_raw()), line(getegid().as_raw()))
}

/// The bounds of a job as resource limits. `count_processes`: whether processes are counted per job.
pub(super) fn resource_limits(job: &Job, count_processes: bool) -> Vec<ResourceLimit> {
    let bounds = &job.limits;
    let seconds = bounds.cpu.as_secs() + u64::from(bounds.cpu.subsec_nanos() > 0);
    let files = match job.profile {
        Profile::Compile => 1024,
        Profile::Run => 64,
    };
    // One more than allowed, so that too much can be told from just enough.
    let output = bounds.output.saturating_add(1);
    // The process that waits for the job counts as well.
    let processes = bounds.processes.saturating_add(1);
    let mut limits = vec![
        // SIGXCPU at the soft limit, SIGKILL at the hard one.
        (libc::RLIMIT_CPU, seconds, seconds.saturating_add(1)),
        (libc::RLIMIT_FSIZE, output, output),
        (libc::RLIMIT_NOFILE, files, files),
        // 1 rather than 0: the value with which the kernel does not start a handler for core dumps either.
        (libc::RLIMIT_CORE, 1, 1),
    ];
    if let Some(bytes) = bounds.memory {
        limits.push((libc::RLIMIT_AS, bytes, bytes));
    }
    if count_processes {
        limits.push((libc::RLIMIT_NPROC, processes, processes));
    }
    limits
}

/// Whether processes are counted per user namespace rather than per user, as since Linux 5.14. (For root they are never
/// bounded.)
pub(super) fn processes_are_counted_per_namespace() -> bool {
    let Ok(system) = nix::sys::utsname::uname() else {
        return false;
    };
    let release = system.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|part| part.parse().ok());
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (5, 14)
}

fn c_string(text: &OsStr, what: &'static str) -> Result<CString, SandboxError> {
    CString::new(text.as_bytes()).map_err(|_| SandboxError::Nul { what })
}
