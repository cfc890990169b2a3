//! A function of an assembly file with the constants and tables that it reads.

use std::collections::BTreeSet;

use super::assembly::assembly_functions;
use super::data::{DataBlock, all_symbols, data_blocks, whole_function};

/// Lines of one constant or table that are shown, and of all of them together.
const LINES_OF_ONE: usize = 40;
const LINES_OF_ALL: usize = 400;

/// A function's own lines, from its label to its `.size`, and then, as comments, the constants, strings and tables that it
/// refers to. Long ones are cut. `None` if the file has no such function.
pub fn assembly_excerpt(asm: &str, function: &str) -> Option<String> {
    let text = whole_function(asm, function)?;
    let blocks = data_blocks(asm);
    let lines: Vec<&str> = asm.lines().collect();
    let mut excerpt = vec![text.trim_end_matches('\n').to_owned()];
    let mut section = "";
    let mut room = LINES_OF_ALL;
    for block in used_blocks(&blocks, text) {
        if section != block.section {
            section = block.section;
            excerpt.push(format!("# {section}"));
        }
        let shown = lines.get(block.lines.clone()).unwrap_or_default();
        let count = shown.len().min(LINES_OF_ONE).min(room);
        room -= count;
        let comments = shown.iter().take(count);
        excerpt.extend(comments.map(|line| format!("# {}", line.trim_end())));
        let left = shown.len() - count;
        if left > 0 {
            excerpt.push(format!("# … and {left} lines more of {}", block.label));
        }
    }
    Some(excerpt.join("\n") + "\n")
}

/// The functions of the same file that a function refers to, itself left out, in the order in which it names them first.
pub fn assembly_callees(asm: &str, function: &str) -> Vec<String> {
    let Some(text) = whole_function(asm, function) else {
        return Vec::new();
    };
    let functions = assembly_functions(asm);
    let defined: BTreeSet<&str> = functions.iter().map(|found| found.name.as_str()).collect();
    let mut callees: Vec<String> = Vec::new();
    for (_, symbol) in all_symbols(text) {
        let is_new = symbol != function && !callees.iter().any(|callee| callee == symbol);
        if is_new && defined.contains(symbol) {
            callees.push(symbol.to_owned());
        }
    }
    callees
}

/// The blocks that a text refers to, and those that these refer to, in the file's order.
fn used_blocks<'b, 'a>(blocks: &'b [DataBlock<'a>], text: &'a str) -> Vec<&'b DataBlock<'a>> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<&str> = all_symbols(text)
        .into_iter()
        .map(|(_, symbol)| symbol)
        .collect();
    while let Some(symbol) = waiting.pop() {
        if let Some(block) = blocks.iter().find(|block| block.label == symbol)
            && wanted.insert(symbol)
        {
            waiting.extend(&block.symbols);
        }
    }
    blocks
        .iter()
        .filter(|block| wanted.contains(block.label))
        .collect()
}
