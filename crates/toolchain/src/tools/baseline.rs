//! Source → executable by the plain clang driver: what everything is compared with.

use super::call::Call;
use super::front_end::CLANG_ALWAYS;
use super::store::Mode;
use super::{Compiled, Executable, Tool, ToolError, Toolchain, Unit};

impl Toolchain {
    /// Compiles and links a whole program, files at any level mixed.
    pub fn compile(&self, units: &[Unit], flags: &[String]) -> Result<Executable, ToolError> {
        self.link_call(self.driver_call(units, flags))
    }

    /// The assembly that clang generates for `unit`, one of `units`.
    pub fn compile_assembly(
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
            .args(["-S"])
            .units(units)
            .args([unit])
            .output("-o", "out.s", Mode::Data);
        self.call_for_text(Tool::Clang, call)
    }

    /// clang with its flags and the files to compile.
    pub(super) fn driver_call(&self, units: &[Unit], flags: &[String]) -> Call {
        let (libraries, flags): (Vec<String>, Vec<String>) = flags
            .iter()
            .cloned()
            .partition(|flag| flag.starts_with("-l"));
        let mut call = Call::new(Tool::Clang).args(CLANG_ALWAYS);
        if units.iter().any(Unit::is_cplusplus) {
            call = call.args(["--driver-mode=g++"]);
        }
        let compiled = units
            .iter()
            .filter(|unit| unit.is_compiled())
            .map(|unit| unit.name.clone());
        call.flags(self, &flags)
            .units(units)
            .args(compiled)
            .args(libraries)
    }
}
