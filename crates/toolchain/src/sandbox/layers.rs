//! Which layers of the sandbox hold on this machine: each is tried, not looked up.

use std::fmt;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::ptr::{addr_of, addr_of_mut};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::bubblewrap::Bubblewrap;
use super::{Profile, first, raw, rules};

/// One layer of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Files and TCP ports, by Landlock.
    Landlock,
    /// System calls, by seccomp.
    Seccomp,
    /// User, PID, network and IPC namespaces.
    Namespaces,
    /// bubblewrap, for files where Landlock is missing.
    Bubblewrap,
    /// Resource limits.
    Limits,
}

/// The layers that hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The version of Landlock's interface.
    pub landlock: Option<u32>,
    /// System call filters.
    pub seccomp: bool,
    /// User, PID, network and IPC namespaces (the last two not for programs under test where seccomp holds).
    pub namespaces: bool,
    /// The version of bubblewrap, if it works; used only where Landlock is missing.
    pub bubblewrap: Option<String>,
    /// Resource limits.
    pub limits: bool,
}

impl Layers {
    /// Tries every layer, once per process.
    pub fn detect() -> Layers {
        static DETECTED: OnceLock<Layers> = OnceLock::new();
        DETECTED
            .get_or_init(|| Layers {
                landlock: landlock(),
                seccomp: seccomp(),
                namespaces: namespaces(),
                bubblewrap: Bubblewrap::find().map(|found| found.version),
                limits: limits(),
            })
            .clone()
    }

    /// Without the named ones.
    pub(super) fn without(mut self, disabled: &[Layer]) -> Self {
        for layer in disabled {
            match layer {
                Layer::Landlock => self.landlock = None,
                Layer::Seccomp => self.seccomp = false,
                Layer::Namespaces => self.namespaces = false,
                Layer::Bubblewrap => self.bubblewrap = None,
                Layer::Limits => self.limits = false,
            }
        }
        self
    }

    /// What is missing for the sandbox to hold, in words.
    pub(super) fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        if self.landlock.is_none() && self.bubblewrap.is_none() {
            missing.push("neither Landlock nor bubblewrap bounds the files");
        }
        if !self.seccomp && !self.namespaces {
            missing.push(
                "neither seccomp nor namespaces keep it from the network and other processes",
            );
        }
        if !self.limits {
            missing.push("resource limits cannot be set");
        }
        if missing.is_empty() {
            None
        } else {
            Some(missing.join("; "))
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = self.landlock.map(|version| format!("Landlock {version}"));
        let spare = if self.landlock.is_some() {
            " (in reserve)"
        } else {
            ""
        };
        let bubblewrap = self.bubblewrap.as_ref();
        let bubblewrap = bubblewrap.map(|version| format!("bubblewrap {version}{spare}"));
        let held: Vec<String> = [
            landlock,
            self.seccomp.then(|| "seccomp".into()),
            self.namespaces.then(|| "namespaces".into()),
            bubblewrap,
            self.limits.then(|| "resource limits".into()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if held.is_empty() {
            f.write_str("none")
        } else {
            f.write_str(&held.join(", "))
        }
    }
}

/// Flags of `clone` for the namespaces of a job.
pub(super) const NAMESPACES: libc::c_int =
    libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;

/// Those that a job of the run profile needs under seccomp, which already kills it for sockets and shared memory. A new
/// network takes a millisecond to make and as much in the background to clear up, amid the next measurement.
pub(super) const RUN_NAMESPACES: libc::c_int = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;

fn landlock() -> Option<u32> {
    // From include/uapi/linux/landlock.h.
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: asks for the version; no pointer is followed.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            CREATE_RULESET_VERSION,
        )
    };
    let rules = rules::nothing()?;
    // SAFETY: the closure makes only system calls.
    let holds = unsafe {
        in_child(0, || {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) == 0
                && libc::open(c"/".as_ptr(), libc::O_RDONLY) < 0
        })
    };
    holds.then(|| u32::try_from(version).ok()).flatten()
}

fn seccomp() -> bool {
    let Ok(filters) = super::filter::Filters::new(&(0..u64::MAX), true) else {
        return false;
    };
    // SAFETY: the closure makes only system calls.
    unsafe {
        in_child(0, || {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && filters
                    .of(Profile::Run)
                    .iter()
                    .all(|filter| raw::install(filter).is_ok())
                && libc::syscall(libc::SYS_clone3, 0, 0) < 0
                && *libc::__errno_location() == libc::ENOSYS
        })
    }
}

fn namespaces() -> bool {
    let (user_map, group_map) = super::plan::id_maps();
    // SAFETY: the closure makes only system calls.
    unsafe {
        in_child(NAMESPACES, || {
            first::map_ids(&user_map, &group_map).is_ok() && libc::getpid() == 1
        })
    }
}

fn limits() -> bool {
    // SAFETY: the closure makes only system calls on locals.
    unsafe {
        in_child(0, || {
            let mut limit: libc::rlimit = zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, addr_of_mut!(limit));
            limit.rlim_cur = 0;
            libc::setrlimit(libc::RLIMIT_NOFILE, addr_of!(limit)) == 0
                && libc::open(c"/".as_ptr(), libc::O_RDONLY) < 0
        })
    }
}

/// Whether `check` holds in a forked process, with these flags of `clone`.
///
/// # Safety
///
/// `check` must make only async-signal-safe calls.
unsafe fn in_child(flags: libc::c_int, check: impl Fn() -> bool) -> bool {
    // SAFETY: the child calls only what the caller promises, and ends.
    unsafe {
        let pid = raw::fork(flags);
        if pid == 0 {
            libc::_exit(i32::from(!check()));
        }
        let mut status = 0;
        pid > 0
            && libc::waitpid(pid, addr_of_mut!(status), libc::__WALL) == pid
            && libc::WIFEXITED(status)
            && libc::WEXITSTATUS(status) == 0
    }
}
