//! Edits in words, for people.

use super::edit::Edit;
use super::options;
use super::tree::{Node, Pipeline, Position};

impl Edit {
    /// What the edit does to this pipeline, such as "adds loop-interchange before loop-vectorize" or "drops simplifycfg #3".
    /// Passes that occur several times are numbered in the order in which they stand.
    pub fn describe(&self, pipeline: &Pipeline) -> String {
        let at = |position: &Position| label(pipeline, position);
        match self {
            Self::Drop { at: position } => format!("drops {}", at(position)),
            Self::Insert { at: position, node } => {
                let place = neighbour(pipeline, position);
                if is_there(pipeline, node) {
                    format!("runs {} again {place}", contents(node))
                } else {
                    format!("adds {} {place}", contents(node))
                }
            }
            Self::Swap { at: position } => {
                format!("swaps {} and {}", at(position), at(&position.next()))
            }
            Self::Move { from, to } => {
                format!("moves {} {}", at(from), neighbour(pipeline, to))
            }
            Self::Repeat {
                at: position,
                times: 2,
            } => format!("runs {} twice", at(position)),
            Self::Repeat {
                at: position,
                times,
            } => format!("runs {} {times} times", at(position)),
            Self::SetParameters {
                at: position,
                parameters,
            } => {
                let old = pipeline.get(position).and_then(|n| n.parameters.as_deref());
                let change = options::changes(old, parameters.as_deref());
                format!("{change} in {}", at(position))
            }
        }
    }

    /// What sort of change this is, the same wherever it is made: "insert loop-interchange", "drop simplifycfg", "set
    /// hoist-common-insts".
    pub fn sort(&self, pipeline: &Pipeline) -> String {
        let name = |position: &Position| pipeline.get(position).map(contents).unwrap_or_default();
        match self {
            Self::Drop { at } => format!("drop {}", name(at)),
            Self::Insert { node, .. } => format!("insert {}", contents(node)),
            Self::Swap { at } => format!("swap {}", name(at)),
            Self::Move { from, .. } => format!("move {}", name(from)),
            Self::Repeat { at, .. } => format!("repeat {}", name(at)),
            Self::SetParameters { at, parameters } => {
                let old = pipeline.get(at).and_then(|n| n.parameters.as_deref());
                let change = options::changes(old, parameters.as_deref());
                change
                    .replacen("sets", "set", 1)
                    .replacen("unsets", "unset", 1)
            }
        }
    }
}

/// Whether the pipeline has all passes of this node already.
fn is_there(pipeline: &Pipeline, node: &Node) -> bool {
    let there = pipeline.passes();
    let mut passes = node.passes().into_iter();
    passes.all(|pass| there.iter().any(|other| other.name == pass.name))
}

/// "before" or "behind" whatever stands at or in front of a position.
fn neighbour(pipeline: &Pipeline, at: &Position) -> String {
    if pipeline.get(at).is_some() {
        return format!("before {}", label(pipeline, at));
    }
    let mut previous = at.clone();
    if let Some(last) = previous.0.last_mut() {
        *last = last.saturating_sub(1);
    }
    format!("behind {}", label(pipeline, &previous))
}

/// The node's name, numbered if it is one of several.
fn label(pipeline: &Pipeline, at: &Position) -> String {
    let Some(node) = pipeline.get(at) else {
        return "nothing".to_owned();
    };
    let passes = node.passes();
    let [pass] = passes.as_slice() else {
        return contents(node);
    };
    // Passes are told apart by where they are in memory: equal ones occur several times.
    let all = pipeline.passes();
    let same: Vec<_> = all.iter().filter(|other| other.name == pass.name).collect();
    match same.iter().position(|other| std::ptr::eq(**other, *pass)) {
        Some(index) if same.len() > 1 => format!("{} #{}", pass.name, index + 1),
        _ => pass.name.clone(),
    }
}

/// The passes of a node by name.
fn contents(node: &Node) -> String {
    let passes = node.passes();
    match passes.as_slice() {
        [] => "nothing".to_owned(),
        [pass] => pass.name.clone(),
        [first, second] => format!("{} and {}", first.name, second.name),
        [first, .., last] => {
            format!(
                "the {} passes from {} to {}",
                passes.len(),
                first.name,
                last.name
            )
        }
    }
}
