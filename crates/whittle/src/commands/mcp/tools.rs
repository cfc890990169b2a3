//! The tools: names, descriptions, parameters.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_type;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;
use whittle_optimizer::candidate::{Level, Stage};
use whittle_optimizer::tree::NodeId;

/// What a client is told before all else.
pub(super) const INSTRUCTIONS: &str = include_str!("instructions.md");

/// Parameters of `open_program`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenProgram {
    /// Paths of all C files of the program; headers that they include with quotes are found beside them.
    #[serde(default)]
    pub(super) paths: Vec<String>,
    /// The files as text, in place of paths: C files, and the headers that they include with quotes.
    #[serde(default)]
    pub(super) files: Vec<File>,
    /// Path of a folder of tests: NAME.in is standard input, NAME.args has an argument per line, NAME.out what must come
    /// out; .args and .out may be missing. Some of them are held out. Without tests, inputs are made from the program.
    pub(super) tests: Option<String>,
    /// Compiler flags that give the program its meaning, such as "-DNDEBUG -std=gnu11".
    pub(super) cflags: Option<String>,
    /// Flags for the linker, such as "-lm".
    pub(super) ldflags: Option<String>,
    /// Wall time for search, evidence and measurements, your thinking included; at most, and by default, what the server
    /// was started with. About half of it is kept for export.
    pub(super) budget_seconds: Option<f64>,
    /// Seed of everything random.
    pub(super) seed: Option<u64>,
}

/// A file as text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Its name, without a folder, ending in .c or .h.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
}

/// A candidate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfCandidate {
    /// Number of the candidate: 3 for #3, 0 for the original.
    candidate: u32,
}

/// Parameters of `show_level`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowLevel {
    /// Number of the candidate: 3 for #3, 0 for the original.
    pub(super) candidate: u32,
    /// At which level; not above the candidate's own.
    pub(super) level: LevelName,
    /// Only this function, with what it refers to.
    pub(super) function: Option<String>,
}

/// Parameters of `remarks`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remarks {
    /// Number of the candidate: 3 for #3, 0 for the original. It has to be one in source.
    pub(super) candidate: u32,
    /// Only remarks about this function.
    pub(super) function: Option<String>,
}

/// Parameters of `lower`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Lower {
    /// Number of the candidate: 3 for #3, 0 for the original.
    pub(super) candidate: u32,
    /// How far down.
    stage: StageName,
    /// For `middle_end`: the pass pipeline as opt takes it, such as "default<O3>" or "function(sroa,gvn),globaldce"; without
    /// it, clang's own.
    passes: Option<String>,
}

/// Parameters of `submit_candidate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitCandidate {
    /// Number of the candidate to start from: 3 for #3, 0 for the original.
    pub(super) candidate: u32,
    /// At which level the edit is; not above the candidate's own.
    pub(super) level: LevelName,
    /// The function that the edit changes; needed for ir and assembly.
    pub(super) function: Option<String>,
    /// SEARCH/REPLACE blocks, or whole functions in fenced blocks.
    pub(super) edit: String,
    /// What is changed, in one line.
    pub(super) change: String,
}

/// No parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A level of the program's text.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum LevelName {
    Source,
    Ir,
    Assembly,
}

/// A stage of the compiler.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
enum StageName {
    #[serde(rename = "front_end")]
    Front,
    #[serde(rename = "middle_end")]
    Middle,
    #[serde(rename = "back_end")]
    Back,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Self {
        match name {
            LevelName::Source => Self::Source,
            LevelName::Ir => Self::Ir,
            LevelName::Assembly => Self::Assembly,
        }
    }
}

impl OfCandidate {
    pub(super) fn node(&self) -> NodeId {
        NodeId(self.candidate)
    }
}

impl Lower {
    /// The stage, or what to tell the client.
    pub(super) fn stage(self) -> Result<Stage, String> {
        match (self.stage, self.passes) {
            (StageName::Front, None) => Ok(Stage::FrontEnd),
            (StageName::Middle, pipeline) => Ok(Stage::MiddleEnd { pipeline }),
            (StageName::Back, None) => Ok(Stage::BackEnd),
            (_, Some(_)) => Err("passes are for the stage middle_end".to_owned()),
        }
    }
}

/// All tools.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool::<OpenProgram>(
            "open_program",
            "Open a C program and begin a search for a faster one. Give either paths or files. Checks that the program can \
             be a reference, collects inputs and measures the machine's noise, so it takes up to a minute or two; answers \
             the run, the number of visible tests, where the time goes, and the budget. One program is open at a time, \
             until export.",
            false,
        ),
        tool::<ShowLevel>(
            "show_level",
            "Show a candidate as C source, LLVM IR or assembly: all of it, or one function. For a candidate in source, ir is \
             the code before the middle end's passes. An edit at ir or assembly is of exactly this text.",
            true,
        ),
        tool::<Remarks>(
            "remarks",
            "What the compiler's passes wanted to do with a candidate in source and could not, and why: loops not vectorized, \
             calls not inlined, loads not hoisted.",
            true,
        ),
        tool::<Nothing>(
            "profile",
            "Where the original spends its time: functions and lines by execution counts, the hottest first.",
            true,
        ),
        tool::<Lower>(
            "lower",
            "Make a candidate of its own out of a candidate at a lower stage: front_end gives IR before the passes, \
             middle_end optimized IR (by the passes you name, or clang's own), back_end assembly. It is tested and timed. \
             Only needed to choose passes or to fix a lower level as the start of further edits: submit_candidate lowers by \
             itself.",
            false,
        ),
        tool::<SubmitCandidate>(
            "submit_candidate",
            "Edit a candidate and try the result: it is built, run on the visible tests and timed. Answers the number of the \
             new candidate and its verdict. The edit is one or more SEARCH/REPLACE blocks, each copied exactly from what \
             show_level shows and occurring there once, or whole functions in fenced blocks (```) that replace the functions \
             of the same names. Nothing is lost by a wrong edit but time.",
            false,
        ),
        tool::<OfCandidate>(
            "verdict",
            "What came of a candidate: why it was rejected, of which other it is a duplicate, or how fast it is.",
            true,
        ),
        tool::<Nothing>(
            "tree",
            "All candidates so far, a line each with what came of it, indented below what they were made from.",
            true,
        ),
        tool::<Nothing>(
            "budget",
            "What of the search's budget is spent. Once it is, only export is left.",
            true,
        ),
        tool::<Nothing>(
            "export",
            "End the search. The best candidates are checked on inputs that nobody has seen and measured afresh; the result \
             is written to a folder. Takes about as long as the search may. Answers the result in a sentence, what it rests \
             on, and where the files are. Afterwards another program may be opened.",
            false,
        ),
    ]
}

fn tool<T: JsonSchema + 'static>(
    name: &'static str,
    description: &'static str,
    only_reads: bool,
) -> Tool {
    let mut schema = JsonObject::clone(&schema_for_type::<T>());
    // The names of Rust types say nothing to a client.
    schema.remove("title");
    schema.remove("description");
    Tool::new(name, description, Arc::new(schema)).with_annotations(
        ToolAnnotations::new()
            .read_only(only_reads)
            .destructive(false)
            .open_world(false),
    )
}
