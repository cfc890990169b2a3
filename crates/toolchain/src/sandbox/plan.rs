//! Everything a job needs, prepared before the fork: afterwards nothing may be allocated.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

use seccompiler::sock_filter;

use super::{AddressLayout, Job, Profile, SandboxError};

/// The user and group that a job sees itself as, so that it holds no capabilities after `execve`.
const INSIDE_ID: u32 = 1000;

/// What the two processes report to the parent, in shared memory.
#[derive(Default)]
pub(super) struct Report {
    /// The failed step as an index into [`super::child::STEPS`], or 0.
    pub(super) step: AtomicU32,
    /// The error number of that step.
    pub(super) errno: AtomicI32,
    /// Whether the job has ended and what follows is filled in.
    pub(super) ended: AtomicU32,
    /// As from `wait4`.
    pub(super) status: AtomicI32,
    /// Monotonic nanoseconds just before `execve`.
    pub(super) start: AtomicU64,
    /// Monotonic nanoseconds at the return of `wait4`.
    pub(super) end: AtomicU64,
    /// User CPU microseconds before `execve`, which are the sandbox's own.
    pub(super) user_before: AtomicU64,
    /// System CPU microseconds before `execve`.
    pub(super) system_before: AtomicU64,
    /// User CPU microseconds in all.
    pub(super) user: AtomicU64,
    /// System CPU microseconds in all.
    pub(super) system: AtomicU64,
    /// Largest resident size in KiB.
    pub(super) max_resident: AtomicU64,
}

/// Private or shared anonymous memory, unmapped on drop.
pub(super) struct Mapping {
    start: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: a mapping is plain memory that any thread may unmap; who accesses it takes care of races (the report is made
// of atomics, the stack and the path are written only by child processes in their own copies).
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references give out nothing but the address.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` zero bytes; `sharing` is `MAP_PRIVATE` or `MAP_SHARED`.
    pub(super) fn new(length: usize, sharing: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                sharing | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Mapping { start, length }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr().cast()
    }

    /// One past the last byte.
    pub(super) fn end(&self) -> *mut u8 {
        self.start().wrapping_add(self.length)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those of a mapping that this value owns.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
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

/// Everything a job needs. Borrowed from by the child processes, each in its own copy of the parent's memory.
pub(super) struct Plan<'a> {
    /// Flags of `clone` for new namespaces; 0 for none.
    pub(super) namespaces: libc::c_int,
    pub(super) user_map: CString,
    pub(super) group_map: CString,
    pub(super) program: CString,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    pub(super) directory: CString,
    /// Standard input, output and error.
    pub(super) streams: [RawFd; 3],
    pub(super) limits: Vec<ResourceLimit>,
    pub(super) fixed_addresses: bool,
    /// The Landlock rules.
    pub(super) rules: Option<OwnedFd>,
    /// Files below `/proc/self`, which only the job itself can name, to be added to the rules as readable.
    pub(super) own_files: Vec<CString>,
    /// The system call filters, installed in this order.
    pub(super) filters: Vec<&'a [sock_filter]>,
    /// Signals go to the job itself only.
    pub(super) own_signals_only: bool,
    /// Where the program's path is copied before `execve`: the only address from which the filter lets a job execute.
    pub(super) path_page: *mut u8,
    /// One past the highest byte of the job's stack before `execve`.
    pub(super) stack: *mut u8,
    pub(super) report: *const Report,
}

/// Strings of a job, checked for NUL bytes.
pub(super) struct JobStrings {
    pub(super) program: CString,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    pub(super) directory: CString,
}

impl JobStrings {
    pub(super) fn new(job: &Job) -> Result<Self, SandboxError> {
        let program = c_string(job.program.as_os_str(), "the path of the program")?;
        if program.as_bytes_with_nul().len() > PATH_PAGE {
            return Err(SandboxError::Program {
                path: job.program.clone(),
                source: io::Error::from_raw_os_error(libc::ENAMETOOLONG),
            });
        }
        let mut arguments = vec![c_string(&job.name, "the name of the program")?];
        for argument in &job.arguments {
            arguments.push(c_string(argument, "an argument")?);
        }
        let mut environment = Vec::with_capacity(job.environment.len());
        for (name, value) in &job.environment {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            environment.push(c_string(&variable, "an environment variable")?);
        }
        Ok(JobStrings {
            program,
            arguments: Strings::new(arguments),
            environment: Strings::new(environment),
            directory: c_string(job.directory.as_os_str(), "the working directory")?,
        })
    }
}

/// Bytes of the page that holds the program's path.
pub(super) const PATH_PAGE: usize = 4096;

/// The lines for `/proc/self/uid_map` and `gid_map`.
pub(super) fn id_maps() -> (CString, CString) {
    let line = |outside: u32| CString::new(format!("{INSIDE_ID} {outside} 1")).unwrap_or_default();
    (
        line(nix::unistd::geteuid().as_raw()),
        line(nix::unistd::getegid().as_raw()),
    )
}

/// The bounds of a job as resource limits. `count_processes`: whether processes are counted per job.
pub(super) fn resource_limits(job: &Job, count_processes: bool) -> Vec<ResourceLimit> {
    let bounds = &job.limits;
    let seconds = bounds.cpu.as_secs() + u64::from(bounds.cpu.subsec_nanos() > 0);
    let files = match job.profile {
        Profile::Compile => 1024,
        Profile::Run => 64,
    };
    let mut limits = vec![
        // SIGXCPU at the soft limit, SIGKILL at the hard one.
        (libc::RLIMIT_CPU, seconds, seconds + 1),
        // One more than allowed, so that too much can be told from just enough.
        (libc::RLIMIT_FSIZE, bounds.output + 1, bounds.output + 1),
        (libc::RLIMIT_NOFILE, files, files),
        // 1 rather than 0: the value with which the kernel does not start a handler for core dumps either.
        (libc::RLIMIT_CORE, 1, 1),
    ];
    if let Some(bytes) = bounds.memory {
        limits.push((libc::RLIMIT_AS, bytes, bytes));
    }
    if count_processes {
        // The process that waits for the job counts as well.
        limits.push((
            libc::RLIMIT_NPROC,
            bounds.processes + 1,
            bounds.processes + 1,
        ));
    }
    limits
}

/// Whether addresses are to be fixed.
pub(super) fn fixed(layout: AddressLayout) -> bool {
    layout == AddressLayout::Fixed
}

/// The raw descriptors.
pub(super) fn raw(files: [&std::fs::File; 3]) -> [RawFd; 3] {
    files.map(AsRawFd::as_raw_fd)
}

fn c_string(text: &OsStr, what: &'static str) -> Result<CString, SandboxError> {
    CString::new(text.as_bytes()).map_err(|_| SandboxError::Nul { what })
}
