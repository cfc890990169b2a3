//! Pipelines of a real clang, and whatever else can be made up.

mod chance;
mod edits;
mod parse;
mod random;

use super::*;

const REAL: [&str; 7] = [
    include_str!("../testdata/O1.txt"),
    include_str!("../testdata/O2.txt"),
    include_str!("../testdata/O3.txt"),
    include_str!("../testdata/Os.txt"),
    include_str!("../testdata/Oz.txt"),
    include_str!("../testdata/O3-profile-use.txt"),
    include_str!("../testdata/O3-profile-generate.txt"),
];

fn o3() -> Pipeline {
    REAL[2].parse().unwrap()
}

fn installed() -> Catalogue {
    Catalogue::known_to(include_str!("../testdata/print-passes.txt"))
}

/// The place of the n-th pass of this name, counted from 0.
fn find(pipeline: &Pipeline, name: &str, n: usize) -> Position {
    let places = pipeline.places();
    let mut found = places.iter().filter(|place| place.node.name == name);
    found.nth(n).unwrap().position.clone()
}

fn parse(text: &str) -> Pipeline {
    text.parse().unwrap()
}

/// Groups nested this deep.
fn nested(depth: usize) -> String {
    format!("{}gvn{}", "function(".repeat(depth), ")".repeat(depth))
}
