//! Which parts of a program an input reaches, and how often.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::counted;
use super::gaps::{CoverageGap, gaps};
use super::{Executable, Tool, ToolError, Toolchain, Unit};
use crate::measure::Workload;

const RAW: &str = "run.profraw";

/// A counter of the program and roughly what it stood at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CoveragePoint {
    /// The function.
    pub function: String,
    /// The counter's number within the function; 0 counts the calls.
    pub counter: u32,
    /// Binary digits of the count: 1 for 1, 2 for 2 and 3, 3 for 4 to 7, and so on.
    pub bucket: u8,
}

/// What a run reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Every counter that wasn't zero.
    pub points: BTreeSet<CoveragePoint>,
}

impl Coverage {
    /// Whether it has a point that no run before has reached.
    pub fn is_new_against(&self, seen: &Seen) -> bool {
        self.points.iter().any(|point| !seen.points.contains(point))
    }
}

/// What any of a number of runs reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    points: BTreeSet<CoveragePoint>,
}

impl Seen {
    /// Adds a run, and says how many of its points are new.
    pub fn add(&mut self, coverage: &Coverage) -> usize {
        let before = self.points.len();
        self.points.extend(coverage.points.iter().cloned());
        self.points.len() - before
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether nothing was reached yet.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// How much of a program all runs together reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CoverageShare {
    /// Lines reached.
    pub lines: Covered,
    /// Regions of code reached.
    pub regions: Covered,
    /// Both ways of each branch.
    pub branches: Covered,
    /// Functions reached.
    pub functions: Covered,
}

/// What all runs together reached, and what none of them did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JointCoverage {
    /// How much they reached.
    pub share: CoverageShare,
    /// What they did not, in the order of the source.
    pub gaps: Vec<CoverageGap>,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// How many there are.
    pub count: u64,
    /// How many were reached.
    pub covered: u64,
}

impl Covered {
    /// The part in 0 to 1; 1 of nothing.
    pub fn share(self) -> f64 {
        if self.count == 0 {
            1.0
        } else {
            self.covered as f64 / self.count as f64
        }
    }
}

impl Toolchain {
    /// Builds the program with a counter for each region of its source.
    pub fn instrumented_for_coverage(
        &self,
        units: &[Unit],
        flags: &[String],
    ) -> Result<Executable, ToolError> {
        let counting = [
            "-fprofile-instr-generate",
            "-fcoverage-mapping",
            "-fprofile-update=single",
        ]
        .map(str::to_owned);
        self.compile(units, &[flags, &counting].concat())
    }

    /// Runs the program once and says what the run reached. A run that doesn't end by itself tells nothing.
    pub fn coverage(
        &self,
        executable: &Executable,
        workload: &Workload,
    ) -> Result<Coverage, ToolError> {
        self.coverage_of_raw(self.raw_profile(&executable.path, workload)?)
    }

    /// Runs a program of these units on many workloads: what all of them reached together; `None` if none ended by itself.
    pub fn joint_coverage(
        &self,
        executable: &Executable,
        units: &[Unit],
        workloads: &[Workload],
    ) -> Result<Option<JointCoverage>, ToolError> {
        let raw = self.raw_profiles(executable, workloads)?.raw;
        if raw.is_empty() {
            return Ok(None);
        }
        let parse = |json: &str| parse_joint(json, units);
        self.counted(executable, raw, &[], parse).map(Some)
    }

    fn coverage_of_raw(&self, raw: Vec<u8>) -> Result<Coverage, ToolError> {
        let call = Call::new(Tool::LlvmProfdata)
            .args(["show", "--all-functions", "--counts", RAW])
            .input(RAW, raw);
        parse_counters(&self.call_unrecorded(call)?).map_err(|what| ToolError::Parse {
            tool: Tool::LlvmProfdata,
            what,
        })
    }
}

/// Reads what `llvm-profdata show --all-functions --counts` prints.
fn parse_counters(text: &str) -> Result<Coverage, String> {
    let mut points = BTreeSet::new();
    let mut function: Option<String> = None;
    for line in text.lines() {
        let count = |count: &str| {
            count
                .trim()
                .parse::<u64>()
                .map_err(|_| format!("\"{}\" is no count", count.escape_debug()))
        };
        let mut add = |counter: u32, count: u64| {
            if let (Some(function), 1..) = (&function, count) {
                let bucket = (u64::BITS - count.leading_zeros()) as u8;
                points.insert(CoveragePoint {
                    function: function.clone(),
                    counter,
                    bucket,
                });
            }
        };
        if let Some(first) = line.strip_prefix("    Function count: ") {
            add(0, count(first)?);
        } else if let Some(list) = line.strip_prefix("    Block counts: [") {
            let counts = list
                .trim_end()
                .trim_end_matches(']')
                .split(',')
                .filter(|count| !count.trim().is_empty());
            for (counter, text) in (1..).zip(counts) {
                add(counter, count(text)?);
            }
        } else if let Some(name) = line
            .strip_prefix("  ")
            .filter(|name| !name.starts_with(' '))
        {
            function = name.trim_end().strip_suffix(':').map(str::to_owned);
        }
    }
    Ok(Coverage { points })
}

/// Reads what `llvm-cov export` prints.
fn parse_joint(json: &str, units: &[Unit]) -> Result<JointCoverage, String> {
    let counted = counted::parse(json)?;
    let total = |name: &str| {
        let total = counted.totals.get(name).copied();
        total.ok_or_else(|| format!("no total of {name}"))
    };
    let share = CoverageShare {
        lines: total("lines")?,
        regions: total("regions")?,
        branches: total("branches")?,
        functions: total("functions")?,
    };
    let gaps = gaps(&counted.functions, units);
    Ok(JointCoverage { share, gaps })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNTERS: &str = "Counters:
  main:
    Hash: 0x925ed1e14d47fb4a
    Counters: 4
    Function count: 1
    Block counts: [0, 5, 1023]
  sum.c:bits:
    Hash: 0x0000000000002458
    Counters: 1
    Function count: 6
    Block counts: []
Instrumentation level: Front-end
Functions shown: 2
";

    fn shown(coverage: &Coverage) -> Vec<String> {
        let points = coverage.points.iter();
        points
            .map(|point| format!("{} {} {}", point.function, point.counter, point.bucket))
            .collect()
    }

    #[test]
    fn counters() {
        let coverage = parse_counters(COUNTERS).unwrap();
        assert_eq!(
            shown(&coverage),
            ["main 0 1", "main 2 3", "main 3 10", "sum.c:bits 0 3"]
        );
        assert!(parse_counters("  f:\n    Function count: many\n").is_err());
        assert_eq!(parse_counters("").unwrap(), Coverage::default());
    }

    #[test]
    fn new_is_what_was_not_seen() {
        let coverage = parse_counters(COUNTERS).unwrap();
        let mut seen = Seen::default();
        assert!(coverage.is_new_against(&seen));
        assert_eq!(seen.add(&coverage), 4);
        assert!(!coverage.is_new_against(&seen));
        let more = parse_counters(&COUNTERS.replace("1023", "1024")).unwrap();
        assert!(more.is_new_against(&seen));
        assert_eq!(seen.add(&more), 1);
        assert_eq!(seen.len(), 5);
        let same_magnitude = parse_counters(&COUNTERS.replace("1023", "600")).unwrap();
        assert!(!same_magnitude.is_new_against(&seen));
    }

    #[test]
    fn faults_in_the_summary_are_named() {
        assert_eq!(parse_joint("{\"data\": []}", &[]).unwrap_err(), "no data");
        let error = parse_joint("{\"data\": [{\"totals\": {}}]}", &[]).unwrap_err();
        assert_eq!(error, "no total of lines");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(  f:\n|    Block counts: \\[|[0-9,\\]\n ]|\\PC){0,40}") {
            let _ = parse_counters(&text);
            let _ = parse_joint(&text, &[]);
        }
    }
}
