//! x86-64 assembly in AT&T syntax, cut into statements.

/// A statement and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) struct Statement<'a> {
    /// Its line, from 0.
    pub(in crate::tools) line: usize,
    /// Its text without comments.
    pub(in crate::tools) code: &'a str,
    /// What it is.
    pub(in crate::tools) kind: Kind<'a>,
}

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tools) enum Kind<'a> {
    /// `name:`
    Label(&'a str),
    /// `.name arguments`
    Directive(&'a str, &'a str),
    /// `name = value`
    Assignment(&'a str),
    /// Mnemonic and operands.
    Instruction(&'a str, &'a str),
}

/// Words before a mnemonic that change how it is done, not what.
const PREFIXES: [&str; 17] = [
    "lock", "rep", "repe", "repz", "repne", "repnz", "notrack", "bnd", "data16", "rex64", "addr32",
    "cs", "ds", "es", "fs", "gs", "ss",
];

/// The statements of a listing. Labels, directives and instructions may share a line.
pub(in crate::tools) fn statements(text: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let code = without_comment(text);
        for code in outside_of_quotes(code, ';') {
            add_statements(line, code.trim(), &mut statements);
        }
    }
    statements
}

fn add_statements<'a>(line: usize, mut code: &'a str, statements: &mut Vec<Statement<'a>>) {
    while let Some((label, rest)) = leading_label(code) {
        statements.push(Statement {
            line,
            code: &code[..=label.len()],
            kind: Kind::Label(label),
        });
        code = rest.trim_start();
    }
    if !code.is_empty() {
        let kind = kind(code);
        statements.push(Statement { line, code, kind });
    }
}

fn leading_label(code: &str) -> Option<(&str, &str)> {
    let end = match code.strip_prefix('"') {
        Some(quoted) => quoted.find('"')? + 2,
        None => code.find(|c: char| !is_symbol(c)).unwrap_or(code.len()),
    };
    let rest = code[end..].strip_prefix(':')?;
    (end > 0).then_some((&code[..end], rest))
}

fn kind(code: &str) -> Kind<'_> {
    let (first, rest) = first_word(code);
    if code.starts_with('.') && !rest.starts_with('=') {
        return Kind::Directive(first, rest);
    }
    if rest.starts_with('=') || first.contains('=') {
        return Kind::Assignment(first);
    }
    if PREFIXES.contains(&first) && !rest.is_empty() {
        return match kind(rest) {
            Kind::Instruction(mnemonic, operands) => Kind::Instruction(mnemonic, operands),
            _ => Kind::Instruction(first, rest),
        };
    }
    Kind::Instruction(first, rest)
}

fn first_word(code: &str) -> (&str, &str) {
    let (first, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
    (first, rest.trim_start())
}

/// The line up to `#` or `//`, neither of them within quotes.
pub(in crate::tools) fn without_comment(line: &str) -> &str {
    let hash = outside_of_quotes(line, '#').next().unwrap_or_default();
    let mut end = hash.len();
    let mut at = 0;
    for part in outside_of_quotes(hash, '/') {
        if at > 0 && part.is_empty() && at < hash.len() {
            end = end.min(at - 1);
        }
        at += part.len() + 1;
    }
    &hash[..end]
}

/// The parts of a text between the separators that stand outside of quotes.
fn outside_of_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            return !quoted && c == separator;
        }
        false
    })
}

/// The operands, cut at the commas outside of parentheses.
pub(in crate::tools) fn operands(text: &str) -> Vec<&str> {
    let mut depth = 0i32;
    let parts = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth <= 0 && c == ','
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// The symbols in operands or in a directive's arguments, without `@PLT` and the like. Registers, numbers and strings are
/// none.
pub(in crate::tools) fn symbols(text: &str) -> Vec<&str> {
    let mut symbols = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c: char| !is_symbol(c)).unwrap_or(rest.len());
        let skipped = match first {
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
                symbols.push(&rest[..end]);
                end
            }
            '{' => rest.find('}').map_or(rest.len(), |end| end + 1),
            '%' | '@' => {
                1 + rest[1..]
                    .find(|c: char| !is_symbol(c))
                    .unwrap_or(rest.len() - 1)
            }
            '$' => 1,
            _ if length == 0 => first.len_utf8(),
            _ => {
                if !first.is_ascii_digit() && &rest[..length] != "." {
                    symbols.push(&rest[..length]);
                }
                length
            }
        };
        rest = &rest[skipped..];
    }
    symbols
}

fn is_symbol(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_cut_into_statements() {
        let text = "f: # f\n\tlock incl (%rax) // x\n.L1: .L2: nop; ret\n\t.asciz \"a;#//\\\"\" # s\nx = 5\n\trep stosq\n\trep\n\tmovl $(8/2), %eax\n";
        let shown: Vec<(usize, Kind)> = statements(text)
            .into_iter()
            .map(|statement| (statement.line, statement.kind))
            .collect();
        let expected = [
            (0, Kind::Label("f")),
            (1, Kind::Instruction("incl", "(%rax)")),
            (2, Kind::Label(".L1")),
            (2, Kind::Label(".L2")),
            (2, Kind::Instruction("nop", "")),
            (2, Kind::Instruction("ret", "")),
            (3, Kind::Directive(".asciz", "\"a;#//\\\"\"")),
            (4, Kind::Assignment("x")),
            (5, Kind::Instruction("stosq", "")),
            (6, Kind::Instruction("rep", "")),
            (7, Kind::Instruction("movl", "$(8/2), %eax")),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn symbols_are_no_registers() {
        let operands =
            "$.L.str+8, *.LJTI0_0(,%rax,8), f@PLT, 16(%rsp), $-5, %zmm0 {%k1} {z}, \"odd name\"";
        assert_eq!(
            symbols(operands),
            [".L.str", ".LJTI0_0", "f", "\"odd name\""]
        );
        assert_eq!(symbols(".LBB1_3-.LJTI1_0"), [".LBB1_3", ".LJTI1_0"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z.]{1,3}:|[\"#/;\\\\=,(){}%$@\\n ]|\\PC){0,60}") {
            for statement in statements(&text) {
                prop_assert!(!statement.code.is_empty());
                operands(statement.code);
                symbols(statement.code);
            }
        }
    }
}
