//! The sandbox itself: from a job to what it left behind.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bubblewrap::Bubblewrap;
use super::files::{SealedInput, memory_file, read_output};
use super::filter::{self, Filters};
use super::layers::{Layer, Layers, NAMESPACES, RUN_NAMESPACES};
use super::plan::{self, Plan, RULES, Report};
use super::rules::{self, CommonRules};
use super::slots::{Slot, Slots};
use super::{AddressLayout, Finished, Job, Profile, SandboxError, first, outcome};

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
    slots: Slots,
    id_maps: (CString, CString),
    count_processes: bool,
}

/// bubblewrap and the filters as it takes them.
struct Wrapper {
    program: Bubblewrap,
    run: Vec<SealedInput>,
    compile: Vec<SealedInput>,
}

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
        let slots = Slots::new().map_err(SandboxError::setup("map memory"))?;
        Ok(Sandbox {
            shared: Arc::new(Shared {
                rules: CommonRules::open(),
                filters: Filters::new(&slots.addresses(), layers.namespaces)?,
                bubblewrap,
                cancel: options.cancel,
                slots,
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

    /// Whether the caller cancelled: then no job runs any more.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancel.load(Ordering::Relaxed)
    }

    /// Runs a job to its end. When this returns, no process of the job lives any more.
    pub fn run(&self, job: &Job) -> Result<Finished, SandboxError> {
        let shared = &*self.shared;
        if self.is_cancelled() {
            return Ok(outcome::cancelled());
        }
        let job = &resolved(job)?;
        let in_memory = SandboxError::setup("make a file in memory");
        let input = match &job.input {
            Some(input) => input.open(),
            None => File::open("/dev/null"),
        };
        let input = input.map_err(SandboxError::setup("open standard input"))?;
        let mut stdout = memory_file(false).map_err(&in_memory)?;
        let mut stderr = memory_file(false).map_err(&in_memory)?;
        let slot = shared.slots.take();
        let streams = [&input, &stdout, &stderr].map(|file| (file.as_raw_fd(), true));
        let (plan, _open) = match &shared.bubblewrap {
            Some(wrapper) => shared.plan_wrapped(job, wrapper, &streams, &slot)?,
            None => shared.plan(job, &streams, &slot)?,
        };
        let report = start(&plan)?;
        outcome::finished(
            job,
            &report,
            read_output(&mut stdout, job.limits.output).map_err(&in_memory)?,
            read_output(&mut stderr, job.limits.output).map_err(&in_memory)?,
            shared.bubblewrap.is_some(),
        )
    }
}

/// Starts the first process and waits until it and all others are gone. This thread is suspended meanwhile: signals to it
/// are handled afterwards.
fn start(plan: &Plan) -> Result<Report, SandboxError> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | plan.namespaces;
    // SAFETY: the slot is ours, and so is what the plan points to, until the process that uses them is gone. All signals
    // are blocked, so that none of our handlers runs there.
    unsafe {
        plan.slot.report().write(Report::default());
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let argument = std::ptr::from_ref(plan).cast_mut().cast();
        let pid = libc::clone(
            first::process,
            plan.slot.first_stack().cast(),
            flags,
            argument,
        );
        let error = io::Error::last_os_error();
        // No end of the process is signalled, and it cannot be waited for by others who wait for anybody.
        while pid > 0
            && libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) != pid
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        if pid < 0 {
            return Err(SandboxError::Setup {
                step: "start a process",
                source: error,
            });
        }
        Ok(plan.slot.report().read())
    }
}

impl Shared {
    /// Our own layers. Also returns what must stay open until the job has started.
    fn plan<'a>(
        &'a self,
        job: &Job,
        streams: &[(RawFd, bool)],
        slot: &'a Slot<'a>,
    ) -> Result<(Plan<'a>, Vec<OwnedFd>), SandboxError> {
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
            landlock: rules.is_some().then(|| rules::own_files(job)),
            drop_capabilities: true,
            filters: if layers.seccomp {
                self.filters.of(job.profile)
            } else {
                &[]
            },
            own_signals_only: layers.seccomp && job.profile == Profile::Run,
            ..self.outer_plan(job, &job.program, &arguments, descriptors, slot)?
        };
        Ok((plan, rules.into_iter().collect()))
    }

    /// bubblewrap's layers, inside ours that do not get into its way.
    fn plan_wrapped<'a>(
        &'a self,
        job: &Job,
        wrapper: &Wrapper,
        streams: &[(RawFd, bool)],
        slot: &'a Slot<'a>,
    ) -> Result<(Plan<'a>, Vec<OwnedFd>), SandboxError> {
        let filters = wrapper.open_filters(job.profile)?;
        let mut descriptors = streams.to_vec();
        let first = descriptors.len() as RawFd;
        descriptors.extend(filters.iter().map(|filter| (filter.as_raw_fd(), true)));
        let arguments = Bubblewrap::arguments(job, first..descriptors.len() as RawFd);
        let program = &wrapper.program.path;
        let plan = self.outer_plan(job, program, &arguments, descriptors, slot)?;
        Ok((plan, filters))
    }

    /// What both have in common: no namespaces, rules or filters.
    fn outer_plan<'a>(
        &'a self,
        job: &Job,
        program: &Path,
        arguments: &[OsString],
        descriptors: Vec<(RawFd, bool)>,
        slot: &'a Slot<'a>,
    ) -> Result<Plan<'a>, SandboxError> {
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
            landlock: None,
            // When run by root, bubblewrap needs one to map the user. It drops them itself.
            drop_capabilities: false,
            filters: &[],
            own_signals_only: false,
            wall_nanoseconds: u64::try_from(job.limits.wall.as_nanos()).unwrap_or(u64::MAX),
            cancel: &self.cancel,
            parent: nix::unistd::getpid().as_raw(),
            slot,
        })
    }
}

impl Wrapper {
    fn new(program: Bubblewrap, seccomp: bool) -> Result<Self, SandboxError> {
        let filters = Filters::new(&(0..u64::MAX), true)?;
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
