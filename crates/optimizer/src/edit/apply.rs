//! An edit of the text of a program at one level.

use whittle_toolchain::tools::{
    SpliceError, Unit, assembly_functions, ir_functions, splice_assembly, splice_ir,
};

use crate::candidate::{Artifact, Level};
use crate::edit::{CFunction, Edit, Replacement, c_functions};

/// An edit cannot be applied; the message is for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The passage is not there.
    #[error(
        "the SEARCH part of block {block} does not occur in the text{hint}; it must be copied exactly, blanks included"
    )]
    NotFound {
        /// Number of the block, from 1.
        block: usize,
        /// Where it nearly occurs, if it does.
        hint: String,
    },
    /// The passage is there several times.
    #[error(
        "the SEARCH part of block {block} occurs {times} times; take more lines so that it occurs once"
    )]
    Ambiguous {
        /// Number of the block, from 1.
        block: usize,
        /// How often it occurs.
        times: usize,
    },
    /// The block defines no function that the program has.
    #[error("the code block defines {defined}, but has to define one of: {known}")]
    UnknownFunction {
        /// What it defines.
        defined: String,
        /// The program's functions.
        known: String,
    },
    /// The function cannot stand in the place of the other.
    #[error(transparent)]
    Splice(#[from] SpliceErrorText),
    /// Nothing is different.
    #[error("the edit changes nothing")]
    Same,
    /// The reply was no edit.
    #[error("{0}")]
    Malformed(String),
}

/// A [`SpliceError`] in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpliceErrorText(String);

impl From<SpliceError> for EditError {
    fn from(error: SpliceError) -> Self {
        Self::Splice(SpliceErrorText(error.to_string()))
    }
}

/// The artifact with the edit, or why that cannot be. `focus` is the function that the model was shown, for IR and assembly.
pub fn apply(artifact: &Artifact, focus: Option<&str>, edit: &Edit) -> Result<Artifact, EditError> {
    let mut edited = artifact.clone();
    match edit {
        Edit::Replace(blocks) => replace(&mut edited, focus, blocks)?,
        Edit::Functions(functions) => {
            for text in functions {
                replace_function(&mut edited, focus, text)?;
            }
        }
        Edit::Nothing => return Err(EditError::Same),
        Edit::Malformed(why) => return Err(EditError::Malformed(why.clone())),
    }
    if edited == *artifact {
        return Err(EditError::Same);
    }
    Ok(edited)
}

fn replace(
    artifact: &mut Artifact,
    focus: Option<&str>,
    blocks: &[Replacement],
) -> Result<(), EditError> {
    if artifact.level == Level::Source {
        for (number, block) in blocks.iter().enumerate() {
            let texts: Vec<&str> = artifact
                .units
                .iter()
                .map(|unit| unit.text.as_str())
                .collect();
            let at = place(&texts, block, number + 1)?;
            let unit = &mut artifact.units[at];
            unit.text = unit.text.replacen(&block.search, &block.replace, 1);
        }
        return Ok(());
    }
    // Below source, the model sees one function, and only that may change.
    let (at, mut text) = focused(artifact, focus)?;
    for (number, block) in blocks.iter().enumerate() {
        place(&[&text], block, number + 1)?;
        text = text.replacen(&block.search, &block.replace, 1);
    }
    splice(artifact, at, focus.unwrap_or_default(), &text)
}

/// In which of the texts the passage occurs.
fn place(texts: &[&str], block: &Replacement, number: usize) -> Result<usize, EditError> {
    let counts: Vec<usize> = texts
        .iter()
        .map(|text| text.matches(&block.search).count())
        .collect();
    match (
        counts.iter().sum(),
        counts.iter().position(|count| *count == 1),
    ) {
        (1, Some(at)) => Ok(at),
        (0, _) => Err(EditError::NotFound {
            block: number,
            hint: near_miss(texts, &block.search),
        }),
        (times, _) => Err(EditError::Ambiguous {
            block: number,
            times,
        }),
    }
}

/// Whether the passage would be there but for blanks.
fn near_miss(texts: &[&str], search: &str) -> String {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = squeezed(search);
    if texts.iter().any(|text| squeezed(text).contains(&wanted)) {
        " with these blanks and line ends (it would without regard to them)".to_owned()
    } else {
        String::new()
    }
}

fn replace_function(
    artifact: &mut Artifact,
    focus: Option<&str>,
    text: &str,
) -> Result<(), EditError> {
    if artifact.level != Level::Source {
        let (at, _) = focused(artifact, focus)?;
        return splice(artifact, at, focus.unwrap_or_default(), text);
    }
    let defined = c_functions(text);
    let known: Vec<String> = functions_of(artifact)
        .map(|(_, function)| function.name)
        .collect();
    // A block may bring helpers and macros along: they go before the function of the program that comes next.
    let mut segments: Vec<(&str, String)> = Vec::new();
    let mut start = 0;
    for function in defined
        .iter()
        .filter(|function| known.contains(&function.name))
    {
        segments.push((&function.name, text[start..function.range.end].to_owned()));
        start = function.range.end;
    }
    let Some((_, last)) = segments.last_mut() else {
        let names: Vec<&str> = defined
            .iter()
            .map(|function| function.name.as_str())
            .collect();
        return Err(EditError::UnknownFunction {
            defined: if names.is_empty() {
                "no function".to_owned()
            } else {
                names.join(", ")
            },
            known: known.join(", "),
        });
    };
    last.push_str(&text[start..]);
    for (name, text) in segments {
        let place = functions_of(artifact).find(|(_, function)| function.name == name);
        if let Some((at, function)) = place {
            artifact.units[at]
                .text
                .replace_range(function.range, text.trim());
        }
    }
    Ok(())
}

/// The functions of the source, each with its unit's place.
fn functions_of(artifact: &Artifact) -> impl Iterator<Item = (usize, CFunction)> + '_ {
    let units = artifact.units.iter().enumerate();
    units.flat_map(|(at, unit)| {
        c_functions(&unit.text)
            .into_iter()
            .map(move |function| (at, function))
    })
}

/// The unit and the text of the function in focus.
fn focused(artifact: &Artifact, focus: Option<&str>) -> Result<(usize, String), EditError> {
    let mut known = Vec::new();
    for (at, unit) in artifact.units.iter().enumerate() {
        let functions = match artifact.level {
            Level::Ir => ir_functions(&unit.text),
            _ => assembly_functions(&unit.text),
        };
        for function in functions {
            if Some(function.name.as_str()) == focus {
                return Ok((at, function.text(&unit.text).to_owned()));
            }
            known.push(function.name);
        }
    }
    Err(EditError::UnknownFunction {
        defined: focus.unwrap_or("no function").to_owned(),
        known: known.join(", "),
    })
}

fn splice(artifact: &mut Artifact, at: usize, function: &str, text: &str) -> Result<(), EditError> {
    let unit: &mut Unit = &mut artifact.units[at];
    unit.text = match artifact.level {
        Level::Ir => splice_ir(&unit.text, function, text)?,
        _ => splice_assembly(&unit.text, function, text)?,
    };
    Ok(())
}
