//! Recipes in words.

use whittle_toolchain::pipeline::Pipeline;

use crate::candidate::{Candidate, Level};

/// How a candidate is built otherwise than the original; its text is another matter.
pub(super) fn changes(original: &Candidate, candidate: &Candidate) -> Vec<String> {
    let (old, new) = (&original.recipe, &candidate.recipe);
    let mut words = Vec::new();
    match candidate.artifact.level {
        Level::Source => {}
        Level::Ir => words.push("starts from LLVM IR, not from source".to_owned()),
        Level::Assembly => {
            words.push("starts from assembly, not from source".to_owned());
            words.extend(flags("link", &old.link, &new.link));
            return words;
        }
    }
    words.extend(flags("front end", &old.front_end, &new.front_end));
    if new.profile {
        words.push("uses an execution profile of the original".to_owned());
    }
    if new.host {
        words.push("generates code for the host's instruction set (-march=native)".to_owned());
    }
    if new.merge {
        words.push("merges all modules into one whole program before the middle end".to_owned());
    }
    if let Some(pipeline) = &new.pipeline {
        let passes = pipeline
            .parse()
            .map_or(0, |pipeline: Pipeline| pipeline.passes().len());
        words.push(format!(
            "runs a pass pipeline of its own ({passes} passes) in place of clang's"
        ));
    }
    words.extend(flags("middle end", &old.middle_end, &new.middle_end));
    words.extend(flags("back end", &old.back_end, &new.back_end));
    words.extend(flags("link", &old.link, &new.link));
    words
}

/// What a candidate's code needs of a processor beyond the program, if anything.
pub(super) fn needed(extensions: &[String]) -> Option<String> {
    let needed = || format!("needs a processor with {}", extensions.join(", "));
    (!extensions.is_empty()).then(needed)
}

/// "middle end: adds -a -b, drops -c".
fn flags(step: &str, old: &[String], new: &[String]) -> Option<String> {
    let missing_in = |list: &[String], other: &[String]| -> Vec<String> {
        list.iter()
            .filter(|flag| !other.contains(flag))
            .cloned()
            .collect()
    };
    let parts: Vec<String> = [
        ("adds", missing_in(new, old)),
        ("drops", missing_in(old, new)),
    ]
    .into_iter()
    .filter(|(_, flags)| !flags.is_empty())
    .map(|(verb, flags)| format!("{verb} {}", flags.join(" ")))
    .collect();
    match parts.as_slice() {
        [] if old != new => Some(format!("{step}: {} in this order", new.join(" "))),
        [] => None,
        parts => Some(format!("{step}: {}", parts.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Artifact, Recipe};

    fn candidate(level: Level, recipe: Recipe) -> Candidate {
        Candidate {
            artifact: Artifact {
                level,
                units: Vec::new(),
            },
            recipe,
        }
    }

    #[test]
    fn every_difference_is_named() {
        let original = candidate(Level::Source, Recipe::default());
        assert!(changes(&original, &original).is_empty());
        let strings = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect();
        let other = candidate(
            Level::Source,
            Recipe {
                front_end: strings(&["-O2", "-fno-math-errno"]),
                merge: true,
                pipeline: Some("function(sroa,instcombine)".to_owned()),
                middle_end: strings(&["-unroll-threshold=400"]),
                back_end: strings(&["-align-all-nofallthru-blocks=5"]),
                link: strings(&["-Wl,-z,now"]),
                profile: true,
                host: true,
            },
        );
        insta::assert_snapshot!(changes(&original, &other).join("\n"), @r"
        front end: adds -O2 -fno-math-errno, drops -O3
        uses an execution profile of the original
        generates code for the host's instruction set (-march=native)
        merges all modules into one whole program before the middle end
        runs a pass pipeline of its own (2 passes) in place of clang's
        middle end: adds -unroll-threshold=400
        back end: adds -align-all-nofallthru-blocks=5
        link: adds -Wl,-z,now
        ");
    }

    #[test]
    fn the_order_of_flags_counts() {
        let strings = |flags: &[&str]| {
            flags
                .iter()
                .map(|flag| (*flag).to_owned())
                .collect::<Vec<_>>()
        };
        let text = flags("link", &strings(&["-a", "-b"]), &strings(&["-b", "-a"]));
        assert_eq!(text.as_deref(), Some("link: -b -a in this order"));
    }
}
