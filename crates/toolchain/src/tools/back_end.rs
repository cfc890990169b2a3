//! IR → assembly → object.

use super::call::{self, Call};
use super::front_end::CLANG_ALWAYS;
use super::middle_end::{MODULE, is_about_use_lists};
use super::store::Mode;
use super::{Compiled, Object, Tool, ToolError, Toolchain, without_use_lists};

impl Toolchain {
    /// Generates assembly. Without an `-O` among the flags it is `-O3`; without a relocation model it is the one that the
    /// module was compiled for, as clang would have it.
    pub fn back_end(&self, ir: &str, flags: &[String]) -> Result<Compiled<String>, ToolError> {
        let has = |prefix: &str| {
            flags
                .iter()
                .any(|flag| flag.trim_start_matches('-').starts_with(prefix))
        };
        let mut defaults = Vec::new();
        if !has("O") {
            defaults.push("-O3");
        }
        if !has("relocation-model") {
            let position_independent = ir.contains("!\"PIC Level\"");
            defaults.push(if position_independent {
                "-relocation-model=pic"
            } else {
                "-relocation-model=static"
            });
        }
        // clang has this one on for every ELF target, llc does not.
        if !has("addrsig") {
            defaults.push("-addrsig");
        }
        let call = |ir: &str| {
            let call = Call::new(Tool::Llc)
                .args(defaults.iter().copied())
                .flags(self, flags)
                .input(MODULE, ir)
                .args([MODULE])
                .output("-o", "out.s", Mode::Data);
            self.call_for_text(Tool::Llc, call)
        };
        call(ir).or_else(|error| {
            if is_about_use_lists(&error) {
                call(&without_use_lists(ir))
            } else {
                Err(error)
            }
        })
    }

    /// Assembles.
    pub fn assemble(&self, asm: &str) -> Result<Object, ToolError> {
        let call = Call::new(Tool::Clang)
            .args(CLANG_ALWAYS)
            .args(["-c"])
            .input("module.s", asm)
            .args(["module.s"])
            .output("-o", "out.o", Mode::Data);
        let done = self.call(call)?;
        let digest = call::only_output(Tool::Clang, done.outputs)?;
        Ok(Object {
            path: call::path_of(self, &digest)?,
            digest,
        })
    }
}
