//! The new text of a function in assembly, read line by line, with everything refused that is no part of a function.

use std::collections::BTreeSet;

use super::data::is_data;
use super::splice::SpliceError;
use super::statements::{Kind, Statement, statements, without_comment};
use crate::tools::imports::SPECIAL;

/// Directives that a function may hold.
const IN_CODE: [&str; 4] = [".p2align", ".balign", ".align", ".loc"];
/// Directives among constants, beside data.
const IN_DATA: [&str; 3] = [".p2align", ".balign", ".align"];

/// The new text, taken apart. Each line has the number, from 1, of the one it comes from.
#[derive(Default)]
pub(super) struct Parts {
    /// The function, from its label to its `.size`, without these.
    pub(super) code: Vec<(usize, String)>,
    /// Constants.
    pub(super) data: Vec<(usize, String)>,
    labels: BTreeSet<String>,
}

impl Parts {
    /// The labels that it defines, without numbers and the function's own.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(String::as_str)
    }
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Code,
    After,
    Constants,
}

struct Reader<'a> {
    function: &'a str,
    /// Special instructions that the old text has: these may stay.
    allowed: BTreeSet<&'a str>,
    place: Place,
    defined: bool,
    closed: bool,
    parts: Parts,
}

/// Takes a new text apart.
pub(super) fn read(new: &str, function: &str, old: &str) -> Result<Parts, SpliceError> {
    let allowed = statements(old)
        .into_iter()
        .filter_map(|statement| match statement.kind {
            Kind::Instruction(mnemonic, _) if SPECIAL.contains(&mnemonic) => Some(mnemonic),
            _ => None,
        });
    let mut reader = Reader {
        function,
        allowed: allowed.collect(),
        place: Place::Before,
        defined: false,
        closed: false,
        parts: Parts::default(),
    };
    let all = statements(new);
    let mut rest = all.as_slice();
    for (number, line) in new.lines().enumerate() {
        let count = rest
            .iter()
            .take_while(|statement| statement.line == number)
            .count();
        let (own, after) = rest.split_at(count);
        rest = after;
        reader.line(number + 1, line, own)?;
    }
    if !reader.defined {
        return Err(SpliceError::NotDefined {
            function: function.to_owned(),
            beginning: format!("{function}:"),
        });
    }
    if !reader.closed {
        return Err(SpliceError::NotClosed {
            function: function.to_owned(),
            ending: format!(".size {function}, .-{function}"),
        });
    }
    Ok(reader.parts)
}

impl Reader<'_> {
    fn line(&mut self, number: usize, text: &str, own: &[Statement]) -> Result<(), SpliceError> {
        let code = without_comment(text);
        if code.contains("/*") && !code.contains('"') {
            return Err(refused(number, "/*", "write comments after `#`"));
        }
        for statement in own {
            if let Some(kept) = self.statement(number, statement)? {
                self.keep(number, kept);
            }
        }
        let comment = &text[code.len()..];
        if comment.starts_with('#') && self.place == Place::Code {
            match self
                .parts
                .code
                .last_mut()
                .filter(|(last, _)| *last == number)
            {
                Some((_, line)) => *line = format!("{line} {}", comment.trim_end()),
                None => self.keep(number, comment.trim_end().to_owned()),
            }
        }
        Ok(())
    }

    fn keep(&mut self, number: usize, line: String) {
        let lines = match self.place {
            Place::Constants => &mut self.parts.data,
            _ => &mut self.parts.code,
        };
        lines.push((number, line));
    }

    /// The line that a statement becomes, if any.
    fn statement(
        &mut self,
        number: usize,
        statement: &Statement,
    ) -> Result<Option<String>, SpliceError> {
        match statement.kind {
            Kind::Label(label) => self.label(number, label),
            Kind::Assignment(name) => Err(refused(number, name, "symbols can't be set")),
            Kind::Directive(name, arguments) => {
                let kept = self.directive(number, name, arguments)?;
                Ok(kept.then(|| format!("\t{}", statement.code)))
            }
            Kind::Instruction(mnemonic, _) => {
                self.instruction(number, mnemonic)?;
                Ok(Some(format!("\t{}", statement.code)))
            }
        }
    }

    fn label(&mut self, number: usize, label: &str) -> Result<Option<String>, SpliceError> {
        if label == self.function && !self.defined {
            self.defined = true;
            self.place = Place::Code;
            return Ok(None);
        }
        let is_number = label.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !label.starts_with(".L") && label != self.function {
            let function = self.function;
            let why = format!(
                "the text may define `{function}` only, and labels in it begin with `.L`, or are numbers"
            );
            return Err(refused(number, label, &why));
        }
        if label == self.function {
            return Err(SpliceError::OtherDefinition {
                line: number,
                function: self.function.to_owned(),
                found: label.to_owned(),
            });
        }
        if label.starts_with(".Lfunc_end") && self.place != Place::Constants {
            return Ok(None);
        }
        if matches!(self.place, Place::Before | Place::After) {
            return Err(self.misplaced(number, label));
        }
        if !is_number && !self.parts.labels.insert(label.to_owned()) {
            return Err(refused(number, label, "the new text has this label twice"));
        }
        Ok(Some(format!("{label}:")))
    }

    /// Whether a directive is kept.
    fn directive(
        &mut self,
        number: usize,
        name: &str,
        arguments: &str,
    ) -> Result<bool, SpliceError> {
        if name == ".section" {
            return self.section(number, arguments).map(|()| false);
        }
        match self.place {
            Place::Code if name == ".size" => {
                self.place = Place::After;
                self.closed = true;
                Ok(false)
            }
            Place::Code if name.starts_with(".cfi_") || IN_CODE.contains(&name) => Ok(true),
            Place::After if name == ".cfi_endproc" => Ok(false),
            Place::Constants if is_data(name) || IN_DATA.contains(&name) => Ok(true),
            _ => Err(refused(number, name, directive_advice(name))),
        }
    }

    /// Constants may begin before the function or after it.
    fn section(&mut self, number: usize, arguments: &str) -> Result<(), SpliceError> {
        let name = arguments.split([',', ' ', '\t']).next().unwrap_or_default();
        let size = name.strip_prefix(".rodata.cst").map(str::parse::<u32>);
        if name != ".rodata" && !matches!(size, Some(Ok(1..=64))) {
            return Err(refused(
                number,
                name,
                "the only sections are `.rodata` and `.rodata.cst…`, for constants",
            ));
        }
        if self.place == Place::Code {
            return Err(refused(
                number,
                name,
                "constants stand before the function's label or after its `.size`",
            ));
        }
        self.place = Place::Constants;
        // Such a section has the alignment of its constants, so that they need not say it.
        if let Some(Ok(size)) = size {
            self.keep(number, format!("\t.balign\t{}", size.next_power_of_two()));
        }
        Ok(())
    }

    fn instruction(&self, number: usize, mnemonic: &str) -> Result<(), SpliceError> {
        if self.place != Place::Code {
            return Err(self.misplaced(number, mnemonic));
        }
        if SPECIAL.contains(&mnemonic) && !self.allowed.contains(mnemonic) {
            return Err(refused(
                number,
                mnemonic,
                "an instruction that does more than compute can't be added",
            ));
        }
        Ok(())
    }

    fn misplaced(&self, number: usize, what: &str) -> SpliceError {
        let function = self.function;
        refused(
            number,
            what,
            &format!("it must stand between `{function}:` and `.size {function}, .-{function}`"),
        )
    }
}

fn directive_advice(name: &str) -> &'static str {
    match name {
        ".text" | ".data" | ".bss" | ".previous" | ".popsection" | ".pushsection" => {
            "leave it out: the function stays in its section, and constants go to the one they need"
        }
        ".globl" | ".global" | ".type" | ".weak" | ".hidden" | ".local" | ".protected" => {
            "leave it out: the function keeps its kind and visibility"
        }
        name if is_data(name) => {
            "data stand in a part that begins with `.section .rodata`, not among instructions"
        }
        _ => "leave it out: a function holds instructions, labels, alignment and `.cfi_…` only",
    }
}

fn refused(line: usize, what: &str, why: &str) -> SpliceError {
    SpliceError::Refused {
        line,
        what: what.to_owned(),
        why: why.to_owned(),
    }
}
