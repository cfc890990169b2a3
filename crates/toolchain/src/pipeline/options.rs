//! The parameters of passes: which there are, and how they are set.

/// Parameters of a pass.
#[derive(Debug, Clone, Copy)]
pub struct PassOptions {
    /// The pass.
    pub pass: &'static str,
    /// Its parameters, each independent of the others.
    pub options: &'static [PassOption],
}

/// One parameter of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassOption {
    /// Turned on by its name, off by `no-` and its name.
    Flag(&'static str),
    /// Turned on by its name, off by leaving it out.
    Word(&'static str),
    /// `name=N` with one of these values.
    Number(&'static str, &'static [u32]),
    /// Exactly one of these words.
    OneOf(&'static [&'static str]),
}

use PassOption::{Flag, Number, OneOf, Word};

/// What LLVM 16 to 19 take; see the lists "passes with params" of `opt --print-passes`.
pub(super) const ALL: &[PassOptions] = &[
    PassOptions {
        pass: "simplifycfg",
        options: &[
            Flag("forward-switch-cond"),
            Flag("switch-range-to-icmp"),
            Flag("switch-to-lookup"),
            Flag("keep-loops"),
            Flag("hoist-common-insts"),
            Flag("sink-common-insts"),
            Flag("speculate-blocks"),
            Flag("simplify-cond-branch"),
            Flag("speculate-unpredictables"),
            Number("bonus-inst-threshold", &[0, 1, 2, 3, 5, 8, 16]),
        ],
    },
    PassOptions {
        pass: "loop-unroll",
        options: &[
            OneOf(&["O1", "O2", "O3"]),
            Flag("partial"),
            Flag("peeling"),
            Flag("profile-peeling"),
            Flag("runtime"),
            Flag("upperbound"),
            Number("full-unroll-max", &[0, 2, 4, 8, 16, 32, 64, 128]),
        ],
    },
    PassOptions {
        pass: "loop-vectorize",
        options: &[
            Flag("interleave-forced-only"),
            Flag("vectorize-forced-only"),
        ],
    },
    PassOptions {
        pass: "gvn",
        options: &[
            Flag("pre"),
            Flag("load-pre"),
            Flag("split-backedge-load-pre"),
            Flag("memdep"),
        ],
    },
    PassOptions {
        pass: "instcombine",
        options: &[
            Flag("use-loop-info"),
            Number("max-iterations", &[1, 2, 4, 8]),
        ],
    },
    PassOptions {
        pass: "loop-rotate",
        options: &[Flag("header-duplication"), Flag("prepare-for-lto")],
    },
    PassOptions {
        pass: "simple-loop-unswitch",
        options: &[Flag("nontrivial"), Flag("trivial")],
    },
    PassOptions {
        pass: "licm",
        options: &[Flag("allowspeculation")],
    },
    PassOptions {
        pass: "lnicm",
        options: &[Flag("allowspeculation")],
    },
    PassOptions {
        pass: "sroa",
        options: &[OneOf(&["preserve-cfg", "modify-cfg"])],
    },
    PassOptions {
        pass: "early-cse",
        options: &[Word("memssa")],
    },
    PassOptions {
        pass: "mldst-motion",
        options: &[Flag("split-footer-bb")],
    },
    PassOptions {
        pass: "speculative-execution",
        options: &[Word("only-if-divergent-target")],
    },
    PassOptions {
        pass: "separate-const-offset-from-gep",
        options: &[Word("lower-gep")],
    },
    PassOptions {
        pass: "ipsccp",
        options: &[Flag("func-spec")],
    },
    PassOptions {
        pass: "inline",
        options: &[Word("only-mandatory")],
    },
];

impl PassOption {
    /// Whether an item of a list of parameters sets this one.
    pub(super) fn is_set_by(&self, item: &str) -> bool {
        match self {
            Flag(name) => item == *name || item.strip_prefix("no-") == Some(name),
            Word(name) => item == *name,
            Number(name, _) => item.split_once('=').is_some_and(|(left, _)| left == *name),
            OneOf(words) => words.contains(&item),
        }
    }

    /// The lists of parameters that differ from this one in how they set this parameter.
    pub(super) fn alternatives(&self, parameters: Option<&str>) -> Vec<Option<String>> {
        let present = items(parameters);
        let index = present.iter().position(|item| self.is_set_by(item));
        let settings: Vec<Option<String>> = match self {
            Flag(name) => vec![Some((*name).to_owned()), Some(format!("no-{name}"))],
            Word(name) => vec![Some((*name).to_owned()), None],
            Number(name, values) => values.iter().map(|n| Some(format!("{name}={n}"))).collect(),
            OneOf(words) => words.iter().map(|word| Some((*word).to_owned())).collect(),
        };
        let with = |setting: &Option<String>| {
            let mut items = present.clone();
            match (index, setting) {
                (Some(index), Some(item)) => items[index] = item,
                (Some(index), None) => drop(items.remove(index)),
                (None, Some(item)) => items.push(item),
                (None, None) => {}
            }
            (parameters.is_some() || !items.is_empty()).then(|| items.join(";"))
        };
        let is_other = |setting: &&Option<String>| setting.as_deref() != index.map(|i| present[i]);
        settings.iter().filter(is_other).map(with).collect()
    }
}

fn items(parameters: Option<&str>) -> Vec<&str> {
    let text = parameters.unwrap_or_default();
    text.split(';').filter(|item| !item.is_empty()).collect()
}

/// The difference between two lists of parameters in words.
pub(super) fn changes(old: Option<&str>, new: Option<&str>) -> String {
    let (old, new) = (items(old), items(new));
    let set: Vec<&str> = new
        .iter()
        .copied()
        .filter(|item| !old.contains(item))
        .collect();
    if !set.is_empty() {
        return format!("sets {}", set.join(" and "));
    }
    let unset: Vec<&str> = old
        .iter()
        .copied()
        .filter(|item| !new.contains(item))
        .collect();
    if unset.is_empty() {
        "changes nothing".to_owned()
    } else {
        format!("unsets {}", unset.join(" and "))
    }
}
