//! A new text in the place of a function of an IR module.

use std::collections::BTreeSet;

use super::ir::{ir_functions, without_use_lists};
use super::ir_text::{Module, Signature, bare, defined, line_of, tokens};
use super::splice::SpliceError;

/// Intrinsics that reach past the program's own data, or change how later arithmetic is done.
const SPECIAL_INTRINSICS: [&str; 17] = [
    "llvm.readcyclecounter",
    "llvm.readsteadycounter",
    "llvm.read_register",
    "llvm.read_volatile_register",
    "llvm.write_register",
    "llvm.set.fpenv",
    "llvm.reset.fpenv",
    "llvm.set.fpmode",
    "llvm.reset.fpmode",
    "llvm.set.rounding",
    "llvm.eh.sjlj",
    "llvm.x86.rdtsc",
    "llvm.x86.rdpmc",
    "llvm.x86.rdrand",
    "llvm.x86.rdseed",
    "llvm.x86.sse.ldmxcsr",
    "llvm.x86.xgetbv",
];

/// Puts a new definition in a function's place.
///
/// The text defines the function, with the linkage, return type and parameter types that it has; names and promises
/// (`noundef`, `align 8`) of parameters may differ, and what follows the parameters may be left out, as it then stays as it is.
/// Beside that it may hold lines that the module has already, `declare` lines of intrinsics, and private or internal constants
/// under new names.
pub fn splice_ir(module: &str, function: &str, new_text: &str) -> Result<String, SpliceError> {
    let functions = ir_functions(module);
    let old = functions
        .iter()
        .find(|found| found.name == function)
        .ok_or_else(|| SpliceError::NoFunction {
            function: function.to_owned(),
        })?;
    let new_text = without_use_lists(&new_text.replace('\r', ""));
    let splice = Splice {
        module: Module::read(module),
        function,
        old: old.text(module),
        new: &new_text,
    };
    let parts = splice.parts()?;
    splice.check_body(&parts)?;
    let mut spliced = String::new();
    let mut lines = module.split_inclusive('\n');
    for line in lines.by_ref().take(old.lines.start) {
        spliced.push_str(line);
    }
    for line in parts.brought {
        spliced.push_str(line);
        spliced.push_str("\n\n");
    }
    spliced.push_str(&parts.header);
    for line in parts.body {
        spliced.push_str(line);
        spliced.push('\n');
    }
    lines
        .skip(old.lines.len())
        .for_each(|line| spliced.push_str(line));
    Ok(without_use_lists(&spliced))
}

struct Splice<'a> {
    module: Module<'a>,
    function: &'a str,
    old: &'a str,
    new: &'a str,
}

/// The new text, taken apart.
struct Parts<'a> {
    /// The `define` line.
    header: String,
    /// The lines after it.
    body: Vec<&'a str>,
    /// New declarations and constants.
    brought: Vec<&'a str>,
}

impl<'a> Splice<'a> {
    fn parts(&self) -> Result<Parts<'a>, SpliceError> {
        let mut header = None;
        let mut body = Vec::new();
        let mut brought = Vec::new();
        let mut lines = self.new.lines();
        while let Some(line) = lines.next() {
            if tokens(line).is_empty() {
                continue;
            }
            if !line.starts_with("define ") {
                brought.extend(self.module_line(line)?);
                continue;
            }
            if header.is_some() {
                return Err(self.other_definition(line));
            }
            header = Some(self.header(line, &mut lines)?);
            body = self.body(&mut lines)?;
        }
        let header = header.ok_or_else(|| SpliceError::NotDefined {
            function: self.function.to_owned(),
            beginning: self.old.lines().next().unwrap_or_default().to_owned(),
        })?;
        Ok(Parts {
            header,
            body,
            brought,
        })
    }

    /// The lines of the body, the closing brace included.
    fn body(&self, lines: &mut std::str::Lines<'a>) -> Result<Vec<&'a str>, SpliceError> {
        let mut body = Vec::new();
        for line in lines {
            body.push(line);
            if line.trim_end() == "}" {
                return Ok(body);
            }
            if line.starts_with("define ") {
                break;
            }
        }
        Err(SpliceError::NotClosed {
            function: self.function.to_owned(),
            ending: "}".to_owned(),
        })
    }

    /// The `define` line, checked against the module's; it may go over several lines.
    fn header(
        &self,
        first: &'a str,
        lines: &mut std::str::Lines<'a>,
    ) -> Result<String, SpliceError> {
        let mut header = first.trim_end().to_owned();
        while !header.ends_with('{') {
            let Some(line) = lines.next().filter(|line| line.trim_end() != "}") else {
                return Err(self.refused(
                    first,
                    "a first line without `{`",
                    "end the line of `define` with `{`",
                ));
            };
            header.push(' ');
            header.push_str(line.trim());
        }
        let unreadable = || {
            self.refused(
                first,
                "this `define` line",
                "it has no name and parameters that could be read",
            )
        };
        let old_line = self.old.lines().next().unwrap_or_default();
        let expected = Signature::read(old_line).ok_or_else(unreadable)?;
        let found = Signature::read(&header).ok_or_else(unreadable)?;
        if found.name != expected.name {
            return Err(self.other_definition(first));
        }
        if !found.agrees_with(&expected) {
            return Err(SpliceError::Signature {
                line: self.line(first),
                expected: expected.describe(),
                found: found.describe(),
            });
        }
        self.check_trailer(first, &expected, &found)?;
        if found.trailer.is_empty() {
            header.truncate(header.len() - 1);
            return Ok(format!("{} {}\n", header.trim_end(), trailer(old_line)));
        }
        Ok(header + "\n")
    }

    /// What follows the parameters may only be what followed them before, or other attributes of the module.
    fn check_trailer(
        &self,
        line: &str,
        expected: &Signature,
        found: &Signature,
    ) -> Result<(), SpliceError> {
        for token in &found.trailer {
            let is_group = token.starts_with('#') && self.module.line(token).is_some();
            if !is_group && !expected.trailer.contains(token) {
                return Err(self.refused(
                    line,
                    token,
                    "what follows the parameters must stay as it is, or be left out, which means the same",
                ));
            }
        }
        Ok(())
    }

    /// A line outside of the function: something to bring along, nothing, or a reason to refuse it.
    fn module_line(&self, line: &'a str) -> Result<Option<&'a str>, SpliceError> {
        if self.module.has_line(line) {
            return Ok(None);
        }
        if line.starts_with("declare ") {
            return self.declaration(line);
        }
        let name = defined(line);
        let why = match line.trim_start().chars().next() {
            Some('@') => {
                let name = name.unwrap_or_default();
                if self.module.line(&name).is_some() {
                    "the module has another definition of this name: take a new one"
                } else if is_constant(line) {
                    return Ok(Some(line));
                } else {
                    "only constants can be added, as in `@name = internal unnamed_addr constant [2 x i8] c\"ab\"`"
                }
            }
            Some('a') if name.is_some() => {
                "new attribute groups can't be added: use those that the module has"
            }
            Some('!') => "new metadata can't be added: leave it out, or use what the module has",
            Some('%') if name.is_some() => {
                "new types can't be added: write the type out, as in `{ i32, ptr }`"
            }
            _ => "outside of the function only declarations and constants may stand",
        };
        Err(self.refused(line, line.trim(), why))
    }

    fn declaration(&self, line: &'a str) -> Result<Option<&'a str>, SpliceError> {
        let Some(signature) = Signature::read(line) else {
            return Err(self.refused(
                line,
                line.trim(),
                "it has no name and parameters that could be read",
            ));
        };
        if let Some(present) = self.module.line(&signature.name) {
            let present =
                Signature::read(present).filter(|present| !same_function(present, &signature));
            return match present {
                None => Ok(None),
                Some(present) => Err(SpliceError::Signature {
                    line: self.line(line),
                    expected: present.describe(),
                    found: signature.describe(),
                }),
            };
        }
        if !signature.name.starts_with("@llvm.") {
            return Err(self.refused(
                line,
                &signature.name,
                "only intrinsics can be added; other functions must be declared or defined in the module already",
            ));
        }
        if SPECIAL_INTRINSICS
            .iter()
            .any(|special| signature.name[1..].starts_with(special))
        {
            return Err(self.refused(line, &signature.name, "it does more than compute"));
        }
        Ok(Some(line))
    }

    /// Every name that the body and the brought lines use must be there.
    fn check_body(&self, parts: &Parts<'a>) -> Result<(), SpliceError> {
        let brought: BTreeSet<String> = parts
            .brought
            .iter()
            .filter_map(|line| defined(line))
            .collect();
        for line in parts.brought.iter().chain(&parts.body) {
            for token in tokens(line) {
                self.check_name(token, &brought)?;
            }
        }
        let assembly = |text: &str| tokens(text).iter().filter(|token| **token == "asm").count();
        let first = parts.body.iter().find(|line| assembly(line) > 0);
        let count: usize = parts.body.iter().map(|line| assembly(line)).sum();
        match first {
            Some(line) if count > assembly(self.old) => {
                Err(self.refused(line, "asm", "inline assembly can't be added"))
            }
            _ => Ok(()),
        }
    }

    fn check_name(&self, token: &str, brought: &BTreeSet<String>) -> Result<(), SpliceError> {
        let name = bare(token);
        let hint = match name.as_bytes() {
            [b'@', _, ..] => {
                "the module neither declares nor defines it, and the text declares no such intrinsic"
            }
            [b'#', digit, ..] if digit.is_ascii_digit() => {
                "the module has no such attributes: leave it out"
            }
            [b'!', digit, ..] if digit.is_ascii_digit() => {
                "the module has no such metadata: leave it out"
            }
            _ => return Ok(()),
        };
        if self.module.line(&name).is_some() || brought.contains(&name) {
            return Ok(());
        }
        Err(SpliceError::Unknown {
            line: self.line(token),
            name,
            hint: hint.to_owned(),
        })
    }

    fn other_definition(&self, line: &str) -> SpliceError {
        SpliceError::OtherDefinition {
            line: self.line(line),
            function: self.function.to_owned(),
            found: defined(line).unwrap_or_default(),
        }
    }

    fn refused(&self, at: &str, what: &str, why: &str) -> SpliceError {
        SpliceError::Refused {
            line: self.line(at),
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }

    /// The number of the line that a part of the new text stands in.
    fn line(&self, part: &str) -> usize {
        line_of(self.new, part)
    }
}

/// Whether two lines mean the same function. Definitions have their linkage beside the type, declarations don't.
fn same_function(present: &Signature, declared: &Signature) -> bool {
    let type_of = |signature: &Signature| signature.result.last().map(ToString::to_string);
    present.parameters == declared.parameters && type_of(present) == type_of(declared)
}

/// `@name = internal unnamed_addr constant …`, in no section of its own.
fn is_constant(line: &str) -> bool {
    let tokens = tokens(line);
    let mut kinds = tokens
        .iter()
        .skip(2)
        .filter(|token| !matches!(**token, "unnamed_addr" | "local_unnamed_addr"));
    let is_private = matches!(kinds.next(), Some(&("private" | "internal")));
    let odd = [
        "section",
        "comdat",
        "partition",
        "thread_local",
        "addrspace",
    ];
    is_private
        && kinds.next() == Some(&"constant")
        && !tokens.iter().any(|token| odd.contains(token))
}

/// What follows the parameters of a `define` line.
fn trailer(line: &str) -> &str {
    let Some(signature) = Signature::read(line) else {
        return "{";
    };
    let first = signature.trailer.first().copied().unwrap_or("{");
    let at = (first.as_ptr() as usize).checked_sub(line.as_ptr() as usize);
    at.and_then(|at| line.get(at..)).unwrap_or("{")
}

#[cfg(test)]
mod tests;
