//! Functions in C text, by their braces: enough to replace one, without a parser.

use std::ops::Range;

/// A function definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CFunction {
    /// Its name.
    pub name: String,
    /// Where it stands in the text, from the first byte of its declaration to its closing brace.
    pub range: Range<usize>,
}

/// The functions defined at the top level of a C file, in order. What a macro or an old-style definition hides is not found.
pub fn c_functions(text: &str) -> Vec<CFunction> {
    let code = blanked(text);
    let bytes = code.as_bytes();
    let mut functions = Vec::new();
    // Where the current top-level declaration starts, and how deep in braces we are.
    let (mut start, mut depth, mut open) = (0, 0_usize, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => {
                if depth == 0 {
                    open = at;
                }
                depth += 1;
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    let head = &code[start..open.max(start)];
                    if let Some(name) = defined_name(head) {
                        let lead = head.len() - head.trim_start().len();
                        functions.push(CFunction {
                            name: name.to_owned(),
                            range: start + lead..at + 1,
                        });
                        start = at + 1;
                    }
                }
            }
            b';' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    functions
}

/// The name of the function that a text before a brace declares: `static int f(int x)` declares `f`.
fn defined_name(head: &str) -> Option<&str> {
    let head = head.trim_end();
    let mut head = head.strip_suffix(')').map(|_| head)?;
    // Attributes may follow the parameters.
    loop {
        let open = matching(head)?;
        let before = head[..open].trim_end();
        let from = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| at + 1);
        let name = &before[from..];
        if matches!(name, "__attribute__" | "__asm__" | "asm") {
            head = before[..from].trim_end();
            head.strip_suffix(')')?;
            continue;
        }
        // A name alone is a macro's use; a type stands before a function's name.
        let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_initializer = before[..from].contains('=');
        return (starts_well && from > 0 && !is_initializer).then_some(name);
    }
}

/// Where the parenthesis opens that the text ends with closing.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The text with comments, literals and preprocessor lines blanked out, byte for byte.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    let mut at_line_start = true;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'#' if at_line_start => end_of_directive(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => end_of_directive(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                find(bytes, at + 2, b"*/").map_or(bytes.len(), |found| found + 2)
            }
            quote @ (b'"' | b'\'') => end_of_literal(bytes, at, quote),
            _ => at,
        };
        if end > at {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
            continue;
        }
        at_line_start = match bytes[at] {
            b'\n' => true,
            byte => at_line_start && byte.is_ascii_whitespace(),
        };
        at += 1;
    }
    // Whole literals and comments were replaced by blanks, so what is left is UTF-8 still.
    String::from_utf8(out).unwrap_or_default()
}

/// The end of a line that goes on after a backslash.
fn end_of_directive(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(end) = find(bytes, at, b"\n") {
        if bytes[..end].last() != Some(&b'\\') {
            return end;
        }
        at = end + 1;
    }
    bytes.len()
}

/// Behind the closing quote; literals do not cross lines.
fn end_of_literal(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\n' => return at,
            byte if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len())
        .position(|window| window == what)
        .map(|found| from + found)
}
