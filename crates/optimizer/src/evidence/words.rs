//! How runs ended and what programs import, in words.

use std::collections::BTreeSet;
use std::time::Duration;

use whittle_toolchain::sandbox::{End, Limits};

/// Functions that make a program depend on more than its input.
const UNSTEADY: &str = "time clock clock_gettime gettimeofday timespec_get times getrusage rand random drand48 lrand48 \
    getrandom getentropy arc4random getpid gethostname getenv pthread_create";
/// Clocks that may tell seconds only, so that two runs close together see the same.
const CLOCKS: &str = "time gettimeofday timespec_get clock_gettime";
/// Functions that the sandbox kills a program for.
const REACHING_OUT: &str = "fork vfork clone system popen execl execlp execv execve execvp posix_spawn posix_spawnp socket \
    connect bind listen accept getaddrinfo gethostbyname ptrace mount kill syscall memfd_create shmget";
/// Functions that open files.
const FILES: &str =
    "fopen fopen64 freopen freopen64 open open64 openat openat64 creat opendir tmpfile";

/// What a program imports, without versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imports(BTreeSet<String>);

impl Imports {
    pub(crate) fn new(symbols: impl IntoIterator<Item = String>) -> Self {
        let bare = |name: String| name.split('@').next().unwrap_or_default().to_owned();
        Self(symbols.into_iter().map(bare).collect())
    }

    pub(crate) fn unsteady(&self) -> Vec<&str> {
        self.among(UNSTEADY)
    }

    pub(crate) fn clocks(&self) -> Vec<&str> {
        self.among(CLOCKS)
    }

    pub(crate) fn reaching_out(&self) -> Vec<&str> {
        self.among(REACHING_OUT)
    }

    pub(crate) fn files(&self) -> Vec<&str> {
        self.among(FILES)
    }

    fn among(&self, names: &'static str) -> Vec<&str> {
        names
            .split_whitespace()
            .filter(|name| self.0.contains(*name))
            .collect()
    }
}

/// " (it imports a, b)", or nothing.
pub(crate) fn importing(names: &[&str]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(" (it imports {})", names.join(", "))
    }
}

/// How a run ended, to go on behind "it".
pub(crate) fn ended(end: End, wall: Duration, limits: &Limits, imports: &Imports) -> String {
    match end {
        End::Exited(status) => format!("ends with exit status {status}"),
        End::Signalled(signal) => format!("crashes: it is killed by {}", signal_name(signal)),
        End::Forbidden => format!(
            "makes a system call that is forbidden here, where programs may only compute{}",
            importing(&imports.reaching_out())
        ),
        End::WallTime | End::CpuTime => {
            format!("is still running after {:.1} s", wall.as_secs_f64())
        }
        End::Output => format!("writes more than {} MiB", limits.output >> 20),
        End::Cancelled => "was stopped".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL, an illegal instruction",
        6 => "SIGABRT, abort",
        7 => "SIGBUS, a bus error",
        8 => "SIGFPE, an arithmetic error",
        11 => "SIGSEGV, a segmentation fault",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicious_imports_are_named() {
        let imports =
            Imports::new(["time@GLIBC_2.2.5", "fork", "printf", "forked"].map(str::to_owned));
        assert_eq!(imports.unsteady(), ["time"]);
        assert_eq!(imports.reaching_out(), ["fork"]);
        assert!(imports.files().is_empty());
        let text = ended(End::Forbidden, Duration::ZERO, &Limits::RUN, &imports);
        assert!(text.ends_with("(it imports fork)"), "{text}");
        assert_eq!(importing(&[]), "");
    }

    #[test]
    fn ends_are_told_in_words() {
        let text = |end| {
            ended(
                end,
                Duration::from_secs(10),
                &Limits::RUN,
                &Imports::default(),
            )
        };
        assert_eq!(text(End::WallTime), "is still running after 10.0 s");
        assert_eq!(text(End::Output), "writes more than 64 MiB");
        assert!(text(End::Signalled(11)).contains("SIGSEGV"));
        assert!(text(End::Signalled(64)).contains("signal 64"));
    }
}
