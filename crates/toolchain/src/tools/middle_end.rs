//! IR → IR.

use super::call::Call;
use super::store::Mode;
use super::{Compiled, Tool, ToolError, Toolchain, without_use_lists};

/// What IR is called in a call.
pub(super) const MODULE: &str = "module.ll";
/// See [`Toolchain::front_end`].
const KEEP_USE_LISTS: &str = "-preserve-ll-uselistorder";

/// LLVM writes orders of uses (of constants, mostly) that it then refuses to read. Without them the meaning is the same.
pub(super) fn is_about_use_lists(error: &ToolError) -> bool {
    matches!(error, ToolError::Failed { stderr, .. } if stderr.contains("uselistorder"))
}

impl Toolchain {
    /// Runs a pass pipeline over IR. The module is verified before and after.
    pub fn middle_end(
        &self,
        ir: &str,
        pipeline: &str,
        flags: &[String],
    ) -> Result<Compiled<String>, ToolError> {
        let call = |ir: &str| {
            let call = Call::new(Tool::Opt)
                .args(["-S", KEEP_USE_LISTS])
                .args([format!("-passes={pipeline}")])
                .flags(self, flags)
                .input(MODULE, ir)
                .args([MODULE])
                .output("-o", "out.ll", Mode::Data);
            self.call_for_text(Tool::Opt, call)
        };
        call(ir).or_else(|error| {
            if is_about_use_lists(&error) {
                call(&without_use_lists(ir))
            } else {
                Err(error)
            }
        })
    }

    /// Whether IR is well formed; the error says what is wrong with it.
    pub fn verify(&self, ir: &str) -> Result<(), ToolError> {
        let call = Call::new(Tool::Opt)
            .args(["-passes=verify", "-disable-output"])
            .input(MODULE, without_use_lists(ir))
            .args([MODULE]);
        self.call(call).map(drop)
    }

    /// Merges modules into one.
    pub fn merge(&self, irs: &[&str]) -> Result<String, ToolError> {
        let mut call = Call::new(Tool::LlvmLink).args(["-S", KEEP_USE_LISTS]);
        for (index, ir) in irs.iter().enumerate() {
            let name = format!("module{index}.ll");
            call = call.args([name.clone()]).input(name, *ir);
        }
        match self.call_for_text(Tool::LlvmLink, call.output("-o", "out.ll", Mode::Data)) {
            Ok(merged) => Ok(merged.output),
            Err(error) if is_about_use_lists(&error) => {
                let plain: Vec<String> = irs.iter().map(|ir| without_use_lists(ir)).collect();
                self.merge(&plain.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Err(error) => Err(error),
        }
    }

    /// Merges modules into one whole program: nothing but `main` is visible from outside, so that all else may be inlined
    /// away, specialised or laid out anew.
    pub fn merge_whole_program(&self, irs: &[&str]) -> Result<String, ToolError> {
        let merged = self.merge(irs)?;
        let flags = ["-internalize-public-api-list=main".to_owned()];
        Ok(self.middle_end(&merged, "internalize", &flags)?.output)
    }
}
