//! The files of a program.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ToolError;

const LONGEST_NAME: usize = 200;

/// One file of a program, at any level: `main.c`, `util/list.h`, `main.ll`, `main.s`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// Its name, relative to the program's folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Unit {
    /// A file with this name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Whether it is compiled by itself; headers are not.
    pub fn is_compiled(&self) -> bool {
        matches!(
            self.extension(),
            "c" | "cc" | "cpp" | "cxx" | "C" | "ll" | "s" | "S"
        )
    }

    pub(crate) fn is_cplusplus(&self) -> bool {
        matches!(self.extension(), "cc" | "cpp" | "cxx" | "C")
    }

    fn extension(&self) -> &str {
        Path::new(&self.name)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default()
    }
}

/// Refuses names that could leave the scratch folder or be taken for a flag.
pub(crate) fn check(units: &[Unit]) -> Result<(), ToolError> {
    let mut seen = BTreeSet::new();
    for unit in units {
        let name = unit.name.as_str();
        let refuse = |reason| {
            Err(ToolError::BadUnitName {
                name: name.to_owned(),
                reason,
            })
        };
        if let Some(reason) = fault(name) {
            return refuse(reason);
        }
        if !seen.insert(name) {
            return refuse("there are two of them");
        }
    }
    Ok(())
}

fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > LONGEST_NAME {
        return Some("it is too long");
    }
    if name.starts_with('/') {
        return Some("it must be relative");
    }
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-+./".contains(c))
    {
        return Some("only letters, digits and _ - + . / are allowed");
    }
    if name
        .split('/')
        .any(|part| part.is_empty() || part.starts_with(['.', '-']))
    {
        return Some("no part of it may be empty or begin with . or -");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names() {
        let units = ["main.c", "lib/list-2.h", "a+b_c.s"].map(|name| Unit::new(name, ""));
        assert!(check(&units).is_ok());
    }

    #[test]
    fn names_that_lead_elsewhere() {
        let long = "a".repeat(201);
        let names = [
            "",
            "/etc/passwd",
            "../x.c",
            "a/../b.c",
            "-o.c",
            ".out/x",
            "a b.c",
            "a\n.c",
            "a//b.c",
            "a/-b.c",
            "ä.c",
            &long,
        ];
        for name in names {
            let error = check(&[Unit::new(name, "")]);
            assert!(
                matches!(error, Err(ToolError::BadUnitName { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn two_of_a_name() {
        let error = check(&[Unit::new("a.c", "1"), Unit::new("a.c", "2")]).unwrap_err();
        insta::assert_snapshot!(error, @r#""a.c" can't be the name of a file of the program: there are two of them"#);
    }

    #[test]
    fn headers_are_not_compiled() {
        let compiled = |name: &str| Unit::new(name, "").is_compiled();
        assert!(compiled("a.c") && compiled("a.ll") && compiled("a.s") && compiled("a.cpp"));
        assert!(!compiled("a.h") && !compiled("README"));
    }
}
