//! Source → IR.

use super::call::Call;
use super::store::Mode;
use super::{Compiled, Tool, ToolError, Toolchain, Unit};

/// Names no path of this machine in the output, and takes link flags without complaint.
pub(super) const CLANG_ALWAYS: [&str; 2] = [
    "-ffile-compilation-dir=.",
    "-Wno-unused-command-line-argument",
];

impl Toolchain {
    /// Compiles `unit`, one of `units`, to IR as clang hands it to its middle end. The flags carry the `-O`: it decides on
    /// attributes and lifetime markers although no pass runs.
    ///
    /// The text states the order of uses (`uselistorder`): passes depend on it, and without it a program can come out quite
    /// unlike what clang makes of it in memory. Whoever edits the text takes those lines out first
    /// ([`without_use_lists`](super::without_use_lists)), as they no longer hold.
    pub fn front_end(
        &self,
        units: &[Unit],
        unit: &str,
        flags: &[String],
    ) -> Result<Compiled<String>, ToolError> {
        if !units.iter().any(|candidate| candidate.name == unit) {
            return Err(ToolError::BadUnitName {
                name: unit.to_owned(),
                reason: "the program has no such file",
            });
        }
        let call = Call::new(Tool::Clang)
            .args(CLANG_ALWAYS)
            .flags(self, flags)
            .args([
                "-Xclang",
                "-disable-llvm-passes",
                "-Xclang",
                "-emit-llvm-uselists",
            ])
            .args(["-S", "-emit-llvm"])
            .units(units)
            .args([unit])
            .output("-o", "out.ll", Mode::Data);
        self.call_for_text(Tool::Clang, call)
    }

    /// The pass pipeline that clang runs with these flags, as text that [`Toolchain::middle_end`] takes.
    pub fn clang_pipeline(&self, flags: &[String]) -> Result<String, ToolError> {
        let call = Call::new(Tool::Clang)
            .args(CLANG_ALWAYS)
            .flags(self, flags)
            .args(["-mllvm", "-print-pipeline-passes", "-c"])
            .input("empty.c", "")
            .args(["empty.c"])
            .output("-o", "empty.o", Mode::Data)
            .keep_stdout();
        let pipeline = self.call(call)?.stdout.trim().to_owned();
        if pipeline.is_empty() {
            let what = "it printed no pass pipeline".to_owned();
            return Err(ToolError::Parse {
                tool: Tool::Clang,
                what,
            });
        }
        Ok(pipeline)
    }
}
