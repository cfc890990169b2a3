//! Which parts of a program no run has reached.

use serde::{Deserialize, Serialize};

use super::Unit;
use super::counted::{CODE, Function};

/// A part of the source that no run has reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageGap {
    /// The function it lies in.
    pub function: String,
    /// The file that defines it.
    pub unit: String,
    /// Line and column of its first character, from 1; columns count bytes.
    pub start: (u64, u64),
    /// Line and column after its last character.
    pub end: (u64, u64),
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

/// What no run has reached of these units. Of code within code only the outer is named.
pub(super) fn gaps(functions: &[Function], units: &[Unit]) -> Vec<CoverageGap> {
    let mut gaps: Vec<CoverageGap> = functions
        .iter()
        .filter_map(|function| Some(gaps_of(function, function.unit(units)?)))
        .flatten()
        .collect();
    gaps.sort_by(|a, b| (&a.unit, a.start, b.end).cmp(&(&b.unit, b.start, a.end)));
    let mut outer: Vec<CoverageGap> = Vec::new();
    for gap in gaps {
        let is_inside = outer
            .last()
            .is_some_and(|last| last.unit == gap.unit && gap.end <= last.end);
        if !is_inside {
            outer.push(gap);
        }
    }
    outer
}

fn gaps_of(function: &Function, unit: &Unit) -> Vec<CoverageGap> {
    let gap = |place: &[u64], kind| CoverageGap {
        function: function.linker_name().to_owned(),
        unit: unit.name.clone(),
        start: (place[0], place[1]),
        end: (place[2], place[3]),
        kind,
    };
    // Other files are what is included.
    let own = function.regions.iter().filter(|region| region[5] == 0);
    if function.count == 0 {
        let body = own.take(1).map(|region| gap(region, GapKind::Function));
        return body.collect();
    }
    let missed = own
        .filter(|region| region[4] == 0 && region[7] == CODE)
        .map(|region| gap(region, GapKind::Code));
    let one_sided = function
        .branches
        .iter()
        .filter(|branch| branch[4] > 0 && branch[5] == 0 && branch[6] == 0)
        .map(|branch| gap(branch, GapKind::False));
    missed.chain(one_sided).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::counted;

    #[test]
    fn only_the_outermost_is_named() {
        let json = r#"{"data": [{"functions": [
            {"name": "main", "count": 2, "filenames": ["a.c"],
             "regions": [[3,16,11,2,2,0,0,0], [5,30,5,31,0,0,0,3], [5,31,7,39,0,0,0,0], [6,2,6,9,0,0,0,0]],
             "branches": [[9,4,9,8,5,0,0,0,4], [10,4,10,8,5,1,0,0,4], [6,2,6,3,0,0,0,0,4]]},
            {"name": "a.c:never", "count": 0, "filenames": ["a.c"], "regions": [[1,20,2,2,0,0,0,0]], "branches": []}]}]}"#;
        let functions = counted::parse(json).unwrap().functions;
        let found = gaps(&functions, &[Unit::new("a.c", "")]);
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
}
