//! Which extensions of x86-64 the instructions of an assembly file need, beyond what every such processor has.
//!
//! What is not known to run everywhere is named, never passed over: an instruction in no list, bytes among instructions, a
//! directive that may stand for either.

mod baseline;
mod table;
mod vector;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::abi::is_foreign;
use super::listing::data::{is_code, opened_section};
use super::listing::statements::{Kind, Statement, operands, statements};
use vector::Encoding;

/// What an instruction needs that not every x86-64 processor has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extension {
    /// An extension, by LLVM's name: `avx2`.
    Known(String),
    /// An instruction or directive of which that is not known.
    Unknown(String),
}

/// The first place where an extension is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionUse {
    /// What is needed.
    pub extension: Extension,
    /// The function, or whatever label stands before; empty at the beginning of the file.
    pub function: String,
    /// The line within the function, whose label is line 1.
    pub line: usize,
    /// The instruction.
    pub code: String,
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => f.write_str(name),
            Self::Unknown(what) => write!(f, "an unknown extension (`{what}`)"),
        }
    }
}

impl fmt::Display for ExtensionUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            extension,
            function,
            line,
            code,
        } = self;
        write!(f, "line {line} of {function}, `{code}`: needs {extension}")
    }
}

/// The extensions that the instructions of an assembly file need, each with its first place, in the order of these.
/// `None` if it can't be told, as the file is not x86-64 in AT&T syntax.
pub fn extensions_needed(asm: &str) -> Option<Vec<ExtensionUse>> {
    let mut reader = Reader::default();
    for statement in statements(asm) {
        reader.statement(&statement)?;
    }
    Some(reader.found)
}

/// The extensions that LLVM may use in the functions of an IR module, as their attributes say: those of the target and those
/// that functions ask for themselves.
pub fn extensions_declared(ir: &str) -> BTreeSet<Extension> {
    let attributes = ir.split("\"target-features\"=\"").skip(1);
    attributes
        .filter_map(|rest| rest.split('"').next())
        .flat_map(|features| features.split(','))
        .filter_map(|feature| feature.strip_prefix('+'))
        .map(|name| Extension::Known(name.to_owned()))
        .collect()
}

#[derive(Default)]
struct Reader<'a> {
    /// Whether what is read is no code but data.
    in_data: bool,
    /// The last label that is no place within a function, with its line.
    function: (&'a str, usize),
    /// Instructions looked up already.
    baseline: BTreeMap<&'a str, bool>,
    seen: BTreeSet<Extension>,
    found: Vec<ExtensionUse>,
}

impl<'a> Reader<'a> {
    fn statement(&mut self, statement: &Statement<'a>) -> Option<()> {
        if let Some(section) = opened_section(statement) {
            self.in_data = !is_code(section);
            return Some(());
        }
        if self.in_data {
            return Some(());
        }
        match statement.kind {
            Kind::Label(label) => {
                let is_place =
                    label.starts_with(".L") || label.bytes().all(|byte| byte.is_ascii_digit());
                if !is_place {
                    self.function = (label, statement.line);
                }
            }
            Kind::Assignment(_) => {}
            Kind::Directive(name, arguments) => {
                if !is_harmless(name, arguments) {
                    self.add(Extension::Unknown(plain(statement.code)), statement);
                }
            }
            Kind::Instruction(mnemonic, operands) => {
                if is_foreign(statement.code, mnemonic, operands) {
                    return None;
                }
                self.instruction(statement, mnemonic, operands);
            }
        }
        Some(())
    }

    fn instruction(&mut self, statement: &Statement<'a>, mnemonic: &'a str, operands: &'a str) {
        let is_baseline = *self
            .baseline
            .entry(mnemonic)
            .or_insert_with(|| baseline::is_baseline(mnemonic));
        if is_baseline && !is_more(statement.code, mnemonic, operands) {
            return;
        }
        match needs(statement.code, mnemonic, operands) {
            Some(extensions) => {
                for extension in extensions {
                    self.add(Extension::Known(extension.to_owned()), statement);
                }
            }
            None => self.add(Extension::Unknown(mnemonic.to_owned()), statement),
        }
    }

    fn add(&mut self, extension: Extension, statement: &Statement<'a>) {
        if !self.seen.insert(extension.clone()) {
            return;
        }
        let (function, line) = self.function;
        self.found.push(ExtensionUse {
            extension,
            function: function.to_owned(),
            line: statement.line - line + 1,
            code: plain(statement.code),
        });
    }
}

/// Whether an instruction of the baseline is another one with this prefix or these operands.
fn is_more(code: &str, mnemonic: &str, operands: &str) -> bool {
    // With `rep`, older processors find the bit's place from the other end.
    let is_lzcnt = mnemonic.starts_with("bsr") && code.starts_with("rep");
    let is_store = mnemonic == "pextrw" && operands.ends_with(')');
    is_lzcnt || is_store
}

/// The extensions that an instruction beyond the baseline needs; `None` if it is not known.
fn needs(code: &str, mnemonic: &str, operands: &str) -> Option<Vec<&'static str>> {
    // Within a macro the operands are yet to come.
    if code.contains('\\') {
        return None;
    }
    match mnemonic {
        "pextrw" => return Some(vec!["sse4.1"]),
        "bsr" | "bsrw" | "bsrl" | "bsrq" => return Some(vec!["lzcnt"]),
        _ => {}
    }
    let (encoding, mnemonic, operands) = encoding(mnemonic, operands)?;
    if baseline::is_baseline(mnemonic) {
        return Some(Vec::new());
    }
    let tables = [&table::GENERAL[..], &table::SSE[..]];
    let short = mnemonic.strip_suffix(['b', 'w', 'l', 'q']).unwrap_or("");
    let known = tables
        .iter()
        .find_map(|table| baseline::find(table, mnemonic));
    if let Some(extension) = known.or_else(|| baseline::find(&table::GENERAL, short)) {
        return Some(vec![extension]);
    }
    vector::needs(mnemonic, &operands.to_ascii_lowercase(), encoding)
}

/// Takes off what is written in braces before an instruction.
fn encoding<'a>(
    mut mnemonic: &'a str,
    mut operands: &'a str,
) -> Option<(Encoding, &'a str, &'a str)> {
    let mut encoding = Encoding::Any;
    while mnemonic.starts_with('{') {
        encoding = match mnemonic {
            "{vex}" | "{vex2}" | "{vex3}" => Encoding::Vex,
            "{evex}" => Encoding::Evex,
            "{disp8}" | "{disp32}" => encoding,
            _ => return None,
        };
        let (first, rest) = operands
            .split_once(char::is_whitespace)
            .unwrap_or((operands, ""));
        (mnemonic, operands) = (first, rest.trim_start());
    }
    Some((encoding, mnemonic, operands))
}

/// Directives in code that put nothing there.
const HARMLESS: [&str; 23] = [
    ".addrsig",
    ".addrsig_sym",
    ".att_syntax",
    ".cg_profile",
    ".comm",
    ".equ",
    ".file",
    ".global",
    ".globl",
    ".hidden",
    ".ident",
    ".internal",
    ".lcomm",
    ".loc",
    ".local",
    ".protected",
    ".pseudoprobe",
    ".set",
    ".size",
    ".symver",
    ".type",
    ".weak",
    ".weakref",
];

/// Whether a directive puts nothing among the instructions, or nothing but `nop`.
fn is_harmless(name: &str, arguments: &str) -> bool {
    let is_padding = matches!(name, ".p2align" | ".balign" | ".align");
    let with = operands(arguments).get(1).copied().unwrap_or("0x90");
    HARMLESS.contains(&name) || name.starts_with(".cfi_") || is_padding && with == "0x90"
}

/// A statement with single spaces.
fn plain(code: &str) -> String {
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
