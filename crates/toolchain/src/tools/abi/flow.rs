//! The ways through a function.

use std::collections::BTreeMap;

use super::instruction::{Instruction, Operand};
use super::state::State;
use super::step::address;
use super::value::Value;
use crate::tools::listing::data::{DataBlock, is_code, is_data, opened_section};
use crate::tools::listing::statements::{Kind, statements, symbols};

/// A function's instructions and where its jumps may go. Instructions have numbers; the number after the last stands for
/// the function's end.
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) instructions: Vec<Instruction<'a>>,
    /// Which of the instructions the compiler calls tail calls.
    tail_calls: Vec<bool>,
    labels: BTreeMap<&'a str, usize>,
    /// Labels that are numbers, which may come again.
    numbered: Vec<(&'a str, usize)>,
    /// The instructions that each table of the file leads to.
    tables: BTreeMap<&'a str, Vec<usize>>,
    /// The instructions whose addresses stand in registers or in memory.
    taken: Vec<usize>,
    /// Why the function can't be checked at all.
    pub(super) obstacle: Option<(usize, String)>,
}

/// Where it goes on after an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// To the next instruction.
    On,
    /// To some of these; the second says whether also to the next.
    Jump(Vec<usize>, bool),
    /// Out of the function by a jump; the second says whether perhaps to the next as well.
    TailCall(bool),
    /// Back to the caller.
    Return,
    /// Nowhere.
    Stop,
    /// Nobody knows.
    Unclear(String),
}

impl<'a> Function<'a> {
    /// Reads a function's text, with the data of the file that it is in.
    pub(super) fn read(name: &'a str, text: &'a str, data: &[DataBlock<'a>]) -> Self {
        let mut function = Self {
            name,
            instructions: Vec::new(),
            tail_calls: Vec::new(),
            labels: BTreeMap::new(),
            numbered: Vec::new(),
            tables: BTreeMap::new(),
            taken: Vec::new(),
            obstacle: None,
        };
        function.read_code(text);
        for block in data.iter().filter(|block| block.plain) {
            let targets: Vec<usize> = block
                .symbols
                .iter()
                .filter_map(|symbol| function.label(symbol))
                .collect();
            if !targets.is_empty() {
                function.taken.extend(&targets);
                function.tables.insert(block.label, targets);
            }
        }
        let named: Vec<usize> = function
            .instructions
            .iter()
            .flat_map(|instruction| function.named(instruction))
            .collect();
        function.taken.extend(named);
        function
    }

    /// The places whose addresses an instruction takes.
    fn named(&self, instruction: &Instruction<'a>) -> Vec<usize> {
        let goes = instruction.mnemonic.starts_with('j')
            || instruction.mnemonic.starts_with("loop")
            || instruction.operation() == "call";
        let symbols = symbols(instruction.code).into_iter().filter(|_| !goes);
        symbols.filter_map(|symbol| self.label(symbol)).collect()
    }

    fn read_code(&mut self, text: &'a str) {
        let lines: Vec<&str> = text.lines().collect();
        let mut in_code = true;
        for statement in statements(text) {
            if let Some(section) = opened_section(&statement) {
                in_code = is_code(section);
                continue;
            }
            if !in_code {
                continue;
            }
            match statement.kind {
                Kind::Label(label) if label.bytes().all(|byte| byte.is_ascii_digit()) => {
                    self.numbered.push((label, self.instructions.len()));
                }
                Kind::Label(label) => {
                    self.labels.insert(label, self.instructions.len());
                }
                Kind::Instruction(mnemonic, operands) => {
                    let instruction =
                        Instruction::read(statement.line, statement.code, mnemonic, operands);
                    if instruction.is_foreign() {
                        self.give_up(statement.line, "this is not x86-64 in AT&T syntax");
                    }
                    self.instructions.push(instruction);
                    self.tail_calls.push(
                        lines
                            .get(statement.line)
                            .is_some_and(|line| line.contains("TAILCALL")),
                    );
                }
                Kind::Directive(name, _) if is_data(name) || name == ".insn" => {
                    self.give_up(statement.line, "bytes among instructions can't be followed");
                }
                Kind::Directive(..) | Kind::Assignment(_) => {}
            }
        }
    }

    fn give_up(&mut self, line: usize, why: &str) {
        if self.obstacle.is_none() {
            self.obstacle = Some((line, why.to_owned()));
        }
    }

    fn label(&self, name: &str) -> Option<usize> {
        self.labels.get(name).copied().filter(|_| name != self.name)
    }

    /// Where it goes on after instruction `at`; `leaves` tells whether the function could be left in this state.
    pub(super) fn next(&self, at: usize, state: &State<'a>, leaves: impl Fn() -> bool) -> Next {
        let Some(instruction) = self.instructions.get(at) else {
            return Next::Stop;
        };
        let mnemonic = instruction.mnemonic;
        match instruction.operation() {
            "ret" => return Next::Return,
            "jmp" if instruction.indirect => return self.indirect(at, instruction, state, leaves),
            _ => {}
        }
        if matches!(mnemonic, "ud2" | "ud2a" | "hlt") || mnemonic.starts_with("ud1") {
            return Next::Stop;
        }
        if matches!(
            mnemonic,
            "lret" | "lretq" | "iret" | "iretq" | "sysret" | "sysretq"
        ) {
            return Next::Unclear("only `retq` returns to the caller".to_owned());
        }
        let always = instruction.operation() == "jmp";
        let jumps =
            mnemonic.starts_with('j') || mnemonic.starts_with("loop") || mnemonic == "xbegin";
        if !jumps {
            return Next::On;
        }
        let Some(Operand::Memory(memory)) = instruction.operands.first() else {
            return Next::Unclear("this jump has no target".to_owned());
        };
        let target = memory.symbol.unwrap_or_default();
        match self.target(target, at) {
            Some(target) => Next::Jump(vec![target], !always),
            None if target.starts_with(".L") || target.is_empty() => {
                Next::Unclear(format!("`{target}` is no place in this function"))
            }
            None => Next::TailCall(!always),
        }
    }

    /// The instruction at a label, `1f` and `1b` included.
    fn target(&self, name: &str, at: usize) -> Option<usize> {
        let number = name.trim_end_matches(['f', 'b']);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.label(name);
        }
        let mut same = self
            .numbered
            .iter()
            .filter(|(label, _)| *label == number)
            .map(|(_, place)| *place);
        if name.ends_with('b') {
            same.rfind(|place| *place <= at)
        } else {
            same.find(|place| *place > at)
        }
    }

    /// A jump to where a register or memory says: through a table, to another function, or to any place in this one whose
    /// address is known to someone.
    fn indirect(
        &self,
        at: usize,
        instruction: &Instruction<'a>,
        state: &State<'a>,
        leaves: impl Fn() -> bool,
    ) -> Next {
        let value = match instruction.operands.first() {
            Some(Operand::Register(part)) => state.get(part.register),
            Some(Operand::Memory(memory)) => state.load(address(state, *memory), 8),
            _ => return Next::Unclear("this jump has no target".to_owned()),
        };
        if let Value::Entry(table) | Value::Target(table) = value
            && let Some(targets) = self.tables.get(table)
        {
            return Next::Jump(targets.clone(), false);
        }
        if let Value::Address(symbol) = value
            && let Some(target) = self.label(symbol)
        {
            return Next::Jump(vec![target], false);
        }
        let is_tail_call = self.tail_calls.get(at).copied().unwrap_or(false);
        if is_tail_call || self.taken.is_empty() && leaves() {
            return Next::TailCall(false);
        }
        if self.taken.is_empty() {
            return Next::Unclear("it can't be told where this jump goes".to_owned());
        }
        Next::Jump(self.taken.clone(), false)
    }
}
