//! What can be said of code without judging it: where the time goes, what the passes missed, what the machine model expects.

use std::cell::OnceCell;

use whittle_toolchain::tools::{HotFunction, Remark, RemarkKind, Toolchain};

use crate::candidate::{Candidate, Level};
use crate::evidence::build::Builder;

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
