//! Rung 1 for assembly that somebody wrote: the calling convention holds.

use whittle_toolchain::tools::{AbiProblem, assembly_functions, check_abi};

use crate::candidate::Artifact;
use crate::evidence::build::BuildError;
use crate::evidence::{Rejection, RejectionKind, Rung};

/// Problems that are named.
const NAMED: usize = 4;

/// Refuses functions that break the convention, unless their like in `before` did so already.
pub(crate) fn check(before: &Artifact, after: &Artifact) -> Result<(), BuildError> {
    let mut problems = Vec::new();
    for unit in &after.units {
        let old = before.units.iter().find(|old| old.name == unit.name);
        for function in assembly_functions(&unit.text) {
            let text = function.text(&unit.text);
            let unchanged = old.and_then(|old| {
                let functions = assembly_functions(&old.text);
                let same = functions.iter().find(|f| f.name == function.name)?;
                Some((same.text(&old.text) == text, &old.text))
            });
            if let Some((true, _)) = unchanged {
                continue;
            }
            let found = definite(&unit.text, &function.name);
            let was_sound =
                unchanged.is_none_or(|(_, old)| definite(old, &function.name).is_empty());
            if was_sound {
                problems.extend(
                    found
                        .iter()
                        .map(|problem| format!("{}: {problem}", function.name)),
                );
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.truncate(NAMED);
    Err(BuildError::Rejected(Rejection {
        rung: Rung::Builds,
        kind: RejectionKind::Convention,
        reason: format!("breaks the calling convention: {}", problems.join("; ")),
    }))
}

fn definite(assembly: &str, function: &str) -> Vec<AbiProblem> {
    let mut problems = check_abi(assembly, function);
    problems.retain(|problem| problem.kind.is_certain());
    problems
}
