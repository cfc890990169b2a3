//! What compilers say, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// More about the diagnostic before.
    Note,
    /// An optimization remark.
    Remark,
    /// It compiles all the same.
    Warning,
    /// It does not.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Remark => "remark",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One message of a compiler, assembler or linker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The file, if it is about one.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// The message.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, "{number}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {}", self.severity, self.text)
    }
}

/// Reads the diagnostics in what a tool of LLVM, or the linker under it, wrote to standard error. Lines that are none
/// (excerpts of the source, stack dumps) are left out.
pub(crate) fn parse(stderr: &str) -> Vec<Diagnostic> {
    stderr
        .lines()
        .filter_map(|line| parse_located(line).or_else(|| parse_linker(line)))
        .collect()
}

/// `file:line:column: error: text`, `file: error: text`, `tool: error: text`, `error: text`, and opt's `tool: text`.
fn parse_located(line: &str) -> Option<Diagnostic> {
    const MARKS: [(&str, Severity); 5] = [
        ("fatal error: ", Severity::Error),
        ("error: ", Severity::Error),
        ("warning: ", Severity::Warning),
        ("remark: ", Severity::Remark),
        ("note: ", Severity::Note),
    ];
    let (start, mark, severity) = MARKS
        .iter()
        .filter_map(|&(mark, severity)| line.find(mark).map(|at| (at, mark, severity)))
        .filter(|&(at, ..)| at == 0 || line[..at].ends_with(": "))
        .min_by_key(|&(at, ..)| at)?;
    let text = line[start + mark.len()..].trim();
    // llc writes "llc: error: llc: main.ll:2:1: error: expected type".
    if let Some(inner) = parse_located(text).filter(|inner| inner.line.is_some()) {
        return Some(inner);
    }
    let (file, line_number, column) = parse_place(line[..start].trim_end_matches(": "));
    Some(Diagnostic {
        file,
        line: line_number,
        column,
        severity,
        text: text.to_owned(),
    })
}

/// `file:line:column`, `file:line` or `file`; a leading `opt: ` or `llc: ` goes.
fn parse_place(place: &str) -> (Option<String>, Option<u32>, Option<u32>) {
    let place = place.rsplit(": ").next().unwrap_or(place);
    if place.is_empty() || super::tool::is_tool_name(place) {
        return (None, None, None);
    }
    let split_number = |text: &str| -> Option<(usize, u32)> {
        let at = text.rfind(':')?;
        Some((at, text[at + 1..].parse().ok()?))
    };
    let Some((at, last)) = split_number(place) else {
        return (Some(place.to_owned()), None, None);
    };
    let rest = &place[..at];
    match split_number(rest) {
        Some((at, line)) => (Some(rest[..at].to_owned()), Some(line), Some(last)),
        None => (Some(rest.to_owned()), Some(last), None),
    }
}

/// `main.c:(.text+0x12): undefined reference to 'foo'` of GNU ld.
fn parse_linker(line: &str) -> Option<Diagnostic> {
    const MARKS: [&str; 3] = [
        "undefined reference to ",
        "multiple definition of ",
        "undefined symbol: ",
    ];
    let at = MARKS.iter().find_map(|mark| line.find(mark))?;
    let place = line[..at]
        .trim_end_matches(": ")
        .rsplit(": ")
        .next()
        .unwrap_or_default();
    let file = place
        .split(":(")
        .next()
        .filter(|file| !file.is_empty() && !file.starts_with('('))
        .map(str::to_owned);
    Some(Diagnostic {
        file,
        line: None,
        column: None,
        severity: Severity::Error,
        text: line[at..].trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(stderr: &str) -> String {
        parse(stderr)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn clang() {
        let stderr = "main.c:1:23: error: call to undeclared function 'foo' [-Wimplicit]\n    1 | int main(void){return foo();}\n      |       ^\n\
                      main.c:2:1: warning: odd\nsub/a.h:7:3: note: declared here\nfatal error: too many errors emitted, stopping now\n\
                      main.c:3:10: fatal error: 'x.h' file not found\n1 error generated.\n";
        insta::assert_snapshot!(shown(stderr), @r"
        main.c:1:23: error: call to undeclared function 'foo' [-Wimplicit]
        main.c:2:1: warning: odd
        sub/a.h:7:3: note: declared here
        error: too many errors emitted, stopping now
        main.c:3:10: error: 'x.h' file not found
        ");
    }

    #[test]
    fn opt_and_llc() {
        insta::assert_snapshot!(shown(
            "PHI node entries do not match predecessors!\nopt: bad.ll: error: input module is broken!\nopt: bad.ll:2:1: error: expected type\nllc: error: llc: bad.ll:2:1: error: expected type\n"
        ), @r"
        bad.ll: error: input module is broken!
        bad.ll:2:1: error: expected type
        bad.ll:2:1: error: expected type
        ");
    }

    #[test]
    fn the_linker() {
        insta::assert_snapshot!(shown(
            "/usr/bin/ld: /tmp/bad-a295fd.o: in function `main':\nbad.c:(.text+0x12): undefined reference to `foo'\n/usr/bin/ld: b.o: multiple definition of `f'; a.o: first defined here\nclang: error: linker command failed with exit code 1\n"
        ), @r"
        bad.c: error: undefined reference to `foo'
        b.o: error: multiple definition of `f'; a.o: first defined here
        error: linker command failed with exit code 1
        ");
    }

    #[test]
    fn source_excerpts_are_no_diagnostics() {
        assert_eq!(parse("    3 | puts(\"error: no\");\n  |  ^~~\n"), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,200}") {
            parse(&text);
        }

        #[test]
        fn places_survive(file in "[a-z]{1,8}\\.c", line in 1..100_000u32, column in 1..1000u32, text in "[a-z][a-z ]{0,30}[a-z]") {
            let diagnostic = Diagnostic { file: Some(file), line: Some(line), column: Some(column), severity: Severity::Error, text };
            prop_assert_eq!(parse(&diagnostic.to_string()), vec![diagnostic]);
        }
    }
}
