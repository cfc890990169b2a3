//! LLVM IR by its tokens: enough to tell names, signatures and module-level lines apart.

use std::collections::BTreeMap;

use super::ir::ir_functions;

/// Attributes of a value that say nothing about how it is passed.
const PLAIN_ATTRIBUTES: [&str; 17] = [
    "noundef",
    "nonnull",
    "noalias",
    "nocapture",
    "nofree",
    "readnone",
    "readonly",
    "writeonly",
    "returned",
    "immarg",
    "dead_on_unwind",
    "dead_on_return",
    "writable",
    "allocalign",
    "allocptr",
    "noextend",
    "nomerge",
];
/// The same with something in parentheses or, for `align`, a number.
const ATTRIBUTES_WITH_VALUE: [&str; 7] = [
    "align",
    "dereferenceable",
    "dereferenceable_or_null",
    "range",
    "nofpclass",
    "captures",
    "initializes",
];

/// Cuts a text into names with their sigil, words, strings and single signs; comments and blanks fall out. Each token is a
/// part of the text.
pub(super) fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == ';' {
            rest = rest.find('\n').map_or("", |end| &rest[end..]).trim_start();
            continue;
        }
        let (token, after) = rest.split_at(token_length(rest, first));
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn token_length(text: &str, first: char) -> usize {
    let sigil = usize::from(matches!(first, '%' | '@' | '!' | '#' | '$'));
    let tail = &text[sigil..];
    let quoted = tail.strip_prefix('"').or_else(|| {
        tail.strip_prefix("c\"")
            .filter(|_| first == 'c' && sigil == 0)
    });
    if let Some(inside) = quoted {
        let start = text.len() - inside.len();
        return inside.find('"').map_or(text.len(), |end| start + end + 1);
    }
    let word = tail
        .bytes()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'-')
        })
        .count();
    if word == 0 {
        first.len_utf8()
    } else {
        sigil + word
    }
}

/// A name with its sigil and without quotes.
pub(super) fn bare(token: &str) -> String {
    token.replace('"', "")
}

/// Where `token`, a part of `text`, stands in it.
pub(super) fn line_of(text: &str, token: &str) -> usize {
    let at = (token.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What a `define` or `declare` line says, in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature<'a> {
    /// Linkage, calling convention and return type, attributes left out.
    pub(super) result: Vec<&'a str>,
    /// The name, with its `@`.
    pub(super) name: String,
    /// The types of the parameters, and the attributes that change how they are passed.
    pub(super) parameters: Vec<Vec<&'a str>>,
    /// What stands between the parameters and the body.
    pub(super) trailer: Vec<&'a str>,
}

impl<'a> Signature<'a> {
    /// Reads a line; what follows an opening brace of a body is none of it.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let tokens = tokens(line);
        let name = tokens.iter().position(|token| token.starts_with('@'))?;
        let (&"(", rest) = tokens.get(name + 1..)?.split_first()? else {
            return None;
        };
        let end = closing(rest)?;
        let parameters = split_at_commas(&rest[..end]).into_iter();
        let body = rest[end + 1..].iter().position(|token| *token == "{");
        Some(Self {
            result: without_attributes(tokens.get(1..name).unwrap_or_default()),
            name: bare(tokens[name]),
            parameters: parameters.map(parameter_type).collect(),
            trailer: rest[end + 1..body.map_or(rest.len(), |body| end + 1 + body)].to_vec(),
        })
    }

    /// Whether callers can't tell one from the other.
    pub(super) fn agrees_with(&self, other: &Signature) -> bool {
        self.result == other.result && self.parameters == other.parameters
    }

    /// For people: `internal i32 @f(i32, ptr)`.
    pub(super) fn describe(&self) -> String {
        let parameters = self.parameters.iter().map(|tokens| joined(tokens));
        let parameters = parameters.collect::<Vec<_>>().join(", ");
        format!("{} {}({parameters})", joined(&self.result), self.name)
            .trim_start()
            .to_owned()
    }
}

/// Tokens as text, without blanks around brackets.
fn joined(tokens: &[&str]) -> String {
    let mut text = String::new();
    for token in tokens {
        let tight = matches!(*token, "," | ")" | "]" | ">" | "(");
        let opened = text.is_empty() || text.ends_with(['(', '[', '<']);
        if !tight && !opened {
            text.push(' ');
        }
        text.push_str(token);
    }
    text
}

/// Where the parenthesis that is open at the beginning is closed.
fn closing(tokens: &[&str]) -> Option<usize> {
    let mut depth = 1usize;
    tokens.iter().position(|token| {
        match *token {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn split_at_commas<'t, 'a>(tokens: &'t [&'a str]) -> Vec<&'t [&'a str]> {
    let mut depth = 0i32;
    let parts = tokens.split(|token| {
        match *token {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" | ">" => depth -= 1,
            _ => {}
        }
        depth == 0 && *token == ","
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// The type of a parameter: attributes and a name at the end fall out.
fn parameter_type<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = without_attributes(tokens);
    if kept.len() > 1 && kept.last().is_some_and(|last| last.starts_with('%')) {
        kept.pop();
    }
    kept
}

fn without_attributes<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if ATTRIBUTES_WITH_VALUE.contains(&first) {
            rest = match after.split_first() {
                Some((&"(", inside)) => closing(inside).map_or(&[], |end| &inside[end + 1..]),
                Some((_, after)) if first == "align" => after,
                _ => after,
            };
        } else if first.starts_with('"') {
            if let Some((&"=", value)) = after.split_first() {
                rest = value.get(1..).unwrap_or_default();
            }
        } else if !PLAIN_ATTRIBUTES.contains(&first) {
            kept.push(first);
        }
    }
    kept
}

/// The lines of a module outside of functions, and the first lines of functions, by the name that they define.
pub(super) struct Module<'a> {
    /// In their order.
    pub(super) lines: Vec<&'a str>,
    names: BTreeMap<String, &'a str>,
}

impl<'a> Module<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let functions = ir_functions(text);
        let mut functions = functions.iter().peekable();
        let mut module = Self {
            lines: Vec::new(),
            names: BTreeMap::new(),
        };
        for (number, line) in text.lines().enumerate() {
            while functions
                .next_if(|function| function.lines.end <= number)
                .is_some()
            {}
            let inside = functions
                .peek()
                .is_some_and(|function| function.lines.start < number);
            if inside {
                continue;
            }
            module.lines.push(line);
            if let Some(name) = defined(line) {
                module.names.insert(name, line);
            }
        }
        module
    }

    /// The line that defines a name, which has its sigil and no quotes.
    pub(super) fn line(&self, name: &str) -> Option<&'a str> {
        self.names.get(name).copied()
    }

    /// Whether the module has a line of the same tokens.
    pub(super) fn has_line(&self, line: &str) -> bool {
        let wanted = tokens(line);
        self.lines.iter().any(|line| tokens(line) == wanted)
    }
}

/// The name that a module-level line defines: a type, a global, a function, attributes, metadata or a comdat.
pub(super) fn defined(line: &str) -> Option<String> {
    if line.starts_with("define ") || line.starts_with("declare ") {
        let name = tokens(line)
            .into_iter()
            .find(|token| token.starts_with('@'));
        return name.map(bare);
    }
    if !line.starts_with(['%', '@', '!', '$', 'a']) {
        return None;
    }
    let tokens = tokens(line);
    match tokens.as_slice() {
        ["attributes", name, "=", ..] | [name, "=", ..] => Some(bare(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_strings_and_signs_are_told_apart() {
        let text = "%\"a b\" = call i32 @f(ptr %x.1), !tbaa !5 ; no @g\n c\"x;y\" ... <4 x i8>";
        let expected = [
            "%\"a b\"", "=", "call", "i32", "@f", "(", "ptr", "%x.1", ")", ",", "!tbaa", "!5",
            "c\"x;y\"", "...", "<", "4", "x", "i8", ">",
        ];
        assert_eq!(tokens(text), expected);
        assert_eq!(line_of(text, tokens(text)[12]), 2);
    }

    #[test]
    fn signatures_are_compared_without_names_and_promises() {
        let read = |line| Signature::read(line).unwrap();
        let one = read(
            "define internal fastcc range(i32 0, 5) i32 @f(i32 noundef %0, ptr nocapture align 8 dereferenceable(4) %p, ...) unnamed_addr #3 {",
        );
        let same = read("define internal fastcc i32 @f(i32 %x, ptr, ...) {");
        assert!(one.agrees_with(&same));
        assert_eq!(one.describe(), "internal fastcc i32 @f(i32, ptr, ...)");
        assert_eq!(one.trailer, ["unnamed_addr", "#3"]);
        let others = [
            "define internal i32 @f(i32 %x, ptr, ...) {",
            "define internal fastcc i64 @f(i32 %x, ptr, ...) {",
            "define internal fastcc i32 @f(i32 zeroext %x, ptr, ...) {",
            "define internal fastcc i32 @f(i32 %x, ptr) {",
            "define internal fastcc i32 @f(i32 %x, ptr byval(%struct.s) %p, ...) {",
        ];
        for other in others {
            assert!(!one.agrees_with(&read(other)), "{other}");
        }
        let vector = read("define <4 x i32> @g({ i32, [2 x i8] } %0, %struct.s %1)");
        assert_eq!(vector.parameters.len(), 2);
        assert_eq!(vector.parameters[1], ["%struct.s"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(define |@f|\\(|\\)|[%@!#$\",;<>{}=\\n ]|\\PC){0,60}") {
            for token in tokens(&text) {
                prop_assert!(!token.is_empty());
                line_of(&text, token);
            }
            if let Some(signature) = Signature::read(&text) {
                signature.describe();
            }
            Module::read(&text);
        }
    }
}
