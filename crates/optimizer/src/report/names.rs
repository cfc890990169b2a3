//! What the files of the output folder are called, whatever the user's are.

use std::collections::BTreeSet;

use super::wire::CaseList;
use crate::inputs::{Case, Inputs};

/// Longest name of a file, without extension.
const LONGEST: usize = 80;

/// An input and its place.
pub(super) struct Named<'a> {
    pub(super) list: CaseList,
    /// Its path in the output folder, without extension.
    pub(super) path: String,
    pub(super) case: &'a Case,
}

/// Every input with its place; no two have the same.
pub(super) fn of_cases(inputs: &Inputs) -> Vec<Named<'_>> {
    let mut taken = BTreeSet::new();
    let mut named = Vec::new();
    for list in CaseList::ALL {
        let cases = match list {
            CaseList::Visible => &inputs.visible,
            CaseList::HeldOut => &inputs.held_out,
            CaseList::SearchTiming => &inputs.search_timing,
            CaseList::FinalTiming => &inputs.final_timing,
        };
        for case in cases {
            let path = format!("inputs/{}/{}", list.folder(), plain(&case.name));
            let numbered = (2..).map(|number| format!("{path}-{number}"));
            let free = std::iter::once(path.clone())
                .chain(numbered)
                .find(|path| !taken.contains(path));
            let path = free.unwrap_or(path);
            taken.insert(path.clone());
            named.push(Named { list, path, case });
        }
    }
    named
}

/// A name that is one plain file name anywhere.
pub(super) fn plain(name: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || "._+-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let plain: String = name.chars().map(allowed).take(LONGEST).collect();
    match plain.trim_start_matches(['.', '-']) {
        "" => "unnamed".to_owned(),
        plain => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inputs::{Expected, Origin};

    fn case(name: &str) -> Case {
        Case {
            name: name.to_owned(),
            arguments: Vec::new(),
            input: Vec::new(),
            expected: Expected {
                stdout: Vec::new(),
                status: 0,
            },
            origin: Origin::User,
        }
    }

    proptest! {
        #[test]
        fn every_case_has_a_place_of_its_own(visible in prop::collection::vec("(?s)[./ab-]{0,4}|.{0,90}", 0..12)) {
            let cases: Vec<Case> = visible.iter().map(|name| case(name)).collect();
            let inputs = Inputs { visible: cases.clone(), held_out: cases, ..Inputs::default() };
            let named = of_cases(&inputs);
            let paths: BTreeSet<&str> = named.iter().map(|named| named.path.as_str()).collect();
            prop_assert_eq!(paths.len(), 2 * visible.len());
            for path in paths {
                let parts: Vec<&str> = path.split('/').collect();
                prop_assert_eq!(parts.len(), 3);
                prop_assert!(!parts[2].is_empty() && !parts[2].starts_with('.') && parts[2].len() < 100);
            }
        }
    }
}
