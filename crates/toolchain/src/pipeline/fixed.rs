//! What edits leave alone.

use super::tree::{Node, Pipeline};

/// Passes that must stay as they are, or whose place changes no code of a C program: analyses that others rely on,
/// profiles, coroutines, OpenMP, and bookkeeping.
const FIXED: &[&str] = &[
    "annotation-remarks",
    "annotation2metadata",
    "cg-profile",
    "coro-cleanup",
    "coro-early",
    "coro-elide",
    "coro-split",
    "declare-to-assign",
    "ee-instrument",
    "forceattrs",
    "instrprof",
    "invalidate",
    "openmp-opt",
    "openmp-opt-cgscc",
    "pgo-icall-prom",
    "pgo-instr-gen",
    "pgo-instr-use",
    "pgo-memop-opt",
    "recompute-globalsaa",
    "require",
    "transform-warning",
    "verify",
];

/// Whether edits leave this pass alone; a group is fixed if one of its members is.
pub fn is_fixed(node: &Node) -> bool {
    !sequence_of(node).is_empty()
}

/// The fixed passes below and including a node.
pub(super) fn sequence_of(node: &Node) -> Vec<&Node> {
    let mut passes = node.passes();
    passes.retain(|pass| FIXED.contains(&pass.name.as_str()));
    passes
}

/// The fixed passes of a sequence.
pub(super) fn sequence_of_all(nodes: &[Node]) -> Vec<&Node> {
    nodes.iter().flat_map(sequence_of).collect()
}

/// The index in the outermost sequence from which on code no longer has to match a profile; `None` without a profile.
pub(super) fn profile_until(pipeline: &Pipeline) -> Option<usize> {
    let is_profile = |node: &Node| matches!(node.name.as_str(), "pgo-instr-use" | "pgo-instr-gen");
    let passes = |node: &Node| node.passes().into_iter().any(is_profile);
    pipeline
        .root
        .iter()
        .rposition(passes)
        .map(|index| index + 1)
}
