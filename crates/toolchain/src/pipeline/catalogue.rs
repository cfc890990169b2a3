//! Passes worth trying where `-O3` does not run them, and what the installed LLVM knows of them.

use std::collections::BTreeMap;

use super::options::{self, PassOption};
use super::tree::{Level, Node, Pipeline};

/// A pass that `-O3` does not run, or not everywhere it may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    /// The pass as text. A pipeline that has the pass already lends its own, with parameters that its LLVM understands.
    pub text: &'static str,
    /// The levels of the sequences in which it may stand.
    pub levels: &'static [Level],
    /// Passes beside which it is most likely of use, the best place first.
    pub beside: &'static [&'static str],
    /// Flags of `opt` without which it does nothing on ordinary processors.
    pub flags: &'static [&'static str],
}

impl Extra {
    /// Name of the pass.
    pub fn name(&self) -> &'static str {
        self.text.split('<').next().unwrap_or(self.text)
    }
}

const MODULE: &[Level] = &[Level::Module];
const CGSCC: &[Level] = &[Level::Cgscc];
const FUNCTION: &[Level] = &[Level::Function];
/// Loop passes that do not keep memory in SSA form.
const LOOP: &[Level] = &[Level::Loop];
/// Loop passes that need it.
const MSSA: &[Level] = &[Level::LoopMssa];
/// Loop passes that run either way.
const ANY_LOOP: &[Level] = &[Level::Loop, Level::LoopMssa];

const fn extra(
    text: &'static str,
    levels: &'static [Level],
    beside: &'static [&'static str],
) -> Extra {
    Extra {
        text,
        levels,
        beside,
        flags: &[],
    }
}

/// The late part of the pipeline, around the vectorizers.
const LATE: &[&str] = &["loop-vectorize", "loop-unroll", "slp-vectorizer"];
/// Where loops are in canonical form and not yet unrolled or vectorized.
const LOOPS: &[&str] = &["loop-distribute", "loop-vectorize", "loop-idiom", "indvars"];
/// Where scalars are simplified.
const SCALAR: &[&str] = &["gvn", "sccp", "jump-threading", "early-cse", "dse"];
/// Where calls are decided upon.
const CALLS: &[&str] = &[
    "globalopt",
    "deadargelim",
    "ipsccp",
    "always-inline",
    "globaldce",
];

const EXTRAS: &[Extra] = &[
    // Not in -O3 at all.
    extra("loop-interchange", LOOP, LOOPS),
    extra("loop-flatten", ANY_LOOP, LOOPS),
    extra("loop-bound-split", LOOP, LOOPS),
    extra(
        "loop-versioning-licm",
        LOOP,
        &["loop-vectorize", "licm", "loop-distribute"],
    ),
    extra(
        "loop-reduce",
        ANY_LOOP,
        &["loop-unroll", "loop-sink", "div-rem-pairs"],
    ),
    extra("lnicm", MSSA, &["licm", "loop-rotate"]),
    Extra {
        flags: &["-allow-unroll-and-jam"],
        ..extra("loop-unroll-and-jam", LOOP, LATE)
    },
    Extra {
        flags: &["-prefetch-distance=256", "-max-prefetch-iters-ahead=64"],
        ..extra(
            "loop-data-prefetch",
            FUNCTION,
            &["loop-unroll", "loop-sink"],
        )
    },
    extra("loop-fusion", FUNCTION, LOOPS),
    extra("loop-versioning", FUNCTION, LATE),
    extra("irce", FUNCTION, LOOPS),
    extra("gvn-hoist", FUNCTION, SCALAR),
    extra("gvn-sink", FUNCTION, SCALAR),
    extra("newgvn", FUNCTION, SCALAR),
    extra(
        "dfa-jump-threading",
        FUNCTION,
        &["jump-threading", "dse", "loop-vectorize"],
    ),
    extra(
        "sink",
        FUNCTION,
        &["loop-sink", "instsimplify", "simplifycfg"],
    ),
    extra("flatten-cfg", FUNCTION, &["simplifycfg"]),
    extra("lower-switch", FUNCTION, &["simplifycfg", "jump-threading"]),
    extra(
        "jump-table-to-switch",
        FUNCTION,
        &["simplifycfg", "instcombine"],
    ),
    extra(
        "separate-const-offset-from-gep",
        FUNCTION,
        &["loop-unroll", "loop-sink", "licm"],
    ),
    extra(
        "nary-reassociate",
        FUNCTION,
        &["reassociate", "loop-unroll", "loop-sink"],
    ),
    extra(
        "slsr",
        FUNCTION,
        &["reassociate", "loop-unroll", "loop-sink"],
    ),
    extra(
        "load-store-vectorizer",
        FUNCTION,
        &["slp-vectorizer", "vector-combine"],
    ),
    extra(
        "interleaved-load-combine",
        FUNCTION,
        &["loop-vectorize", "vector-combine"],
    ),
    extra(
        "scalarizer",
        FUNCTION,
        &["vector-combine", "slp-vectorizer"],
    ),
    extra(
        "partially-inline-libcalls",
        FUNCTION,
        &["libcalls-shrinkwrap", "loop-unroll"],
    ),
    extra("mergeicmps", FUNCTION, &["memcpyopt", "simplifycfg"]),
    extra("consthoist", FUNCTION, &["div-rem-pairs", "loop-sink"]),
    extra("hotcoldsplit", MODULE, CALLS),
    extra("partial-inliner", MODULE, CALLS),
    extra("mergefunc", MODULE, CALLS),
    extra("attributor", MODULE, CALLS),
    extra("attributor-light", MODULE, CALLS),
    extra("module-inline", MODULE, CALLS),
    extra("inliner-wrapper", MODULE, CALLS),
    // For programs of one module: nothing but main is visible from outside.
    Extra {
        flags: &["-internalize-public-api-list=main"],
        ..extra(
            "internalize",
            MODULE,
            &["ipsccp", "called-value-propagation"],
        )
    },
    extra(
        "attributor-cgscc",
        CGSCC,
        &["function-attrs", "argpromotion"],
    ),
    extra("argpromotion", CGSCC, &["function-attrs", "inline"]),
    // In -O3, and perhaps once more.
    extra("ipsccp", MODULE, CALLS),
    extra("globalopt", MODULE, CALLS),
    extra(
        "early-cse<memssa>",
        FUNCTION,
        &["loop-unroll", "slp-vectorizer", "licm"],
    ),
    extra(
        "instcombine<no-verify-fixpoint>",
        FUNCTION,
        &["loop-unroll", "gvn", "loop-idiom"],
    ),
    extra("aggressive-instcombine", FUNCTION, &["loop-unroll", "gvn"]),
    extra(
        "jump-threading",
        FUNCTION,
        &["loop-unroll", "gvn", "simplifycfg"],
    ),
    extra("correlated-propagation", FUNCTION, &["loop-unroll", "gvn"]),
    extra("constraint-elimination", FUNCTION, &["gvn", "loop-unroll"]),
    extra("gvn", FUNCTION, &["loop-unroll", "loop-idiom", "licm"]),
    extra("reassociate", FUNCTION, &["loop-unroll", "gvn"]),
    extra("dse", FUNCTION, &["loop-unroll", "memcpyopt"]),
    extra("memcpyopt", FUNCTION, &["loop-idiom", "loop-unroll"]),
    extra("tailcallelim", FUNCTION, &["gvn", "dse"]),
    extra("speculative-execution", FUNCTION, &["simplifycfg"]),
    extra(
        "slp-vectorizer",
        FUNCTION,
        &["loop-unroll", "loop-vectorize"],
    ),
    extra(
        "loop-vectorize",
        FUNCTION,
        &["loop-unroll", "slp-vectorizer"],
    ),
    extra(
        "loop-unroll",
        FUNCTION,
        &["loop-vectorize", "slp-vectorizer"],
    ),
    extra("loop-load-elim", FUNCTION, LATE),
    extra("loop-distribute", FUNCTION, LOOPS),
    extra("loop-sink", FUNCTION, &["licm", "div-rem-pairs"]),
    extra("loop-simplifycfg", ANY_LOOP, LOOPS),
    extra("loop-rotate", ANY_LOOP, LOOPS),
    extra("loop-idiom", ANY_LOOP, LOOPS),
    extra("loop-deletion", ANY_LOOP, LOOPS),
    extra("indvars", ANY_LOOP, LOOPS),
    extra("loop-unroll-full", LOOP, LATE),
    extra("licm", MSSA, LATE),
    extra("simple-loop-unswitch", ANY_LOOP, LATE),
];

/// What can be added to a pipeline and set in it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    extras: Vec<Extra>,
    /// The parameters that the installed LLVM lists, by pass; `None` if it was not asked.
    listed: Option<BTreeMap<String, String>>,
}

impl Catalogue {
    /// Everything, whether the installed LLVM has it or not.
    pub fn full() -> Self {
        Self {
            extras: EXTRAS.to_vec(),
            listed: None,
        }
    }

    /// What an LLVM knows, from what its `opt --print-passes` prints.
    pub fn known_to(print_passes: &str) -> Self {
        let listed = listing(print_passes);
        Self {
            extras: EXTRAS
                .iter()
                .filter(|extra| listed.contains_key(extra.name()))
                .copied()
                .collect(),
            listed: Some(listed),
        }
    }

    /// The same without one of the passes to add.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.extras.retain(|extra| extra.name() != name);
        self
    }

    /// The passes to add.
    pub fn extras(&self) -> &[Extra] {
        &self.extras
    }

    /// Flags of `opt` that passes of this pipeline need to do anything, each once.
    pub fn flags_of(&self, pipeline: &Pipeline) -> Vec<&'static str> {
        let passes = pipeline.passes();
        self.extras
            .iter()
            .filter(|extra| passes.iter().any(|pass| pass.name == extra.name()))
            .flat_map(|extra| extra.flags.iter().copied())
            .collect()
    }

    /// Parameters of a pass that can be set.
    pub(super) fn options(&self, node: &Node) -> Vec<&'static PassOption> {
        let known = |option: &PassOption| {
            let Some(listed) = &self.listed else {
                return true;
            };
            let listed = listed.get(&node.name).map_or("", String::as_str);
            let present = node.parameters.as_deref().unwrap_or_default();
            let mut items = listed.split(';').chain(present.split(';'));
            items.any(|item| option.is_set_by(item))
        };
        let of_this_pass = options::ALL.iter().filter(|pass| pass.pass == node.name);
        of_this_pass
            .flat_map(|pass| pass.options)
            .filter(|option| known(option))
            .collect()
    }
}

/// The passes that `opt --print-passes` lists, with the parameters that it lists.
fn listing(print_passes: &str) -> BTreeMap<String, String> {
    let mut listed = BTreeMap::new();
    let mut in_passes = false;
    for line in print_passes.lines() {
        let Some(entry) = line.strip_prefix("  ") else {
            // Machine passes run on machine code, and analyses are no passes.
            in_passes = line.contains(" passes") && !line.starts_with("Machine");
            continue;
        };
        if in_passes {
            let (name, parameters) = entry.split_once('<').unwrap_or((entry, ""));
            let parameters = parameters.strip_suffix('>').unwrap_or(parameters);
            let known: &mut String = listed.entry(name.to_owned()).or_default();
            // Some passes are listed twice, with and without parameters.
            if known.is_empty() {
                parameters.clone_into(known);
            }
        }
    }
    listed
}
