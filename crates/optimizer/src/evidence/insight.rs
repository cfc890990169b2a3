//! What can be said of code without judging it: where the time goes, what the passes missed, what the machine model expects.

use std::cell::OnceCell;

use whittle_toolchain::tools::{HotFunction, Remark, RemarkKind, Toolchain};

use crate::candidate::{Candidate, Level};
use crate::evidence::build::Builder;

/// Hot functions that are named in one line.
const HOT: usize = 6;

/// Looks at candidates of one program.
#[derive(Clone, Copy)]
pub struct Insight<'a> {
    builder: &'a Builder<'a>,
    toolchain: &'a Toolchain,
    hot: &'a OnceCell<Vec<HotFunction>>,
}

impl<'a> Insight<'a> {
    pub(crate) fn new(builder: &'a Builder<'a>, hot: &'a OnceCell<Vec<HotFunction>>) -> Self {
        Self {
            builder,
            toolchain: builder.toolchain(),
            hot,
        }
    }

    /// The original's functions, the hottest first; empty where they cannot be counted.
    pub fn hot_functions(&self) -> &'a [HotFunction] {
        self.hot.get_or_init(|| {
            let program = self.builder.program();
            let runs = self.builder.training();
            let mut found = self
                .toolchain
                .hot_functions(&program.units, &program.base_flags(), runs)
                .unwrap_or_default();
            found.sort_by(|a, b| b.share.total_cmp(&a.share));
            found
        })
    }

    /// The hottest functions with their hottest lines, a line each, at most `most`.
    pub fn hot_lines(self, most: usize) -> Vec<String> {
        self.hot_functions()
            .iter()
            .take(most)
            .map(hot_line)
            .collect()
    }

    /// The names of the hottest functions with their shares, in one line.
    pub fn hot_names(self) -> String {
        let named =
            |function: &HotFunction| format!("{} {:.0} %", function.name, function.share * 100.0);
        let hottest = self.hot_functions().iter().take(HOT);
        hottest.map(named).collect::<Vec<_>>().join(", ")
    }

    /// What the passes wanted to do in a function and could not, a line each, at most `most`.
    pub fn missed(
        &self,
        candidate: &Candidate,
        function: Option<&str>,
        most: usize,
    ) -> Vec<String> {
        if candidate.artifact.level != Level::Source {
            return Vec::new();
        }
        let Ok(remarks) = self.builder.remarks(candidate) else {
            return Vec::new();
        };
        let is_meant = |remark: &&Remark| {
            remark.kind == RemarkKind::Missed && function.is_none_or(|name| remark.function == name)
        };
        let mut lines: Vec<String> = remarks
            .iter()
            .filter(is_meant)
            .map(Remark::to_string)
            .collect();
        lines.dedup();
        lines.truncate(most);
        lines
    }

    /// The machine model's table for some assembly, cut to `most` lines; `None` where it has none.
    pub fn machine_view(&self, assembly: &str, most: usize) -> Option<String> {
        let view = self.toolchain.machine_code_view(assembly, None).ok()?;
        let lines: Vec<&str> = view.lines().take(most).collect();
        Some(lines.join("\n"))
    }
}

fn hot_line(function: &HotFunction) -> String {
    let lines: Vec<String> = function
        .hot_lines
        .iter()
        .map(|(line, count)| format!("line {line}: {count} times"))
        .collect();
    let lines = if lines.is_empty() {
        String::new()
    } else {
        format!(" ({})", lines.join(", "))
    };
    format!(
        "{:.1} % {} in {}{lines}",
        function.share * 100.0,
        function.name,
        function.unit
    )
}
