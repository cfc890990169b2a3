//! Two pipelines → one that has something of both.

use rand::Rng;

use super::fixed::sequence_of_all;
use super::tree::{Node, Pipeline};

/// A pipeline that has, wherever the two differ, either the first's passes or the second's, each with the same chance.
/// What is fixed is the first's. The result may equal one of them.
pub fn crossover(
    first: &Pipeline,
    second: &Pipeline,
    random: &mut (impl Rng + ?Sized),
) -> Pipeline {
    Pipeline {
        root: mixed(&first.root, &second.root, &mut || random.random()),
    }
}

/// The changed pipeline's passes wherever what is fixed allows it: what was changed in one of clang's pipelines, carried
/// over to another one, such as the one for a program with a profile.
pub fn transplant(changed: &Pipeline, onto: &Pipeline) -> Pipeline {
    Pipeline {
        root: mixed(&onto.root, &changed.root, &mut || true),
    }
}

fn mixed(first: &[Node], second: &[Node], take_second: &mut dyn FnMut() -> bool) -> Vec<Node> {
    let mut result = Vec::new();
    let (mut a, mut b) = (0, 0);
    for (next_a, next_b) in common(first, second) {
        result.extend(mixed_gap(
            &first[a..next_a],
            &second[b..next_b],
            take_second,
        ));
        let node = &first[next_a];
        let other = &second[next_b];
        result.push(match (&node.children, &other.children) {
            (Some(x), Some(y)) if x != y => Node {
                children: Some(mixed(x, y, take_second)),
                ..node.clone()
            },
            _ => node.clone(),
        });
        (a, b) = (next_a + 1, next_b + 1);
    }
    result.extend(mixed_gap(&first[a..], &second[b..], take_second));
    // A group must not be empty.
    if result.is_empty() {
        return first.to_vec();
    }
    result
}

/// What stands between two common nodes: either one's.
fn mixed_gap(first: &[Node], second: &[Node], take_second: &mut dyn FnMut() -> bool) -> Vec<Node> {
    let same_fixed = sequence_of_all(first) == sequence_of_all(second);
    if first != second && same_fixed && take_second() {
        second
    } else {
        first
    }
    .to_vec()
}

/// Whether two nodes are versions of the same one.
fn matches(first: &Node, second: &Node) -> bool {
    match (&first.children, &second.children) {
        (Some(_), Some(_)) => first.name == second.name && first.parameters == second.parameters,
        _ => first == second,
    }
}

/// Indices of a longest common subsequence.
fn common(first: &[Node], second: &[Node]) -> Vec<(usize, usize)> {
    let width = second.len() + 1;
    // Length of the longest one from (a, b) on.
    let mut longest = vec![0_u32; (first.len() + 1) * width];
    for a in (0..first.len()).rev() {
        for b in (0..second.len()).rev() {
            longest[a * width + b] = if matches(&first[a], &second[b]) {
                longest[(a + 1) * width + b + 1] + 1
            } else {
                longest[(a + 1) * width + b].max(longest[a * width + b + 1])
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < first.len() && b < second.len() {
        if matches(&first[a], &second[b]) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if longest[(a + 1) * width + b] >= longest[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}
