//! One instruction with its operands read.

use super::value::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Register, name};
use crate::tools::listing::statements::operands;

/// A general register, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) register: Register,
    /// How many bytes of it.
    pub(super) bytes: u32,
}

/// A place in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory<'a> {
    pub(super) symbol: Option<&'a str>,
    pub(super) offset: i64,
    /// The register that the address starts from; `None` also for `%rip`.
    pub(super) base: Option<Register>,
    pub(super) index: Option<Register>,
    pub(super) scale: i64,
    /// Whether it is thread-local or otherwise apart.
    pub(super) segment: bool,
}

/// One operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand<'a> {
    Register(Part),
    /// Any other register, such as `%xmm0`.
    Other(&'a str),
    /// A number, if it is one and no address.
    Immediate(Option<i64>, &'a str),
    Memory(Memory<'a>),
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction<'a> {
    /// Its line, from 0.
    pub(super) line: usize,
    /// Its text.
    pub(super) code: &'a str,
    pub(super) mnemonic: &'a str,
    pub(super) operands: Vec<Operand<'a>>,
    /// Whether a jump or call goes where a register or memory says.
    pub(super) indirect: bool,
}

/// Instructions that are written with and without a letter for their size.
const SIZED: [&str; 50] = [
    "adc", "add", "and", "bsf", "bsr", "bswap", "bt", "btc", "btr", "bts", "call", "cmp",
    "cmpxchg", "dec", "div", "enter", "idiv", "imul", "inc", "lea", "leave", "lods", "lzcnt",
    "mov", "movabs", "movs", "mul", "neg", "not", "or", "pop", "popcnt", "popf", "push", "pushf",
    "rcl", "rcr", "ret", "rol", "ror", "sal", "sar", "sbb", "scas", "shl", "shr", "stos", "sub",
    "test", "xor",
];
const SIZED_TOO: [&str; 6] = ["jmp", "xadd", "xchg", "tzcnt", "cmps", "mulx"];

impl<'a> Instruction<'a> {
    pub(super) fn read(line: usize, code: &'a str, mnemonic: &'a str, rest: &'a str) -> Self {
        let indirect = rest.starts_with('*');
        let parts = operands(rest.trim_start_matches('*'));
        Self {
            line,
            code,
            mnemonic,
            operands: parts.into_iter().map(operand).collect(),
            indirect,
        }
    }

    /// The mnemonic without a letter for the size.
    pub(super) fn operation(&self) -> &'a str {
        let known = |word: &str| SIZED.contains(&word) || SIZED_TOO.contains(&word);
        let is_vector = self
            .operands
            .iter()
            .any(|operand| matches!(operand, Operand::Other(_)));
        match self.mnemonic.strip_suffix(['b', 'w', 'l', 'q']) {
            Some(short) if !known(self.mnemonic) && known(short) && !is_vector => short,
            _ => self.mnemonic,
        }
    }

    /// How many bytes a whole operand has, as the registers or the letter say.
    pub(super) fn bytes(&self) -> u32 {
        let register = self
            .operands
            .iter()
            .rev()
            .find_map(|operand| match operand {
                Operand::Register(part) => Some(part.bytes),
                _ => None,
            });
        let by_letter = match self.mnemonic.bytes().last() {
            Some(b'b') => Some(1),
            Some(b'w') => Some(2),
            Some(b'l') => Some(4),
            Some(b'q') => Some(8),
            _ => None,
        };
        by_letter
            .filter(|_| self.operation() != self.mnemonic)
            .or(register)
            .unwrap_or(8)
    }

    /// Whether this can't be x86-64 in AT&T syntax: operands without any register, number or bracket; 32-bit pushes.
    pub(super) fn is_foreign(&self) -> bool {
        let bare = |operand: &Operand| matches!(operand, Operand::Memory(memory) if memory.base.is_none() && memory.index.is_none() && memory.symbol.is_some_and(|symbol| !symbol.contains('(')));
        let short = matches!(self.operation(), "push" | "pop")
            && matches!(self.operands.first(), Some(Operand::Register(part)) if part.bytes == 4);
        let bracketed = self.code.contains('[') || self.code.contains(']');
        short || bracketed || self.operands.len() > 1 && self.operands.iter().all(bare)
    }
}

fn operand(text: &str) -> Operand<'_> {
    if let Some(number) = text.strip_prefix('$') {
        return Operand::Immediate(integer(number), number);
    }
    let plain = text.split([' ', '{']).next().unwrap_or(text).trim();
    if text.starts_with("%st") {
        return Operand::Other(text);
    }
    if let Some(register) = plain.strip_prefix('%')
        && !plain.contains([':', '('])
    {
        return part(register).map_or(Operand::Other(plain), Operand::Register);
    }
    Operand::Memory(memory(text))
}

fn memory(text: &str) -> Memory<'_> {
    let (segment, text) = match text.split_once(':') {
        Some((segment, rest)) if segment.starts_with('%') => (true, rest),
        _ => (false, text),
    };
    let (displacement, inside) = text.split_once('(').unwrap_or((text, ""));
    let inside = inside.split(')').next().unwrap_or_default();
    let mut words = inside.split(',').map(str::trim);
    let register = |word: Option<&str>| word.and_then(|word| part(word.strip_prefix('%')?));
    let base = register(words.next()).map(|part| part.register);
    let index = register(words.next()).map(|part| part.register);
    let scale = words.next().and_then(integer).unwrap_or(1);
    let displacement = displacement.trim();
    let offset = if displacement.is_empty() {
        Some(0)
    } else {
        integer(displacement)
    };
    let end = displacement
        .find(['+', '-', '@'])
        .unwrap_or(displacement.len());
    Memory {
        symbol: offset.is_none().then_some(&displacement[..end]),
        offset: offset.unwrap_or(0),
        base,
        index,
        scale,
        segment,
    }
}

fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    } as i64;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// A general register by its name without `%`.
fn part(text: &str) -> Option<Part> {
    let of = |register, bytes| Some(Part { register, bytes });
    if let Some(number) = text
        .strip_prefix('r')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let register = digits
            .parse()
            .ok()
            .filter(|register| (8..16).contains(register))?;
        return match &number[digits.len()..] {
            "" => of(register, 8),
            "d" => of(register, 4),
            "w" => of(register, 2),
            "b" => of(register, 1),
            _ => None,
        };
    }
    let whole = (0..8)
        .find(|register| name(*register)[2..] == *text.strip_prefix(['r', 'e']).unwrap_or(text));
    if let Some(register) = whole {
        let bytes = match text.as_bytes().first() {
            Some(b'r') => 8,
            Some(b'e') => 4,
            _ => 2,
        };
        return of(register, bytes);
    }
    let register = match text {
        "al" | "ah" => RAX,
        "bl" | "bh" => RBX,
        "cl" | "ch" => RCX,
        "dl" | "dh" => RDX,
        "sil" => RSI,
        "dil" => RDI,
        "spl" => RSP,
        "bpl" => RBP,
        _ => return None,
    };
    of(register, 1)
}
