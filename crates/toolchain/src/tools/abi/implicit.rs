//! What instructions write beside, or in place of, their last operand.

use super::instruction::{Instruction, Operand};
use super::value::{RAX, RBX, RCX, RDI, RDX, RSI, Register};

/// Instructions that write to none of their operands.
const READERS: [&str; 19] = [
    "cmp", "test", "bt", "nop", "ptest", "vptest", "mul", "div", "idiv", "endbr64", "mfence",
    "lfence", "sfence", "pause", "ud2", "int", "out", "jmp", "ret",
];
const READERS_BY_BEGINNING: [&str; 13] = [
    "prefetch",
    "clflush",
    "clwb",
    "ucomis",
    "vucomis",
    "comis",
    "vcomis",
    "vtestp",
    "kortest",
    "ktest",
    "pcmpestr",
    "pcmpistr",
    "vpcmpestr",
];

/// Whether an instruction leaves its operands as they are.
pub(super) fn only_reads(instruction: &Instruction) -> bool {
    let operation = instruction.operation();
    let product_in_two = operation == "imul" && instruction.operands.len() == 1;
    product_in_two
        || READERS.contains(&operation)
        || READERS.contains(&instruction.mnemonic)
        || instruction.mnemonic.starts_with("nop")
        || instruction.mnemonic.starts_with("vpcmpistr")
        || READERS_BY_BEGINNING
            .iter()
            .any(|reader| instruction.mnemonic.starts_with(reader))
}

/// The registers that an instruction writes without naming them.
pub(super) fn clobbered(instruction: &Instruction) -> &'static [Register] {
    let mnemonic = instruction.mnemonic;
    if mnemonic.contains("pcmpestr")
        || mnemonic.contains("pcmpistr")
        || mnemonic.starts_with("loop")
    {
        return &[RCX];
    }
    match instruction.operation() {
        "imul" if instruction.operands.len() > 1 => &[],
        "mul" | "imul" | "div" | "idiv" | "cmpxchg8b" | "cmpxchg16b" | "rdtsc" | "xgetbv"
        | "rdpmc" => &[RAX, RDX],
        "cqto" | "cltd" | "cwtd" | "cqo" | "cdq" | "cwd" => &[RDX],
        "cltq" | "cwtl" | "cbtw" | "cdqe" | "cwde" | "cbw" | "cmpxchg" | "xlat" | "xlatb"
        | "lahf" => &[RAX],
        "cpuid" => &[RAX, RBX, RCX, RDX],
        "rdtscp" => &[RAX, RCX, RDX],
        "syscall" => &[RAX, RCX, 11],
        "movs" | "cmps" | "stos" | "lods" | "scas" | "ins" | "outs" => &[RAX, RCX, RSI, RDI],
        _ => &[],
    }
}

/// How many bytes an instruction writes to memory: rather too few than too many, as saved registers may be beside.
pub(super) fn stored_bytes(instruction: &Instruction) -> u32 {
    let mnemonic = instruction.mnemonic.trim_start_matches('v');
    if mnemonic.starts_with("set") {
        return 1;
    }
    let vector = instruction
        .operands
        .iter()
        .rev()
        .find_map(|operand| match operand {
            Operand::Other(register) => register.as_bytes().get(1),
            _ => None,
        });
    let Some(kind) = vector else {
        return instruction.bytes();
    };
    let whole = ["mova", "movu", "movdqa", "movdqu", "movnt"];
    match kind {
        _ if mnemonic.starts_with("extracti128") || mnemonic.starts_with("extractf128") => 16,
        b'x' if whole.iter().any(|name| mnemonic.starts_with(name)) => 16,
        b'y' if whole.iter().any(|name| mnemonic.starts_with(name)) => 32,
        b'z' if whole.iter().any(|name| mnemonic.starts_with(name)) => 64,
        _ if ["movq", "movsd", "movlp", "movhp", "pextrq"]
            .iter()
            .any(|name| mnemonic.starts_with(name)) =>
        {
            8
        }
        _ => 1,
    }
}
