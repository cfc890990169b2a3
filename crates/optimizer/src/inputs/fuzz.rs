//! Fresh inputs for checking a candidate against the original.

use std::collections::BTreeSet;
use std::ops::Range;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::inputs::mutate::{Given, LARGEST_MUTANT, Mutator, Seed};
use crate::inputs::shape::words_of;
use crate::inputs::{Case, Inputs, Origin, RawCase};

/// Attempts to make an input that is not a visible test; programs without input have no other.
const ATTEMPTS: usize = 20;
/// Words that are remembered of all tests.
const WORDS: usize = 300;
/// Numbers at which programs break; each takes the place of numbers in the tests before chance begins.
const EDGES: [&str; 4] = ["2147483647", "-2147483648", "-1", "0"];
/// Inputs with such a number at most, and numbers of a single test that are replaced.
const MOST_EDGES: usize = 240;
const PLACES: usize = 6;

/// An endless row of inputs made from the tests, none of them equal to a visible test or to each other in a row. What it
/// makes depends on the inputs and the seed alone.
#[derive(Debug)]
pub struct Fuzzer {
    mutator: Mutator,
    visible: BTreeSet<Given>,
    edges: std::vec::IntoIter<Given>,
    last: Option<Given>,
    random: ChaCha8Rng,
    count: usize,
}

impl Fuzzer {
    /// Makes inputs like the visible and held-out tests.
    pub fn new(inputs: &Inputs, seed: u64) -> Self {
        let tests = inputs.visible.iter().chain(&inputs.held_out);
        let small: Vec<&Case> = tests
            .filter(|case| case.input.len() <= LARGEST_MUTANT)
            .collect();
        let words: BTreeSet<_> = small
            .iter()
            .flat_map(|case| words_of(&case.input))
            .take(WORDS)
            .collect();
        let seeds = small
            .iter()
            .map(|case| Seed::new(case.arguments.clone(), case.input.clone()));
        Self {
            mutator: Mutator::new(seeds.collect(), words.into_iter().collect()),
            visible: inputs.visible.iter().map(given).collect(),
            edges: edges(inputs).into_iter(),
            last: None,
            random: ChaCha8Rng::seed_from_u64(seed),
            count: 0,
        }
    }
}

/// The tests, shortest first, with one number at a time at the edge of its range. The last numbers of a test come first:
/// the first ones are often sizes, which must not be that large.
fn edges(inputs: &Inputs) -> Vec<Given> {
    let tests = inputs.visible.iter().chain(&inputs.held_out);
    let mut small: Vec<&Case> = tests
        .filter(|case| case.input.len() <= LARGEST_MUTANT)
        .collect();
    small.sort_by_key(|case| case.input.len());
    let mut made = Vec::new();
    for case in small {
        for place in numbers(&case.input).into_iter().rev().take(PLACES) {
            for edge in EDGES {
                let mut input = case.input.clone();
                input.splice(place.clone(), edge.bytes());
                made.push((case.arguments.clone(), input));
            }
        }
    }
    made.truncate(MOST_EDGES);
    made
}

/// Where whole numbers stand in a text.
fn numbers(text: &[u8]) -> Vec<Range<usize>> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    let mut found = Vec::new();
    let mut start = 0;
    for word in text.split(is_space) {
        let range = start..start + word.len();
        start = range.end + 1;
        let is_number = std::str::from_utf8(word).is_ok_and(|word| word.parse::<i64>().is_ok());
        found.extend(is_number.then_some(range));
    }
    found
}

fn given(case: &Case) -> Given {
    (case.arguments.clone(), case.input.clone())
}

impl Iterator for Fuzzer {
    type Item = RawCase;

    fn next(&mut self) -> Option<RawCase> {
        for _ in 0..ATTEMPTS {
            let (given, how) = match self.edges.next() {
                Some(given) => (given, "edge"),
                None => self.mutator.mutate(&mut self.random),
            };
            if self.visible.contains(&given) || self.last.as_ref() == Some(&given) {
                continue;
            }
            self.last = Some(given.clone());
            self.count += 1;
            return Some(RawCase {
                name: format!("fuzz-{}-{how}", self.count),
                arguments: given.0,
                input: given.1,
                declared_output: None,
                origin: Origin::BuiltIn,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Expected;

    fn case(name: &str, input: &str) -> Case {
        Case {
            name: name.to_owned(),
            arguments: Vec::new(),
            input: input.into(),
            expected: Expected {
                stdout: Vec::new(),
                status: 0,
            },
            origin: Origin::User,
        }
    }

    fn inputs() -> Inputs {
        Inputs {
            visible: vec![case("a", "3\n1 2 3\n"), case("b", ""), case("c", "1\n5\n")],
            held_out: vec![case("d", "2\n-7 8\n")],
            ..Inputs::default()
        }
    }

    #[test]
    fn inputs_are_fresh_and_repeatable() {
        let inputs = inputs();
        let made: Vec<RawCase> = Fuzzer::new(&inputs, 7).take(1000).collect();
        assert_eq!(made.len(), 1000);
        assert_eq!(made, Fuzzer::new(&inputs, 7).take(1000).collect::<Vec<_>>());
        assert_ne!(made, Fuzzer::new(&inputs, 8).take(1000).collect::<Vec<_>>());
        for raw in &made {
            assert!(
                inputs.visible.iter().all(|case| case.input != raw.input),
                "{}",
                raw.name
            );
        }
        let different: BTreeSet<_> = made.iter().map(|raw| &raw.input).collect();
        assert!(different.len() > 500, "{}", different.len());
    }

    #[test]
    fn numbers_go_to_their_edges_first() {
        let made: Vec<Vec<u8>> = Fuzzer::new(&inputs(), 1)
            .take(30)
            .map(|raw| raw.input)
            .collect();
        for edge in ["1\n2147483647\n", "1\n-2147483648\n", "2\n-7 2147483647\n"] {
            assert!(made.contains(&edge.as_bytes().to_vec()), "{edge}");
        }
        assert_eq!(numbers(b" 12 a -3\n4x 5"), [1..3, 6..8, 12..13]);
    }

    #[test]
    fn nothing_to_begin_with_ends_at_once() {
        let only_empty = Inputs {
            visible: vec![case("a", "")],
            ..Inputs::default()
        };
        // Words and numbers are still put in.
        assert!(Fuzzer::new(&only_empty, 1).next().is_some());
        assert_eq!(Fuzzer::new(&Inputs::default(), 1).take(5).count(), 1);
    }
}
