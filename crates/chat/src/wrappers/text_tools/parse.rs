//! Finds tool calls in what a model wrote.
//!
//! Models get the form nearly right: line breaks inside of strings, no closing fence, a list of calls, `json` for `tool`.
//! All of these are read. A block that names a tool but is no JSON is a call with its text as arguments, so that the model
//! can be told; what names none stays text.

use serde_json::{Map, Value};

/// A name and arguments.
type Call = (String, Value);

/// What a text holds.
pub(super) struct Parsed {
    /// The text around the calls.
    pub(super) text: String,
    /// The calls.
    pub(super) calls: Vec<Call>,
}

/// Finds the calls in a text; `known` knows the tools' names.
pub(super) fn calls(text: &str, known: &dyn Fn(&str) -> bool) -> Parsed {
    let mut parsed = Parsed {
        text: String::new(),
        calls: Vec::new(),
    };
    let mut rest = text;
    while let Some(fence) = find_fence(rest) {
        let body = &rest[fence.body..];
        let block = read_block(body, fence.sure, known);
        if block.calls.is_empty() {
            parsed.text.push_str(&rest[..fence.body]);
            rest = body;
        } else {
            parsed.text.push_str(rest[..fence.start].trim_end());
            parsed.text.push('\n');
            parsed.text.push_str(block.more);
            parsed.calls.extend(block.calls);
            rest = &body[block.length..];
        }
    }
    parsed.text.push_str(rest);
    parsed.text = parsed.text.trim().to_owned();
    parsed
}

/// An opening fence.
struct Fence {
    start: usize,
    /// Where the line after it begins.
    body: usize,
    /// Whether it is marked as a tool call.
    sure: bool,
}

fn find_fence(text: &str) -> Option<Fence> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let body = start + line.len();
        if let Some(mark) = line.trim().strip_prefix("```") {
            let mark = mark.trim().to_ascii_lowercase();
            let sure = matches!(
                mark.as_str(),
                "tool" | "tools" | "tool_call" | "tool_calls" | "tool_code"
            );
            if sure
                || mark == "json"
                || (mark.is_empty() && text[body..].trim_start().starts_with('{'))
            {
                return Some(Fence { start, body, sure });
            }
        }
        start = body;
    }
    None
}

/// What stands between fences.
struct Block<'a> {
    calls: Vec<Call>,
    /// What comes after the calls.
    more: &'a str,
    /// With the closing fence.
    length: usize,
}

fn read_block<'a>(body: &'a str, sure: bool, known: &dyn Fn(&str) -> bool) -> Block<'a> {
    let mut calls = Vec::new();
    let mut end = 0;
    loop {
        let rest = body[end..].trim_start_matches(between);
        let start = body.len() - rest.len();
        let Some(length) = object_length(rest) else {
            break;
        };
        let Some(call) = read_object(&rest[..length]).filter(|(name, _)| sure || known(name))
        else {
            break;
        };
        calls.push(call);
        end = start + length;
    }
    let (inner, after) = closing(&body[end..]);
    let length = end + after;
    if calls.is_empty() && sure {
        calls.extend(guess(inner, known));
        return Block {
            calls,
            more: "",
            length,
        };
    }
    Block {
        calls,
        more: inner.trim_matches(between),
        length,
    }
}

/// What separates calls, as a list or one after the other.
fn between(c: char) -> bool {
    c.is_whitespace() || "[,]".contains(c)
}

/// What comes before the closing fence, and the length with it; without one, the next block or the text's end closes.
fn closing(text: &str) -> (&str, usize) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mark = line.trim();
        if mark == "```" {
            return (&text[..start], start + line.len());
        }
        if mark.starts_with("```") {
            return (&text[..start], start);
        }
        start += line.len();
    }
    (text, text.len())
}

/// The length of the object that the text begins with, by its braces.
fn object_length(text: &str) -> Option<usize> {
    if !text.starts_with('{') {
        return None;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (place, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn read_object(text: &str) -> Option<Call> {
    let value: Value = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&escape_controls(text)))
        .ok()?;
    let Value::Object(mut object) = value else {
        return None;
    };
    // Some models write the form of a provider's interface.
    if let Some(Value::Object(function)) = object.remove("function") {
        object.extend(function);
    }
    let mut take = |names: &[&str]| names.iter().find_map(|name| object.remove(*name));
    let Some(Value::String(name)) = take(&["name", "tool"]) else {
        return None;
    };
    let arguments = match take(&["arguments", "parameters", "args", "input"]) {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => value,
            _ => Value::String(text),
        },
        Some(value) => value,
    };
    Some((name, arguments))
}

/// Line breaks and tabs that stand bare in strings, as JSON wants them.
fn escape_controls(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if quoted => out.push_str("\\n"),
            '\r' if quoted => out.push_str("\\r"),
            '\t' if quoted => out.push_str("\\t"),
            c => out.push(c),
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    out
}

/// A call from what is no JSON: the known name after `"name":`, and all of the text as arguments.
fn guess(text: &str, known: &dyn Fn(&str) -> bool) -> Option<Call> {
    let (_, after) = text.split_once("name")?;
    let mut words = after.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    let name = words.find(|word| !word.is_empty())?;
    known(name).then(|| (name.to_owned(), Value::String(text.trim().to_owned())))
}
