//! A new text in the place of a function of an assembly file.

use std::collections::{BTreeMap, BTreeSet};

use super::assembly_parts::{Parts, read};
use super::data::{all_symbols, data_blocks, labels, whole_function};
use super::splice::SpliceError;
use super::statements::{Kind, statements};

/// How the section of all new constants is opened. In the sections of mergeable constants the linker may part what belongs
/// together.
const CONSTANTS: &str = "\t.section\t.rodata,\"a\",@progbits";

/// Puts a new text in a function's place.
///
/// The text runs from the function's label to its `.size`; what stands at both ends for linker and unwinder stays as it was.
/// Parts that begin with `.section .rodata` may hold constants and jump tables, which go to the end of the file. New labels
/// begin with `.L`, or are numbers, and are renamed where something else has the same name. Tables that only the old function
/// used go with it.
pub fn splice_assembly(asm: &str, function: &str, new_text: &str) -> Result<String, SpliceError> {
    let old_text = whole_function(asm, function).ok_or_else(|| SpliceError::NoFunction {
        function: function.to_owned(),
    })?;
    let new_text = new_text.replace('\r', "");
    let parts = read(&new_text, function, old_text)?;
    let (before, after) = around(asm, old_text);
    let outside = format!("{before}{after}");
    let names = new_names(&outside, &parts);
    check_symbols(asm, &outside, old_text, &parts)?;

    let code = framed(old_text, &renamed(&parts.code, &names));
    let data = renamed(&parts.data, &names);
    let dead = dead_lines(&outside, old_text, &format!("{code}{data}"))?;
    let mut spliced = without_lines(before, 0, &dead);
    spliced.push_str(&code);
    spliced.push_str(&without_lines(after, before.lines().count(), &dead));
    if !data.is_empty() {
        if !spliced.ends_with('\n') {
            spliced.push('\n');
        }
        spliced = format!("{spliced}{CONSTANTS}\n{data}");
    }
    Ok(spliced)
}

/// The file before and after a part of it.
fn around<'a>(asm: &'a str, part: &str) -> (&'a str, &'a str) {
    let start = (part.as_ptr() as usize).saturating_sub(asm.as_ptr() as usize);
    let before = asm.get(..start).unwrap_or_default();
    (before, asm.get(start + part.len()..).unwrap_or_default())
}

/// New names for the labels of the new text that something outside of the function has too.
fn new_names<'a>(outside: &str, parts: &'a Parts) -> BTreeMap<&'a str, String> {
    let mut taken: BTreeSet<String> = labels(outside)
        .iter()
        .map(|(_, label)| (*label).to_owned())
        .collect();
    let clashing: Vec<&str> = parts
        .labels()
        .filter(|label| taken.contains(*label))
        .collect();
    taken.extend(parts.labels().map(str::to_owned));
    let mut names = BTreeMap::new();
    for label in clashing {
        let fresh = (1..=taken.len() + 1)
            .map(|number| format!("{label}_{number}"))
            .find(|name| !taken.contains(name));
        if let Some(fresh) = fresh {
            taken.insert(fresh.clone());
            names.insert(label, fresh);
        }
    }
    names
}

/// Lines as a text in which labels have their new names.
fn renamed(lines: &[(usize, String)], names: &BTreeMap<&str, String>) -> String {
    let mut text = String::new();
    for (_, line) in lines {
        let mut rest = line.as_str();
        while let Some(at) = rest.find(".L") {
            let length = rest[at..]
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '$'))
                .unwrap_or(rest.len() - at);
            let (label, after) = rest[at..].split_at(length);
            text.push_str(&rest[..at]);
            text.push_str(names.get(label).map_or(label, String::as_str));
            rest = after;
        }
        text.push_str(rest);
        text.push('\n');
    }
    text
}

/// Symbols must be something that the file knows; labels must be there.
fn check_symbols(asm: &str, outside: &str, old: &str, parts: &Parts) -> Result<(), SpliceError> {
    let own: BTreeSet<&str> = parts.labels().collect();
    let ending = ending(old);
    let kept = labels(&ending).into_iter().map(|(_, label)| label);
    let places: BTreeSet<&str> = labels(outside)
        .into_iter()
        .map(|(_, label)| label)
        .chain(kept)
        .collect();
    let mentioned: BTreeSet<&str> = all_symbols(asm)
        .into_iter()
        .map(|(_, symbol)| symbol)
        .collect();
    for (line, text) in parts.code.iter().chain(&parts.data) {
        for (_, symbol) in all_symbols(text) {
            let is_label = symbol.starts_with(".L");
            let known = own.contains(symbol)
                || places.contains(symbol)
                || !is_label && mentioned.contains(symbol);
            if !known {
                let hint = if is_label {
                    "no such label is in the new text or elsewhere in the file"
                } else {
                    "only functions and variables that the file mentions already can be used"
                };
                return Err(SpliceError::Unknown {
                    line: *line,
                    name: symbol.to_owned(),
                    hint: hint.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The new code between the label and the ending of the old.
fn framed(old: &str, code: &str) -> String {
    let has = |name: &str| {
        statements(old)
            .iter()
            .any(|statement| matches!(statement.kind, Kind::Directive(found, _) if found == name))
    };
    let (starts, ends) = (has(".cfi_startproc"), has(".cfi_endproc"));
    let mut text = old.lines().next().unwrap_or_default().to_owned() + "\n";
    if starts && !code.contains("\t.cfi_startproc") {
        text.push_str("\t.cfi_startproc\n");
    }
    for line in code.lines() {
        let directive = line.trim_start();
        let about_frames = directive.starts_with(".cfi_");
        if !about_frames || starts && !directive.starts_with(".cfi_endproc") {
            text.push_str(line);
            text.push('\n');
        }
    }
    let ending = ending(old);
    if ends && !ending.contains(".cfi_endproc") {
        text.push_str("\t.cfi_endproc\n");
    }
    text + &ending
}

/// The last lines of a function: labels at its end, and its `.size`.
fn ending(old: &str) -> String {
    let is_end = |line: &&str| {
        let line = line.trim_start();
        line.starts_with(".Lfunc_end") || line.starts_with(".size")
    };
    let before = old
        .split_inclusive('\n')
        .take_while(|line| !is_end(line))
        .map(str::len)
        .sum();
    old.get(before..).unwrap_or_default().to_owned()
}

/// The lines of the tables outside that need labels which are gone, if nothing else uses these tables.
fn dead_lines(outside: &str, old: &str, new: &str) -> Result<BTreeSet<usize>, SpliceError> {
    let present: BTreeSet<&str> = labels(new).into_iter().map(|(_, label)| label).collect();
    let gone: BTreeSet<&str> = labels(old)
        .into_iter()
        .map(|(_, label)| label)
        .filter(|label| label.starts_with(".L") && !present.contains(label))
        .collect();
    let blocks = data_blocks(outside);
    let uses = all_symbols(outside);
    let used_by_new: BTreeSet<&str> = all_symbols(new)
        .into_iter()
        .map(|(_, symbol)| symbol)
        .collect();
    let mut dead = BTreeSet::new();
    for (line, label) in uses.iter().filter(|(_, symbol)| gone.contains(symbol)) {
        let block = blocks
            .iter()
            .find(|block| block.plain && block.lines.contains(line));
        let unused = block.filter(|block| {
            let elsewhere = uses
                .iter()
                .any(|(line, symbol)| *symbol == block.label && !block.lines.contains(line));
            !elsewhere && !used_by_new.contains(block.label)
        });
        let Some(block) = unused else {
            return Err(SpliceError::MissingLabel {
                label: (*label).to_owned(),
                user: block
                    .map_or("the rest of the file", |block| block.label)
                    .to_owned(),
            });
        };
        dead.extend(block.lines.clone());
    }
    Ok(dead)
}

/// A text without some lines, the first of which has a number.
fn without_lines(text: &str, first: usize, dead: &BTreeSet<usize>) -> String {
    let lines = text.split_inclusive('\n').enumerate();
    lines
        .filter(|(number, _)| !dead.contains(&(first + number)))
        .map(|(_, line)| line)
        .collect()
}

#[cfg(test)]
mod tests;
