//! What a level agent sees of a candidate.

use serde::Serialize;
use whittle_chat::Message;
use whittle_toolchain::tools::{
    HotFunction, Tool, Unit, assembly_excerpt, assembly_functions, ir_excerpt, ir_functions,
};

use crate::agents::Workbench;
use crate::candidate::{Candidate, Level};
use crate::edit::c_functions;
use crate::guides::Brief;
use crate::prompts::{self, Prompt, cut};
use crate::tree::{Node, Outcome};

/// Longest text of the program, in bytes.
const LONGEST_TEXT: usize = 48 << 10;
/// Longest text of the level above.
const LONGEST_ABOVE: usize = 8 << 10;
/// Functions, lines of remarks and earlier attempts that are shown.
const HOT: usize = 6;
const REMARKS: usize = 12;
const TRIED: usize = 8;
const MACHINE_LINES: usize = 60;

/// The conversation's beginning, and what it is about.
pub(super) struct Shown {
    pub(super) messages: Vec<Message>,
    /// Name and version of the prompt.
    pub(super) prompt: &'static str,
    /// The function that may change, below source.
    pub(super) focus: Option<String>,
}

/// What the prompt files refer to.
#[derive(Default, Serialize)]
struct Values {
    /// A line that no text of the program contains.
    mark: String,
    compiler: String,
    llvm: String,
    flags: String,
    instructions: String,
    focus: String,
    units: Vec<Unit>,
    text: String,
    above: String,
    above_is: &'static str,
    after: &'static str,
    instruction_set: &'static str,
    machine: String,
    hot: Vec<String>,
    remarks: Vec<String>,
    tried: Vec<String>,
}

impl Shown {
    pub(super) fn new(bench: &dyn Workbench, start: &Candidate, brief: &Brief) -> Self {
        let hot = bench.insight().hot_functions();
        let level = start.artifact.level;
        let focus = focus(start, brief.focus.as_deref(), hot);
        let function = focus.as_deref().unwrap_or_default();
        let llvm = bench
            .toolchain()
            .found()
            .version(Tool::Clang)
            .unwrap_or_default();
        let mut values = Values {
            compiler: format!("clang {llvm}"),
            llvm: llvm.to_owned(),
            flags: start.recipe.front_end.join(" "),
            instructions: brief.instructions.clone().unwrap_or_default(),
            focus: function.to_owned(),
            hot: bench.insight().hot_lines(HOT),
            tried: tried(bench),
            ..Values::default()
        };
        let prompt = match level {
            Level::Source => {
                values.remarks = bench.insight().missed(start, focus.as_deref(), REMARKS);
                values.units = units_shown(&start.artifact.units);
                prompts::SOURCE
            }
            Level::Ir => {
                values.text = excerpt(start, function, ir_excerpt);
                values.above = c_text(bench, function);
                values.after = after(start);
                prompts::IR
            }
            Level::Assembly => {
                values.text = excerpt(start, function, assembly_excerpt);
                values.above = c_text(bench, function);
                values.above_is = "C";
                values.machine = bench
                    .insight()
                    .machine_view(&values.text, MACHINE_LINES)
                    .unwrap_or_default();
                values.instruction_set = if start.recipe.host {
                    "Instructions of this machine that the function uses already are fine."
                } else {
                    "Only instructions that every x86-64 processor has (SSE2)."
                };
                prompts::ASSEMBLY
            }
        };
        values.mark = mark(&values);
        Self {
            messages: messages(prompt, &values),
            prompt: prompt.name,
            // In C any function may change.
            focus: focus.filter(|_| level != Level::Source),
        }
    }
}

fn messages(prompt: Prompt, values: &Values) -> Vec<Message> {
    let [system, user] = prompt.fill(values);
    vec![
        Message::System { text: system },
        Message::User { text: user },
    ]
}

/// What the passes still do with the IR.
fn after(start: &Candidate) -> &'static str {
    if start.recipe.pipeline.is_some() {
        "The whole middle end of clang -O3 runs after your change: vectorisation, unrolling and the like are still to come."
    } else {
        "The middle end has run already: what you write goes to the code generator as it is."
    }
}

/// A line that ends a text, and that nobody could have put into it.
pub(crate) fn mark_for(texts: &[&str]) -> String {
    let digest = whittle_toolchain::tools::Digest::of(
        &texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(),
    );
    format!("=== end {} ===", &digest.as_str()[..12])
}

fn mark(values: &Values) -> String {
    let mut texts: Vec<&str> = values.units.iter().map(|unit| unit.text.as_str()).collect();
    texts.extend([values.text.as_str(), values.above.as_str()]);
    mark_for(&texts)
}

/// The function to look at: the one asked for, else the hottest that is there.
fn focus(start: &Candidate, wanted: Option<&str>, hot: &[HotFunction]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for unit in &start.artifact.units {
        match start.artifact.level {
            Level::Source => names.extend(c_functions(&unit.text).into_iter().map(|f| f.name)),
            Level::Ir => names.extend(ir_functions(&unit.text).into_iter().map(|f| f.name)),
            Level::Assembly => {
                names.extend(assembly_functions(&unit.text).into_iter().map(|f| f.name));
            }
        }
    }
    let is_there = |name: &str| names.iter().any(|known| known == name);
    if let Some(wanted) = wanted.filter(|name| is_there(name)) {
        return Some(wanted.to_owned());
    }
    if start.artifact.level == Level::Source {
        return None;
    }
    let hottest = hot
        .iter()
        .map(|function| function.name.as_str())
        .find(|name| is_there(name));
    // What is hot may have been inlined: then it is in the function that calls it, most likely main.
    let fallback = || {
        let main = names.iter().find(|name| *name == "main");
        main.or(names.first()).cloned()
    };
    hottest.map(str::to_owned).or_else(fallback)
}

fn units_shown(units: &[Unit]) -> Vec<Unit> {
    let total: usize = units.iter().map(|unit| unit.text.len()).sum();
    units
        .iter()
        .map(|unit| {
            // Each file gets its share of what may be shown.
            let most = if total > LONGEST_TEXT {
                LONGEST_TEXT * unit.text.len() / total
            } else {
                unit.text.len()
            };
            Unit::new(unit.name.clone(), cut(&unit.text, most))
        })
        .collect()
}

fn excerpt(start: &Candidate, function: &str, of: fn(&str, &str) -> Option<String>) -> String {
    let found = start
        .artifact
        .units
        .iter()
        .find_map(|unit| of(&unit.text, function));
    cut(&found.unwrap_or_default(), LONGEST_TEXT)
}

/// The same function in the C of the nearest ancestor that is in C.
fn c_text(bench: &dyn Workbench, function: &str) -> String {
    let path = bench.tree().path(bench.node().id);
    let source = path
        .iter()
        .rev()
        .find(|node| node.candidate.artifact.level == Level::Source);
    let units = source
        .map(|node| node.candidate.artifact.units.as_slice())
        .unwrap_or_default();
    let text = units.iter().find_map(|unit| {
        let found = c_functions(&unit.text)
            .into_iter()
            .find(|f| f.name == function)?;
        unit.text.get(found.range).map(str::to_owned)
    });
    cut(&text.unwrap_or_default(), LONGEST_ABOVE)
}

/// What was tried from this node already, and what came of it.
fn tried(bench: &dyn Workbench) -> Vec<String> {
    let agent = bench.agent();
    let children: Vec<&Node> = bench
        .tree()
        .children(bench.node().id)
        .filter(|child| child.agent == agent && super::note_of(child).turn < bench.turn())
        .collect();
    let skip = children.len().saturating_sub(TRIED);
    children.into_iter().skip(skip).map(line).collect()
}

fn line(node: &Node) -> String {
    let outcome = match &node.outcome {
        Outcome::Rejected { rejection } => {
            let first = rejection.reason.lines().next().unwrap_or_default();
            format!("rejected: {}", cut(first, 160))
        }
        Outcome::Duplicate { .. } => "compiled to the same code as before".to_owned(),
        Outcome::Timed { speedup, .. } => format!("{speedup:.3} times the original's speed"),
    };
    format!("{}: {outcome}", node.change)
}
