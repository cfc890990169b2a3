//! The examination as text.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use whittle_toolchain::tools::{InventoryLine, Tool};

use super::Examination;
use super::timing::TIME;
use crate::format;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
/// Of all tools only alive-tv has no package.
const WITHOUT_PACKAGE: &str = "see github.com/AliveToolkit/alive2";
const HEADING: Style = Style::new().bold();

/// All of it.
pub(super) fn text(examination: &Examination) -> String {
    let mut out = String::new();
    heading(&mut out, "Tools");
    for line in examination.tools.lines.iter().filter(|line| line.required) {
        tool(&mut out, line);
    }
    heading(&mut out, "Optional tools");
    for line in examination.tools.lines.iter().filter(|line| !line.required) {
        tool(&mut out, line);
    }
    heading(&mut out, "Sanitizers");
    match &examination.sanitizers {
        Some(states) => states.iter().for_each(|state| {
            let result = if state.works {
                "works"
            } else {
                "does not work"
            };
            mark(&mut out, state.works, state.name, result);
        }),
        None => mark(&mut out, false, "not tried", "tools or sandbox are missing"),
    }
    heading(&mut out, "Sandbox");
    let layers = &examination.sandbox.layers;
    mark(
        &mut out,
        examination.sandbox.holds,
        "layers",
        &layers.to_string(),
    );
    let p = &examination.processor;
    heading(&mut out, "Processor");
    fact(&mut out, "name", &format!("{}, {} cores", p.name, p.cores));
    fact(&mut out, "instructions", &p.features.join(" "));
    if let Some(timing) = &examination.timing {
        let (runs, floor) = (&timing.runs, &timing.floor);
        heading(&mut out, "Timing");
        fact(
            &mut out,
            "single runs",
            &format!(
                "vary by {} ({} runs of about {:.0} ms; {} of them disturbed)",
                format::percent(runs.coefficient_of_variation),
                runs.runs,
                1e3 * runs.median_seconds,
                format::percent(runs.disturbed),
            ),
        );
        fact(
            &mut out,
            "comparisons",
            &format!(
                "a program against itself for {}: differences below {} cannot be told apart ({} runs)",
                format::time(TIME),
                format::percent(floor.half_width),
                floor.runs,
            ),
        );
    }
    heading(&mut out, "Disk");
    for disk in &examination.disks {
        let (used, free) = (format::bytes(disk.used), format::bytes(disk.free));
        fact(
            &mut out,
            disk.what,
            &format!("{}, {used}, {free} free", disk.path.display()),
        );
    }
    out.push('\n');
    if examination.ready {
        let _ = write!(out, "{GOOD}Ready:{GOOD:#} whittle optimize works here.");
    } else {
        let _ = write!(
            out,
            "{BAD}Not ready:{BAD:#} {}",
            examination.problems.join("\n           ")
        );
    }
    out
}

fn heading(out: &mut String, title: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{HEADING}{title}{HEADING:#}");
}

fn tool(out: &mut String, line: &InventoryLine) {
    let name = line.tool.name();
    if let Some(located) = &line.located {
        let path = located.path.display();
        mark(
            out,
            true,
            name,
            &format!("{path}  {FAINT}{}{FAINT:#}", located.version),
        );
        return;
    }
    let how = line.install_command.as_deref().unwrap_or(WITHOUT_PACKAGE);
    match purpose(line.tool) {
        Some(purpose) => {
            let _ = writeln!(out, "  - {name:<18} not there: {purpose}; {how}");
        }
        None => mark(out, false, name, &format!("missing: {how}")),
    }
}

/// What an optional tool adds.
fn purpose(tool: Tool) -> Option<&'static str> {
    Some(match tool {
        Tool::AliveTv => "would prove changed functions, up to a number of loop rounds",
        Tool::Gcc => "would check the original with a second compiler",
        Tool::Valgrind => "would count instructions",
        Tool::Perf => "would count instructions where the processor lets it",
        Tool::Bubblewrap => "would be one more layer of the sandbox",
        _ => return None,
    })
}

fn mark(out: &mut String, good: bool, name: &str, text: &str) {
    let (style, sign) = if good { (GOOD, '✓') } else { (BAD, '✗') };
    let _ = writeln!(out, "  {style}{sign}{style:#} {name:<18} {text}");
}

fn fact(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "    {name:<18} {text}");
}

#[cfg(test)]
mod tests {
    use whittle_toolchain::measure::{MachineNoise, NoiseFloor};
    use whittle_toolchain::sandbox::Layers;
    use whittle_toolchain::tools::{Inventory, Located};

    use super::super::machine::Disk;
    use super::super::timing::Timing;
    use super::super::{SandboxState, SanitizerState};
    use super::*;
    use crate::processor::Processor;

    fn line(tool: Tool, path: Option<&str>, install: Option<&str>) -> InventoryLine {
        InventoryLine {
            tool,
            required: tool.is_required(),
            located: path.map(|path| Located {
                path: path.into(),
                version: "version 19.1.7".to_owned(),
            }),
            install_command: install.map(str::to_owned),
        }
    }

    fn examination() -> Examination {
        Examination {
            ready: true,
            problems: Vec::new(),
            tools: Inventory {
                prefix: Some("/usr/lib/llvm-19".into()),
                major: Some(19),
                lines: vec![
                    line(Tool::Clang, Some("/usr/lib/llvm-19/bin/clang"), None),
                    line(Tool::Gcc, Some("/usr/bin/gcc"), None),
                    line(Tool::Perf, None, Some("apt-get install linux-perf")),
                    line(Tool::AliveTv, None, None),
                ],
                install_command: None,
            },
            sandbox: SandboxState {
                holds: true,
                layers: Layers {
                    landlock: Some(4),
                    seccomp: true,
                    namespaces: true,
                    bubblewrap: None,
                    limits: true,
                },
            },
            sanitizers: Some(vec![SanitizerState {
                name: "memory",
                works: true,
            }]),
            processor: Processor {
                name: "A CPU".to_owned(),
                cores: 2,
                features: vec!["popcnt", "avx2"],
            },
            timing: Some(Timing {
                runs: MachineNoise {
                    runs: 30,
                    median_seconds: 0.0312,
                    coefficient_of_variation: 0.0123,
                    disturbed: 0.1,
                },
                floor: NoiseFloor {
                    half_width: 0.004,
                    ratio: 1.0,
                    interval: [0.996, 1.004],
                    blocks: 20,
                    runs: 82,
                },
            }),
            disks: vec![Disk {
                what: "run store",
                path: "/home/me/.local/state/whittle/runs.sqlite".into(),
                used: 1_234_567,
                free: 98_000_000_000,
            }],
        }
    }

    fn plain(examination: &Examination) -> String {
        anstream::adapter::strip_str(&text(examination)).to_string()
    }

    #[test]
    fn looks() {
        insta::assert_snapshot!("ready", plain(&examination()));
    }

    #[test]
    fn what_is_missing_comes_with_its_command() {
        let mut examination = examination();
        let install = "sudo apt-get install clang-19 llvm-19 libclang-rt-19-dev";
        examination.ready = false;
        examination.problems = vec![
            format!("clang not found; install with: {install}"),
            "and more".to_owned(),
        ];
        examination.tools.lines[0] = line(Tool::Clang, None, Some("sudo apt-get install clang-19"));
        (examination.sanitizers, examination.timing) = (None, None);
        insta::assert_snapshot!("not_ready", plain(&examination));
    }
}
