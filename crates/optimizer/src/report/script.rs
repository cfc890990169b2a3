//! `rebuild.sh` and `winner.mk`: the winner's recipe as commands, step by step what [`Toolchain`] calls.
//!
//! [`Toolchain`]: whittle_toolchain::tools::Toolchain

use std::fmt::Write as _;
use std::path::Path;

use whittle_toolchain::tools::{Found, Tool, Unit};

use super::Texts;
use super::names::plain;
use super::recipe;
use super::wire::{Level, Report, Winner};

/// The execution profile, where the winner's recipe uses one.
pub const PROFILE_FILE: &str = "winner/profile.profdata";
/// The same for the script, which works in a copy of the winner's folder.
const PROFILE: &str = "profile.profdata";

/// What the toolchain tells clang in every call.
const CLANG_ALWAYS: &str = "-ffile-compilation-dir=. -Wno-unused-command-line-argument";
/// What it tells opt and llvm-link in every call.
const IR_ALWAYS: &str = "-S -preserve-ll-uselistorder";
/// What it links every program with.
const LIBRARIES: &str = "-Wl,--push-state,--as-needed -lm -Wl,--pop-state";

/// The tools that a script calls, by variable.
const TOOLS: [(&str, Tool); 4] = [
    ("clang", Tool::Clang),
    ("opt", Tool::Opt),
    ("llc", Tool::Llc),
    ("llvm_link", Tool::LlvmLink),
];

/// The script. `winner_ir` in the texts says for which relocation model each module was compiled.
pub(super) fn rebuild(report: &Report, winner: &Winner, texts: &Texts, found: &Found) -> String {
    let mut script = Script {
        out: head(report, winner, found),
    };
    let modules = match winner.level {
        Level::Assembly => Vec::new(),
        Level::Ir => script.middle_end(winner, units(winner)),
        Level::Source => {
            let modules = script.front_end(winner);
            script.middle_end(winner, modules)
        }
    };
    let assembly = match winner.level {
        Level::Assembly => units(winner),
        _ => script.back_end(winner, &modules, &texts.winner_ir),
    };
    script.link(winner, &assembly, &report.program.link_flags);
    script.out
}

/// The rule for make.
pub(super) fn makefile(report: &Report, winner: &Winner) -> String {
    let files: Vec<String> = winner
        .files
        .iter()
        .map(|file| format!("$(WHITTLE_FOLDER){}", file.path))
        .collect();
    format!(
        "# Builds the winner of whittle's run {run}.\n\
         # In a Makefile: include this file, and let what needs the program depend on $(WHITTLE_WINNER).\n\
         # By itself: make -f winner.mk\n\
         WHITTLE_FOLDER := $(dir $(lastword $(MAKEFILE_LIST)))\n\
         WHITTLE_WINNER := $(WHITTLE_FOLDER)build/{name}\n\
         \n\
         $(WHITTLE_WINNER): $(WHITTLE_FOLDER)rebuild.sh {files}\n\
         \tsh $(WHITTLE_FOLDER)rebuild.sh $@\n",
        run = report.run,
        name = plain(&report.program.name),
        files = files.join(" "),
    )
}

fn head(report: &Report, winner: &Winner, found: &Found) -> String {
    let mut head = format!(
        "#!/bin/sh\n\
         # Builds the winner of whittle's run {run} (candidate #{id}) from the files in winner/.\n\
         # {sentence}.\n\
         #\n\
         # sh rebuild.sh [EXECUTABLE]    the last line that it prints is where the executable is\n\
         #\n\
         # LLVM is taken from $LLVM_PREFIX, or else from where it was when the winner was measured:\n\
         # {llvm}\n",
        run = report.run,
        id = winner.candidate,
        sentence = one_line(&report.sentence),
        llvm = one_line(&report.machine.llvm),
    );
    if winner.recipe.host {
        head.push_str(
            "# The code is for the instruction set of the machine that this runs on: elsewhere it is other code.\n",
        );
    }
    let extensions = report
        .candidate(winner.candidate)
        .map(|found| &found.extensions);
    if let Some(needed) = extensions.and_then(|extensions| recipe::needed(extensions)) {
        let _ = writeln!(
            head,
            "# The code {}: elsewhere it does not run.",
            one_line(&needed)
        );
    }
    // Writing to a string cannot fail.
    let _ = write!(
        head,
        "set -eu\n\
         here=$(CDPATH='' cd -- \"$(dirname -- \"$0\")\" && pwd)\n\
         executable=${{1:-$here/build/{}}}\n\
         case $executable in /*) ;; *) executable=$PWD/$executable ;; esac\n\
         prefix=${{LLVM_PREFIX:-}}\n",
        plain(&report.program.name)
    );
    for (variable, tool) in TOOLS {
        let path = found
            .path(tool)
            .unwrap_or(Path::new(tool.name()))
            .display()
            .to_string();
        let _ = writeln!(
            head,
            "{variable}=${{prefix:+$prefix/bin/{name}}}; {variable}=${{{variable}:-{path}}}",
            name = tool.name(),
            path = quote(&path)
        );
    }
    head.push_str(
        "mkdir -p \"$(dirname -- \"$executable\")\"\n\
         work=$(mktemp -d)\n\
         trap 'rm -rf \"$work\"' EXIT\n\
         cp -R \"$here/winner/.\" \"$work\"\n\
         cd \"$work\"\n\
         mkdir .build\n",
    );
    head
}

/// What is compiled by itself: names that the toolchain takes need no quoting.
fn units(winner: &Winner) -> Vec<String> {
    winner
        .files
        .iter()
        .map(|file| file.path.strip_prefix("winner/").unwrap_or(&file.path))
        .filter(|name| Unit::new(*name, "").is_compiled())
        .map(str::to_owned)
        .collect()
}

struct Script {
    out: String,
}

impl Script {
    fn step(&mut self, what: &str) {
        let _ = write!(self.out, "\n# {what}\n");
    }

    fn call(&mut self, tool: &str, arguments: &[&str]) {
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|part| !part.is_empty())
            .collect();
        let _ = writeln!(self.out, "\"${tool}\" {}", arguments.join(" "));
    }

    fn front_end(&mut self, winner: &Winner) -> Vec<String> {
        self.step("source to IR");
        let flags = front_end_flags(winner);
        let emit = "-Xclang -disable-llvm-passes -Xclang -emit-llvm-uselists -S -emit-llvm";
        (0..)
            .zip(units(winner))
            .map(|(index, unit)| {
                let module = format!(".build/{index}.ll");
                self.call("clang", &[CLANG_ALWAYS, &flags, emit, &unit, "-o", &module]);
                module
            })
            .collect()
    }

    fn middle_end(&mut self, winner: &Winner, mut modules: Vec<String>) -> Vec<String> {
        let recipe = &winner.recipe;
        if recipe.merge && modules.len() > 1 {
            self.step("all modules into one");
            let (merged, whole) = (".build/merged.ll", ".build/whole.ll");
            self.call("llvm_link", &[IR_ALWAYS, &modules.join(" "), "-o", merged]);
            let internalize = "-passes=internalize -internalize-public-api-list=main";
            self.call("opt", &[IR_ALWAYS, internalize, merged, "-o", whole]);
            modules = vec![whole.to_owned()];
        }
        if recipe.pipeline.is_none() && winner.level == Level::Ir {
            return modules;
        }
        self.step("IR to better IR");
        if let Some(pipeline) = &recipe.pipeline {
            let _ = writeln!(self.out, "pipeline={}", quote(pipeline));
        } else {
            self.out
                .push_str("# clang's own pipeline for these flags\n");
            let print = "-mllvm -print-pipeline-passes -c -x c /dev/null -o /dev/null";
            let flags = front_end_flags(winner);
            let _ = writeln!(
                self.out,
                "pipeline=$(\"$clang\" {CLANG_ALWAYS} {flags} {print})"
            );
        }
        let mut flags = quoted(&recipe.middle_end);
        if recipe.profile {
            flags.push_str(" -pgo-test-profile-file=");
            flags.push_str(PROFILE);
        }
        (0..)
            .zip(modules)
            .map(|(index, module)| {
                let better = format!(".build/{index}.opt.ll");
                self.call(
                    "opt",
                    &[
                        IR_ALWAYS,
                        "\"-passes=$pipeline\"",
                        flags.trim(),
                        &module,
                        "-o",
                        &better,
                    ],
                );
                better
            })
            .collect()
    }

    fn back_end(&mut self, winner: &Winner, modules: &[String], texts: &[Unit]) -> Vec<String> {
        self.step("IR to assembly");
        let own = &winner.recipe.back_end;
        let has = |prefix: &str| {
            own.iter()
                .any(|flag| flag.trim_start_matches('-').starts_with(prefix))
        };
        (0..)
            .zip(modules)
            .map(|(index, module)| {
                let text = texts.get(index).map_or("", |unit| unit.text.as_str());
                let model = if text.contains("!\"PIC Level\"") {
                    "pic"
                } else {
                    "static"
                };
                let model = if has("relocation-model") {
                    String::new()
                } else {
                    format!("-relocation-model={model}")
                };
                let level = if has("O") { "" } else { "-O3" };
                let significance = if has("addrsig") { "" } else { "-addrsig" };
                let assembly = format!(".build/{index}.s");
                self.call(
                    "llc",
                    &[
                        level,
                        &model,
                        significance,
                        &quoted(own),
                        module,
                        "-o",
                        &assembly,
                    ],
                );
                assembly
            })
            .collect()
    }

    fn link(&mut self, winner: &Winner, assembly: &[String], program: &[String]) {
        self.step("assembly to an executable");
        let objects: Vec<String> = (0..)
            .zip(assembly)
            .map(|(index, assembly)| {
                let object = format!(".build/{index}.o");
                self.call("clang", &[CLANG_ALWAYS, "-c", assembly, "-o", &object]);
                object
            })
            .collect();
        let all = program.iter().chain(&winner.recipe.link).cloned();
        let (libraries, flags): (Vec<String>, Vec<String>) =
            all.partition(|flag| flag.starts_with("-l"));
        self.call(
            "clang",
            &[
                CLANG_ALWAYS,
                &quoted(&flags),
                &objects.join(" "),
                &quoted(&libraries),
                LIBRARIES,
                "-o \"$executable\"",
            ],
        );
        self.out.push_str("\nprintf '%s\\n' \"$executable\"\n");
    }
}

fn front_end_flags(winner: &Winner) -> String {
    let mut flags = winner.recipe.front_end.clone();
    if winner.recipe.host {
        flags.push("-march=native".to_owned());
    }
    if winner.recipe.profile {
        flags.push(format!("-fprofile-use={PROFILE}"));
    }
    quoted(&flags)
}

fn quoted(flags: &[String]) -> String {
    flags
        .iter()
        .map(|flag| quote(flag))
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word for a shell, whatever is in it.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+./=:,@%^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_shell_sees_one_word(word in "[^\0]{0,20}|[-$`'\"\\\\;&|<>(){}* \n\t!~#a]{0,12}") {
            let command = format!("printf %s {}", quote(&word));
            let out = Command::new("sh").args(["-c", &command]).output().unwrap();
            prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
