//! What a program under test must not be able to do, whichever layers hold.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use whittle_toolchain::sandbox::{End, Job, Layer};

use crate::sandbox::{job, output, probe, run, sandbox, weakened};

/// Layers to leave out.
const COMBINATIONS: [&[Layer]; 5] = [
    &[],
    &[Layer::Namespaces],
    &[Layer::Seccomp],
    &[Layer::Landlock],
    &[Layer::Landlock, Layer::Seccomp],
];

/// A folder with a secret beside the program's own folder, as tests lie beside candidates.
fn neighbourhood() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("own")).unwrap();
    fs::write(folder.path().join("secret"), "the secret").unwrap();
    let secret = folder.path().join("secret").to_str().unwrap().to_owned();
    (folder, secret)
}

fn in_folder(folder: &Path, arguments: &[&str]) -> Job {
    Job {
        directory: folder.join("own"),
        ..job(arguments)
    }
}

#[test]
fn files_cannot_be_read() {
    let (folder, secret) = neighbourhood();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let run = |path: &str| output(&sandbox, &in_folder(folder.path(), &["print", path]));
        for path in [
            &secret,
            "../secret",
            "/etc/passwd",
            "/etc/hostname",
            "/proc/self/maps",
            "/proc/1/environ",
        ] {
            // bubblewrap shows the job its own processes.
            if !(path.starts_with("/proc") && name.contains("Landlock")) {
                let answer = run(path);
                assert!(
                    ["EACCES", "ENOENT"].contains(&answer.as_str()),
                    "{name} {path}: {answer}"
                );
            }
        }
        let list = in_folder(folder.path(), &["list", folder.path().to_str().unwrap()]);
        let seen = output(&sandbox, &list);
        assert!(!seen.contains("secret"), "{name} {seen}");
    }
}

#[test]
fn files_cannot_be_written() {
    let (folder, secret) = neighbourhood();
    let new = folder.path().join("own/new");
    let path = new.to_str().unwrap();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        for attack in ["write", "symlink", "link", "mkdir"] {
            let answer = output(&sandbox, &in_folder(folder.path(), &[attack, path]));
            assert_ne!(answer, "ok", "{name} {attack}");
            assert!(new.symlink_metadata().is_err(), "{name} {attack}");
        }
        for attack in ["write-existing", "truncate", "unlink", "chmod"] {
            let answer = output(&sandbox, &in_folder(folder.path(), &[attack, &secret]));
            // Without seccomp, the mode can be changed by the owner; it is not ours to hide.
            if !(attack == "chmod" && name.contains("Seccomp")) {
                assert_ne!(answer, "ok", "{name} {attack}");
            }
            assert_eq!(fs::read(&secret).unwrap(), b"the secret", "{name} {attack}");
        }
        assert_ne!(
            output(
                &sandbox,
                &job(&["write-existing", probe().to_str().unwrap()])
            ),
            "ok"
        );
    }
}

#[test]
fn a_writable_folder_is_writable_but_for_links() {
    let (folder, secret) = neighbourhood();
    let own = folder.path().join("own");
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let answer = |attack: &str, path: &Path| {
            let job = in_folder(folder.path(), &[attack, path.to_str().unwrap()]);
            output(
                &sandbox,
                &Job {
                    writable: vec![own.clone()],
                    ..job
                },
            )
        };
        assert_eq!(answer("write", &own.join("file")), "ok", "{name}");
        assert!(own.join("file").is_file());
        assert_eq!(answer("unlink", &own.join("file")), "ok", "{name}");
        assert!(!own.join("file").exists());
        if !name.contains("Landlock, Seccomp") {
            assert_ne!(answer("symlink", &own.join("link")), "ok", "{name}");
        }
        assert_ne!(answer("print", Path::new(&secret)), "the secret", "{name}");
        assert_ne!(
            answer("write", &folder.path().join("other")),
            "ok",
            "{name}"
        );
        fs::remove_dir_all(&own).unwrap();
        fs::create_dir(&own).unwrap();
    }
}

#[test]
fn what_it_may_read_it_can_read() {
    let (folder, secret) = neighbourhood();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let job = in_folder(folder.path(), &["print", &secret]);
        let job = Job {
            readable: vec![(&secret).into()],
            ..job
        };
        assert_eq!(output(&sandbox, &job), "the secret", "{name}");
    }
}

#[test]
fn there_are_no_other_processes() {
    for attack in ["fork", "daemon", "system"] {
        assert_eq!(run(&[attack]).end, End::Forbidden, "{attack}");
    }
    assert_eq!(
        run(&["execute", probe().to_str().unwrap()]).end,
        End::Forbidden
    );
    for (name, sandbox) in weakened(&[&[Layer::Namespaces], &[Layer::Landlock]]) {
        assert_eq!(
            sandbox.run(&job(&["fork"])).unwrap().end,
            End::Forbidden,
            "{name}"
        );
    }
}

#[test]
fn the_harness_is_out_of_reach() {
    let harness = std::process::id().to_string();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        for attack in [
            "kill",
            "kill-parent",
            "kill-all",
            "trace",
            "memory-of",
            "signal-by-pipe",
        ] {
            let finished = sandbox.run(&job(&[attack, &harness])).unwrap();
            // Without our filters it may signal its guard, who does not mind.
            let guarded = sandbox.layers().seccomp && sandbox.layers().landlock.is_some();
            if attack != "kill-parent" || guarded {
                let succeeded = finished.end == End::Exited(0) && finished.stdout == b"ok\n";
                assert!(!succeeded, "{name} {attack}");
            }
        }
    }
    for attack in ["kill", "kill-parent", "kill-all", "trace"] {
        assert_eq!(run(&[attack, &harness]).end, End::Forbidden, "{attack}");
    }
}

#[test]
fn there_is_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let finished = sandbox.run(&job(&["connect", &port])).unwrap();
        assert_ne!(finished.stdout, b"ok\n", "{name}");
        assert!(listener.accept().is_err(), "{name}");
    }
    assert_eq!(run(&["socket"]).end, End::Forbidden);
    assert_eq!(run(&["connect", &port]).end, End::Forbidden);
}

#[test]
fn the_kernel_is_out_of_reach() {
    for attack in ["personality", "unshare", "shared-memory", "swap"] {
        assert_eq!(run(&[attack]).end, End::Forbidden, "{attack}");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(run(&["x32"]).end, End::Forbidden);
    }
    for attack in ["unknown-call", "raise-limit"] {
        assert_eq!(output(sandbox(), &job(&[attack])), "ENOSYS");
    }
}

#[test]
fn nothing_is_inherited() {
    // Without the flag that closes it on execve.
    let leaked = nix::unistd::dup(std::io::stdin()).unwrap();
    nix::fcntl::fcntl(
        &leaked,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .unwrap();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        assert_eq!(output(&sandbox, &job(&["descriptors"])), "", "{name}");
        let status = Job {
            readable: vec!["/proc/self/status".into()],
            ..job(&["print", "/proc/self/status"])
        };
        let status = output(&sandbox, &status);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(
                status.contains(&format!("{set}:\t0000000000000000\n")),
                "{name}: {status}"
            );
        }
        assert!(status.contains("NoNewPrivs:\t1\n"), "{name}");
    }
}
