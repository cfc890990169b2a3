//! Rung 1 for code that is to run everywhere: it needs nothing of a processor that the program does not need already.
//!
//! Texts that somebody wrote may have instructions of this machine in them, as assembly, as attributes of functions, in
//! pragmas. Whatever their recipe says, such candidates are none that run on every machine.

use std::collections::BTreeSet;

use whittle_toolchain::tools::{Extension, ExtensionUse, extensions_declared, extensions_needed};

use crate::candidate::Candidate;
use crate::evidence::build::{BuildError, Builder, Built, blame};
use crate::evidence::{Rejection, RejectionKind, Rung};

/// Instructions that are named.
const NAMED: usize = 4;

/// What a candidate needs of a processor beyond what the program needs already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Demands {
    /// The extensions of the instruction set, by name.
    pub(crate) extensions: Vec<String>,
    /// Where they are needed first, in words.
    places: Vec<String>,
}

impl Demands {
    fn new(uses: &[ExtensionUse]) -> Self {
        Self {
            extensions: uses
                .iter()
                .map(|found| found.extension.to_string())
                .collect(),
            places: uses.iter().map(ToString::to_string).collect(),
        }
    }

    /// For code of which nobody can say what it needs.
    fn untold() -> Self {
        Self {
            extensions: vec!["extensions that cannot be told".to_owned()],
            places: vec!["it cannot be told which extensions this code needs".to_owned()],
        }
    }

    /// Refuses a candidate that needs more than the program where only portable code is wanted.
    pub(crate) fn refuse(&self) -> Result<(), BuildError> {
        if self.extensions.is_empty() {
            return Ok(());
        }
        let more = self.places.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!("\n({more} more)")
        } else {
            String::new()
        };
        let places: Vec<&str> = self.places.iter().take(NAMED).map(String::as_str).collect();
        Err(BuildError::Rejected(Rejection {
            rung: Rung::Builds,
            kind: RejectionKind::NewImport,
            reason: format!(
                "contains instructions that not every processor has, and that neither the program's flags nor its own code ask \
                 for: {}{more}",
                places.join("\n")
            ),
        }))
    }
}

impl Builder<'_> {
    /// What a candidate needs beyond the program. One whose recipe asks for this host's instruction set is not looked at.
    pub(crate) fn demands(
        &self,
        candidate: &Candidate,
        built: &Built,
    ) -> Result<Demands, BuildError> {
        if candidate.recipe.host {
            return Ok(Demands::default());
        }
        if !cfg!(target_arch = "x86_64") {
            // There only what was compiled from the program's own text is known to be portable.
            let is_own = candidate.artifact.units == self.program().units;
            return Ok(if is_own {
                Demands::default()
            } else {
                Demands::untold()
            });
        }
        let allowed = self.extensions_of_program()?;
        let mut uses: Vec<ExtensionUse> = Vec::new();
        for unit in &built.assembly {
            let Some(found) = extensions_needed(&unit.text) else {
                return Ok(Demands::untold());
            };
            let is_new = |found: &ExtensionUse| {
                let before = uses.iter().map(|before| &before.extension);
                !allowed.contains(&found.extension)
                    && before.clone().all(|before| *before != found.extension)
            };
            let new: Vec<_> = found.into_iter().filter(is_new).collect();
            uses.extend(new);
        }
        Ok(Demands::new(&uses))
    }

    /// The extensions that the user's flags and the program's own functions ask for, and those that its own code needs.
    fn extensions_of_program(&self) -> Result<&BTreeSet<Extension>, BuildError> {
        if let Some(extensions) = self.extensions.get() {
            return Ok(extensions);
        }
        let program = self.program();
        let mut extensions = BTreeSet::new();
        let modules = self.front_end(&program.units, &program.flags);
        for module in modules.map_err(blame)? {
            extensions.extend(extensions_declared(&module.text));
        }
        for unit in self.baseline(&program.o3_flags())?.assembly {
            let needed = extensions_needed(&unit.text).unwrap_or_default();
            extensions.extend(needed.into_iter().map(|found| found.extension));
        }
        Ok(self.extensions.get_or_init(|| extensions))
    }
}
