//! Searches the flags around the middle end: profile, instruction set, optimization level, code generation, linking.

use std::cell::OnceCell;

use whittle_toolchain::pipeline::{Pipeline, transplant};
use whittle_toolchain::tools::Tool;

use crate::agents::recipes::{self, Experience, Note, is_new, with_flag};
use crate::agents::{Agent, AgentEntry, AgentOptions, Proposal, TurnEnded, Workbench};
use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::program::is_translation_unit;
use crate::tree::{Node, Tree};

pub(super) const ENTRY: AgentEntry = AgentEntry {
    name: "flags",
    summary: "tries an execution profile, this host's instruction set and flags of front end, code generator and linker",
    needs_model: false,
    build: |options| {
        Box::new(Flags {
            options: options.clone(),
            help: OnceCell::new(),
        })
    },
};

/// One thing to change in a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The front end uses an execution profile.
    Profile,
    /// This host's instruction set, without fused operations, which round otherwise.
    Host,
    /// This host's instruction set may round otherwise after all; the tests decide whether it does.
    Fused,
    /// The middle end is told of instructions that the code generator then does without: loops that are idioms for one of
    /// them become an operation, which has a fast form without the instruction, too.
    RicherTarget,
    /// Loops are interchanged before anything else changes them.
    Interchange,
    /// All modules are optimized as one.
    Merge,
    /// Code that runs at a fixed address.
    FixedAddress,
    /// A flag of the front end.
    FrontEnd(&'static str),
    /// A flag of the front end for code with this host's instruction set.
    HostFrontEnd(&'static str),
    /// A flag of the front end that only chooses among clang's pipelines.
    Pipeline(&'static str),
    /// Mathematical functions need not set `errno`, in programs that never look at it.
    NoErrno,
    /// A flag of the code generator.
    BackEnd(&'static str),
}

use Change::{
    BackEnd, FixedAddress, FrontEnd, Fused, Host, HostFrontEnd, Interchange, Merge, NoErrno,
    Profile, RicherTarget,
};

/// Instructions that every x86-64 processor of the last fifteen years has, but that clang may not take for granted.
const RICHER: &str = "-mattr=+popcnt,+ssse3,+sse4.1,+sse4.2";
/// The code generator's flag that takes them back.
const PLAIN_AGAIN: &str = "-mattr=-popcnt,-ssse3,-sse4.1,-sse4.2";
/// What makes loops fit for interchange, and interchanges them. It has to come first: what hoists and vectorizes makes
/// them unfit.
const INTERCHANGE: &str =
    "function(sroa,instcombine,simplifycfg,loop(loop-rotate,indvars),loop(loop-interchange))";
/// Without this the analysis gives up on nearly every array with more than one dimension.
const SUBSCRIPTS_STAY: &str = "-da-disable-delinearization-checks";

/// What to try, roughly the most promising in front.
const CHANGES: &[Change] = &[
    Merge,
    RicherTarget,
    Host,
    Interchange,
    Profile,
    FixedAddress,
    NoErrno,
    Change::Pipeline("-fno-vectorize"),
    Change::Pipeline("-O2"),
    BackEnd("-x86-cmov-converter=0"),
    Change::Pipeline("-fno-unroll-loops"),
    Change::Pipeline("-fno-slp-vectorize"),
    BackEnd("-align-loops=32"),
    Fused,
    BackEnd("-x86-cmov-converter-force-all"),
    HostFrontEnd("-mprefer-vector-width=512"),
    HostFrontEnd("-mprefer-vector-width=128"),
    BackEnd("-disable-lsr"),
    BackEnd("-enable-misched=0"),
    BackEnd("-tail-dup-placement=0"),
    BackEnd("-align-all-nofallthru-blocks=5"),
    BackEnd("-enable-ext-tsp-block-placement"),
    BackEnd("-tail-dup-placement-threshold=6"),
    FrontEnd("-fno-jump-tables"),
    FrontEnd("-mtune=haswell"),
    FrontEnd("-mtune=znver3"),
    FrontEnd("-mtune=icelake-server"),
    BackEnd("-x86-early-ifcvt"),
    BackEnd("-lsr-insns-cost=0"),
    BackEnd("-machine-sink-split=0"),
    BackEnd("-x86-br-merging-base-cost=0"),
    BackEnd("-x86-br-merging-base-cost=8"),
    BackEnd("-force-precise-rotation-cost"),
    BackEnd("-max-loads-per-memcmp=16"),
    BackEnd("-min-jump-table-entries=12"),
    BackEnd("-disable-cgp-select2branch"),
    BackEnd("-regalloc=basic"),
    BackEnd("-disable-machine-licm"),
    BackEnd("-sink-insts-to-avoid-spills"),
    BackEnd("-enable-split-loopiv-heuristic=0"),
    BackEnd("-x86-machine-combiner=0"),
    FrontEnd("-fno-plt"),
    FrontEnd("-falign-functions=64"),
    Change::Pipeline("-Os"),
    Change::Pipeline("-O1"),
];

impl Change {
    /// What it is called in words and in notes.
    fn words(self) -> String {
        match self {
            Profile => "uses an execution profile".to_owned(),
            Host => "uses this host's instruction set, rounding as before".to_owned(),
            Fused => "lets this host's fused multiply-add round otherwise".to_owned(),
            RicherTarget => {
                "optimizes as if for newer processors, generates code for all".to_owned()
            }
            Interchange => "interchanges loops first, taking for granted that subscripts stay \
                            within their dimension"
                .to_owned(),
            Merge => "optimizes all files as one program".to_owned(),
            FixedAddress => "runs at a fixed address (-no-pie)".to_owned(),
            NoErrno => "lets mathematical functions leave errno alone (-fno-math-errno)".to_owned(),
            FrontEnd(flag) | HostFrontEnd(flag) | Change::Pipeline(flag) => {
                format!("compiles with {flag}")
            }
            BackEnd(flag) => format!("generates code with {flag}"),
        }
    }

    /// The recipe with this change; `None` where it does not apply or changes nothing. A pipeline of the recipe's own is
    /// left as it is.
    fn apply(self, candidate: &Candidate) -> Option<Recipe> {
        let Candidate { artifact, recipe } = candidate;
        let mut new = recipe.clone();
        let source = artifact.level == Level::Source;
        let x86 = cfg!(target_arch = "x86_64");
        let applies = match self {
            Profile => source && !std::mem::replace(&mut new.profile, true),
            Host => {
                new.front_end = with_flag(&recipe.front_end, "-ffp-contract=off");
                new.middle_end.retain(|flag| flag != RICHER);
                new.back_end.retain(|flag| flag != PLAIN_AGAIN);
                source && !std::mem::replace(&mut new.host, true)
            }
            Fused => {
                new.front_end.retain(|flag| flag != "-ffp-contract=off");
                source && recipe.host
            }
            RicherTarget => {
                new.middle_end = with_flag(&recipe.middle_end, RICHER);
                new.back_end = with_flag(&recipe.back_end, PLAIN_AGAIN);
                artifact.level != Level::Assembly && x86 && !recipe.host
            }
            Interchange => {
                new.middle_end = with_flag(&recipe.middle_end, SUBSCRIPTS_STAY);
                source
            }
            Merge => {
                let modules = artifact
                    .units
                    .iter()
                    .filter(|unit| is_translation_unit(unit));
                let several = modules.count() > 1;
                artifact.level != Level::Assembly
                    && several
                    && !std::mem::replace(&mut new.merge, true)
            }
            FixedAddress => {
                new.front_end = with_flag(&recipe.front_end, "-fno-pie");
                new.link = with_flag(&recipe.link, "-no-pie");
                source
            }
            NoErrno => {
                new.front_end = with_flag(&recipe.front_end, "-fno-math-errno");
                source && !looks_at_errno(artifact)
            }
            FrontEnd(flag) => {
                new.front_end = with_flag(&recipe.front_end, flag);
                source && (x86 || !flag.starts_with("-mtune"))
            }
            HostFrontEnd(flag) => {
                new.front_end = with_flag(&recipe.front_end, flag);
                source && recipe.host && x86
            }
            Change::Pipeline(flag) => {
                new.front_end = with_flag(&recipe.front_end, flag);
                source && recipe.pipeline.is_none()
            }
            BackEnd(flag) => {
                new.back_end = with_flag(&recipe.back_end, flag);
                artifact.level != Level::Assembly && (x86 || !flag.starts_with("-x86"))
            }
        };
        (applies && new != *recipe).then_some(new)
    }
}

/// Whether the program's own text mentions what mathematical functions would set.
fn looks_at_errno(artifact: &Artifact) -> bool {
    let words = ["errno", "perror", "fetestexcept", "math_errhandling"];
    artifact
        .units
        .iter()
        .any(|unit| words.iter().any(|word| unit.text.contains(word)))
}

struct Flags {
    options: AgentOptions,
    /// What `llc` says of its flags; nothing that is learned in a run.
    help: OnceCell<Option<String>>,
}

impl Agent for Flags {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn level(&self) -> Level {
        Level::Source
    }

    fn applies(&self, node: &Node, tree: &Tree) -> bool {
        self.open(node, tree).next().is_some()
    }

    fn work(&mut self, bench: &mut dyn Workbench) -> Result<(), TurnEnded> {
        if self.help.get().is_none() {
            let help = recipes::printed(bench.toolchain(), Tool::Llc, "--help-hidden")?;
            self.help.get_or_init(|| help);
        }
        let node = bench.node().clone();
        recipes::turn(ENTRY.name, bench, |bench, experience| {
            self.propose(&node, bench, experience)
        })
    }
}

impl Flags {
    fn propose(
        &self,
        node: &Node,
        bench: &mut dyn Workbench,
        experience: &Experience,
    ) -> Result<Option<Proposal>, TurnEnded> {
        let open: Vec<_> = self.open(node, bench.tree()).collect();
        let random = bench.random();
        let drawn = open.into_iter().map(|(rank, change, recipe)| {
            let chance = experience.draw(&change.words(), rank, random);
            (chance, change, recipe)
        });
        let Some((_, change, recipe)) = drawn.max_by(|(a, ..), (b, ..)| a.total_cmp(b)) else {
            return Ok(None);
        };
        let mut recipe = carried_over(bench, &node.candidate.recipe, recipe)?;
        if change == Interchange {
            recipe.pipeline = Some(format!("{INTERCHANGE},{}", bench.pipeline(&recipe)?));
        }
        let artifact = node.candidate.artifact.clone();
        let note = Note {
            changes: vec![change.words()],
            edits: Vec::new(),
        };
        Ok(Some(Proposal {
            candidate: Candidate { artifact, recipe },
            change: change.words(),
            note: note.to_json(),
        }))
    }

    /// What was not tried yet from a node, with its place among all changes and the recipe that it leads to.
    fn open<'t>(
        &'t self,
        node: &'t Node,
        tree: &'t Tree,
    ) -> impl Iterator<Item = (usize, Change, Recipe)> + 't {
        let tried: Vec<String> = tree
            .children(node.id)
            .filter(|child| child.agent == ENTRY.name)
            .flat_map(|child| Note::of(child).changes)
            .collect();
        let candidate = &node.candidate;
        CHANGES
            .iter()
            .enumerate()
            .filter_map(move |(rank, change)| {
                if !self.is_wanted(*change) || tried.contains(&change.words()) {
                    return None;
                }
                let recipe = change.apply(candidate)?;
                let artifact = candidate.artifact.clone();
                let new = Candidate { artifact, recipe };
                is_new(&new, tree).then_some((rank, *change, new.recipe))
            })
    }

    fn is_wanted(&self, change: Change) -> bool {
        match change {
            Host | Fused | HostFrontEnd(_) => self.options.host,
            BackEnd(flag) => {
                let help = self.help.get().and_then(Option::as_ref);
                help.is_none_or(|help| recipes::explains(help, flag))
            }
            _ => true,
        }
    }
}

/// A pipeline that was changed has to read the profile as well, once there is one.
fn carried_over(bench: &dyn Workbench, old: &Recipe, mut new: Recipe) -> Result<Recipe, TurnEnded> {
    if new.profile == old.profile {
        return Ok(new);
    }
    if let Some(changed) = new.pipeline.take() {
        let onto = bench.pipeline(&new)?;
        new.pipeline = match (changed.parse::<Pipeline>(), onto.parse::<Pipeline>()) {
            (Ok(changed), Ok(onto)) => Some(transplant(&changed, &onto).to_string()),
            // Then only clang's own pipeline is sure to read it.
            _ => None,
        };
    }
    Ok(new)
}
