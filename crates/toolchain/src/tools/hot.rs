//! Where a program spends its work, as far as counters tell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counted::{self, CODE, RawProfiles};
use super::{ToolError, Toolchain, Unit};
use crate::measure::Workload;

/// Lines that are told of each function.
const LINES: usize = 8;

/// A function and its part in what a program does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HotFunction {
    /// Its name, as the linker knows it.
    pub name: String,
    /// The file that defines it.
    pub unit: String,
    /// Its estimated share of everything executed, from 0 to 1.
    pub share: f64,
    /// Its lines that were executed most, with their numbers from 1 and how often; most often first.
    pub hot_lines: Vec<(u32, u64)>,
}

impl Toolchain {
    /// The functions of a program by the share of its work that is done in them, the largest first; functions that never ran
    /// are left out.
    ///
    /// The share is an estimate: the program is built with a counter for each region of its source, run on all workloads, and
    /// every line with code counts as often as it was executed. What a line costs, and what library functions do, is not seen.
    /// Units that are no C or C++ have no counters. A workload on which the program doesn't end by itself is left out; when
    /// all are, that is an error.
    pub fn hot_functions(
        &self,
        units: &[Unit],
        flags: &[String],
        workloads: &[Workload],
    ) -> Result<Vec<HotFunction>, ToolError> {
        let executable = self.instrumented_for_coverage(units, flags)?;
        let RawProfiles { raw, failure } = self.raw_profiles(&executable, workloads)?;
        if raw.is_empty() {
            return failure.map_or(Ok(Vec::new()), Err);
        }
        let options = ["-skip-expansions", "-skip-branches"];
        self.counted(&executable, raw, &options, |json| parse(json, units))
    }
}

fn parse(json: &str, units: &[Unit]) -> Result<Vec<HotFunction>, String> {
    let functions = counted::parse(json)?.functions;
    let mut counted = Vec::new();
    let mut total = 0.0;
    for function in &functions {
        let Some(unit) = function.unit(units) else {
            continue;
        };
        let lines = line_counts(&function.regions, &unit.text);
        let weight: f64 = lines.values().map(|count| *count as f64).sum();
        total += weight;
        if weight > 0.0 {
            counted.push((function, unit, weight, lines));
        }
    }
    let mut hot: Vec<HotFunction> = counted
        .into_iter()
        .map(|(function, unit, weight, lines)| HotFunction {
            name: function.linker_name().to_owned(),
            unit: unit.name.clone(),
            share: weight / total,
            hot_lines: hottest(lines),
        })
        .collect();
    hot.sort_by(|one, two| {
        two.share
            .total_cmp(&one.share)
            .then_with(|| one.name.cmp(&two.name))
    });
    Ok(hot)
}

/// How often each line with code was executed: a line counts as the regions that begin in it, and as the innermost one around
/// it unless it begins with one of its own.
fn line_counts(regions: &[[u64; 8]], source: &str) -> BTreeMap<u32, u64> {
    let own = regions
        .iter()
        .filter(|region| region[5] == 0 && region[7] == CODE);
    let own: Vec<&[u64; 8]> = own.collect();
    let mut counts = BTreeMap::new();
    for (number, line) in (1u32..).zip(source.lines()) {
        let row = u64::from(number);
        let indent = (line.len() - line.trim_start().len()) as u64;
        let begins = || own.iter().filter(|region| region[0] == row);
        let around = own
            .iter()
            .filter(|region| region[0] < row && row <= region[2]);
        let innermost = around
            .max_by_key(|region| (region[0], region[1]))
            .filter(|_| !begins().any(|region| region[1] <= indent + 1));
        let count = begins().chain(innermost).map(|region| region[4]).max();
        if let Some(count) = count.filter(|_| has_code(line)) {
            counts.insert(number, count);
        }
    }
    counts
}

/// Lines of nothing but brackets and comments take no time.
fn has_code(line: &str) -> bool {
    let line = line.trim();
    let comment = ["//", "/*", "*", "#"]
        .iter()
        .any(|mark| line.starts_with(mark))
        && !line.contains(';');
    !comment && line != "else" && line.chars().any(|c| c.is_alphanumeric() || c == '_')
}

fn hottest(lines: BTreeMap<u32, u64>) -> Vec<(u32, u64)> {
    let mut lines: Vec<(u32, u64)> = lines.into_iter().filter(|(_, count)| *count > 0).collect();
    lines.sort_by(|one, two| two.1.cmp(&one.1).then(one.0.cmp(&two.0)));
    lines.truncate(LINES);
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCE: &str = "static int f(int n) {\n  int s = 0;\n  for (int i = 0; i < n; i++) {\n    // add\n    s += i;\n  }\n  return s;\n}\nint main(void) { return f(9); }\n";
    const EXPORT: &str = r#"{"data": [{"files": [], "functions": [
        {"name": "a.c:f", "count": 1, "branches": [], "filenames": ["/tmp/x/a.c"],
         "regions": [[1,21,8,2,1,0,0,0], [3,19,3,24,10,0,0,0], [3,26,3,29,9,0,0,0], [3,30,3,31,9,0,0,3], [3,31,6,4,9,0,0,0]]},
        {"name": "main", "count": 1, "filenames": ["/tmp/x/a.c"], "regions": [[9,16,9,32,1,0,0,0]]},
        {"name": "never", "count": 0, "filenames": ["/tmp/x/a.c"], "regions": [[9,1,9,2,0,0,0,0]]},
        {"name": "elsewhere", "count": 5, "filenames": ["/usr/include/b.h"], "regions": [[1,1,2,2,5,0,0,0]]}
    ]}]}"#;

    #[test]
    fn shares_go_by_lines_executed() {
        let hot = parse(EXPORT, &[Unit::new("a.c", SOURCE), Unit::new("c.c", "")]).unwrap();
        let names: Vec<&str> = hot.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["f", "main"]);
        assert_eq!(hot[0].unit, "a.c");
        // Lines 1, 2 and 7 once, line 3 ten times, line 5 nine times; and once line 9.
        assert_eq!(hot[0].hot_lines, [(3, 10), (5, 9), (1, 1), (2, 1), (7, 1)]);
        assert_eq!(hot[0].share, 22.0 / 23.0);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(parse("{\"data\": []}", &[]).unwrap_err(), "no data");
        assert!(parse("{", &[]).is_err());
    }

    proptest! {
        #[test]
        fn any_regions_are_read(regions in proptest::collection::vec(any::<[u64; 8]>(), 0..5), source in "[a-z{}/ \n]{0,40}") {
            hottest(line_counts(&regions, &source));
        }
    }
}
