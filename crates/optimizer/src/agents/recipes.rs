//! What the agents that change recipes have in common: flags, what has paid so far, crossing two recipes.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};
use serde::{Deserialize, Serialize};
use whittle_toolchain::pipeline::{Edit, Pipeline, crossover};
use whittle_toolchain::sandbox::{End, Job};
use whittle_toolchain::tools::{Tool, Toolchain};

use crate::agents::{Proposal, TurnEnded, Workbench};
use crate::candidate::{Candidate, Recipe};
use crate::tree::{Node, SUCCESS, Tree};

/// Candidates that are timed in a turn.
const TIMED: usize = 3;
/// Candidates that are proposed in a turn, those that come to nothing included: they cost little.
const PROPOSED: usize = 8;
/// How much a rank further down a list of things to try counts, in failures.
const RANK: f64 = 0.4;

/// One turn: proposals until one is a success, enough were timed, or there is nothing left to propose.
pub(super) fn turn(
    agent: &str,
    bench: &mut dyn Workbench,
    mut propose: impl FnMut(&mut dyn Workbench, &Experience) -> Result<Option<Proposal>, TurnEnded>,
) -> Result<(), TurnEnded> {
    let mut timed = 0;
    for _ in 0..PROPOSED {
        let experience = Experience::of(bench.tree(), agent);
        let Some(proposal) = propose(bench, &experience)? else {
            break;
        };
        let id = bench.submit(proposal)?;
        let Some(node) = bench.tree().get(id) else {
            break;
        };
        timed += usize::from(node.speedup().is_some());
        // Whether to go on from a success is the guide's choice.
        if bench.tree().gain_of(node).is_some() || timed == TIMED {
            break;
        }
    }
    Ok(())
}

/// What a recipe-changing agent wants to find again in a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The sorts of changes that were made, by which their success is counted.
    pub(super) changes: Vec<String>,
    /// The edits of the pipeline, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) edits: Vec<Edit>,
}

impl Note {
    /// The note of a node; empty for a node of another kind of agent.
    pub(super) fn of(node: &Node) -> Self {
        serde_json::from_value(node.note.clone()).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        // Plain data: strings and numbers.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Successes and failures of each sort of change in the run.
pub(super) struct Experience(BTreeMap<String, [f64; 2]>);

impl Experience {
    /// What an agent's proposals have come to.
    pub(super) fn of(tree: &Tree, agent: &str) -> Self {
        let mut counts: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for node in tree.nodes().iter().filter(|node| node.agent == agent) {
            let paid = tree.gain_of(node).is_some();
            for change in Note::of(node).changes {
                let [successes, failures] = counts.entry(change).or_default();
                *(if paid { successes } else { failures }) += 1.0;
            }
        }
        Self(counts)
    }

    /// A draw of the chance that a sort of change pays. `rank` is its place in a list with the most promising first.
    pub(super) fn draw(&self, change: &str, rank: usize, random: &mut ChaCha8Rng) -> f64 {
        let [successes, failures] = self.0.get(change).copied().unwrap_or_default();
        // Both parameters are at least 1, so the distribution exists.
        Beta::new(1.0 + successes, 1.0 + failures + RANK * rank as f64)
            .map_or(0.0, |beta| beta.sample(random))
    }
}

/// Whether nobody has tried this yet.
pub(super) fn is_new(candidate: &Candidate, tree: &Tree) -> bool {
    // Recipes are compared first: they are short, and seldom equal.
    !tree.nodes().iter().any(|node| {
        node.candidate.recipe == candidate.recipe && node.candidate.artifact == candidate.artifact
    })
}

/// Another good candidate with the same text, whose recipe is worth crossing with this node's.
pub(super) fn partner<'t>(
    node: &Node,
    tree: &'t Tree,
    random: &mut ChaCha8Rng,
) -> Option<&'t Node> {
    let good: Vec<&Node> = tree
        .ranked()
        .into_iter()
        .filter(|other| other.speedup() > Some(SUCCESS) && other.id != node.id)
        .filter(|other| other.candidate.artifact == node.candidate.artifact)
        .take(6)
        .collect();
    (!good.is_empty()).then(|| good[random.random_range(0..good.len())])
}

/// A recipe that has something of both. What only works together (front end, profile, link) comes from the same one; flags
/// of middle and back end come from either one, and so do pipelines that fit.
pub(super) fn crossed(first: &Recipe, second: &Recipe, random: &mut ChaCha8Rng) -> Recipe {
    let base = if random.random() { first } else { second };
    let mut recipe = base.clone();
    recipe.middle_end = crossed_flags(&first.middle_end, &second.middle_end, random);
    recipe.back_end = crossed_flags(&first.back_end, &second.back_end, random);
    if first.profile == second.profile {
        recipe.pipeline = match (&first.pipeline, &second.pipeline) {
            (Some(a), Some(b)) => match (a.parse::<Pipeline>(), b.parse::<Pipeline>()) {
                (Ok(a), Ok(b)) => Some(crossover(&a, &b, random).to_string()),
                _ => base.pipeline.clone(),
            },
            (Some(only), None) | (None, Some(only)) => {
                random.random::<bool>().then(|| only.clone())
            }
            (None, None) => None,
        };
    }
    recipe
}

fn crossed_flags(first: &[String], second: &[String], random: &mut ChaCha8Rng) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    for flag in first.iter().chain(second) {
        let in_both = first.contains(flag) && second.contains(flag);
        if in_both || random.random() {
            flags = with_flag(&flags, flag);
        }
    }
    flags
}

/// The flags with this one in place of any other setting of the same thing.
pub(super) fn with_flag(flags: &[String], flag: &str) -> Vec<String> {
    if flags.iter().any(|other| other == flag) {
        return flags.to_vec();
    }
    let mut flags: Vec<String> = flags
        .iter()
        .filter(|other| thing(other) != thing(flag))
        .cloned()
        .collect();
    flags.push(flag.to_owned());
    flags
}

/// What a flag sets: it without its value.
fn thing(flag: &str) -> &str {
    let flag = flag.split('=').next().unwrap_or(flag);
    if flag.starts_with("-O") { "-O" } else { flag }
}

/// What a tool prints with this argument; `None` if it fails.
pub(super) fn printed(
    toolchain: &Toolchain,
    tool: Tool,
    argument: &str,
) -> Result<Option<String>, TurnEnded> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| TurnEnded::Failed(error);
    let Some(program) = toolchain.found().path(tool) else {
        return Ok(None);
    };
    let folder = tempfile::tempdir().map_err(|error| failed(error.into()))?;
    let mut job = Job::compile(program, folder.path());
    job.arguments = vec![argument.into()];
    job.readable.push(toolchain.found().prefix.clone());
    let finished = toolchain
        .sandbox()
        .run(&job)
        .map_err(|error| failed(error.into()))?;
    match finished.end {
        End::Exited(0) => Ok(String::from_utf8(finished.stdout).ok()),
        End::Cancelled => Err(TurnEnded::Over),
        _ => Ok(None),
    }
}

/// Whether a text printed for `--help-hidden` explains this flag.
pub(super) fn explains(help: &str, flag: &str) -> bool {
    let name = thing(flag).trim_start_matches('-');
    help.lines().any(|line| {
        let option = line.trim_start().trim_start_matches('-');
        let rest = option.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=']))
    })
}
