//! Fresh inputs for checking a candidate against the original.

use std::collections::BTreeSet;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::inputs::mutate::{Given, LARGEST_MUTANT, Mutator, Seed};
use crate::inputs::shape::words_of;
use crate::inputs::{Case, Inputs, Origin, RawCase};

/// Attempts to make an input that is not a visible test; programs without input have no other.
const ATTEMPTS: usize = 20;
/// Words that are remembered of all tests.
const WORDS: usize = 300;

/// An endless row of inputs made from the tests, none of them equal to a visible test or to each other in a row. What it
/// makes depends on the inputs and the seed alone.
#[derive(Debug)]
pub struct Fuzzer {
    mutator: Mutator,
    visible: BTreeSet<Given>,
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
            last: None,
            random: ChaCha8Rng::seed_from_u64(seed),
            count: 0,
        }
    }
}

fn given(case: &Case) -> Given {
    (case.arguments.clone(), case.input.clone())
}

impl Iterator for Fuzzer {
    type Item = RawCase;

    fn next(&mut self) -> Option<RawCase> {
        for _ in 0..ATTEMPTS {
            let (given, how) = self.mutator.mutate(&mut self.random);
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
