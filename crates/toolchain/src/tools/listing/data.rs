//! The data of an assembly file: constants, tables, strings, variables.

use super::assembly::assembly_functions;
use super::statements::{Kind, Statement, statements, symbols, without_comment};

/// Directives that put bytes into a section, with what follows them.
const NUMBERS: [&str; 16] = [
    ".byte", ".short", ".value", ".word", ".hword", ".2byte", ".long", ".int", ".4byte", ".quad",
    ".8byte", ".octa", ".float", ".single", ".double", ".fill",
];
const ROOM: [&str; 3] = [".zero", ".skip", ".space"];
const STRINGS: [&str; 3] = [".ascii", ".asciz", ".string"];

/// Data from one label to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tools) struct DataBlock<'a> {
    /// Its label.
    pub(in crate::tools) label: &'a str,
    /// The directive that opened its section.
    pub(in crate::tools) section: &'a str,
    /// Its lines, from its label to its last piece of data.
    pub(in crate::tools) lines: std::ops::Range<usize>,
    /// The symbols that its numbers refer to.
    pub(in crate::tools) symbols: Vec<&'a str>,
    /// Whether it has nothing but plain numbers, strings and room, and is no description of the code.
    pub(in crate::tools) plain: bool,
}

/// Whether a directive is data.
pub(in crate::tools) fn is_data(directive: &str) -> bool {
    NUMBERS.contains(&directive) || ROOM.contains(&directive) || STRINGS.contains(&directive)
}

/// The data of a file in its order; what is in sections of code is none.
pub(in crate::tools) fn data_blocks(asm: &str) -> Vec<DataBlock<'_>> {
    let mut blocks: Vec<DataBlock> = Vec::new();
    let mut section = ".text";
    let mut open = false;
    for statement in statements(asm) {
        if let Some(opened) = opened_section(&statement) {
            section = opened;
            open = false;
            continue;
        }
        if is_code(section) {
            continue;
        }
        match statement.kind {
            Kind::Label(label) => {
                blocks.push(DataBlock {
                    label,
                    section,
                    lines: statement.line..statement.line + 1,
                    symbols: Vec::new(),
                    plain: !section.contains(".debug"),
                });
                open = true;
            }
            Kind::Directive(name, arguments) if open => {
                if let Some(block) = blocks.last_mut() {
                    open = add(block, name, arguments, statement.line);
                }
            }
            _ => open = false,
        }
    }
    blocks
}

/// Adds a directive to a block; says whether the block goes on.
fn add<'a>(block: &mut DataBlock<'a>, name: &str, arguments: &'a str, line: usize) -> bool {
    let odd = matches!(name, ".uleb128" | ".sleb128");
    if !is_data(name) && !odd {
        return false;
    }
    block.lines.end = line + 1;
    block.plain &= !odd;
    if odd || NUMBERS.contains(&name) {
        block.symbols.extend(symbols(arguments));
    }
    true
}

/// The section that a statement opens, if it opens one.
pub(in crate::tools) fn opened_section<'a>(statement: &Statement<'a>) -> Option<&'a str> {
    match statement.kind {
        Kind::Directive(".section" | ".pushsection", _) => Some(statement.code),
        Kind::Directive(name @ (".text" | ".data" | ".bss"), _) => Some(name),
        Kind::Directive(".previous" | ".popsection", _) => Some(".text"),
        _ => None,
    }
}

/// Whether a section holds instructions.
pub(in crate::tools) fn is_code(section: &str) -> bool {
    let mut words = section
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let name = words.next().unwrap_or(first).trim_matches('"');
    let flags = words.next().unwrap_or_default();
    name == ".text" || name.starts_with(".text.") || flags.starts_with('"') && flags.contains('x')
}

/// The symbols that a text refers to, with their lines.
pub(in crate::tools) fn all_symbols(asm: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for statement in statements(asm) {
        let text = match statement.kind {
            Kind::Instruction(_, operands) => operands,
            Kind::Directive(name, _) if STRINGS.contains(&name) => continue,
            Kind::Directive(".file" | ".ident" | ".section" | ".loc", _) | Kind::Label(_) => {
                continue;
            }
            Kind::Directive(_, arguments) => arguments,
            Kind::Assignment(_) => statement.code,
        };
        found.extend(
            symbols(text)
                .into_iter()
                .map(|symbol| (statement.line, symbol)),
        );
    }
    found
}

/// The labels that a text defines, with their lines.
pub(in crate::tools) fn labels(asm: &str) -> Vec<(usize, &str)> {
    let statements = statements(asm).into_iter();
    statements
        .filter_map(|statement| match statement.kind {
            Kind::Label(label) => Some((statement.line, label)),
            _ => None,
        })
        .collect()
}

/// A function's text, with the lines after its last instruction up to its `.size`.
pub(super) fn whole_function<'a>(asm: &'a str, function: &str) -> Option<&'a str> {
    let functions = assembly_functions(asm);
    let found = functions.iter().find(|found| found.name == function)?;
    let text = found.text(asm);
    let start = (text.as_ptr() as usize).saturating_sub(asm.as_ptr() as usize);
    let mut end = start + text.len();
    for line in asm.get(end..)?.split_inclusive('\n') {
        let code = without_comment(line).trim();
        end += line.len();
        if code.starts_with(".size") {
            return asm.get(start..end);
        }
        if !code.is_empty() && !code.starts_with(".Lfunc_end") && code != ".cfi_endproc" {
            break;
        }
    }
    Some(text)
}
