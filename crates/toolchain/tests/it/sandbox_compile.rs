//! Compilers: they do their work, see what they need and no more, and leave nothing behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use whittle_toolchain::sandbox::{End, Finished, Job, Layer};

use crate::sandbox::{is_gone, job, output, sandbox, weakened};

const HELLO: &str =
    "#include <math.h>\n#include <stdio.h>\nint main(void) { printf(\"%.3f\\n\", sqrt(2)); }\n";

/// Layers to leave out.
const COMBINATIONS: [&[Layer]; 4] = [
    &[],
    &[Layer::Namespaces],
    &[Layer::Seccomp],
    &[Layer::Landlock],
];

fn compiler(folder: &Path, source: &str) -> Job {
    fs::write(folder.join("main.c"), source).unwrap();
    let clang = ["/usr/bin/clang-19", "/usr/bin/clang", "/usr/bin/cc"];
    let compiler = clang.iter().find(|path| Path::new(path).exists()).unwrap();
    Job {
        arguments: ["-O2", "main.c", "-o", "main", "-lm"]
            .map(Into::into)
            .to_vec(),
        environment: vec![
            ("TMPDIR".into(), folder.into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ],
        ..Job::compile(*compiler, folder)
    }
}

fn shell(folder: &Path, command: &str) -> Job {
    Job {
        arguments: ["-c", command].map(Into::into).to_vec(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..Job::compile("/bin/sh", folder)
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn errors(finished: &Finished) -> String {
    String::from_utf8_lossy(&finished.stderr).into_owned()
}

#[test]
fn compiling_and_linking_work() {
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let folder = folder();
        let finished = sandbox.run(&compiler(folder.path(), HELLO)).unwrap();
        assert_eq!(
            finished.end,
            End::Exited(0),
            "{name}: {}",
            errors(&finished)
        );
        let program = Job::run(folder.path().join("main"), "/");
        assert_eq!(output(&sandbox, &program), "1.414", "{name}");
    }
}

#[test]
fn an_error_is_passed_on() {
    let folder = folder();
    let finished = sandbox()
        .run(&compiler(folder.path(), "int main(void) { return x; }"))
        .unwrap();
    assert_eq!(finished.end, End::Exited(1));
    assert!(
        errors(&finished).contains("undeclared"),
        "{}",
        errors(&finished)
    );
}

#[test]
fn a_source_cannot_take_in_other_files() {
    let secret = folder();
    fs::write(secret.path().join("secret.h"), "int leaked;").unwrap();
    let secret = secret.path().join("secret.h");
    for (name, sandbox) in weakened(&COMBINATIONS) {
        for path in ["/etc/passwd", "/etc/hostname", secret.to_str().unwrap()] {
            let folder = folder();
            for source in [
                format!("__asm__(\".incbin \\\"{path}\\\"\");\nint main(void) {{ return 0; }}"),
                format!("#include \"{path}\"\nint main(void) {{ return 0; }}"),
            ] {
                let finished = sandbox.run(&compiler(folder.path(), &source)).unwrap();
                assert_ne!(finished.end, End::Exited(0), "{name} {source}");
                assert!(!folder.path().join("main").exists(), "{name} {source}");
                assert!(errors(&finished).contains(path), "{name} {source}");
            }
        }
    }
}

#[test]
fn named_files_can_be_taken_in() {
    let headers = folder();
    fs::write(headers.path().join("named.h"), "#define ANSWER 42\n").unwrap();
    let path = headers.path().join("named.h");
    let folder = folder();
    let source = format!(
        "#include \"{}\"\nint main(void) {{ return ANSWER; }}",
        path.display()
    );
    let job = Job {
        readable: vec![headers.path().into()],
        ..compiler(folder.path(), &source)
    };
    assert_eq!(sandbox().run(&job).unwrap().end, End::Exited(0));
    let program = Job::run(folder.path().join("main"), "/");
    assert_eq!(sandbox().run(&program).unwrap().end, End::Exited(42));
}

#[test]
fn nothing_is_written_outside() {
    let (own, other) = (folder(), folder());
    fs::write(other.path().join("kept"), "as it was").unwrap();
    let other_path = other.path().display();
    let command = format!(
        "echo x > {other_path}/new; echo x > {other_path}/kept; ln -s / link; rm {other_path}/kept; echo x > own"
    );
    for (name, sandbox) in weakened(&COMBINATIONS) {
        let _ = fs::remove_file(own.path().join("own"));
        let finished = sandbox.run(&shell(own.path(), &command)).unwrap();
        assert_eq!(finished.end, End::Exited(0), "{name} {}", errors(&finished));
        assert!(own.path().join("own").is_file(), "{name}");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1, "{name}");
        assert_eq!(
            fs::read(other.path().join("kept")).unwrap(),
            b"as it was",
            "{name}"
        );
        assert!(
            own.path().join("link").symlink_metadata().is_err(),
            "{name}"
        );
    }
}

#[test]
fn descendants_die_with_the_job() {
    let folder = folder();
    for (number, (name, sandbox)) in weakened(&COMBINATIONS).into_iter().enumerate() {
        let mark = format!("98765{number}{}", std::process::id());
        let command = format!(
            "sleep {mark} & (setsid sleep {mark} &) ; setsid sh -c 'sleep {mark} & sleep {mark} &' & sleep 0.1; echo started"
        );
        let job = shell(folder.path(), &command);
        assert_eq!(output(&sandbox, &job), "started", "{name}");
        assert!(is_gone(&mark), "{name}");
        let mut slow = shell(
            folder.path(),
            &format!("setsid sleep {mark} & sleep {mark}"),
        );
        slow.limits.wall = Duration::from_millis(300);
        assert_eq!(sandbox.run(&slow).unwrap().end, End::WallTime, "{name}");
        assert!(is_gone(&mark), "{name}");
    }
}

#[test]
fn compilers_have_no_network_and_see_no_other_processes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let harness = std::process::id().to_string();
    let folder = folder();
    for (name, sandbox) in weakened(&COMBINATIONS) {
        for arguments in [
            ["connect", &port],
            ["kill", &harness],
            ["memory-of", &harness],
            ["trace", &harness],
        ] {
            let probe = job(&arguments);
            let probe = Job {
                arguments: probe.arguments,
                ..Job::compile(probe.program, folder.path())
            };
            let finished = sandbox.run(&probe).unwrap();
            assert_ne!(finished.stdout, b"ok\n", "{name} {arguments:?}");
        }
        assert!(listener.accept().is_err(), "{name}");
    }
}

#[test]
fn processes_are_bounded_for_all_but_root() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = folder();
    let mut job = shell(
        folder.path(),
        "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait; echo all",
    );
    job.limits.processes = 4;
    let finished = sandbox().run(&job).unwrap();
    assert_ne!(finished.stdout, b"all\n");
    job.limits.processes = 16;
    assert_eq!(sandbox().run(&job).unwrap().stdout, b"all\n");
}
