//! Programs under a sanitizer.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::call::{self, Call};
use super::profile::LIMITS;
use super::program::{ProgramRun, describe};
use super::scratch::Scratch;
use super::{Executable, Tool, ToolError, Toolchain, Unit};
use crate::sandbox::{End, Limits, SealedInput};

/// Where the runtime writes its report: not standard error, where the program could write one itself.
const REPORT: &str = "report";
/// Bytes of a report that are read.
const REPORT_LIMIT: usize = 64 << 10;
/// Frames that are shown of a stack.
const SHOWN_FRAMES: usize = 12;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sanitizer {
    /// Accesses outside an object or its lifetime.
    Address,
    /// Undefined behaviour: overflow, shifts, misaligned and null pointers.
    Undefined,
    /// Decisions that depend on memory never written.
    Memory,
    /// Address and undefined behaviour at once.
    AddressUndefined,
}

impl Sanitizer {
    /// What follows `-fsanitize=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Undefined => "undefined",
            Self::Memory => "memory",
            Self::AddressUndefined => "address,undefined",
        }
    }

    fn flags(self) -> Vec<String> {
        // Optimization takes a fault for impossible and removes it before a sanitizer sees it: a double free, a read of what
        // was never written.
        let sanitize = format!("-fsanitize={}", self.name());
        let fixed = [
            "-O0",
            "-g",
            "-fno-omit-frame-pointer",
            "-fno-sanitize-recover=all",
        ]
        .map(str::to_owned);
        fixed.into_iter().chain([sanitize]).collect()
    }
}

impl fmt::Display for Sanitizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in a program's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the program's unit is called.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 when unknown.
    pub column: u32,
    /// The function, if known.
    pub function: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        match &self.function {
            Some(function) => write!(f, " in {function}"),
            None => Ok(()),
        }
    }
}

/// What came of a run under a sanitizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SanitizerOutcome {
    /// It exited by itself, and the sanitizer had nothing to say.
    Clean,
    /// The sanitizer found something.
    Report {
        /// What, such as `heap-buffer-overflow` or `signed integer overflow: …`.
        kind: String,
        /// Where in the program, if it could be found out.
        place: Option<Place>,
        /// Kind and stack, for people.
        text: String,
    },
    /// It was stopped, by a limit or a signal of its own: nothing can be said.
    Stopped {
        /// How it ended, in words.
        how: String,
    },
}

impl Toolchain {
    /// Builds the program with a sanitizer; what the flags say of optimization is overridden.
    pub fn sanitized(
        &self,
        units: &[Unit],
        flags: &[String],
        sanitizer: Sanitizer,
    ) -> Result<Executable, ToolError> {
        self.compile(units, &[flags, &sanitizer.flags()].concat())
    }

    /// Runs a program that was built by [`Toolchain::sanitized`].
    pub fn run_sanitized(
        &self,
        executable: &Executable,
        input: &SealedInput,
        arguments: &[String],
    ) -> Result<SanitizerOutcome, ToolError> {
        let scratch = Scratch::new()?;
        let options = format!(
            "detect_leaks=0:exitcode=99:symbolize=0:allocator_may_return_null=1:hard_rss_limit_mb=2048:log_path={}",
            scratch.path().join(REPORT).display()
        );
        let finished = self.run_program(ProgramRun {
            executable: &executable.path,
            arguments,
            input,
            scratch: &scratch,
            environment: ["ASAN_OPTIONS", "UBSAN_OPTIONS", "MSAN_OPTIONS"]
                .map(|name| (name, options.clone()))
                .to_vec(),
            limits: Limits {
                memory: None,
                ..LIMITS
            },
        })?;
        match (read_report(scratch.path())?, finished.end) {
            (Some(report), _) => self.understand(executable, &report),
            (None, End::Exited(_)) => Ok(SanitizerOutcome::Clean),
            (None, end) => Ok(SanitizerOutcome::Stopped { how: describe(end) }),
        }
    }

    fn understand(
        &self,
        executable: &Executable,
        report: &str,
    ) -> Result<SanitizerOutcome, ToolError> {
        if report.contains("hard rss limit exhausted") {
            return Ok(SanitizerOutcome::Stopped {
                how: "it used too much memory".to_owned(),
            });
        }
        if let Some((place, kind)) = runtime_error(report) {
            let text = format!("{kind}\n  {place}");
            return Ok(SanitizerOutcome::Report {
                kind,
                place: Some(place),
                text,
            });
        }
        let kind = kind_of(report);
        let stack = self.symbolize(executable, &addresses(report))?;
        let frames = stack
            .iter()
            .take(SHOWN_FRAMES)
            .map(|place| format!("\n  {place}"));
        let text = kind.clone() + &frames.collect::<String>();
        Ok(SanitizerOutcome::Report {
            kind,
            place: stack.into_iter().next(),
            text,
        })
    }

    /// The places in the program's own source behind addresses in its executable.
    fn symbolize(
        &self,
        executable: &Executable,
        addresses: &[String],
    ) -> Result<Vec<Place>, ToolError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let program = self
            .store()
            .get(&executable.digest)
            .ok_or_else(|| call::vanished(&executable.path))?;
        let call = Call::new(Tool::LlvmSymbolizer)
            .args(["--output-style=JSON", "--obj=program"])
            .args(addresses.iter().cloned())
            .input("program", program);
        let json = self.call_unrecorded(call)?;
        parse_places(&json).map_err(|what| ToolError::Parse {
            tool: Tool::LlvmSymbolizer,
            what,
        })
    }
}

/// The report in the folder, if there is one: the runtime adds its process id to the name.
fn read_report(folder: &Path) -> Result<Option<String>, ToolError> {
    let failed = |source| ToolError::Scratch {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_report = entry.file_name().to_string_lossy().starts_with(REPORT);
        if is_report && entry.file_type().map_err(failed)?.is_file() {
            let mut bytes = fs::read(entry.path()).map_err(failed)?;
            bytes.truncate(REPORT_LIMIT);
            if !bytes.is_empty() {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    Ok(None)
}

/// `main.c:3:5: runtime error: signed integer overflow: …`.
fn runtime_error(report: &str) -> Option<(Place, String)> {
    report.lines().find_map(|line| {
        let (place, kind) = line.split_once(": runtime error: ")?;
        let (rest, column) = place.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        let place = Place {
            file: file.to_owned(),
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            function: None,
        };
        Some((place, kind.trim_end().to_owned()))
    })
}

/// The `heap-buffer-overflow` of `==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x…`.
fn kind_of(report: &str) -> String {
    let headline = report
        .lines()
        .find_map(|line| line.split_once("Sanitizer: "));
    let Some((_, kind)) = headline else {
        return "unknown".to_owned();
    };
    let end = [" on ", " (", ": "]
        .iter()
        .filter_map(|mark| kind.find(mark))
        .min()
        .unwrap_or(kind.len());
    kind[..end].trim().to_owned()
}

/// Addresses within the executable of the first stack: `#0 0x55d0 (/store/objects/ab/cd+0x1234) (BuildId: …)`.
fn addresses(report: &str) -> Vec<String> {
    let is_frame = |line: &&str| line.trim_start().starts_with('#');
    let stack = report
        .lines()
        .skip_while(|line| !is_frame(line))
        .take_while(is_frame);
    let frames: Vec<(&str, &str)> = stack
        .filter_map(|line| {
            let within = line.split_once('(')?.1.split(')').next()?;
            within
                .rsplit_once('+')
                .filter(|(_, offset)| offset.starts_with("0x"))
        })
        .collect();
    // The sanitizer's runtime is linked into the program; libraries are other files.
    let is_library = |module: &str| module.contains(".so");
    let own = frames.into_iter().filter(|(module, _)| !is_library(module));
    own.map(|(_, offset)| offset.to_owned()).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Symbolized {
    #[serde(default)]
    symbol: Vec<Symbol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Symbol {
    file_name: String,
    function_name: String,
    line: u32,
    column: u32,
}

/// Reads what llvm-symbolizer prints; what isn't the program's own source (the sanitizer's runtime) is left out.
fn parse_places(json: &str) -> Result<Vec<Place>, String> {
    let mut places = Vec::new();
    for symbolized in serde_json::Deserializer::from_str(json).into_iter::<OneOrMany>() {
        let symbolized = match symbolized.map_err(|error| error.to_string())? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        };
        for symbol in symbolized
            .into_iter()
            .flat_map(|symbolized| symbolized.symbol)
        {
            let file = symbol
                .file_name
                .strip_prefix("./")
                .unwrap_or(&symbol.file_name);
            if file.is_empty() || file.starts_with('/') || symbol.line == 0 {
                continue;
            }
            let function = Some(symbol.function_name).filter(|name| !name.is_empty());
            places.push(Place {
                file: file.to_owned(),
                line: symbol.line,
                column: symbol.column,
                function,
            });
        }
    }
    Ok(places)
}

/// One line an address, or a list of all: LLVM's versions differ.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Symbolized),
    Many(Vec<Symbolized>),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: &str = "=================================================================
==2==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x502000000020 at pc 0x555555 bp 0x7ff sp 0x7fe
READ of size 4 at 0x502000000020 thread T0
    #0 0x555555666 (/store/objects/ab/cdef+0x10b2a1) (BuildId: 1234)
    #1 0x7ffff7c  (/lib/x86_64-linux-gnu/libc.so.6+0x2724a) (BuildId: 5678)
    #2 0x555555667 (/store/objects/ab/cdef+0x2c1d0)

0x502000000020 is located 0 bytes after 16-byte region
    #0 0x555555668 (/store/objects/ab/cdef+0xcafe)
";

    #[test]
    fn the_first_stack_counts() {
        assert_eq!(kind_of(REPORT), "heap-buffer-overflow");
        assert_eq!(addresses(REPORT), ["0x10b2a1", "0x2c1d0"]);
    }

    #[test]
    fn kinds() {
        let kind = |line: &str| kind_of(line);
        assert_eq!(
            kind("==1==WARNING: MemorySanitizer: use-of-uninitialized-value"),
            "use-of-uninitialized-value"
        );
        assert_eq!(
            kind("==1==ERROR: AddressSanitizer: stack-overflow on address 0x7 (pc 0x5)"),
            "stack-overflow"
        );
        assert_eq!(
            kind("==1==ERROR: AddressSanitizer: attempting double-free on 0x60 in thread T0:"),
            "attempting double-free"
        );
        assert_eq!(kind("something else"), "unknown");
    }

    #[test]
    fn runtime_errors_have_their_place() {
        let (place, kind) = runtime_error(
            "sub/main.c:4:40: runtime error: signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'\nSUMMARY\n",
        )
        .unwrap();
        assert_eq!(place.to_string(), "sub/main.c:4:40");
        assert_eq!(
            kind,
            "signed integer overflow: 2147483647 + 1 cannot be represented in type 'int'"
        );
        assert_eq!(runtime_error("no place: runtime error: x"), None);
    }

    #[test]
    fn places_in_the_runtime_are_left_out() {
        let symbol = |file: &str, line: u32| {
            format!(
                "{{\"Address\":\"0x1\",\"Symbol\":[{{\"FileName\":\"{file}\",\"FunctionName\":\"f\",\"Line\":{line},\"Column\":3}}]}}"
            )
        };
        let (runtime, own) = (symbol("/build/llvm/asan.cpp", 7), symbol("./main.c", 5));
        for json in [format!("[{runtime},{own}]"), format!("{runtime}\n{own}\n")] {
            let places: Vec<String> = parse_places(&json)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(places, ["main.c:5:3 in f"]);
        }
        assert!(parse_places("[{").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(#0 0x1 \\(|\\+0x1\\)|: runtime error: |Sanitizer: |[:\n]|\\PC){0,40}") {
            runtime_error(&text);
            kind_of(&text);
            addresses(&text);
            let _ = parse_places(&text);
        }
    }
}
