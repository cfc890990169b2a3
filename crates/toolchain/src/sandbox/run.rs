//! The sandbox itself: from a job to what it left behind.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::bubblewrap::Bubblewrap;
use super::files::{SealedInput, memory_file, read_output};
use super::filter::{self, Filters};
use super::layers::{Layer, Layers, NAMESPACES, RUN_NAMESPACES};
use super::plan::{self, Mapping, PATH_PAGE, Plan, RULES, Report};
use super::raw::{self, Step};
use super::rules::{self, CommonRules};
use super::watch::Process;
use super::{AddressLayout, End, Finished, Job, Profile, SandboxError};

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
    bubblewrap: Option<Wrapper>,
    path_page: Mapping,
    id_maps: (CString, CString),
    count_processes: bool,
}

/// bubblewrap and the filters as it takes them.
struct Wrapper {
    program: Bubblewrap,
    run: Vec<SealedInput>,
    compile: Vec<SealedInput>,
}

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
        let bubblewrap = match Bubblewrap::find() {
            Some(program) if layers.landlock.is_none() && layers.bubblewrap.is_some() => {
                Some(Wrapper::new(program, layers.seccomp)?)
            }
            _ => None,
        };
        let path_page = memory(PATH_PAGE, libc::MAP_PRIVATE)?;
        Ok(Sandbox {
            shared: Arc::new(Shared {
                rules: CommonRules::open(),
                filters: Filters::new(Some(path_page.start() as u64), layers.namespaces)?,
                bubblewrap,
                cancel: options.cancel,
                path_page,
                id_maps: plan::id_maps(),
                count_processes: layers.namespaces && plan::processes_are_counted_per_namespace(),
                layers,
            }),
        })
    }

    /// The layers that hold for the jobs of this sandbox.
    pub fn layers(&self) -> &Layers {
        &self.shared.layers
    }

    /// Runs a job to its end. When this returns, no process of the job lives any more.
    pub fn run(&self, job: &Job) -> Result<Finished, SandboxError> {
        let shared = &*self.shared;
        let job = &resolved(job)?;
        let in_memory = SandboxError::setup("make a file in memory");
        let input = match &job.input {
            Some(input) => input.open(),
            None => File::open("/dev/null"),
        };
        let input = input.map_err(SandboxError::setup("open standard input"))?;
        let mut stdout = memory_file(false).map_err(&in_memory)?;
        let mut stderr = memory_file(false).map_err(&in_memory)?;
        let stack = memory(STACK, libc::MAP_PRIVATE)?;
        let report_memory = memory(size_of::<Report>(), libc::MAP_SHARED)?;
        // SAFETY: the mapping is zeroed, large and aligned enough, and outlives the reference; the report is made of
        // atomics, for which zero is a value.
        let report: &Report = unsafe { &*report_memory.start().cast() };
        let streams = [&input, &stdout, &stderr].map(|file| (file.as_raw_fd(), true));
        let (plan, _open) = match &shared.bubblewrap {
            Some(wrapper) => shared.plan_wrapped(job, wrapper, &streams, &stack, report)?,
            None => shared.plan(job, &streams, &stack, report)?,
        };
        let cut_short = Process::start(&plan)?.watch(job.limits.wall, &shared.cancel)?;
        let (stdout, too_much) = read_output(&mut stdout, job.limits.output).map_err(&in_memory)?;
        let (stderr, too_many) = read_output(&mut stderr, job.limits.output).map_err(&in_memory)?;
        let usage = usage(job, report, cut_short.is_some())?;
        let end = match cut_short {
            Some(end) => end,
            None => end(
                job,
                &usage,
                too_much || too_many,
                shared.bubblewrap.is_some(),
            ),
        };
        Ok(Finished {
            end,
            stdout,
            stderr,
            wall: usage.wall,
            user: usage.user,
            system: usage.system,
            max_resident: usage.max_resident,
        })
    }
}

impl Shared {
    /// Our own layers. Also returns what must stay open until the job has started.
    fn plan(
        &self,
        job: &Job,
        streams: &[(RawFd, bool)],
        stack: &Mapping,
        report: &Report,
    ) -> Result<(Plan<'_>, Vec<OwnedFd>), SandboxError> {
        let layers = &self.layers;
        let rules = match layers.landlock {
            Some(_) => self.rules.for_job(job)?,
            None => None,
        };
        let mut descriptors = streams.to_vec();
        if let Some(rules) = &rules {
            debug_assert_eq!(descriptors.len() as RawFd, RULES);
            descriptors.push((rules.as_raw_fd(), false));
        }
        let mut arguments = vec![job.name.clone()];
        arguments.extend(job.arguments.iter().cloned());
        let plan = Plan {
            namespaces: match job.profile {
                _ if !layers.namespaces => 0,
                Profile::Run if layers.seccomp => RUN_NAMESPACES,
                _ => NAMESPACES,
            },
            landlock: rules.is_some(),
            own_files: rules::own_files(job),
            drop_capabilities: true,
            filters: if layers.seccomp {
                self.filters.of(job.profile)
            } else {
                &[]
            },
            own_signals_only: layers.seccomp && job.profile == Profile::Run,
            ..self.outer_plan(job, &job.program, &arguments, descriptors, stack, report)?
        };
        Ok((plan, rules.into_iter().collect()))
    }

    /// bubblewrap's layers, inside ours that do not get into its way.
    fn plan_wrapped(
        &self,
        job: &Job,
        wrapper: &Wrapper,
        streams: &[(RawFd, bool)],
        stack: &Mapping,
        report: &Report,
    ) -> Result<(Plan<'_>, Vec<OwnedFd>), SandboxError> {
        let filters = wrapper.open_filters(job.profile)?;
        let mut descriptors = streams.to_vec();
        let first = descriptors.len() as RawFd;
        descriptors.extend(filters.iter().map(|filter| (filter.as_raw_fd(), true)));
        let arguments = Bubblewrap::arguments(job, first..descriptors.len() as RawFd);
        let program = &wrapper.program.path;
        let plan = self.outer_plan(job, program, &arguments, descriptors, stack, report)?;
        Ok((plan, filters))
    }

    /// What both have in common: no namespaces, rules or filters.
    fn outer_plan(
        &self,
        job: &Job,
        program: &Path,
        arguments: &[OsString],
        descriptors: Vec<(RawFd, bool)>,
        stack: &Mapping,
        report: &Report,
    ) -> Result<Plan<'_>, SandboxError> {
        Ok(Plan {
            namespaces: 0,
            user_map: &self.id_maps.0,
            group_map: &self.id_maps.1,
            program: plan::program(program)?,
            arguments: plan::arguments(arguments)?,
            environment: plan::environment(job)?,
            directory: plan::directory(&job.directory)?,
            descriptors,
            limits: if self.layers.limits {
                plan::resource_limits(job, self.count_processes && self.bubblewrap.is_none())
            } else {
                Vec::new()
            },
            fixed_addresses: job.layout == AddressLayout::Fixed,
            landlock: false,
            own_files: Vec::new(),
            // When run by root, bubblewrap needs one to map the user. It drops them itself.
            drop_capabilities: false,
            filters: &[],
            own_signals_only: false,
            path_page: self.path_page.start(),
            stack: stack.end(),
            report,
        })
    }
}

impl Wrapper {
    fn new(program: Bubblewrap, seccomp: bool) -> Result<Self, SandboxError> {
        let filters = Filters::new(None, true)?;
        let sealed = |profile| -> Result<Vec<SealedInput>, SandboxError> {
            let programs = filters.of(profile).iter().filter(|_| seccomp);
            let sealed = programs.map(|program| SealedInput::new(&filter::bytes(program)));
            sealed
                .collect::<io::Result<_>>()
                .map_err(SandboxError::setup("store the system call filter"))
        };
        Ok(Wrapper {
            run: sealed(Profile::Run)?,
            compile: sealed(Profile::Compile)?,
            program,
        })
    }

    fn open_filters(&self, profile: Profile) -> Result<Vec<OwnedFd>, SandboxError> {
        let filters = match profile {
            Profile::Run => &self.run,
            Profile::Compile => &self.compile,
        };
        let open = filters
            .iter()
            .map(|filter| filter.open().map(OwnedFd::from));
        open.collect::<io::Result<_>>()
            .map_err(SandboxError::setup("open the system call filter"))
    }
}

fn memory(length: usize, sharing: libc::c_int) -> Result<Mapping, SandboxError> {
    Mapping::new(length, sharing).map_err(SandboxError::setup("map memory"))
}

/// With absolute paths, since the job changes its directory; checks that the program is there.
fn resolved(job: &Job) -> Result<Job, SandboxError> {
    let error = |source| SandboxError::Program {
        path: job.program.clone(),
        source,
    };
    let mut resolved = job.clone();
    resolved.program = std::path::absolute(&job.program).map_err(error)?;
    resolved.directory =
        std::path::absolute(&job.directory).map_err(|source| SandboxError::Path {
            path: job.directory.clone(),
            source,
        })?;
    fs::metadata(&resolved.program).map_err(error)?;
    Ok(resolved)
}

/// What the job used.
struct Usage {
    status: libc::c_int,
    wall: Duration,
    user: Duration,
    system: Duration,
    max_resident: u64,
}

/// Reads the report, or says which step of the set-up failed.
fn usage(job: &Job, report: &Report, cut_short: bool) -> Result<Usage, SandboxError> {
    let step = report.step.load(Ordering::Acquire);
    if step != 0 {
        let source = io::Error::from_raw_os_error(report.errno.load(Ordering::Relaxed));
        let step_name = raw::STEPS.get(step as usize).copied().unwrap_or_default();
        return Err(if step == Step::Execute as u32 {
            SandboxError::Program {
                path: job.program.clone(),
                source,
            }
        } else if step == Step::Directory as u32 {
            SandboxError::Path {
                path: job.directory.clone(),
                source,
            }
        } else {
            SandboxError::Setup {
                step: step_name,
                source,
            }
        });
    }
    let ended = report.ended.load(Ordering::Acquire) == 1;
    if !ended && !cut_short {
        let source = io::Error::other("the process that watches the job was killed");
        return Err(SandboxError::Setup {
            step: "wait for the job",
            source,
        });
    }
    let since = |later: &AtomicU64, earlier: &AtomicU64| {
        later
            .load(Ordering::Relaxed)
            .saturating_sub(earlier.load(Ordering::Relaxed))
    };
    let wall = Duration::from_nanos(since(&report.end, &report.start));
    Ok(Usage {
        status: report.status.load(Ordering::Relaxed),
        wall: if ended { wall } else { job.limits.wall },
        user: Duration::from_micros(since(&report.user, &report.user_before)),
        system: Duration::from_micros(since(&report.system, &report.system_before)),
        max_resident: report.max_resident.load(Ordering::Relaxed) << 10,
    })
}

/// How a job ended that was not cut short. `shell_style`: a status of 128 + N stands for signal N.
fn end(job: &Job, usage: &Usage, too_much: bool, shell_style: bool) -> End {
    let over = usage.user + usage.system >= job.limits.cpu;
    let status = libc::WEXITSTATUS(usage.status);
    let signal = if libc::WIFSIGNALED(usage.status) {
        Some(libc::WTERMSIG(usage.status))
    } else {
        (shell_style && (129..=192).contains(&status)).then(|| status - 128)
    };
    match signal {
        Some(libc::SIGSYS) => End::Forbidden,
        Some(libc::SIGXFSZ) => End::Output,
        Some(libc::SIGXCPU) => End::CpuTime,
        Some(libc::SIGKILL) if over => End::CpuTime,
        _ if too_much => End::Output,
        Some(signal) => End::Signalled(signal),
        // The kernel counts whole seconds, and processes apart.
        None if over && job.profile == Profile::Run => End::CpuTime,
        None => End::Exited(status),
    }
}
