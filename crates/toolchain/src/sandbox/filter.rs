//! seccomp: which system calls a job may make.
//!
//! Calls that reach out (other processes, the network, the kernel's workings) kill the job, so that it is seen that it
//! tried. Everything else that a computing program does not need fails as if the kernel did not have it.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::SandboxError;
use super::calls;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters of both profiles, to be installed in order. A call gets the strictest answer of all.
#[derive(Debug)]
pub(super) struct Filters {
    pub(super) run: Vec<BpfProgram>,
    pub(super) compile: Vec<BpfProgram>,
}

impl Filters {
    /// `path`: the address from which alone a job may be executed in the run profile. `isolated`: a job sees no
    /// processes but its own, so that it may send signals.
    pub(super) fn new(path: u64, isolated: bool) -> Result<Self, SandboxError> {
        let kill = SeccompAction::KillProcess;
        let allow = SeccompAction::Allow;
        let errno = |number: i32| SeccompAction::Errno(number as u32);
        Ok(Filters {
            run: vec![
                filter(run_kills(path)?, allow.clone(), kill.clone())?,
                filter(
                    run_allowed(path, isolated)?,
                    errno(libc::ENOSYS),
                    allow.clone(),
                )?,
            ],
            compile: vec![
                filter(compile_kills()?, allow.clone(), kill)?,
                filter(compile_errors(isolated), allow.clone(), errno(libc::EPERM))?,
                // Its flags cannot be looked at; the C library then takes clone.
                filter(all(&[libc::SYS_clone3]), allow, errno(libc::ENOSYS))?,
            ],
        })
    }
}

fn run_kills(path: u64) -> Result<Rules, SandboxError> {
    let mut rules = all(calls::KERNEL);
    rules.extend(all(calls::REACHING_OUT));
    rules.insert(libc::SYS_clone, vec![rule(0, masked(calls::THREAD), 0)?]);
    rules.insert(libc::SYS_execve, vec![rule(0, SeccompCmpOp::Ne, path)?]);
    rules.insert(
        libc::SYS_personality,
        vec![rule(0, SeccompCmpOp::Ne, calls::QUERY)?],
    );
    Ok(rules)
}

fn run_allowed(path: u64, isolated: bool) -> Result<Rules, SandboxError> {
    let mut rules = all(calls::COMPUTING);
    if isolated {
        rules.extend(all(&[libc::SYS_tkill]));
    }
    let flags = calls::THREAD | calls::NAMESPACES.iter().sum::<u64>();
    rules.insert(
        libc::SYS_clone,
        vec![rule(0, masked(flags), calls::THREAD)?],
    );
    rules.insert(libc::SYS_execve, vec![rule(0, SeccompCmpOp::Eq, path)?]);
    rules.insert(
        libc::SYS_personality,
        vec![rule(0, SeccompCmpOp::Eq, calls::QUERY)?],
    );
    rules.insert(
        libc::SYS_ioctl,
        vec![rule(1, SeccompCmpOp::Eq, libc::TCGETS as u64)?],
    );
    // Its own limits, which can only be lowered.
    rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Eq, 0)?]);
    let options = calls::OWN_PROCESS
        .iter()
        .map(|&option| rule(0, SeccompCmpOp::Eq, option));
    rules.insert(libc::SYS_prctl, options.collect::<Result<_, _>>()?);
    Ok(rules)
}

fn compile_kills() -> Result<Rules, SandboxError> {
    let mut rules = all(calls::KERNEL);
    let namespaces = calls::NAMESPACES
        .iter()
        .map(|&flag| rule(0, masked(flag), flag));
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    Ok(rules)
}

fn compile_errors(isolated: bool) -> Rules {
    let mut rules = all(calls::NOT_FOR_COMPILERS);
    if !isolated {
        rules.extend(all(calls::SIGNALS));
    }
    rules
}

fn all(numbers: &[c_long]) -> Rules {
    numbers.iter().map(|&number| (number, Vec::new())).collect()
}

fn masked(mask: u64) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(mask)
}

/// A condition on one argument.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, SandboxError> {
    // All arguments looked at are 32 bits wide, save for addresses.
    let width = if value > u64::from(u32::MAX) {
        SeccompCmpArgLen::Qword
    } else {
        SeccompCmpArgLen::Dword
    };
    SeccompCondition::new(argument, width, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(unbuildable)
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let architecture = TargetArch::try_from(ARCH).map_err(unbuildable)?;
    let filter =
        SeccompFilter::new(rules, otherwise, matched, architecture).map_err(unbuildable)?;
    let mut program = foreign_calls();
    program.extend(BpfProgram::try_from(filter).map_err(unbuildable)?);
    Ok(program)
}

/// Kills callers of x32, whose calls have other numbers and pass the check of the architecture.
fn foreign_calls() -> BpfProgram {
    const X32_SYSCALL_BIT: u32 = 0x4000_0000;
    let operation = |code: u32, k, jt, jf| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    vec![
        // The number is the first member of struct seccomp_data.
        operation(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        operation(
            libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K,
            X32_SYSCALL_BIT,
            0,
            1,
        ),
        operation(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_KILL_PROCESS,
            0,
            0,
        ),
    ]
}

fn unbuildable(error: seccompiler::BackendError) -> SandboxError {
    SandboxError::Setup {
        step: "make the system call filter",
        source: std::io::Error::other(error),
    }
}
