//! What can be wrong with a text that is to take a function's place.

/// Why a new text for a function is refused. Lines count from 1 in the new text. Each message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The listing has no such function.
    #[error("the listing has no function `{function}`")]
    NoFunction {
        /// The name that was asked for.
        function: String,
    },
    /// The new text leaves the function out.
    #[error(
        "the new text does not define `{function}`: write the whole function, beginning with `{beginning}`"
    )]
    NotDefined {
        /// The function.
        function: String,
        /// How its first line begins.
        beginning: String,
    },
    /// The new text defines something else beside or in place of the function.
    #[error(
        "line {line}: `{found}` is defined here, but the text may define `{function}` only, and only once"
    )]
    OtherDefinition {
        /// The line.
        line: usize,
        /// The function that is to be defined.
        function: String,
        /// What is defined.
        found: String,
    },
    /// The function has no end.
    #[error("`{function}` has no end: its last line must be `{ending}`")]
    NotClosed {
        /// The function.
        function: String,
        /// Its last line.
        ending: String,
    },
    /// Linkage, return type or parameters differ.
    #[error("line {line}: the signature must stay `{expected}`, but this one is `{found}`")]
    Signature {
        /// The line.
        line: usize,
        /// The signature in the module, without names and attributes of parameters.
        expected: String,
        /// The one in the new text.
        found: String,
    },
    /// Something that may not stand in a function's text.
    #[error("line {line}: `{what}` is not allowed: {why}")]
    Refused {
        /// The line.
        line: usize,
        /// What it is.
        what: String,
        /// Why, and what to do instead.
        why: String,
    },
    /// A name that neither the listing nor the new text defines.
    #[error("line {line}: `{name}` is not known: {hint}")]
    Unknown {
        /// The line.
        line: usize,
        /// The name.
        name: String,
        /// What to do.
        hint: String,
    },
    /// A label that the rest of the file needs is gone.
    #[error(
        "the label `{label}` is gone, but `{user}` still refers to it: keep the label, or use a table of your own"
    )]
    MissingLabel {
        /// The label.
        label: String,
        /// Whatever refers to it.
        user: String,
    },
}
