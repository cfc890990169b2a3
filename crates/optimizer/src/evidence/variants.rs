//! The original in other builds: other optimization levels, another compiler, sanitizers.

use whittle_toolchain::tools::{Digest, Executable, Sanitizer, Tool, Toolchain};

use crate::evidence::parallel::in_order;
use crate::evidence::reference::ReferenceError;
use crate::evidence::second_compiler::{self, SecondBuild, SecondBuildError};
use crate::program::Program;

/// Another build of the original.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) kind: VariantKind,
    pub(crate) executable: Executable,
    /// Where the executable is, if not in the store.
    _folder: Option<tempfile::TempDir>,
}

/// What kind of build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VariantKind {
    Level,
    Unoptimized,
    SecondCompiler,
    Sanitizer(Sanitizer),
}

/// All builds, and why some are missing, in words.
#[derive(Debug)]
pub(crate) struct Variants {
    pub(crate) built: Vec<Variant>,
    pub(crate) missing: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Level(&'static str),
    Gcc,
    Sanitizer(Sanitizer),
}

const UNOPTIMIZED: &str = "-O0";

const WANTED: [Wanted; 5] = [
    Wanted::Sanitizer(Sanitizer::AddressUndefined),
    Wanted::Sanitizer(Sanitizer::Memory),
    Wanted::Level(UNOPTIMIZED),
    Wanted::Level("-O2"),
    Wanted::Gcc,
];

impl Variant {
    pub(crate) fn is_sanitizer(&self) -> bool {
        matches!(self.kind, VariantKind::Sanitizer(_))
    }
}

impl VariantKind {
    /// About how many times as long as `-O3` it takes, if that is much.
    pub(crate) fn slowdown(self) -> Option<u32> {
        match self {
            Self::Level | Self::SecondCompiler => None,
            // Built without optimization, and every bit is followed.
            Self::Sanitizer(Sanitizer::Memory) => Some(16),
            Self::Unoptimized | Self::Sanitizer(_) => Some(4),
        }
    }
}

impl Variants {
    /// Builds what can be built.
    pub(crate) fn build(toolchain: &Toolchain, program: &Program) -> Result<Self, ReferenceError> {
        let built = in_order(
            &WANTED,
            |wanted| build(toolchain, program, *wanted),
            Result::is_err,
        );
        let mut variants = Self {
            built: Vec::new(),
            missing: Vec::new(),
        };
        for result in built {
            match result? {
                Ok(variant) => variants.built.push(variant),
                Err(missing) => variants.missing.push(missing),
            }
        }
        Ok(variants)
    }
}

/// A variant, or why it is missing.
fn build(
    toolchain: &Toolchain,
    program: &Program,
    wanted: Wanted,
) -> Result<Result<Variant, String>, ReferenceError> {
    let mut flags = program.base_flags();
    let (name, kind) = match wanted {
        Wanted::Gcc => return build_by_gcc(toolchain, program),
        Wanted::Level(level) => {
            flags.push(level.to_owned());
            let kind = if level == UNOPTIMIZED {
                VariantKind::Unoptimized
            } else {
                VariantKind::Level
            };
            (level.to_owned(), kind)
        }
        Wanted::Sanitizer(sanitizer) => (
            names(sanitizer).join(" and "),
            VariantKind::Sanitizer(sanitizer),
        ),
    };
    flags.extend(program.link_flags.iter().cloned());
    let built = match wanted {
        Wanted::Sanitizer(sanitizer) => toolchain.sanitized(&program.units, &flags, sanitizer),
        _ => toolchain.compile(&program.units, &flags),
    };
    match built {
        Ok(executable) => Ok(Ok(Variant {
            name,
            kind,
            executable,
            _folder: None,
        })),
        // It compiles at -O3: what fails here is the variant, and a missing runtime is no fault of the program.
        Err(error) if error.is_about_the_input() => Ok(Err(format!(
            "not checked with {name}: {}",
            one_line(&error.to_string())
        ))),
        Err(error) => Err(error.into()),
    }
}

fn build_by_gcc(
    toolchain: &Toolchain,
    program: &Program,
) -> Result<Result<Variant, String>, ReferenceError> {
    let Some(gcc) = toolchain.found().path(Tool::Gcc) else {
        return Ok(Err(
            "not checked with a second compiler: gcc is not installed".to_owned(),
        ));
    };
    let version = toolchain.found().version(Tool::Gcc).unwrap_or_default();
    match second_compiler::build(toolchain.sandbox(), gcc, program) {
        Ok(SecondBuild::Built { path, folder }) => Ok(Ok(Variant {
            name: format!("{} -O2", if version.is_empty() { "gcc" } else { version }),
            kind: VariantKind::SecondCompiler,
            executable: Executable {
                digest: Digest::of(&[&std::fs::read(&path)?]),
                path,
            },
            _folder: Some(folder),
        })),
        Ok(SecondBuild::Refused(line)) => Ok(Err(format!(
            "not checked with a second compiler: gcc refuses the program: {line}"
        ))),
        Err(SecondBuildError::Write(error)) => Err(error.into()),
        Err(SecondBuildError::Sandbox(error)) => Err(error.into()),
        Err(SecondBuildError::Cancelled) => Err(ReferenceError::Cancelled),
    }
}

/// What a sanitizer is called.
pub(crate) fn names(sanitizer: Sanitizer) -> Vec<String> {
    let names: &[&str] = match sanitizer {
        Sanitizer::Address => &["AddressSanitizer"],
        Sanitizer::Undefined => &["UndefinedBehaviorSanitizer"],
        Sanitizer::Memory => &["MemorySanitizer"],
        Sanitizer::AddressUndefined => &["AddressSanitizer", "UndefinedBehaviorSanitizer"],
    };
    names.iter().map(ToString::to_string).collect()
}

/// The first two lines: the tool, and the first thing that it says.
fn one_line(text: &str) -> String {
    text.lines()
        .take(2)
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(": ")
}
