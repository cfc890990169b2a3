//! Objects → executable, under several code layouts.

use std::path::PathBuf;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::call::{self, Call};
use super::front_end::CLANG_ALWAYS;
use super::store::Mode;
use super::{Digest, Tool, ToolError, Toolchain};

/// Programs may use the mathematical library without saying so; those that don't use it don't get it.
pub(super) const LIBRARIES: [&str; 3] = ["-Wl,--push-state,--as-needed", "-lm", "-Wl,--pop-state"];

/// An object file in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its content.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
}

/// An executable in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Executable {
    /// Its content.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
}

impl Toolchain {
    /// Links. Layout 0 has the objects in their order. Any other number stands for one of the program's many other code
    /// placements: another order, and unused bytes before all else, so that the addresses of code and data differ even for
    /// a program of one object. Where code lies moves times by more than many an optimization does.
    pub fn link(
        &self,
        objects: &[Object],
        layout: u32,
        flags: &[String],
    ) -> Result<Executable, ToolError> {
        let mut ordered: Vec<Object> = objects.to_vec();
        if layout > 0 {
            ordered.shuffle(&mut ChaCha8Rng::seed_from_u64(u64::from(layout)));
            ordered.insert(0, self.assemble(&padding(layout))?);
        }
        let (libraries, flags): (Vec<String>, Vec<String>) = flags
            .iter()
            .cloned()
            .partition(|flag| flag.starts_with("-l"));
        let mut call = Call::new(Tool::Clang)
            .args(CLANG_ALWAYS)
            .flags(self, &flags);
        for (index, object) in ordered.iter().enumerate() {
            let name = format!("{index}.o");
            let bytes = self
                .store()
                .get(&object.digest)
                .ok_or_else(|| call::vanished(&object.path))?;
            call = call.args([name.clone()]).input(name, bytes);
        }
        self.link_call(call.args(libraries))
    }

    /// Runs a call of clang that links.
    pub(super) fn link_call(&self, call: Call) -> Result<Executable, ToolError> {
        let done = self.call(call.args(LIBRARIES).output("-o", "out", Mode::Executable))?;
        let digest = call::only_output(Tool::Clang, done.outputs)?;
        Ok(Executable {
            path: call::path_of(self, &digest)?,
            digest,
        })
    }
}

/// An object that only takes up room, in each kind of section that code and data are in. The linker puts
/// `.text.unlikely` first and `.text.hot` before `.text`; `R` keeps the sections when unused ones are dropped.
fn padding(layout: u32) -> String {
    // Multiples of 16, the alignment of functions, spread over a page.
    let size =
        |kind: u32| 16 * (1 + layout.wrapping_mul(97).wrapping_add(kind.wrapping_mul(53)) % 251);
    let sections = [
        "\".text.unlikely.whittle\",\"axR\",@progbits",
        "\".rodata.whittle\",\"aR\",@progbits",
        "\".data.whittle\",\"awR\",@progbits",
        "\".bss.whittle\",\"awR\",@nobits",
    ];
    let section =
        |(kind, name)| format!("\t.section {name}\n\t.p2align 4\n\t.zero {}\n", size(kind));
    let text: String = (0..).zip(sections).map(section).collect();
    text + "\t.section \".note.GNU-stack\",\"\",@progbits\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_layout_has_its_own_padding() {
        let paddings: BTreeSet<String> = (1..=251).map(padding).collect();
        assert_eq!(paddings.len(), 251);
    }
}
