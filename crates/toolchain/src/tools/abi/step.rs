//! What one instruction does to what is known.

use super::AbiKind;
use super::float;
use super::implicit::{clobbered, only_reads, stored_bytes};
use super::instruction::{Instruction, Memory, Operand};
use super::state::{RED_ZONE, State};
use super::value::{Bits, RBP, RSP, SCRATCH, UNKNOWN, Value};

/// A fault found at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) kind: AbiKind,
    pub(super) what: String,
}

/// Follows one instruction, and notes what is wrong with it.
pub(super) fn step<'a>(
    state: &mut State<'a>,
    instruction: &Instruction<'a>,
    at: usize,
    found: &mut Vec<Found>,
) {
    let jumps = instruction.mnemonic.starts_with('j');
    if !jumps {
        state.compared = None;
        Step {
            state,
            instruction,
            at,
            found,
        }
        .run();
    }
}

struct Step<'s, 'a> {
    state: &'s mut State<'a>,
    instruction: &'s Instruction<'a>,
    at: usize,
    found: &'s mut Vec<Found>,
}

impl<'a> Step<'_, 'a> {
    fn run(&mut self) {
        let place = self.memory_operand().map(|memory| self.place(memory));
        if float::step(self.state, self.instruction, place) {
            if let Some(Operand::Register(part)) = self.instruction.operands.last() {
                self.state.set(part.register, UNKNOWN, self.at);
            }
            return;
        }
        let operation = self.instruction.operation();
        let operands = self.instruction.operands.clone();
        match (operation, operands.as_slice()) {
            ("push", [source]) => self.push(self.value(source, 8)),
            ("pushf", _) => self.push(UNKNOWN),
            ("pop", [target]) => {
                let value = self.pop();
                self.assign(target, value, 8);
            }
            ("popf", _) => {
                self.pop();
                self.report(
                    AbiKind::Unchecked,
                    "flags come from memory here, the direction flag among them",
                );
            }
            ("leave", _) => {
                self.state.set(RSP, self.state.get(RBP), self.at);
                let value = self.pop();
                self.state.set(RBP, value, self.at);
            }
            ("enter", [Operand::Immediate(Some(size), _), ..]) => {
                self.push(self.state.get(RBP));
                self.state.set(RBP, self.state.get(RSP), self.at);
                self.move_stack(size.wrapping_neg());
            }
            ("cld", _) => self.state.modes.backwards = false,
            ("std", _) => self.state.modes.backwards = true,
            ("call", _) => self.call(),
            ("xchg", [one, two]) => self.exchange(one, two),
            ("cmp", [Operand::Register(one), Operand::Register(two)])
                if one.bytes == 8 && two.bytes == 8 =>
            {
                self.state.compared = Some((one.register, two.register));
            }
            _ if !self.arithmetic(operation, &operands) => self.other(&operands),
            _ => {}
        }
    }

    /// Instructions whose result is worth knowing. Says whether this is one.
    fn arithmetic(&mut self, operation: &str, operands: &[Operand<'a>]) -> bool {
        let bytes = self.instruction.bytes();
        let (Some(target), Some(source)) = (operands.last(), operands.first()) else {
            return false;
        };
        let (one, two) = (self.value(target, bytes), self.value(source, bytes));
        let numbers =
            |combine: fn(Bits, Bits) -> Bits| Value::Number(combine(one.bits(), two.bits()));
        let same =
            operands.len() == 2 && source == target && matches!(source, Operand::Register(_));
        let result = match (operation, operands.len()) {
            ("xor" | "sub", 2) if same => Value::constant(0),
            // Pages of the stack are touched this way.
            ("add" | "sub" | "or" | "xor", 2) if two == Value::constant(0) => one,
            ("mov" | "movabs", 2) => two,
            ("movslq", 2) => Some(self.value(source, 4))
                .filter(|value| matches!(value, Value::Entry(_)))
                .unwrap_or(UNKNOWN),
            ("lea", 2) => match source {
                Operand::Memory(memory) => address(self.state, *memory),
                _ => UNKNOWN,
            },
            ("add", 2) => one.plus(two),
            ("sub", 2) => one.minus(two),
            ("inc", 1) => one.plus(Value::constant(1)),
            ("dec", 1) => one.minus(Value::constant(1)),
            ("neg", 1) => Value::Number(one.bits().negated()),
            ("and", 2) => aligned_down(one, two).unwrap_or_else(|| numbers(Bits::and)),
            ("or", 2) => numbers(Bits::or),
            ("xor", 2) => numbers(Bits::xor),
            ("imul", 2) => numbers(Bits::multiplied),
            ("imul", 3) => {
                let factor = self.value(&operands[1], bytes).bits();
                Value::Number(factor.multiplied(two.bits()))
            }
            ("shl" | "sal", 1) => Value::Number(one.bits().shifted_left(1)),
            ("shl" | "sal", 2) => match two.bits().exact() {
                Some(count) => Value::Number(one.bits().shifted_left(count as u32 & 63)),
                None => UNKNOWN,
            },
            (cmov, 2) if cmov.starts_with("cmov") => one.join(two),
            _ => return false,
        };
        self.assign(target, result, bytes);
        true
    }

    /// Instructions that matter only by what they overwrite.
    fn other(&mut self, operands: &[Operand<'a>]) {
        for register in clobbered(self.instruction) {
            let keeps = self.instruction.mnemonic == "cltq"
                && matches!(self.state.get(*register), Value::Entry(_));
            if !keeps {
                self.state.set(*register, UNKNOWN, self.at);
            }
        }
        if only_reads(self.instruction) {
            return;
        }
        let written = if matches!(self.instruction.operation(), "xadd" | "mulx") {
            2
        } else {
            1
        };
        for operand in operands.iter().rev().take(written) {
            self.assign(operand, UNKNOWN, stored_bytes(self.instruction));
        }
    }

    fn exchange(&mut self, one: &Operand<'a>, two: &Operand<'a>) {
        let bytes = self.instruction.bytes();
        let (first, second) = (self.value(one, bytes), self.value(two, bytes));
        self.assign(one, second, bytes);
        self.assign(two, first, bytes);
    }

    /// A call: what must be in order before it, and what is lost by it.
    fn call(&mut self) {
        self.check_call();
        if let Some(writer) = self.state.lose_below() {
            let what = format!(
                "this call overwrites what line {} of the function wrote below %rsp: lower %rsp before you store there",
                writer + 1
            );
            self.report(AbiKind::RedZone, &what);
        }
        for register in SCRATCH {
            self.state.set(register, UNKNOWN, self.at);
        }
        self.state.x87_depth = None;
    }

    fn check_call(&mut self) {
        let (rest, known) = self.state.get(RSP).bits().modulo16();
        if rest != 0 {
            let what = format!(
                "%rsp must be a multiple of 16 at a call, but is {rest} more than one: an odd number of 8-byte pushes must be made even, as by `subq $8, %rsp`"
            );
            self.report(AbiKind::Alignment, &what);
        } else if !known {
            self.report(
                AbiKind::Unchecked,
                "it can't be told whether %rsp is a multiple of 16 at this call: round sizes with `andq $-16`",
            );
        }
        if self.state.mmx || self.state.x87_depth.is_some_and(|depth| depth != 0) {
            self.report(AbiKind::FloatingPoint, "x87 or MMX registers are in use at this call: store them and, after MMX, use `emms`");
        }
        self.check_flags("before this call");
    }

    /// What must be in order at calls and at the end.
    fn check_flags(&mut self, when: &str) {
        check_flags(self.state, self.at, when, self.found);
    }

    fn push(&mut self, value: Value<'a>) {
        let bytes = if self.instruction.mnemonic.ends_with('w') {
            2
        } else {
            8
        };
        self.move_stack(-bytes);
        self.write(self.state.get(RSP), bytes, value);
    }

    fn pop(&mut self) -> Value<'a> {
        let bytes = if self.instruction.mnemonic.ends_with('w') {
            2
        } else {
            8
        };
        let value = self.state.load(self.state.get(RSP), bytes);
        self.move_stack(bytes);
        value
    }

    fn move_stack(&mut self, bytes: i64) {
        let top = self.state.get(RSP).plus(Value::constant(bytes));
        self.state.set(RSP, top, self.at);
    }

    fn memory_operand(&self) -> Option<Memory<'a>> {
        self.instruction
            .operands
            .iter()
            .find_map(|operand| match operand {
                Operand::Memory(memory) => Some(*memory),
                _ => None,
            })
    }

    /// Where an instruction reads or writes. With an index it is some element of an array on the stack, even where the index
    /// seems known: compilers leave code that would be out of bounds if it were ever reached.
    fn place(&self, memory: Memory<'a>) -> Value<'a> {
        match address(self.state, memory) {
            Value::Stack(..) if memory.index.is_some() => UNKNOWN,
            address => address,
        }
    }

    fn value(&self, operand: &Operand<'a>, bytes: u32) -> Value<'a> {
        match *operand {
            Operand::Register(part) => self.state.get(part.register).narrowed(part.bytes),
            Operand::Immediate(Some(number), _) => Value::constant(number),
            Operand::Immediate(None, symbol) => Value::Address(symbol),
            Operand::Memory(memory) => self.state.load(self.place(memory), i64::from(bytes)),
            Operand::Other(_) => UNKNOWN,
        }
    }

    fn assign(&mut self, operand: &Operand<'a>, value: Value<'a>, bytes: u32) {
        match *operand {
            Operand::Register(part) if part.bytes >= 4 => {
                self.state
                    .set(part.register, value.narrowed(part.bytes), self.at);
            }
            Operand::Register(part) => self.state.set(part.register, UNKNOWN, self.at),
            Operand::Memory(memory) => self.write(self.place(memory), i64::from(bytes), value),
            Operand::Immediate(..) | Operand::Other(_) => {}
        }
    }

    fn write(&mut self, address: Value<'a>, bytes: i64, value: Value<'a>) {
        if State::hits_return_address(address, bytes) {
            self.report(AbiKind::ReturnAddress, "this overwrites the return address");
        }
        if let (Value::Stack(base, offset), Some((top, height))) = (address, self.state.top())
            && base == top
            && offset < height.saturating_sub(RED_ZONE)
        {
            let what = format!(
                "this writes {} bytes below %rsp, but only {RED_ZONE} are safe: lower %rsp first",
                height.saturating_sub(offset)
            );
            self.report(AbiKind::RedZone, &what);
        }
        self.state
            .store(address, bytes, value, self.instruction.line);
    }

    fn report(&mut self, kind: AbiKind, what: &str) {
        self.found.push(Found {
            at: self.at,
            kind,
            what: what.to_owned(),
        });
    }
}

/// The address of a place in memory.
pub(super) fn address<'a>(state: &State<'a>, memory: Memory<'a>) -> Value<'a> {
    if memory.segment {
        return UNKNOWN;
    }
    if let Some(symbol) = memory.symbol {
        return Value::Address(symbol);
    }
    let base = memory
        .base
        .map_or(Value::constant(0), |base| state.get(base));
    let index = memory
        .index
        .map_or(Bits::constant(0), |index| state.get(index).bits());
    let index = index.multiplied(Bits::constant(memory.scale));
    base.plus(Value::Number(index))
        .plus(Value::constant(memory.offset))
}

/// What must be in order at calls and at the end.
pub(super) fn check_flags(state: &State, at: usize, when: &str, found: &mut Vec<Found>) {
    let mut report = |kind, what: String| found.push(Found { at, kind, what });
    if state.modes.backwards {
        report(
            AbiKind::Direction,
            format!("the direction flag is still set: use `cld` {when}"),
        );
    }
    for (changed, save, load) in [
        (state.modes.sse_changed, "stmxcsr", "ldmxcsr"),
        (state.modes.x87_changed, "fnstcw", "fldcw"),
    ] {
        if changed {
            report(
                AbiKind::FloatingPoint,
                format!(
                    "the control bits of floating-point arithmetic are not those of the caller: save them with `{save}` first and load the saved ones with `{load}` {when}"
                ),
            );
        }
    }
}

/// `and` with `-16` and the like changes nothing where the low bits are zero already.
fn aligned_down<'a>(value: Value<'a>, mask: Value<'a>) -> Option<Value<'a>> {
    let mask = mask.bits().exact()?;
    let size = mask.checked_neg().filter(|size| size.count_ones() == 1)?;
    let cut = value.bits().and(Bits::constant(size - 1));
    (cut.exact() == Some(0)).then_some(value)
}
