//! A function of an IR module with what one must know to read it.

use std::collections::BTreeSet;

use super::ir::ir_functions;
use super::ir_text::{Module, bare, defined, tokens};

/// Longer lines, tables most of them, are shortened.
const LONGEST_LINE: usize = 400;
/// Attributes and metadata that take more than this explain little.
const LONGEST_DETAIL: usize = 120;

/// A function's own lines, after the target, types, globals and declarations that they refer to. Functions that the module
/// defines appear as comments; attributes and metadata are there where they are short. `None` if the module doesn't define
/// the function.
pub fn ir_excerpt(module: &str, function: &str) -> Option<String> {
    let functions = ir_functions(module);
    let found = functions.iter().find(|found| found.name == function)?;
    let text = found.text(module);
    let index = Module::read(module);
    let wanted = referenced(&index, text, &format!("@{function}"));
    let mut excerpt = String::new();
    for line in &index.lines {
        let shown = match defined(line) {
            Some(name) if wanted.contains(&name) => shown(line),
            None if line.starts_with("target ") => Some((*line).to_owned()),
            _ => None,
        };
        if let Some(shown) = shown {
            excerpt.push_str(&shown);
            excerpt.push('\n');
        }
    }
    Some(format!("{excerpt}\n{text}"))
}

/// The functions of the same module that a function calls by name, itself left out, in the order of their first calls.
pub fn ir_callees(module: &str, function: &str) -> Vec<String> {
    let functions = ir_functions(module);
    let Some(found) = functions.iter().find(|found| found.name == function) else {
        return Vec::new();
    };
    let tokens = tokens(found.text(module));
    let mut callees: Vec<String> = Vec::new();
    for pair in tokens.windows(2) {
        let Some(name) = pair[0].strip_prefix('@').filter(|_| pair[1] == "(") else {
            continue;
        };
        let name = bare(name);
        let is_defined = functions.iter().any(|other| other.name == name);
        if is_defined && name != function && !callees.contains(&name) {
            callees.push(name);
        }
    }
    callees
}

/// The names that the module defines and a function's text refers to; types also through others.
fn referenced(module: &Module, text: &str, own: &str) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let mut texts = vec![text];
    while let Some(text) = texts.pop() {
        let is_body = texts.is_empty() && wanted.is_empty();
        for token in tokens(text) {
            let name = bare(token);
            let follow = name.starts_with('%') || is_body;
            let Some(line) = module.line(&name).filter(|_| follow && name != own) else {
                continue;
            };
            if wanted.insert(name) && line.starts_with(['%', '@', 'd']) {
                texts.push(line);
            }
        }
    }
    wanted
}

/// A module-level line in the form in which it is shown, if at all.
fn shown(line: &str) -> Option<String> {
    if let Some(signature) = line.strip_prefix("define ") {
        let signature = signature.trim_end().trim_end_matches('{').trim_end();
        return Some(format!("; defined in this module: declare {signature}"));
    }
    if line.starts_with(['!', 'a']) && line.len() > LONGEST_DETAIL {
        return None;
    }
    if line.len() <= LONGEST_LINE {
        return Some(line.to_owned());
    }
    let cut = line
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= LONGEST_LINE);
    let cut = cut.last().unwrap_or(0);
    Some(format!(
        "; {} … and {} bytes more",
        &line[..cut],
        line.len() - cut
    ))
}
