//! Starting a job, watching it and saying how it ended.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::child::{self, Step};
use super::files::{memory_file, read_output};
use super::filter::Filters;
use super::layers::{Layer, Layers, NAMESPACES};
use super::plan::{JobStrings, Mapping, PATH_PAGE, Plan, Report};
use super::rules::{self, CommonRules};
use super::{End, Finished, Job, Profile, SandboxError, plan};

/// How a sandbox is made.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Run even where too few layers hold (`--unsafe-no-sandbox`).
    pub allow_none: bool,
    /// When this becomes true, running jobs end and no new ones start.
    pub cancel: Arc<AtomicBool>,
    /// Layers to leave out.
    pub disabled: Vec<Layer>,
}

/// Runs jobs. Cheap to clone; usable from many threads at once.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    layers: Layers,
    cancel: Arc<AtomicBool>,
    rules: CommonRules,
    filters: Filters,
    path_page: Mapping,
    id_maps: (std::ffi::CString, std::ffi::CString),
}

/// How often the cancel flag is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long a job that is told to end may take before everything is killed without asking.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of stack for the job before `execve`.
const STACK: usize = 64 << 10;

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("layers", self.layers())
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Finds out which layers hold, and refuses when they are too few.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let layers = Layers::detect().without(&options.disabled);
        match layers.missing() {
            Some(missing) if !options.allow_none => return Err(SandboxError::TooWeak { missing }),
            _ => {}
        }
        let path_page = Mapping::new(PATH_PAGE, libc::MAP_PRIVATE)
            .map_err(SandboxError::setup("map memory"))?;
        Ok(Sandbox {
            shared: Arc::new(Shared {
                rules: CommonRules::open(),
                filters: Filters::new(path_page.start() as u64, layers.namespaces)?,
                cancel: options.cancel,
                path_page,
                id_maps: plan::id_maps(),
                layers,
            }),
        })
    }

    /// The layers that hold for jobs of this sandbox.
    pub fn layers(&self) -> &Layers {
        &self.shared.layers
    }

    /// Runs a job to its end. When this returns, no process of the job lives any more.
    pub fn run(&self, job: &Job) -> Result<Finished, SandboxError> {
        let shared = &*self.shared;
        let file = SandboxError::setup("make a file in memory");
        let input = match &job.input {
            Some(input) => input.open(),
            None => File::open("/dev/null"),
        };
        let input = input.map_err(SandboxError::setup("open standard input"))?;
        let mut stdout = memory_file(false).map_err(&file)?;
        let mut stderr = memory_file(false).map_err(&file)?;
        let stack =
            Mapping::new(STACK, libc::MAP_PRIVATE).map_err(SandboxError::setup("map memory"))?;
        let memory = Mapping::new(size_of::<Report>(), libc::MAP_SHARED)
            .map_err(SandboxError::setup("map memory"))?;
        // SAFETY: the mapping is zeroed, large and aligned enough, and outlives the reference; the report is made of
        // atomics, for which zero is a value.
        let report: &Report = unsafe { &*memory.start().cast() };
        let strings = JobStrings::new(job)?;
        let layers = &shared.layers;
        let plan = Plan {
            namespaces: if layers.namespaces { NAMESPACES } else { 0 },
            user_map: shared.id_maps.0.clone(),
            group_map: shared.id_maps.1.clone(),
            program: strings.program,
            arguments: strings.arguments,
            environment: strings.environment,
            directory: strings.directory,
            streams: plan::raw([&input, &stdout, &stderr]),
            limits: if layers.limits {
                plan::resource_limits(job, layers.namespaces)
            } else {
                Vec::new()
            },
            fixed_addresses: plan::fixed(job.layout),
            rules: if layers.landlock.is_some() {
                shared.rules.for_job(job)?
            } else {
                None
            },
            own_files: rules::own_files(job),
            filters: match job.profile {
                _ if !layers.seccomp => Vec::new(),
                Profile::Run => shared.filters.run.iter().map(Vec::as_slice).collect(),
                Profile::Compile => shared.filters.compile.iter().map(Vec::as_slice).collect(),
            },
            own_signals_only: layers.seccomp && job.profile == Profile::Run,
            path_page: shared.path_page.start(),
            stack: stack.end(),
            report,
        };
        let process = Process::start(&plan)?;
        let cut_short = process.watch(job.limits.wall, &shared.cancel)?;
        let (stdout, too_much) = read_output(&mut stdout, job.limits.output).map_err(&file)?;
        let (stderr, too_many_errors) =
            read_output(&mut stderr, job.limits.output).map_err(&file)?;
        finish(
            job,
            report,
            cut_short,
            too_much || too_many_errors,
            stdout,
            stderr,
        )
    }
}

/// The first process of a job.
struct Process {
    pid: libc::pid_t,
    handle: OwnedFd,
}

impl Process {
    fn start(plan: &Plan) -> Result<Self, SandboxError> {
        let mut handle = -1;
        // SAFETY: signals are blocked around the fork, so that no handler runs in the child; there, first_process makes
        // only system calls on the plan, whose pointers are valid.
        let pid = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let pid = child::fork(plan.namespaces | libc::CLONE_PIDFD, &raw mut handle);
            if pid == 0 {
                child::first_process(plan);
            }
            let error = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            if pid < 0 {
                return Err(SandboxError::Setup {
                    step: "start a process",
                    source: error,
                });
            }
            pid
        };
        // SAFETY: the kernel has just made this descriptor for us.
        let handle = unsafe { OwnedFd::from_raw_fd(handle) };
        Ok(Process { pid, handle })
    }

    /// Waits for the end; says whether and why it came early.
    fn watch(self, wall: Duration, cancel: &AtomicBool) -> Result<Option<End>, SandboxError> {
        let start = Instant::now();
        let mut told: Option<(End, Instant)> = None;
        loop {
            let until_limit = wall.saturating_sub(start.elapsed());
            if self.ended_within(if told.is_some() {
                TICK
            } else {
                TICK.min(until_limit)
            })? {
                break;
            }
            match told {
                None if cancel.load(Ordering::Relaxed) => {
                    self.signal(libc::SIGTERM);
                    told = Some((End::Cancelled, Instant::now()));
                }
                None if start.elapsed() >= wall => {
                    self.signal(libc::SIGTERM);
                    told = Some((End::WallTime, Instant::now()));
                }
                Some((_, when)) if when.elapsed() > GRACE => self.signal(libc::SIGKILL),
                _ => {}
            }
        }
        Ok(told.map(|(end, _)| end))
    }

    fn ended_within(&self, time: Duration) -> Result<bool, SandboxError> {
        let mut poll = libc::pollfd {
            fd: self.handle.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // Rounded up, so that it does not spin in the last millisecond.
        let milliseconds = time.as_micros().div_ceil(1000) as libc::c_int;
        // SAFETY: one valid pollfd.
        let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        match ready {
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
        // SAFETY: a system call on a valid descriptor; no information is passed.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.handle.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a normal end there is nobody left to kill.
        self.signal(libc::SIGKILL);
        // SAFETY: reaps our own child, which either has ended or has just been killed.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL) };
    }
}

/// Puts together what the processes reported.
fn finish(
    job: &Job,
    report: &Report,
    cut_short: Option<End>,
    too_much: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
) -> Result<Finished, SandboxError> {
    let step = report.step.load(Ordering::Acquire);
    if step != 0 {
        let source = io::Error::from_raw_os_error(report.errno.load(Ordering::Relaxed));
        return Err(match Step::Execute as u32 {
            execute if execute == step => SandboxError::Program {
                path: job.program.clone(),
                source,
            },
            _ => SandboxError::Setup {
                step: child::STEPS[step as usize],
                source,
            },
        });
    }
    let ended = report.ended.load(Ordering::Acquire) == 1;
    if !ended && cut_short.is_none() {
        let source = io::Error::other("the process that watches the job was killed");
        return Err(SandboxError::Setup {
            step: "wait for the job",
            source,
        });
    }
    let difference = |later: u64, earlier: u64| later.saturating_sub(earlier);
    let load = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
    let user = Duration::from_micros(difference(load(&report.user), load(&report.user_before)));
    let system = Duration::from_micros(difference(
        load(&report.system),
        load(&report.system_before),
    ));
    let wall = Duration::from_nanos(difference(load(&report.end), load(&report.start)));
    let status = report.status.load(Ordering::Relaxed);
    Ok(Finished {
        end: cut_short.unwrap_or_else(|| end(job, status, user + system, too_much)),
        stdout,
        stderr,
        wall: if ended { wall } else { job.limits.wall },
        user,
        system,
        max_resident: load(&report.max_resident) << 10,
    })
}

fn end(job: &Job, status: libc::c_int, cpu: Duration, too_much: bool) -> End {
    let over = cpu >= job.limits.cpu;
    if libc::WIFSIGNALED(status) {
        match libc::WTERMSIG(status) {
            libc::SIGSYS => End::Forbidden,
            libc::SIGXFSZ => End::Output,
            libc::SIGXCPU => End::CpuTime,
            libc::SIGKILL if over => End::CpuTime,
            _ if too_much => End::Output,
            signal => End::Signalled(signal),
        }
    } else if too_much {
        End::Output
    } else if over && job.profile == Profile::Run {
        // The kernel counts in whole seconds.
        End::CpuTime
    } else {
        End::Exited(libc::WEXITSTATUS(status))
    }
}
