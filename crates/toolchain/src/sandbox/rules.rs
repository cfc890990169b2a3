//! Landlock: which files a job may touch.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Job, Profile, SandboxError};

/// The newest rights known here; on older kernels those that they have.
const KNOWN: ABI = ABI::V10;

/// What both profiles may read if it exists: what the dynamic loader needs.
const LIBRARIES: [&str; 7] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/etc/ld.so.cache",
];

/// The dynamic loader itself, which the kernel executes.
const LOADER: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/// What compilers may read and execute beside that.
const COMPILERS: [&str; 8] = [
    "/usr",
    "/lib",
    "/lib32",
    "/bin",
    "/sbin",
    "/etc/alternatives",
    "/dev/zero",
    "/dev/urandom",
];

/// Where output may be thrown away.
const NOWHERE: [&str; 1] = ["/dev/null"];

/// All of these for a profile, folders before what is in them.
pub(super) fn common_paths(profile: Profile) -> impl Iterator<Item = &'static str> {
    let compilers: &[&str] = match profile {
        Profile::Compile => &COMPILERS,
        Profile::Run => &[],
    };
    let paths = compilers
        .iter()
        .chain(&LIBRARIES)
        .chain(&LOADER)
        .chain(&NOWHERE);
    paths.copied()
}

/// An opened file or folder that jobs of a profile may use, and how.
#[derive(Debug)]
struct Opened {
    file: PathFd,
    access: BitFlags<AccessFs>,
}

/// The rules that are the same for all jobs of a profile, opened once.
#[derive(Debug)]
pub(super) struct CommonRules {
    run: Vec<Opened>,
    compile: Vec<Opened>,
}

impl CommonRules {
    /// Opens what exists on this machine.
    pub(super) fn open() -> Self {
        let open = |paths: &'static [&str], access: BitFlags<AccessFs>| {
            let paths = paths.iter().map(Path::new);
            paths.filter_map(move |path| Some(opened(path, PathFd::new(path).ok()?, access)))
        };
        let executing = reading() | AccessFs::Execute;
        let throwing_away = AccessFs::ReadFile | AccessFs::WriteFile;
        CommonRules {
            run: open(&LIBRARIES, reading())
                .chain(open(&LOADER, executing))
                .chain(open(&NOWHERE, throwing_away))
                .collect(),
            compile: open(&COMPILERS, executing)
                .chain(open(&LIBRARIES, executing))
                .chain(open(&NOWHERE, throwing_away))
                .collect(),
        }
    }

    /// The rules for one job.
    pub(super) fn for_job(&self, job: &Job) -> Result<Option<OwnedFd>, SandboxError> {
        let common = match job.profile {
            Profile::Compile => &self.compile,
            Profile::Run => &self.run,
        };
        let executing = match job.profile {
            Profile::Compile => BitFlags::from(AccessFs::Execute),
            Profile::Run => BitFlags::EMPTY,
        };
        let program = PathFd::new(&job.program).map_err(|error| SandboxError::Program {
            path: job.program.clone(),
            source: error_of(&error),
        })?;
        let mut rules = ruleset().map_err(setup)?;
        for common in common {
            rules = rules
                .add_rule(PathBeneath::new(&common.file, common.access))
                .map_err(setup)?;
        }
        let mut own = vec![opened(
            &job.program,
            program,
            AccessFs::ReadFile | AccessFs::Execute,
        )];
        for path in job.readable.iter().filter(|path| !is_own(path)) {
            own.push(opened(path, open(path)?, reading() | executing));
        }
        for path in &job.writable {
            own.push(opened(path, open(path)?, reading() | writing() | executing));
        }
        for Opened { file, access } in own {
            rules = rules
                .add_rule(PathBeneath::new(file, access))
                .map_err(setup)?;
        }
        Ok(rules.into())
    }
}

/// What a job may read below `/proc/self`: only the job itself can open that.
pub(super) fn own_files(job: &Job) -> Vec<CString> {
    let own = job.readable.iter().filter(|path| is_own(path));
    own.filter_map(|path| CString::new(path.as_os_str().as_bytes()).ok())
        .collect()
}

fn is_own(path: &Path) -> bool {
    path.starts_with("/proc/self")
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()
}

/// An empty set of rules: nothing may be opened. `None` where Landlock is missing.
pub(super) fn nothing() -> Option<OwnedFd> {
    ruleset().ok().and_then(Into::into)
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// No links out of the folder, no devices, no sockets.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::RemoveDir
        | AccessFs::RemoveFile
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::Refer
        | AccessFs::Truncate
}

fn open(path: &Path) -> Result<PathFd, SandboxError> {
    PathFd::new(path).map_err(|error| SandboxError::Path {
        path: path.into(),
        source: error_of(&error),
    })
}

/// Only some rights make sense for a file.
fn opened(path: &Path, file: PathFd, access: BitFlags<AccessFs>) -> Opened {
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    };
    Opened { file, access }
}

fn error_of(error: &landlock::PathFdError) -> std::io::Error {
    match error {
        landlock::PathFdError::OpenCall { source, .. } => match source.raw_os_error() {
            Some(number) => std::io::Error::from_raw_os_error(number),
            None => source.kind().into(),
        },
        _ => std::io::ErrorKind::Other.into(),
    }
}

fn setup(error: RulesetError) -> SandboxError {
    SandboxError::Setup {
        step: "make the Landlock rules",
        source: std::io::Error::other(error),
    }
}
