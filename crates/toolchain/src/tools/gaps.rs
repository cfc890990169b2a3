//! Which parts of a program no run has reached.

use serde::{Deserialize, Serialize};

/// A part of the source that no run has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageGap {
    /// The function it lies in.
    pub function: String,
    /// The file, as the compiler was given it.
    pub file: String,
    /// Line and column of its first character, from 1; columns count bytes.
    pub start: (u32, u32),
    /// Line and column after its last character.
    pub end: (u32, u32),
    /// What is missing.
    pub kind: GapKind,
}

/// What no run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// Called the function: the gap is its body.
    Function,
    /// Run this code.
    Code,
    /// Found this condition false.
    False,
}

/// The part of `llvm-cov export`'s JSON that is read.
#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    count: u64,
    filenames: Vec<String>,
    regions: Vec<Region>,
    branches: Vec<Branch>,
}

/// Line and column of both ends, count, file, expanded file, kind.
type Region = (u32, u32, u32, u32, u64, usize, usize, u32);

/// Line and column of both ends, how often true and false, file, expanded file, kind.
type Branch = (u32, u32, u32, u32, u64, u64, usize, usize, u32);

/// The kind of a region that is code, and not a macro, a gap between statements or a part that is left out.
const CODE: u32 = 0;

/// Reads what `llvm-cov export` prints. Of code within code only the outer is named.
pub(super) fn parse_gaps(json: &str) -> Result<Vec<CoverageGap>, String> {
    let export: Export = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let functions = &export.data.first().ok_or("no data")?.functions;
    let mut gaps: Vec<CoverageGap> = functions.iter().flat_map(gaps_of).collect();
    gaps.sort_by(|a, b| (&a.file, a.start, b.end).cmp(&(&b.file, b.start, a.end)));
    gaps.dedup();
    let mut outer: Vec<CoverageGap> = Vec::new();
    for gap in gaps {
        let is_inside = outer
            .last()
            .is_some_and(|last| last.file == gap.file && gap.end <= last.end);
        if !is_inside {
            outer.push(gap);
        }
    }
    Ok(outer)
}

fn gaps_of(function: &Function) -> Vec<CoverageGap> {
    // Functions of one file only have its name before their own.
    let name = function.name.rsplit(':').next().unwrap_or_default();
    let gap = |start, end, file: usize, kind| CoverageGap {
        function: name.to_owned(),
        file: function.filenames.get(file).cloned().unwrap_or_default(),
        start,
        end,
        kind,
    };
    let regions = function.regions.iter();
    let code = |region: &Region, kind| {
        let (line, column, end_line, end_column, _, file, ..) = *region;
        gap((line, column), (end_line, end_column), file, kind)
    };
    if function.count == 0 {
        let body = regions
            .take(1)
            .map(|region| code(region, GapKind::Function));
        return body.collect();
    }
    let missed = regions
        .filter(|(_, _, _, _, count, _, _, kind)| *count == 0 && *kind == CODE)
        .map(|region| code(region, GapKind::Code));
    let one_sided = function
        .branches
        .iter()
        .filter(|(_, _, _, _, yes, no, ..)| *yes > 0 && *no == 0)
        .map(|(line, column, end_line, end_column, _, _, file, ..)| {
            let (start, end) = ((*line, *column), (*end_line, *end_column));
            gap(start, end, *file, GapKind::False)
        });
    missed.chain(one_sided).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_outermost_is_named() {
        let json = r#"{"data": [{"functions": [
            {"name": "main", "count": 2, "filenames": ["a.c"],
             "regions": [[3,16,11,2,2,0,0,0], [5,30,5,31,0,0,0,3], [5,31,7,39,0,0,0,0], [6,2,6,9,0,0,0,0]],
             "branches": [[9,4,9,8,5,0,0,0,4], [10,4,10,8,5,1,0,0,4], [6,2,6,3,0,0,0,0,4]]},
            {"name": "a.c:never", "count": 0, "filenames": ["a.c"], "regions": [[1,20,2,2,0,0,0,0]], "branches": []}]}]}"#;
        let found = parse_gaps(json).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|gap| (gap.function.as_str(), gap.start, gap.kind))
            .collect();
        assert_eq!(
            shown,
            [
                ("never", (1, 20), GapKind::Function),
                ("main", (5, 31), GapKind::Code),
                ("main", (9, 4), GapKind::False)
            ]
        );
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(parse_gaps("{\"data\": []}").unwrap_err(), "no data");
        assert!(
            parse_gaps("{\"data\": [{}]}")
                .unwrap_err()
                .contains("functions")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([\\[\\]{}0-9,:]|\"functions\"|\"data\"|\\PC){0,40}") {
            let _ = parse_gaps(&text);
        }
    }
}
