//! Pipelines, their nodes, and where a node stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The deepest nesting of groups that is parsed or made; clang's own pipelines have five levels.
pub const DEEPEST: usize = 32;

/// What the passes of a sequence run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The whole module.
    Module,
    /// Strongly connected components of the call graph.
    Cgscc,
    /// Each function.
    Function,
    /// Each loop, or nest of loops.
    Loop,
    /// Each loop, with memory in SSA form: only passes that keep it so may stand here.
    LoopMssa,
}

impl Level {
    /// All levels, from the outermost in.
    pub const ALL: [Self; 5] = [
        Self::Module,
        Self::Cgscc,
        Self::Function,
        Self::Loop,
        Self::LoopMssa,
    ];

    /// The level inside a group with this name that stands at this level; `None` if it cannot stand here or is no group.
    pub fn inside(self, group: &str) -> Option<Self> {
        match (group, self) {
            ("module" | "coro-cond", Self::Module) => Some(Self::Module),
            ("cgscc", Self::Module | Self::Cgscc) | ("devirt", Self::Cgscc) => Some(Self::Cgscc),
            ("function", Self::Module | Self::Cgscc | Self::Function) => Some(Self::Function),
            ("loop", Self::Function) => Some(Self::Loop),
            ("loop-mssa", Self::Function) => Some(Self::LoopMssa),
            ("loop" | "loop-mssa", Self::Loop | Self::LoopMssa) | ("repeat", _) => Some(self),
            _ => None,
        }
    }

    /// The group that brings passes of this level to the next level out.
    fn group(self) -> Option<(&'static str, Self)> {
        match self {
            Self::Module => None,
            Self::Cgscc => Some(("cgscc", Self::Module)),
            Self::Function => Some(("function", Self::Module)),
            Self::Loop => Some(("loop", Self::Function)),
            Self::LoopMssa => Some(("loop-mssa", Self::Function)),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "module",
            Self::Cgscc => "call-graph",
            Self::Function => "function",
            Self::Loop => "loop",
            Self::LoopMssa => "loop (memory SSA)",
        })
    }
}

/// A pass, or a group of passes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Node {
    /// Name of the pass or the kind of group.
    pub name: String,
    /// The text between `<` and `>`, if they are there.
    pub parameters: Option<String>,
    /// The members of a group.
    pub children: Option<Vec<Node>>,
}

impl Node {
    /// A pass without parameters.
    pub fn pass(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            parameters: None,
            children: None,
        }
    }

    /// A group without parameters.
    pub fn group(name: impl Into<String>, children: Vec<Self>) -> Self {
        Self {
            name: name.into(),
            parameters: None,
            children: Some(children),
        }
    }

    /// The node in whatever groups it takes to put it, made for level `from`, into a sequence of level `to`.
    pub(super) fn raised(self, from: Level, to: Level) -> Option<Self> {
        let (mut node, mut level) = (self, from);
        while level != to {
            let (group, outer) = level.group()?;
            // A function group may stand in the call graph's sequences as well as in the module's.
            level = match (level, to) {
                (Level::Function, Level::Cgscc) => Level::Cgscc,
                _ => outer,
            };
            node = Self::group(group, vec![node]);
        }
        Some(node)
    }

    /// The passes below and including this node, in order.
    pub fn passes(&self) -> Vec<&Self> {
        match &self.children {
            None => vec![self],
            Some(children) => children.iter().flat_map(Self::passes).collect(),
        }
    }

    /// How deep the groups below and including this node are nested.
    pub(super) fn depth(&self) -> usize {
        self.children.as_ref().map_or(0, |children| {
            1 + children.iter().map(Self::depth).max().unwrap_or(0)
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(parameters) = &self.parameters {
            write!(f, "<{parameters}>")?;
        }
        if let Some(children) = &self.children {
            f.write_str("(")?;
            print(children, f)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// A whole pipeline; its outermost level is the module's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pipeline {
    /// The outermost sequence.
    pub root: Vec<Node>,
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(&self.root, f)
    }
}

fn print(nodes: &[Node], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write!(f, "{node}")?;
    }
    Ok(())
}

impl From<Node> for String {
    fn from(node: Node) -> Self {
        node.to_string()
    }
}

impl From<Pipeline> for String {
    fn from(pipeline: Pipeline) -> Self {
        pipeline.to_string()
    }
}

/// Where something stands: its index in the outermost sequence, then in its group there, and so on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub Vec<usize>);

impl Position {
    /// The group's position and the index in it; `None` for the position of nothing.
    pub(super) fn split(&self) -> Option<(&[usize], usize)> {
        self.0.split_last().map(|(last, group)| (group, *last))
    }

    /// The place right behind this one.
    pub(super) fn next(&self) -> Self {
        let mut next = self.clone();
        if let Some(last) = next.0.last_mut() {
            *last = last.saturating_add(1);
        }
        next
    }
}

/// A node, where it stands and what it runs on.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// Where it stands.
    pub position: Position,
    /// The level of the sequence that it stands in.
    pub level: Level,
    /// The node itself.
    pub node: &'a Node,
}

impl Pipeline {
    /// All nodes, each group before its members.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let mut path = Vec::new();
        visit(&self.root, Level::Module, &mut path, &mut places);
        places
    }

    /// The node at a position.
    pub fn get(&self, position: &Position) -> Option<&Node> {
        let (group, index) = position.split()?;
        self.sequence(group)?.get(index)
    }

    /// The level of the sequence that a position is in. The position may be the one behind the sequence's last node.
    pub fn level(&self, position: &Position) -> Option<Level> {
        let (group, index) = position.split()?;
        let (mut level, mut nodes) = (Level::Module, &self.root);
        for &step in group {
            let node = nodes.get(step)?;
            level = level.inside(&node.name)?;
            nodes = node.children.as_ref()?;
        }
        (index <= nodes.len()).then_some(level)
    }

    /// The passes in order, without the groups.
    pub fn passes(&self) -> Vec<&Node> {
        self.root.iter().flat_map(Node::passes).collect()
    }

    /// The members of the group at a position, or the outermost sequence.
    pub(super) fn sequence(&self, group: &[usize]) -> Option<&Vec<Node>> {
        group.iter().try_fold(&self.root, |nodes, &step| {
            nodes.get(step)?.children.as_ref()
        })
    }

    pub(super) fn sequence_mut(&mut self, group: &[usize]) -> Option<&mut Vec<Node>> {
        group.iter().try_fold(&mut self.root, |nodes, &step| {
            nodes.get_mut(step)?.children.as_mut()
        })
    }
}

fn visit<'a>(nodes: &'a [Node], level: Level, path: &mut Vec<usize>, places: &mut Vec<Place<'a>>) {
    for (index, node) in nodes.iter().enumerate() {
        path.push(index);
        places.push(Place {
            position: Position(path.clone()),
            level,
            node,
        });
        if let (Some(children), Some(inside)) = (&node.children, level.inside(&node.name)) {
            visit(children, inside, path, places);
        }
        path.pop();
    }
}
