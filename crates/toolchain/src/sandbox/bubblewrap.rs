//! bubblewrap: bounds the files where Landlock is missing.
//!
//! Not in addition to Landlock, which forbids the mounts that bubblewrap is made of. The job then runs inside bubblewrap's
//! namespaces instead of our own; limits and filters are the same. What is less exact: times include bubblewrap's own
//! few milliseconds, a death by signal N cannot be told from an exit with status 128 + N, the program sees its path as its
//! name, and `PWD` in its environment.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::files::SealedInput;
use super::{Job, filter, rules};

/// Arguments with which it is always called.
const ISOLATED: [&str; 12] = [
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--hostname",
    "sandbox",
    "--proc",
];

/// A working bubblewrap.
#[derive(Debug, Clone)]
pub(super) struct Bubblewrap {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

impl Bubblewrap {
    /// The first in the search path, if it works here. Tried once per process.
    pub(super) fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<Bubblewrap>> = OnceLock::new();
        FOUND.get_or_init(Self::attempt).clone()
    }

    fn attempt() -> Option<Self> {
        let folders = env::var_os("PATH")?;
        let mut paths = env::split_paths(&folders).map(|folder| folder.join("bwrap"));
        let path = paths.find(|path| path.is_file())?;
        let version = Command::new(&path)
            .arg("--version")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let version = String::from_utf8(version.stdout).ok()?;
        // Old ones lack the option for several filters.
        let filter = SealedInput::new(&filter::bytes(&filter::allow_everything())).ok()?;
        let works = Command::new(&path)
            .args(ISOLATED)
            .args([
                "/proc",
                "--ro-bind",
                "/",
                "/",
                "--add-seccomp-fd",
                "0",
                "true",
            ])
            .stdin(filter.open().ok()?)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?;
        let version = version.trim().trim_start_matches("bubblewrap ").to_owned();
        works.success().then_some(Bubblewrap { path, version })
    }

    /// The arguments that run a job inside, after bubblewrap's own name. `filters`: descriptors to read the filters from.
    pub(super) fn arguments(job: &Job, filters: std::ops::Range<i32>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["bwrap".into()];
        arguments.extend(ISOLATED.map(OsString::from));
        arguments.push("/proc".into());
        let mut bind = |how: &str, path: &Path| {
            arguments.extend([how.into(), path.into(), path.into()]);
        };
        let mut readable: Vec<&Path> = Vec::new();
        for path in rules::common_paths(job.profile) {
            readable.push(Path::new(path));
        }
        readable.extend(job.readable.iter().map(PathBuf::as_path));
        readable.push(&job.program);
        let mut bound: Vec<&Path> = Vec::new();
        for path in readable {
            if bound.iter().any(|folder| path.starts_with(folder)) || path.starts_with("/proc") {
                continue;
            }
            let device = path.starts_with("/dev");
            bind(
                if device {
                    "--dev-bind-try"
                } else {
                    "--ro-bind-try"
                },
                path,
            );
            bound.push(path);
        }
        for path in &job.writable {
            bind("--bind", path);
        }
        if !job
            .writable
            .iter()
            .chain(&job.readable)
            .any(|folder| job.directory.starts_with(folder))
        {
            arguments.extend(["--dir".into(), job.directory.clone().into()]);
        }
        // What is not bound is a file system in memory.
        arguments.extend(["--remount-ro".into(), "/".into()]);
        arguments.extend(["--chdir".into(), job.directory.clone().into()]);
        for filter in filters {
            arguments.extend(["--add-seccomp-fd".into(), filter.to_string().into()]);
        }
        arguments.push("--".into());
        arguments.push(job.program.clone().into());
        arguments.extend(job.arguments.iter().cloned());
        arguments
    }
}
