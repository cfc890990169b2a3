//! What an executable takes from outside, and which of its instructions do more than compute.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{self, Call};
use super::{Executable, Tool, ToolError, Toolchain};

const PROGRAM: &str = "program";

/// Instructions that reach past the program's own data: the kernel, clocks, counters, chance, the machine's kind, and the
/// floating-point environment.
pub(super) const SPECIAL: [&str; 34] = [
    // x86-64
    "syscall", "sysenter", "int", "int1", "int3", "into", "rdtsc", "rdtscp", "rdpmc", "cpuid",
    "rdrand", "rdseed", "xgetbv", "rdpid", "ldmxcsr", "vldmxcsr", "fldcw", "fldenv", "frstor",
    "xrstor", "fxrstor", "std", "rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase", "wrpkru", "xbegin",
    "sgdt", "sidt", // AArch64
    "svc", "mrs", "msr", "hlt",
];

/// Functions that the system's start-up files bring into every executable.
const START_UP: [&str; 7] = [
    "_start",
    "_init",
    "_fini",
    "deregister_tm_clones",
    "register_tm_clones",
    "__do_global_dtors_aux",
    "frame_dummy",
];

impl Toolchain {
    /// The functions and variables that an executable takes from shared libraries, without their versions.
    pub fn imports(&self, executable: &Executable) -> Result<BTreeSet<String>, ToolError> {
        let call = self.with_program(Tool::LlvmNm, executable)?;
        let call = call
            .args(["-D", "--undefined-only", "--format=just-symbols", PROGRAM])
            .keep_stdout();
        let name = |line: &str| line.split('@').next().unwrap_or_default().trim().to_owned();
        let names = self
            .call(call)?
            .stdout
            .lines()
            .map(name)
            .collect::<BTreeSet<_>>();
        Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
    }

    /// How often instructions stand in an executable that do more than compute: system calls, clocks, counters, chance,
    /// questions about the machine, changes to the floating-point environment. The system's start-up code is left out.
    pub fn special_instructions(
        &self,
        executable: &Executable,
    ) -> Result<BTreeMap<String, usize>, ToolError> {
        let call = self.with_program(Tool::LlvmObjdump, executable)?;
        let call = call.args(["-d", "--no-show-raw-insn", "--no-leading-addr", PROGRAM]);
        Ok(count_special(&self.call_unrecorded(call)?))
    }

    /// Bytes of machine code in an executable, start-up code included.
    pub fn code_size(&self, executable: &Executable) -> Result<u64, ToolError> {
        let call = self
            .with_program(Tool::LlvmObjdump, executable)?
            .args(["--section-headers", PROGRAM])
            .keep_stdout();
        Ok(text_bytes(&self.call(call)?.stdout))
    }

    fn with_program(&self, tool: Tool, executable: &Executable) -> Result<Call, ToolError> {
        let program = self
            .store()
            .get(&executable.digest)
            .ok_or_else(|| call::vanished(&executable.path))?;
        Ok(Call::new(tool).input(PROGRAM, program))
    }
}

/// Counts in what `llvm-objdump -d` prints.
fn count_special(disassembly: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut own = true;
    for line in disassembly.lines() {
        if let Some(name) = line.trim_end().strip_suffix(">:") {
            let name = name.rsplit('<').next().unwrap_or_default();
            own = !START_UP.contains(&name);
            continue;
        }
        // `rep`, `lock` and the like stand before the instruction they are part of.
        let words = line.split_whitespace().take(3);
        if let Some(word) = words
            .into_iter()
            .find(|word| SPECIAL.contains(word))
            .filter(|_| own)
        {
            *counts.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

/// Adds the sizes of the sections of kind TEXT in what `llvm-objdump --section-headers` prints:
/// `13 .text 00000123 0000000000001050 TEXT`.
fn text_bytes(headers: &str) -> u64 {
    let sections = headers
        .lines()
        .filter(|line| line.trim_end().ends_with("TEXT"));
    sections
        .filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(2)?, 16).ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DISASSEMBLY: &str = "
program:\tfile format elf64-x86-64

Disassembly of section .text:

0000000000001040 <_start>:
       \txorl\t%ebp, %ebp
       \thlt

0000000000001130 <main>:
       \trdtsc
       \trep\t\tmovsb\t(%rsi), %es:(%rdi)
       \tsyscall
       \tmovl\t$0x1, %eax
       \tsyscall
       \tcallq\t0x1030 <std@plt>
";

    #[test]
    fn start_up_code_is_left_out() {
        let expected = BTreeMap::from([("rdtsc".to_owned(), 1), ("syscall".to_owned(), 2)]);
        assert_eq!(count_special(DISASSEMBLY), expected);
    }

    #[test]
    fn only_text_is_code() {
        let headers = "Sections:\nIdx Name Size VMA Type\n 13 .text 00000123 0000000000001050 TEXT\n 14 .fini 0d 00 TEXT\n 15 .data ff 00 DATA\n";
        assert_eq!(text_bytes(headers), 0x123 + 0xd);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(<f>:\n|\tsyscall\n| TEXT\n|\\PC){0,40}") {
            count_special(&text);
            text_bytes(&text);
        }
    }
}
