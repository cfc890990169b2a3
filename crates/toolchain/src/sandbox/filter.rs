//! seccomp: which system calls a job may make.
//!
//! Calls that reach out (other processes, the network, the kernel's workings) kill the job, so that it is seen that it
//! tried. Everything else that a computing program does not need fails as if the kernel did not have it.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::ops::Range;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::{Profile, SandboxError, calls};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters of both profiles, to be installed in order. A call gets the strictest answer of all.
#[derive(Debug)]
pub(super) struct Filters {
    run: Vec<BpfProgram>,
    compile: Vec<BpfProgram>,
}

impl Filters {
    /// `paths`: from where in memory alone a job of the run profile may be executed. After that it knows no such address,
    /// and a wrong one kills it. `isolated`: a job sees no processes but its own, so that it may send signals.
    pub(super) fn new(paths: &Range<u64>, isolated: bool) -> Result<Self, SandboxError> {
        let kill = SeccompAction::KillProcess;
        let allow = SeccompAction::Allow;
        let errno = |number: i32| SeccompAction::Errno(number as u32);
        Ok(Filters {
            run: vec![
                program(run_kills(paths)?, &allow, &kill)?,
                program(run_allowed(isolated)?, &errno(libc::ENOSYS), &allow)?,
            ],
            compile: vec![
                program(compile_kills()?, &allow, &kill)?,
                program(compile_errors(isolated)?, &allow, &errno(libc::EPERM))?,
                // Its flags cannot be looked at; the C library then takes clone.
                program(all(&[libc::SYS_clone3]), &allow, &errno(libc::ENOSYS))?,
            ],
        })
    }

    /// Those of a profile.
    pub(super) fn of(&self, profile: Profile) -> &[BpfProgram] {
        match profile {
            Profile::Run => &self.run,
            Profile::Compile => &self.compile,
        }
    }
}

fn run_kills(paths: &Range<u64>) -> Result<Rules, SandboxError> {
    let mut rules = all(calls::KERNEL);
    rules.extend(all(calls::REACHING_OUT));
    rules.insert(libc::SYS_clone, vec![rule(0, masked(calls::THREAD), 0)?]);
    let elsewhere = vec![
        rule(0, SeccompCmpOp::Lt, paths.start)?,
        rule(0, SeccompCmpOp::Ge, paths.end)?,
    ];
    rules.insert(libc::SYS_execve, elsewhere);
    rules.insert(
        libc::SYS_personality,
        vec![rule(0, SeccompCmpOp::Ne, calls::QUERY)?],
    );
    Ok(rules)
}

fn run_allowed(isolated: bool) -> Result<Rules, SandboxError> {
    let mut rules = all(calls::COMPUTING);
    if isolated {
        rules.extend(all(&[libc::SYS_tkill]));
    }
    let flags = calls::THREAD | calls::NAMESPACES.iter().sum::<u64>();
    rules.insert(
        libc::SYS_clone,
        vec![rule(0, masked(flags), calls::THREAD)?],
    );
    // Only from some addresses: the other filter kills for the rest.
    rules.extend(all(&[libc::SYS_execve]));
    rules.insert(
        libc::SYS_personality,
        vec![rule(0, SeccompCmpOp::Eq, calls::QUERY)?],
    );
    rules.insert(
        libc::SYS_ioctl,
        vec![rule(1, SeccompCmpOp::Eq, libc::TCGETS)?],
    );
    rules.insert(
        libc::SYS_fcntl,
        vec![all_of(&calls::SENDING_SIGNALS, &SeccompCmpOp::Ne)?],
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

fn compile_errors(isolated: bool) -> Result<Rules, SandboxError> {
    let mut rules = all(calls::NOT_FOR_COMPILERS);
    if !isolated {
        rules.extend(all(calls::SIGNALS));
        let commands = calls::SENDING_SIGNALS
            .iter()
            .map(|&command| rule(1, SeccompCmpOp::Eq, command));
        rules.insert(libc::SYS_fcntl, commands.collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

fn all(numbers: &[c_long]) -> Rules {
    numbers.iter().map(|&number| (number, Vec::new())).collect()
}

fn masked(mask: u64) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(mask)
}

/// One condition on one argument.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, SandboxError> {
    SeccompRule::new(vec![condition(argument, operator, value)?]).map_err(unbuildable)
}

/// The command, which is the second argument, compares so with all of these.
fn all_of(commands: &[u64], operator: &SeccompCmpOp) -> Result<SeccompRule, SandboxError> {
    let conditions = commands
        .iter()
        .map(|&command| condition(1, operator.clone(), command));
    SeccompRule::new(conditions.collect::<Result<_, _>>()?).map_err(unbuildable)
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, SandboxError> {
    // All arguments looked at are 32 bits wide, save for addresses.
    let width = if value > u64::from(u32::MAX) {
        SeccompCmpArgLen::Qword
    } else {
        SeccompCmpArgLen::Dword
    };
    SeccompCondition::new(argument, width, operator, value).map_err(unbuildable)
}

/// How many rules stand in one group.
const GROUP: usize = 12;

/// One program of groups of rules, with jumps to the right one before them: when a filter is installed, the kernel runs it
/// for every call there is, and a single chain of two hundred comparisons would take longer than all other layers together.
fn program(
    rules: Rules,
    otherwise: &SeccompAction,
    matched: &SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let architecture = TargetArch::try_from(ARCH).map_err(unbuildable)?;
    let rules: Vec<_> = rules.into_iter().collect();
    let mut firsts = Vec::new();
    let mut groups = Vec::new();
    for group in rules.chunks(GROUP) {
        let Some((first, _)) = group.first() else {
            continue;
        };
        let rules = group.iter().cloned().collect();
        let filter = SeccompFilter::new(rules, otherwise.clone(), matched.clone(), architecture)
            .map_err(unbuildable)?;
        firsts.push(*first as u32);
        groups.push(BpfProgram::try_from(filter).map_err(unbuildable)?);
    }
    let mut program = foreign_calls();
    // For each group but the last two jumps: on if the call is of a later one, else there. Then one to the last group.
    let mut distance = 2 * groups.len() - 1;
    for (group, &next) in groups.iter().zip(firsts.iter().skip(1)) {
        distance -= 2;
        program.push(operation(JUMP | libc::BPF_JGE | libc::BPF_K, next, 1, 0));
        program.push(operation(JUMP | libc::BPF_JA, distance as u32, 0, 0));
        distance += group.len();
    }
    program.push(operation(JUMP | libc::BPF_JA, distance as u32 - 1, 0, 0));
    program.extend(groups.into_iter().flatten());
    Ok(program)
}

const JUMP: u32 = libc::BPF_JMP;

fn operation(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Kills callers of x32, whose calls have other numbers and pass the check of the architecture.
fn foreign_calls() -> BpfProgram {
    const X32_SYSCALL_BIT: u32 = 0x4000_0000;
    vec![
        // The number is the first member of struct seccomp_data.
        operation(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        operation(JUMP | libc::BPF_JGE | libc::BPF_K, X32_SYSCALL_BIT, 0, 1),
        operation(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_KILL_PROCESS,
            0,
            0,
        ),
    ]
}

/// A filter that forbids nothing.
pub(super) fn allow_everything() -> BpfProgram {
    vec![operation(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
        0,
        0,
    )]
}

/// A filter as the bytes that the kernel takes.
pub(super) fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let bytes = program.iter().flat_map(|operation| {
        let [code_low, code_high] = operation.code.to_ne_bytes();
        let [a, b, c, d] = operation.k.to_ne_bytes();
        [code_low, code_high, operation.jt, operation.jf, a, b, c, d]
    });
    bytes.collect()
}

fn unbuildable(error: seccompiler::BackendError) -> SandboxError {
    SandboxError::Setup {
        step: "make the system call filter",
        source: std::io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Range<u64> = 0x7000_0000_1000..0x7000_0000_9000;
    const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;

    /// What a filter says to a call, as the kernel would find out.
    fn answer(program: &[sock_filter], number: c_long, arguments: [u64; 2]) -> u32 {
        let architecture: u64 = if cfg!(target_arch = "x86_64") {
            0xc000_003e
        } else {
            0xc000_00b7
        };
        let data = [
            number as u64 & 0xffff_ffff | architecture << 32,
            0,
            arguments[0],
            arguments[1],
        ];
        let (mut accumulator, mut at) = (0_u32, 0);
        loop {
            let &sock_filter { code, jt, jf, k } = &program[at];
            at += 1;
            let branch = |condition: bool| usize::from(if condition { jt } else { jf });
            match u32::from(code) {
                0x20 => accumulator = (data[k as usize / 8] >> (k % 8 * 8)) as u32,
                0x54 => accumulator &= k,
                0x05 => at += k as usize,
                0x15 => at += branch(accumulator == k),
                0x25 => at += branch(accumulator > k),
                0x35 => at += branch(accumulator >= k),
                0x06 => return k,
                other => panic!("operation {other:#x}"),
            }
        }
    }

    /// The strictest answer of all filters of a profile.
    fn decision(filters: &Filters, profile: Profile, number: c_long, arguments: [u64; 2]) -> u32 {
        let answers = filters
            .of(profile)
            .iter()
            .map(|program| answer(program, number, arguments));
        // Stricter actions are smaller as signed numbers.
        answers
            .min_by_key(|answer| (answer & 0xffff_0000).cast_signed())
            .unwrap()
    }

    #[test]
    fn every_call_gets_the_answer_of_its_list() {
        let filters = Filters::new(&PATHS, true).unwrap();
        let run = |number| decision(&filters, Profile::Run, number, [0, 0]);
        let compile = |number| decision(&filters, Profile::Compile, number, [0, 0]);
        for &number in calls::COMPUTING {
            assert_eq!(run(number), ALLOW, "{number}");
        }
        for &number in calls::KERNEL {
            assert_eq!(run(number), KILL, "{number}");
            assert_eq!(compile(number), KILL, "{number}");
        }
        for &number in calls::REACHING_OUT {
            assert_eq!(run(number), KILL, "{number}");
        }
        for &number in calls::NOT_FOR_COMPILERS {
            assert_eq!(compile(number), EPERM, "{number}");
        }
        for number in [libc::SYS_clone3, libc::SYS_seccomp, libc::SYS_tee, 9999] {
            assert_eq!(run(number), ENOSYS, "{number}");
        }
        assert_eq!(compile(libc::SYS_clone3), ENOSYS);
        assert_eq!(compile(libc::SYS_execve), ALLOW);
        assert_eq!(run(0x4000_0000), KILL);
        assert_eq!(compile(0x4000_0000), KILL);
    }

    #[test]
    fn arguments_decide_where_they_must() {
        let filters = Filters::new(&PATHS, false).unwrap();
        let run = |number, arguments| decision(&filters, Profile::Run, number, arguments);
        let compile = |number, arguments| decision(&filters, Profile::Compile, number, arguments);
        let fork = [libc::SIGCHLD as u64, 0];
        let thread = [calls::THREAD | libc::CLONE_VM as u64, 0];
        assert_eq!(run(libc::SYS_clone, fork), KILL);
        assert_eq!(run(libc::SYS_clone, thread), ALLOW);
        assert_eq!(compile(libc::SYS_clone, fork), ALLOW);
        for flag in calls::NAMESPACES {
            assert_eq!(run(libc::SYS_clone, [thread[0] | flag, 0]), ENOSYS);
            assert_eq!(compile(libc::SYS_clone, [fork[0] | flag, 0]), KILL);
        }
        for (path, expected) in [
            (PATHS.start, ALLOW),
            (PATHS.end - 1, ALLOW),
            (PATHS.start - 1, KILL),
            (PATHS.end, KILL),
            (PATHS.start & 0xffff_ffff, KILL),
        ] {
            assert_eq!(run(libc::SYS_execve, [path, 0]), expected, "{path:#x}");
        }
        assert_eq!(run(libc::SYS_personality, [calls::QUERY, 0]), ALLOW);
        assert_eq!(run(libc::SYS_personality, [0, 0]), KILL);
        assert_eq!(run(libc::SYS_prlimit64, [0, 0]), ALLOW);
        assert_eq!(run(libc::SYS_prlimit64, [1, 0]), ENOSYS);
        assert_eq!(run(libc::SYS_ioctl, [1, libc::TCGETS]), ALLOW);
        assert_eq!(run(libc::SYS_ioctl, [1, libc::TIOCSTI]), ENOSYS);
        assert_eq!(run(libc::SYS_prctl, [libc::PR_SET_NAME as u64, 0]), ALLOW);
        assert_eq!(
            run(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as u64, 0]),
            ENOSYS
        );
        assert_eq!(run(libc::SYS_fcntl, [1, libc::F_GETFL as u64]), ALLOW);
        assert_eq!(run(libc::SYS_fcntl, [1, libc::F_SETOWN as u64]), ENOSYS);
        assert_eq!(compile(libc::SYS_fcntl, [1, libc::F_SETOWN as u64]), EPERM);
        assert_eq!(compile(libc::SYS_kill, [1, 0]), EPERM);
    }

    #[test]
    fn a_foreign_architecture_is_killed() {
        let filters = Filters::new(&PATHS, true).unwrap();
        for program in filters.run.iter().chain(&filters.compile) {
            // The check is a comparison with this architecture that leads to a kill if it fails.
            let architecture = program
                .iter()
                .position(|op| op.code == 0x20 && op.k == 4)
                .unwrap();
            let check = &program[architecture + 1];
            assert_eq!((check.code, check.jt, check.jf), (0x15, 1, 0));
            assert_eq!(program[architecture + 2].k, KILL);
        }
    }
}
