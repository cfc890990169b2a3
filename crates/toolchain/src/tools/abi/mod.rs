//! Whether a function in assembly keeps the calling convention of x86-64 Linux (System V).
//!
//! What registers and the stack hold is followed along every way through the function, as far as it concerns the caller: its
//! registers, the stack pointer, the direction flag, and the control bits of floating-point arithmetic. Writes through
//! pointers into the unknown are taken to leave saved registers alone, and landing pads of exceptions are not followed.

mod check;
mod float;
mod flow;
mod implicit;
mod instruction;
mod state;
mod step;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::listing::assembly_functions;
use super::listing::data::{DataBlock, data_blocks};

/// What a function does against the calling convention, or why that can't be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiProblem {
    /// Of what kind it is.
    pub kind: AbiKind,
    /// The function.
    pub function: String,
    /// The line within the function, whose label is line 1.
    pub line: usize,
    /// The line's text.
    pub code: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbiKind {
    /// The stack pointer is not back where it was.
    StackPointer,
    /// A register of the caller has another value.
    SavedRegister,
    /// The stack pointer is no multiple of 16 at a call.
    Alignment,
    /// Something is written too far below the stack pointer, or where a call overwrites it.
    RedZone,
    /// The return address is overwritten.
    ReturnAddress,
    /// The direction flag stays set.
    Direction,
    /// The state of x87, MMX or SSE is not as the caller needs it.
    FloatingPoint,
    /// The function runs past its end, or ends in another way than by returning.
    End,
    /// It cannot be checked.
    Unchecked,
}

impl AbiKind {
    /// Whether the function is wrong for sure; otherwise nobody knows.
    pub fn is_certain(self) -> bool {
        self != AbiKind::Unchecked
    }
}

impl fmt::Display for AbiProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function,
            line,
            code,
            what,
            ..
        } = self;
        let doubt = if self.kind.is_certain() {
            ""
        } else {
            "cannot be checked: "
        };
        write!(f, "line {line} of {function}, `{code}`: {doubt}{what}")
    }
}

/// Checks one function of an assembly file; empty if it keeps the convention. A function that isn't there has one problem,
/// of the kind [`AbiKind::Unchecked`], as has one for another processor.
pub fn check_abi(asm: &str, function: &str) -> Vec<AbiProblem> {
    let functions = assembly_functions(asm);
    match functions.iter().find(|found| found.name == function) {
        Some(found) => check_one(function, found.text(asm), &data_blocks(asm)),
        None => vec![AbiProblem {
            kind: AbiKind::Unchecked,
            function: function.to_owned(),
            line: 1,
            code: String::new(),
            what: "the file has no such function".to_owned(),
        }],
    }
}

/// Checks every function of an assembly file.
pub fn check_abi_all(asm: &str) -> Vec<AbiProblem> {
    let functions = assembly_functions(asm);
    let data = data_blocks(asm);
    let mut problems = Vec::new();
    let (mut rest, mut line) = (asm, 0);
    for mut function in functions {
        // Files may be large: each text is looked for from the end of the one before.
        let lines = function.lines.start - line..function.lines.end - line;
        line = function.lines.end;
        function.lines = lines;
        let text = function.text(rest);
        let end = text.as_ptr() as usize - rest.as_ptr() as usize + text.len();
        rest = &rest[end..];
        problems.extend(check_one(&function.name, text, &data));
    }
    problems
}

fn check_one<'a>(name: &'a str, text: &'a str, data: &[DataBlock<'a>]) -> Vec<AbiProblem> {
    let read = flow::Function::read(name, text, data);
    let found = check::check(&read);
    let problem = |found: check::Placed| AbiProblem {
        kind: found.kind,
        function: name.to_owned(),
        line: found.line + 1,
        code: code(text, found.line),
        what: found.what,
    };
    found.into_iter().map(problem).collect()
}

/// Whether an instruction can't be one of x86-64 in AT&T syntax.
pub(super) fn is_foreign(code: &str, mnemonic: &str, operands: &str) -> bool {
    instruction::Instruction::read(0, code, mnemonic, operands).is_foreign()
}

fn code(text: &str, line: usize) -> String {
    let line = text.lines().nth(line).unwrap_or_default();
    let code = super::listing::statements::without_comment(line);
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
