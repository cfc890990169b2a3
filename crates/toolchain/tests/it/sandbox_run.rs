//! Programs that behave, and those that go beyond their bounds.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use whittle_toolchain::sandbox::{
    AddressLayout, End, Job, Layer, Limits, Sandbox, SandboxError, SandboxOptions, SealedInput,
};

use crate::sandbox::{is_gone, job, output, probe, run, sandbox, without};

fn limited(arguments: &[&str], change: impl Fn(&mut Limits)) -> Job {
    let mut job = job(arguments);
    change(&mut job.limits);
    job
}

#[test]
fn input_arguments_environment_and_directory_arrive_exactly() {
    let input = SealedInput::new(b"first\nsecond\n").unwrap();
    let echo = Job {
        input: Some(input),
        ..job(&["echo"])
    };
    // The input starts anew for each run.
    for _ in 0..2 {
        assert_eq!(sandbox().run(&echo).unwrap().stdout, b"first\nsecond\n");
    }
    assert_eq!(output(sandbox(), &job(&["echo"])), "");
    assert_eq!(
        output(sandbox(), &job(&["arguments", "", "a b", "*"])),
        "\na b\n*"
    );
    let environment = vec![("A".into(), "1 2".into()), ("B".into(), "".into())];
    let with_environment = Job {
        environment,
        ..job(&["environment"])
    };
    assert_eq!(output(sandbox(), &with_environment), "A=1 2\nB=");
    assert_eq!(output(sandbox(), &job(&["environment"])), "");
    let elsewhere = Job {
        directory: "/usr".into(),
        ..job(&["directory"])
    };
    assert_eq!(output(sandbox(), &elsewhere), "/usr");
}

#[test]
fn the_end_is_told_apart() {
    assert_eq!(run(&["exit", "0"]).end, End::Exited(0));
    assert_eq!(run(&["exit", "139"]).end, End::Exited(139));
    assert_eq!(run(&["abort"]).end, End::Signalled(libc::SIGABRT));
    assert_eq!(run(&["segfault"]).end, End::Signalled(libc::SIGSEGV));
    assert_eq!(run(&["recurse"]).end, End::Signalled(libc::SIGSEGV));
    assert_eq!(run(&["raise", "15"]).end, End::Signalled(libc::SIGTERM));
    assert_eq!(run(&["kill-itself"]).end, End::Signalled(libc::SIGTERM));
}

#[test]
fn threads_work() {
    assert_eq!(output(sandbox(), &job(&["threads", "8"])), "8 8000");
}

#[test]
fn usage_is_reported() {
    let finished = run(&["spin", "0.2"]);
    let cpu = finished.user + finished.system;
    assert!(cpu > Duration::from_millis(190), "{cpu:?}");
    assert!(
        finished.wall >= Duration::from_millis(190),
        "{:?}",
        finished.wall
    );
    assert!(run(&["memory", "100"]).max_resident > 100 << 20);
}

#[test]
fn time_is_bounded() {
    let wall = |limits: &mut Limits| limits.wall = Duration::from_millis(300);
    let spinning = sandbox().run(&limited(&["spin", "100"], wall)).unwrap();
    assert_eq!(spinning.end, End::WallTime);
    assert!(spinning.user + spinning.system > Duration::from_millis(1));
    assert_eq!(
        sandbox()
            .run(&limited(&["sleep", "100"], wall))
            .unwrap()
            .end,
        End::WallTime
    );
    let cpu = |limits: &mut Limits| limits.cpu = Duration::from_secs(1);
    assert_eq!(
        sandbox().run(&limited(&["spin", "100"], cpu)).unwrap().end,
        End::CpuTime
    );
    assert_eq!(
        sandbox()
            .run(&limited(&["spin-stubborn", "100"], cpu))
            .unwrap()
            .end,
        End::CpuTime
    );
    let short = |limits: &mut Limits| limits.cpu = Duration::from_millis(50);
    assert_eq!(
        sandbox()
            .run(&limited(&["spin", "0.2"], short))
            .unwrap()
            .end,
        End::CpuTime
    );
}

#[test]
fn memory_is_bounded() {
    let memory = |limits: &mut Limits| limits.memory = Some(256 << 20);
    assert_eq!(
        output(sandbox(), &limited(&["memory", "100"], memory)),
        "some"
    );
    assert_eq!(
        output(sandbox(), &limited(&["memory", "300"], memory)),
        "none"
    );
    let unbounded = |limits: &mut Limits| limits.memory = None;
    assert_eq!(
        output(sandbox(), &limited(&["memory", "300"], unbounded)),
        "some"
    );
}

#[test]
fn output_is_bounded() {
    let output = |limits: &mut Limits| limits.output = 100_000;
    for stream in ["1", "2"] {
        for (how, end) in [("flood", End::Output), ("flood-stubborn", End::Output)] {
            let finished = sandbox()
                .run(&limited(&[how, stream, "8000000000"], output))
                .unwrap();
            assert_eq!(finished.end, end, "{how} {stream}");
            let (full, empty) = match stream {
                "1" => (finished.stdout, finished.stderr),
                _ => (finished.stderr, finished.stdout),
            };
            assert_eq!(full, vec![b'x'; 100_000]);
            assert!(empty.is_empty());
        }
        let exactly = sandbox()
            .run(&limited(&["flood", stream, "100000"], output))
            .unwrap();
        assert_eq!(exactly.end, End::Exited(0));
        let one_more = sandbox()
            .run(&limited(&["flood", stream, "100001"], output))
            .unwrap();
        assert_eq!(one_more.end, End::Output);
    }
}

#[test]
fn addresses_are_random_or_fixed() {
    let random = || output(sandbox(), &job(&["addresses"]));
    let fixed = || {
        output(
            sandbox(),
            &Job {
                layout: AddressLayout::Fixed,
                ..job(&["addresses"])
            },
        )
    };
    assert_ne!(random(), random());
    assert_eq!(fixed(), fixed());
}

#[test]
fn a_job_cannot_change_its_input() {
    let input = SealedInput::new(b"as it was").unwrap();
    let meddling = Job {
        input: Some(input.clone()),
        ..job(&["change-input"])
    };
    let answers = output(sandbox(), &meddling);
    assert_eq!(answers.lines().count(), 3);
    assert!(!answers.contains("ok"), "{answers}");
    assert_eq!(input.bytes().unwrap(), b"as it was");
}

#[test]
fn what_cannot_be_started_is_named() {
    let error = sandbox().run(&Job::run("/none/such", "/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot execute /none/such: No such file or directory (os error 2)"
    );
    let error = sandbox().run(&Job::run("/etc/passwd", "/")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot execute /etc/passwd: Permission denied (os error 13)"
    );
    let error = sandbox().run(&Job::run(probe(), "/none")).unwrap_err();
    assert!(error.to_string().contains("/none"), "{error}");
    let error = sandbox().run(&job(&["a\0b"])).unwrap_err();
    assert!(matches!(error, SandboxError::Nul { .. }), "{error}");
    let unreadable = Job {
        readable: vec!["/none".into()],
        ..job(&["exit", "0"])
    };
    let error = sandbox().run(&unreadable).unwrap_err();
    assert!(error.to_string().contains("/none"), "{error}");
}

#[test]
fn cancelling_ends_a_job_and_starts_no_other() {
    let cancel = Arc::new(AtomicBool::new(false));
    let options = SandboxOptions {
        cancel: Arc::clone(&cancel),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::new(options).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        let sleeping = scope.spawn(|| sandbox.run(&limited(&["sleep", "1000"], |l| l.wall *= 100)));
        thread::sleep(Duration::from_millis(100));
        cancel.store(true, Ordering::Relaxed);
        assert_eq!(sleeping.join().unwrap().unwrap().end, End::Cancelled);
    });
    assert_eq!(
        sandbox.run(&job(&["sleep", "1000"])).unwrap().end,
        End::Cancelled
    );
    assert!(start.elapsed() < Duration::from_secs(100));
}

#[test]
fn many_run_at_once() {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..50 {
                    let text = format!("{thread} {number}");
                    assert_eq!(output(sandbox(), &job(&["arguments", &text])), text);
                }
            });
        }
    });
}

/// Not a test of its own: what the next one starts and kills.
#[test]
#[ignore = "started by a_job_dies_with_its_harness"]
fn sleeps_in_a_sandbox() {
    let Ok(seconds) = std::env::var("SLEEP_SECONDS") else {
        return;
    };
    let disabled = match std::env::var("NO_NAMESPACES") {
        Ok(_) => vec![Layer::Namespaces],
        Err(_) => Vec::new(),
    };
    let sleep = Job {
        arguments: vec![seconds.into()],
        ..Job::compile("/bin/sleep", "/tmp")
    };
    without(&disabled).run(&sleep).unwrap();
}

#[test]
fn a_job_dies_with_its_harness() {
    for (number, variable) in ["NAMESPACES", "NO_NAMESPACES"].into_iter().enumerate() {
        let seconds = format!("98{number}{}", std::process::id());
        let mut harness = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox_run::sleeps_in_a_sandbox", "--ignored"])
            .envs([("SLEEP_SECONDS", seconds.as_str()), (variable, "")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let wait_until = |gone: bool| {
            for _ in 0..1000 {
                if is_gone(&seconds) == gone {
                    return true;
                }
                thread::sleep(Duration::from_millis(20));
            }
            false
        };
        assert!(wait_until(false), "not started");
        harness.kill().unwrap();
        harness.wait().unwrap();
        assert!(wait_until(true), "{variable}");
    }
}
