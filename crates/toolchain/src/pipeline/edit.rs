//! One change to a pipeline.

use serde::{Deserialize, Serialize};

use super::fixed::{is_fixed, profile_until};
use super::tree::{DEEPEST, Level, Node, Pipeline, Position};

/// Most repetitions of [`Edit::Repeat`].
const MOST_TIMES: u32 = 8;

/// One change to a pipeline. Positions are those before the change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "edit")]
pub enum Edit {
    /// Takes a node out, and with it the groups that would be empty without it.
    Drop {
        /// The node.
        at: Position,
    },
    /// Puts a node in.
    Insert {
        /// Before the node here; or behind a sequence's last.
        at: Position,
        /// What to put in.
        node: Node,
    },
    /// Swaps a node with the next one of its sequence.
    Swap {
        /// The first of the two.
        at: Position,
    },
    /// Moves a node to another place of the same level.
    Move {
        /// The node.
        from: Position,
        /// Before the node here; or behind a sequence's last.
        to: Position,
    },
    /// Runs a node several times in a row.
    Repeat {
        /// The node.
        at: Position,
        /// How often, at least twice.
        times: u32,
    },
    /// Gives a pass other parameters.
    SetParameters {
        /// The pass.
        at: Position,
        /// The text between `<` and `>`; `None` is no such brackets.
        parameters: Option<String>,
    },
}

/// An edit cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is nothing.
    #[error("the pipeline has nothing at {0:?}")]
    NoSuchPosition(Vec<usize>),
    /// It concerns what has to stay.
    #[error("{0} must stay as it is")]
    Fixed(String),
    /// The level does not fit.
    #[error("{what} cannot stand among {level} passes")]
    WrongLevel {
        /// What was to stand there.
        what: String,
        /// The level there.
        level: Level,
    },
    /// A node cannot be moved into itself.
    #[error("{0} cannot be moved into itself")]
    IntoItself(String),
    /// Groups would be nested too deep.
    #[error("groups would be nested more than {DEEPEST} deep")]
    TooDeep,
    /// The number of repetitions makes no sense.
    #[error("a pass can be repeated 2 to {MOST_TIMES} times, not {0}")]
    Times(u32),
    /// The parameters would not be read as such.
    #[error("{0:?} cannot be parameters of a pass")]
    Parameters(String),
    /// The node would not be read as such.
    #[error("{0:?} cannot be a pass")]
    Name(String),
    /// Groups have no parameters to set.
    #[error("{0} is a group")]
    Group(String),
    /// It stands before the pass that matches the code with a profile, and such code must stay as it was when measured.
    #[error("nothing can be changed before the profile is read")]
    BeforeProfile,
    /// The pipeline would be empty.
    #[error("the last pass cannot be dropped")]
    Last,
}

impl Edit {
    /// The pipeline with this change.
    pub fn apply(&self, pipeline: &Pipeline) -> Result<Pipeline, EditError> {
        let profile = profile_until(pipeline);
        if self
            .positions()
            .iter()
            .any(|at| at.0.first() < profile.as_ref())
        {
            return Err(EditError::BeforeProfile);
        }
        let mut changed = pipeline.clone();
        match self {
            Self::Drop { at } => {
                free(pipeline, at)?;
                remove(&mut changed, at)?;
            }
            Self::Insert { at, node } => {
                let level = pipeline.level(at).ok_or_else(|| nowhere(at))?;
                if is_fixed(node) {
                    return Err(EditError::Fixed(node.to_string()));
                }
                check_level(node, level)?;
                if node.to_string().parse().as_ref() != Ok(node) {
                    return Err(EditError::Name(node.to_string()));
                }
                insert(&mut changed, at, node.clone())?;
            }
            Self::Swap { at } => swap(&mut changed, at)?,
            Self::Move { from, to } => relocate(pipeline, &mut changed, from, to)?,
            Self::Repeat { at, times } => repeat(&mut changed, at, *times)?,
            Self::SetParameters { at, parameters } => {
                set_parameters(&mut changed, at, parameters.as_deref())?;
            }
        }
        if changed.root.iter().any(|node| node.depth() > DEEPEST) {
            return Err(EditError::TooDeep);
        }
        Ok(changed)
    }

    /// The positions that the edit names.
    fn positions(&self) -> Vec<&Position> {
        match self {
            Self::Drop { at }
            | Self::Insert { at, .. }
            | Self::Swap { at }
            | Self::Repeat { at, .. }
            | Self::SetParameters { at, .. } => vec![at],
            Self::Move { from, to } => vec![from, to],
        }
    }
}

fn nowhere(at: &Position) -> EditError {
    EditError::NoSuchPosition(at.0.clone())
}

/// The node at a position, unless it is fixed.
fn free<'a>(pipeline: &'a Pipeline, at: &Position) -> Result<&'a Node, EditError> {
    let node = pipeline.get(at).ok_or_else(|| nowhere(at))?;
    if is_fixed(node) {
        return Err(EditError::Fixed(node.to_string()));
    }
    Ok(node)
}

/// The sequence that a position is in, and the index in it.
fn around<'a>(
    pipeline: &'a mut Pipeline,
    at: &Position,
) -> Result<(&'a mut Vec<Node>, usize), EditError> {
    let (group, index) = at.split().ok_or_else(|| nowhere(at))?;
    let nodes = pipeline.sequence_mut(group).ok_or_else(|| nowhere(at))?;
    Ok((nodes, index))
}

/// The node at a position, to be changed, unless it is fixed.
fn free_mut<'a>(pipeline: &'a mut Pipeline, at: &Position) -> Result<&'a mut Node, EditError> {
    free(pipeline, at)?;
    let (nodes, index) = around(pipeline, at)?;
    nodes.get_mut(index).ok_or_else(|| nowhere(at))
}

fn remove(pipeline: &mut Pipeline, at: &Position) -> Result<(), EditError> {
    let mut at = at.clone();
    loop {
        let (nodes, index) = around(pipeline, &at)?;
        if index >= nodes.len() {
            return Err(nowhere(&at));
        }
        nodes.remove(index);
        if !nodes.is_empty() {
            return Ok(());
        }
        // An empty group is a syntax error.
        at.0.pop();
        if at.0.is_empty() {
            return Err(EditError::Last);
        }
    }
}

fn insert(pipeline: &mut Pipeline, at: &Position, node: Node) -> Result<(), EditError> {
    let (nodes, index) = around(pipeline, at)?;
    if index > nodes.len() {
        return Err(nowhere(at));
    }
    nodes.insert(index, node);
    Ok(())
}

/// Whether the groups below and including a node are such as can stand at this level.
fn check_level(node: &Node, level: Level) -> Result<(), EditError> {
    let Some(children) = &node.children else {
        return Ok(());
    };
    let wrong = || EditError::WrongLevel {
        what: node.to_string(),
        level,
    };
    let inside = level.inside(&node.name).ok_or_else(wrong)?;
    if children.is_empty() {
        return Err(wrong());
    }
    children
        .iter()
        .try_for_each(|child| check_level(child, inside))
}

fn swap(pipeline: &mut Pipeline, at: &Position) -> Result<(), EditError> {
    let (nodes, index) = around(pipeline, at)?;
    let (Some(first), Some(second)) = (nodes.get(index), nodes.get(index.saturating_add(1))) else {
        return Err(nowhere(&at.next()));
    };
    // What is fixed keeps its order.
    if is_fixed(first) && is_fixed(second) {
        return Err(EditError::Fixed(first.to_string()));
    }
    nodes.swap(index, index + 1);
    Ok(())
}

fn relocate(
    pipeline: &Pipeline,
    changed: &mut Pipeline,
    from: &Position,
    to: &Position,
) -> Result<(), EditError> {
    let node = free(pipeline, from)?;
    let level = pipeline.level(to).ok_or_else(|| nowhere(to))?;
    if to.0.len() > from.0.len() && to.0.starts_with(&from.0) {
        return Err(EditError::IntoItself(node.to_string()));
    }
    if pipeline.level(from) != Some(level) {
        return Err(EditError::WrongLevel {
            what: node.to_string(),
            level,
        });
    }
    insert(changed, to, node.clone())?;
    // The new node pushes on whatever stood behind it in its sequence, with everything inside.
    let mut from = from.clone();
    if let Some((group, index)) = to.split()
        && from.0.starts_with(group)
        && let Some(step) = from.0.get_mut(group.len())
        && *step >= index
    {
        *step += 1;
    }
    remove(changed, &from)
}

/// Copies rather than `repeat<N>(…)`, which LLVM no longer has since version 18.
fn repeat(pipeline: &mut Pipeline, at: &Position, times: u32) -> Result<(), EditError> {
    if !(2..=MOST_TIMES).contains(&times) {
        return Err(EditError::Times(times));
    }
    let node = free(pipeline, at)?.clone();
    let (nodes, index) = around(pipeline, at)?;
    let copies = std::iter::repeat_n(node, times as usize - 1);
    nodes.splice(index..index, copies);
    Ok(())
}

fn set_parameters(
    pipeline: &mut Pipeline,
    at: &Position,
    parameters: Option<&str>,
) -> Result<(), EditError> {
    let node = free_mut(pipeline, at)?;
    if node.children.is_some() {
        return Err(EditError::Group(node.to_string()));
    }
    let changed = Node {
        parameters: parameters.map(str::to_owned),
        ..node.clone()
    };
    if changed.to_string().parse() != Ok(changed.clone()) {
        return Err(EditError::Parameters(
            parameters.unwrap_or_default().to_owned(),
        ));
    }
    *node = changed;
    Ok(())
}
