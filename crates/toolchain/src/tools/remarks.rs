//! What LLVM's passes say they did, and why they did not.

use std::fmt;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::middle_end::MODULE;
use super::store::Mode;
use super::{Tool, ToolError, Toolchain};

/// Flag of the front end without which remarks name no lines.
pub const DEBUG_LINES: &str = "-gline-tables-only";

/// What a remark says of an optimization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    /// It was done.
    Passed,
    /// It was not done.
    Missed,
    /// Why it could not be, or what it is worth.
    Analysis,
    /// The programmer asked for it and did not get it.
    Failure,
}

impl fmt::Display for RemarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Missed => "missed",
            Self::Analysis => "analysis",
            Self::Failure => "failure",
        })
    }
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Of what kind.
    pub kind: RemarkKind,
    /// The pass, such as `loop-vectorize`.
    pub pass: String,
    /// The remark's name within the pass, such as `CantReorderMemOps`.
    pub name: String,
    /// The function it is about.
    pub function: String,
    /// The source file, when the module has line tables.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What it says.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, "{file}:{line}: ")?;
        }
        write!(
            f,
            "{} ({}, in {}): {}",
            self.pass, self.kind, self.function, self.message
        )
    }
}

impl Toolchain {
    /// Runs a pass pipeline over IR for what its passes have to say. Places need IR compiled with [`DEBUG_LINES`].
    pub fn optimization_remarks(
        &self,
        ir: &str,
        pipeline: &str,
        flags: &[String],
    ) -> Result<Vec<Remark>, ToolError> {
        let call = Call::new(Tool::Opt)
            .args(["-disable-output".to_owned(), format!("-passes={pipeline}")])
            .flags(self, flags)
            .args(["-pass-remarks-filter=.*"])
            .input(MODULE, ir)
            .args([MODULE])
            .output("-pass-remarks-output=", "remarks.yaml", Mode::Data);
        let yaml = self.call_for_text(Tool::Opt, call)?.output;
        parse(&yaml).map_err(|what| ToolError::Parse {
            tool: Tool::Opt,
            what,
        })
    }
}

/// Reads LLVM's remarks in YAML; the error says what is wrong with them.
fn parse(yaml: &str) -> Result<Vec<Remark>, String> {
    let documents = Yaml::load_from_str(yaml).map_err(|error| error.to_string())?;
    documents.iter().map(remark).collect()
}

fn remark(document: &Yaml) -> Result<Remark, String> {
    let Yaml::Tagged(tag, fields) = document else {
        return Err("a remark without a kind".to_owned());
    };
    let kind = match tag.suffix.as_str() {
        "Passed" => RemarkKind::Passed,
        "Missed" => RemarkKind::Missed,
        "Failure" => RemarkKind::Failure,
        kind if kind.starts_with("Analysis") => RemarkKind::Analysis,
        other => {
            return Err(format!(
                "a remark of unknown kind \"{}\"",
                other.escape_debug()
            ));
        }
    };
    let field = |name: &str| {
        let value = fields.as_mapping_get(name).and_then(text);
        value.ok_or_else(|| format!("a remark without {name}"))
    };
    let place = fields.as_mapping_get("DebugLoc");
    let number = |name: &str| {
        place?
            .as_mapping_get(name)?
            .as_integer()
            .and_then(|number| u32::try_from(number).ok())
    };
    let arguments = fields
        .as_mapping_get("Args")
        .and_then(|args| args.as_vec())
        .map_or(&[][..], Vec::as_slice);
    Ok(Remark {
        kind,
        pass: field("Pass")?,
        name: field("Name")?,
        function: field("Function")?,
        file: place
            .and_then(|place| place.as_mapping_get("File"))
            .and_then(text),
        line: number("Line"),
        column: number("Column"),
        message: arguments.iter().filter_map(argument).collect(),
    })
}

/// The value of an argument, beside which there may be a place.
fn argument(argument: &Yaml) -> Option<String> {
    let (_, value) = argument
        .as_mapping()?
        .iter()
        .find(|(key, _)| key.as_str() != Some("DebugLoc"))?;
    text(value)
}

/// A scalar as it was written: names may look like numbers.
fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::Value(Scalar::String(text)) => Some(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => Some(number.to_string()),
        Yaml::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        Yaml::Value(Scalar::Boolean(truth)) => Some(truth.to_string()),
        Yaml::Value(Scalar::Null) => Some("null".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YAML: &str = r#"--- !Missed
Pass:            inline
Name:            NoDefinition
DebugLoc:        { File: '/usr/include/stdlib.h', Line: 364, Column: 16 }
Function:        atoi
Args:
  - Callee:          strtol
    DebugLoc:        { File: '/usr/include/stdlib.h', Line: 0, Column: 0 }
  - String:          ' will not be inlined into '
  - Caller:          atoi
  - String:          " because of \"\t\" and\n'"
...
--- !AnalysisAliasing
Pass:            loop-vectorize
Name:            CantReorderMemOps
Function:        'true'
Args:
  - String:          'loop not vectorized: '
  - Cost:            12
...
--- !Passed
Pass:            licm
Name:            Hoisted
Function:        g
...
"#;

    #[test]
    fn remarks() {
        let remarks = parse(YAML).unwrap();
        insta::assert_debug_snapshot!(remarks);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(
            parse("---\nPass: x\n").unwrap_err(),
            "a remark without a kind"
        );
        assert_eq!(
            parse("--- !Odd\nPass: x\n").unwrap_err(),
            "a remark of unknown kind \"Odd\""
        );
        assert_eq!(
            parse("--- !Passed\nPass: x\n").unwrap_err(),
            "a remark without Name"
        );
        assert!(parse("--- !Passed\nPass: [x\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(--- !Passed\n|Pass: |Args:\n  - |[\\[{'\":\n]|\\PC){0,40}") {
            let _ = parse(&text);
        }

        /// As LLVM quotes: single quotes doubled.
        #[test]
        fn messages_survive(message in "[ -~]{1,40}") {
            let yaml = format!(
                "--- !Passed\nPass: p\nName: n\nFunction: f\nArgs:\n  - String: '{}'\n...\n",
                message.replace('\'', "''")
            );
            prop_assert_eq!(&parse(&yaml).unwrap()[0].message, &message);
        }
    }
}
