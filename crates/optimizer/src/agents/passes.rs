//! Searches the middle end: the passes, their order and parameters, and the thresholds that they decide by.

use std::cell::OnceCell;

use rand::Rng as _;
use whittle_toolchain::pipeline::{Catalogue, Pipeline, mutate, suggestion};
use whittle_toolchain::tools::Tool;

use crate::agents::recipes::{self, Experience, Note, crossed, is_new, partner, with_flag};
use crate::agents::{Agent, AgentEntry, Proposal, TurnEnded, Workbench};
use crate::candidate::{Candidate, Level, Recipe};
use crate::program::is_translation_unit;
use crate::tree::{Node, Tree};

pub(super) const ENTRY: AgentEntry = AgentEntry {
    name: "passes",
    summary: "changes which passes run, in which order and by which thresholds",
    needs_model: false,
    build: |_| Box::new(Passes::default()),
};

/// What to try first, roughly the most promising in front: flags of `opt`, or passes of the catalogue.
const FIRST: &[&[&str]] = &[
    &["-inline-threshold=1000"],
    &["internalize"],
    &["-unroll-count=4"],
    &["-force-vector-width=1", "-force-vector-interleave=1"],
    &["loop-interchange"],
    &[
        "-two-entry-phi-node-folding-threshold=16",
        "-phi-node-folding-threshold=8",
    ],
    &["-unroll-threshold=1500", "-unroll-partial-threshold=1500"],
    &["dfa-jump-threading"],
    &["-force-vector-interleave=4"],
    &["-enable-loop-distribute"],
    &["loop-unroll-and-jam"],
    &["-slp-threshold=4"],
    &["-jump-threading-threshold=24"],
    &["newgvn"],
    &["partial-inliner"],
    &["gvn-hoist"],
    &["loop-flatten"],
    &["attributor"],
];

/// Thresholds and switches of single passes, and values worth trying.
const FLAGS: &[(&str, &[&str])] = &[
    (
        "-inline-threshold",
        &["25", "100", "500", "1000", "3000", "10000"],
    ),
    ("-inlinehint-threshold", &["1000", "5000"]),
    ("-locally-hot-callsite-threshold", &["100", "2000"]),
    ("-unroll-threshold", &["50", "150", "600", "1500", "4000"]),
    ("-unroll-partial-threshold", &["50", "300", "1500"]),
    ("-unroll-count", &["1", "2", "4", "8", "16"]),
    ("-unroll-max-count", &["2", "4", "16"]),
    ("-unroll-max-upperbound", &["4", "16", "64"]),
    ("-unroll-runtime-multi-exit", &["1"]),
    ("-unroll-allow-peeling", &["0"]),
    ("-force-vector-width", &["1", "2", "4", "8", "16"]),
    ("-force-vector-interleave", &["1", "2", "4", "8"]),
    ("-vectorizer-maximize-bandwidth", &["1"]),
    ("-vectorizer-min-trip-count", &["4", "64"]),
    ("-enable-epilogue-vectorization", &["0"]),
    ("-vectorize-memory-check-threshold", &["8", "512"]),
    ("-enable-cond-stores-vec", &["0"]),
    ("-slp-threshold", &["-8", "-2", "2", "4", "100"]),
    ("-slp-min-tree-size", &["2", "5"]),
    ("-slp-max-vf", &["2", "4"]),
    (
        "-two-entry-phi-node-folding-threshold",
        &["0", "8", "16", "40"],
    ),
    ("-phi-node-folding-threshold", &["0", "4", "8", "16"]),
    ("-max-speculation-depth", &["2", "20"]),
    ("-speculate-one-expensive-inst", &["0"]),
    ("-spec-exec-max-speculation-cost", &["0", "20"]),
    ("-jump-threading-threshold", &["0", "12", "24", "60"]),
    ("-jump-threading-across-loop-headers", &["1"]),
    ("-licm-control-flow-hoisting", &["1"]),
    ("-enable-loop-distribute", &["1"]),
    ("-unswitch-threshold", &["0", "200", "1000"]),
    ("-rotation-max-header-size", &["4", "48", "128"]),
    ("-available-load-scan-limit", &["50"]),
    ("-memdep-block-scan-limit", &["500"]),
    ("-max-uses-for-sinking", &["5", "100"]),
    ("-simplifycfg-hoist-common-skip-limit", &["0", "100"]),
    ("-funcspec-min-function-size", &["20", "100"]),
];

/// Changes drawn by chance for every one that is proposed.
const DRAWS: usize = 6;
/// Where changes drawn by chance stand among what to try first.
const CHANCE_RANK: usize = 6;
/// How often two good recipes are crossed instead.
const CROSSED: f64 = 0.2;
/// How often a change by chance is one of a flag, and how often an edit is followed by another one.
const FLAG: f64 = 0.4;
const ANOTHER: f64 = 0.25;

/// What the installed `opt` understands; nothing that is learned in a run.
struct Known {
    catalogue: Catalogue,
    help: Option<String>,
}

#[derive(Default)]
struct Passes {
    known: OnceCell<Known>,
}

impl Agent for Passes {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn level(&self) -> Level {
        Level::Ir
    }

    fn applies(&self, node: &Node, _: &Tree) -> bool {
        node.candidate.artifact.level != Level::Assembly
    }

    fn work(&mut self, bench: &mut dyn Workbench) -> Result<(), TurnEnded> {
        let known = self.known(bench)?;
        let start = Start::new(bench, known)?;
        recipes::turn(ENTRY.name, bench, |bench, experience| {
            Ok(start.propose(bench, experience))
        })
    }
}

impl Passes {
    fn known(&self, bench: &dyn Workbench) -> Result<&Known, TurnEnded> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let print = |argument| recipes::printed(bench.toolchain(), Tool::Opt, argument);
        let passes = print("--print-passes")?;
        let known = Known {
            catalogue: passes.map_or_else(Catalogue::full, |text| Catalogue::known_to(&text)),
            help: print("--help-hidden")?,
        };
        Ok(self.known.get_or_init(|| known))
    }
}

/// Where a turn starts.
struct Start<'a> {
    node: Node,
    /// The passes that run there, if they can be read.
    pipeline: Option<Pipeline>,
    catalogue: Catalogue,
    known: &'a Known,
}

/// A change that may be proposed.
struct Change {
    recipe: Recipe,
    words: String,
    note: Note,
    rank: usize,
}

impl<'a> Start<'a> {
    fn new(bench: &dyn Workbench, known: &'a Known) -> Result<Self, TurnEnded> {
        let mut node = bench.node().clone();
        // IR that was optimized with a profile has it in itself, and no longer looks as it did when it was measured.
        node.candidate.recipe.profile &= node.candidate.artifact.level == Level::Source;
        let Candidate { artifact, recipe } = &node.candidate;
        let pipeline = bench.pipeline(recipe)?.parse().ok();
        let modules = artifact
            .units
            .iter()
            .filter(|unit| is_translation_unit(unit));
        let catalogue = known.catalogue.clone();
        // Modules that are linked later need each other's functions; merged ones have lost what nobody needs.
        let alone = modules.count() == 1;
        let catalogue = if alone {
            catalogue
        } else {
            catalogue.without("internalize")
        };
        Ok(Self {
            node,
            pipeline,
            catalogue,
            known,
        })
    }

    fn propose(&self, bench: &mut dyn Workbench, experience: &Experience) -> Option<Proposal> {
        let mut changes: Vec<Change> = Vec::new();
        if bench.random().random_bool(CROSSED) {
            changes.extend(self.crossed(bench));
        }
        if changes.is_empty() {
            changes.extend((0..FIRST.len()).filter_map(|rank| self.first(rank)));
            changes.extend((0..DRAWS).filter_map(|_| self.by_chance(bench)));
            changes.retain(|change| is_new(&self.candidate(&change.recipe), bench.tree()));
        }
        let random = bench.random();
        let drawn = changes.into_iter().map(|change| {
            let chances = change.note.changes.iter();
            let chance = chances
                .map(|sort| experience.draw(sort, change.rank, random))
                .fold(0.0, f64::max);
            (chance, change)
        });
        let (_, change) = drawn.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some(Proposal {
            candidate: self.candidate(&change.recipe),
            change: change.words,
            note: change.note.to_json(),
        })
    }

    fn candidate(&self, recipe: &Recipe) -> Candidate {
        Candidate {
            artifact: self.node.candidate.artifact.clone(),
            recipe: recipe.clone(),
        }
    }

    /// The node's recipe with other passes.
    fn with_pipeline(&self, pipeline: &Pipeline) -> Recipe {
        let mut recipe = self.node.candidate.recipe.clone();
        for flag in self.catalogue.flags_of(pipeline) {
            recipe.middle_end = with_flag(&recipe.middle_end, flag);
        }
        recipe.pipeline = Some(pipeline.to_string());
        recipe
    }

    fn with_flags(&self, flags: &[&str]) -> Recipe {
        let mut recipe = self.node.candidate.recipe.clone();
        for flag in flags {
            recipe.middle_end = with_flag(&recipe.middle_end, flag);
        }
        // Optimized IR is not optimized again unless the recipe says so, and without passes flags do nothing.
        if self.node.candidate.artifact.level == Level::Ir && recipe.pipeline.is_none() {
            recipe.pipeline = self.pipeline.as_ref().map(ToString::to_string);
        }
        recipe
    }

    /// Something to try first.
    fn first(&self, rank: usize) -> Option<Change> {
        let things = FIRST[rank];
        if things.iter().all(|thing| thing.starts_with('-')) {
            let known = things.iter().all(|flag| self.is_known(flag));
            return known.then(|| self.flags(things, rank));
        }
        let pipeline = self.pipeline.as_ref()?;
        let extra = self
            .catalogue
            .extras()
            .iter()
            .find(|extra| things.contains(&extra.name()))?;
        if pipeline
            .passes()
            .iter()
            .any(|pass| pass.name == extra.name())
        {
            return None;
        }
        let edit = suggestion(pipeline, extra)?;
        Some(Change {
            recipe: self.with_pipeline(&edit.apply(pipeline).ok()?),
            words: edit.describe(pipeline),
            note: Note {
                changes: vec![edit.sort(pipeline)],
                edits: vec![edit],
            },
            rank,
        })
    }

    fn flags(&self, flags: &[&str], rank: usize) -> Change {
        let text = flags.join(" ");
        Change {
            recipe: self.with_flags(flags),
            words: format!("sets {text}"),
            note: Note {
                changes: vec![text],
                edits: Vec::new(),
            },
            rank,
        }
    }

    fn is_known(&self, flag: &str) -> bool {
        self.known
            .help
            .as_ref()
            .is_none_or(|help| recipes::explains(help, flag))
    }

    fn by_chance(&self, bench: &mut dyn Workbench) -> Option<Change> {
        let random = bench.random();
        let Some(start) = self.pipeline.as_ref().filter(|_| !random.random_bool(FLAG)) else {
            let (flag, values) = FLAGS[random.random_range(0..FLAGS.len())];
            let value = values[random.random_range(0..values.len())];
            let flag = format!("{flag}={value}");
            return self
                .is_known(&flag)
                .then(|| self.flags(&[&flag], CHANCE_RANK));
        };
        let mut pipeline = start.clone();
        let (mut note, mut words) = (Note::default(), Vec::new());
        loop {
            let (changed, edit) = mutate(&pipeline, random, &self.catalogue)?;
            words.push(edit.describe(&pipeline));
            note.changes.push(edit.sort(&pipeline));
            note.edits.push(edit);
            pipeline = changed;
            if !random.random_bool(ANOTHER) {
                break;
            }
        }
        Some(Change {
            recipe: self.with_pipeline(&pipeline),
            words: words.join("; "),
            note,
            rank: CHANCE_RANK,
        })
    }

    /// The node's recipe crossed with another good one.
    fn crossed(&self, bench: &mut dyn Workbench) -> Option<Change> {
        let mut random = bench.random().clone();
        let other = partner(&self.node, bench.tree(), &mut random)?;
        let (id, other) = (other.id, other.candidate.recipe.clone());
        let recipe = crossed(&self.node.candidate.recipe, &other, &mut random);
        *bench.random() = random;
        let new = is_new(&self.candidate(&recipe), bench.tree());
        new.then(|| Change {
            recipe,
            words: format!("takes over part of what {id} does"),
            note: Note {
                changes: vec!["cross".to_owned()],
                edits: Vec::new(),
            },
            rank: 0,
        })
    }
}
