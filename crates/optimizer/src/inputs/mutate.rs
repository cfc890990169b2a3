//! New inputs from known ones.

use rand::Rng;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _, SliceRandom as _};

use crate::inputs::columns::{Token, as_integer};
use crate::inputs::shape::Shape;

/// Inputs made here are not larger than this: they are for correctness, not for timing.
pub(crate) const LARGEST_MUTANT: usize = 64 << 10;
/// Sizes that are tried first are small: most branches are reached there.
const SMALL: i64 = 12;
const MEDIUM: i64 = 200;
/// Numbers at which programs break.
const NUMBERS: [i64; 18] = [
    0,
    1,
    -1,
    2,
    10,
    100,
    127,
    128,
    255,
    256,
    32_767,
    65_536,
    1_000_000,
    i32::MAX as i64,
    i32::MIN as i64,
    i32::MAX as i64 + 1,
    i64::MAX,
    i64::MIN,
];

/// What a program is given: arguments and standard input.
pub(crate) type Given = (Vec<String>, Vec<u8>);

/// A known input.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    given: Given,
    shape: Shape,
}

impl Seed {
    pub(crate) fn new(arguments: Vec<String>, input: Vec<u8>) -> Self {
        let shape = Shape::infer(&arguments, &input);
        Self {
            given: (arguments, input),
            shape,
        }
    }
}

/// Makes new inputs from seeds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mutator {
    seeds: Vec<Seed>,
    words: Vec<Token>,
}

impl Mutator {
    /// `words` are what the program may look for in its input.
    pub(crate) fn new(seeds: Vec<Seed>, words: Vec<Token>) -> Self {
        Self { seeds, words }
    }

    pub(crate) fn add(&mut self, seed: Seed) {
        self.seeds.push(seed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seeds.is_empty()
    }

    /// A new input, and how it was made; without seeds an empty one.
    pub(crate) fn mutate(&self, random: &mut impl Rng) -> (Given, &'static str) {
        let Some(seed) = self.choose(random) else {
            return (Given::default(), "empty");
        };
        let whole = random.random_range(0..10);
        if whole < 6
            && let Some(given) = other_sizes(&seed.shape, whole < 2, random)
            && given.1.len() <= LARGEST_MUTANT
        {
            return (given, if whole < 2 { "values" } else { "sizes" });
        }
        let (mut arguments, mut input) = seed.given.clone();
        input.truncate(LARGEST_MUTANT);
        if !arguments.is_empty() && random.random_bool(0.3) {
            change_argument(&mut arguments, random);
            return ((arguments, input), "argument");
        }
        let mut how = "bytes";
        for _ in 0..random.random_range(1..=3) {
            how = self.change(&mut input, random);
        }
        input.truncate(LARGEST_MUTANT);
        ((arguments, input), how)
    }

    /// Newer seeds are chosen more often: they are what new code was reached by.
    fn choose(&self, random: &mut impl Rng) -> Option<&Seed> {
        let count = self.seeds.len();
        let newest = count.saturating_sub(8);
        if count > 0 && random.random_bool(0.3) {
            return self.seeds[newest..].choose(random);
        }
        self.seeds.choose(random)
    }

    /// One change to the bytes.
    fn change(&self, input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
        match random.random_range(0..15) {
            0..3 => change_token(input, random, &mut |_, random| {
                NUMBERS
                    .choose(random)
                    .map(|number| number.to_string().into_bytes())
            }),
            3..5 => change_token(input, random, &mut |token, random| {
                let value = as_integer(token)?;
                let by = random.random_range(-2..=2);
                Some(value.saturating_add(by).to_string().into_bytes())
            }),
            5..7 => {
                let word = self.words.choose(random).cloned().unwrap_or_default();
                if random.random_bool(0.5) {
                    change_token(input, random, &mut |_, _| Some(word.clone()))
                } else {
                    insert(input, &word, random)
                }
            }
            7 => swap_lines(input, random),
            8..11 => self.insert_line(input, random),
            11 => flip_bit(input, random),
            12 => repeat_chunk(input, random),
            13 => self.splice(input, random),
            _ => delete_chunk(input, random),
        }
    }

    /// A line of any seed, once or several times: programs that take commands go on only with whole ones.
    fn insert_line(&self, input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
        let Some(other) = self.seeds.choose(random) else {
            return "lines";
        };
        let other = &other.given.1[..other.given.1.len().min(LARGEST_MUTANT)];
        let lines: Vec<&[u8]> = other.split(|&byte| byte == b'\n').collect();
        let line = [lines.choose(random).copied().unwrap_or_default(), b"\n"].concat();
        let times = if random.random_bool(0.7) {
            1
        } else {
            random.random_range(2..=12)
        };
        let ends: Vec<usize> = (0..input.len())
            .filter(|&at| input[at] == b'\n')
            .map(|at| at + 1)
            .collect();
        // At the beginning, behind a line, or behind everything.
        let at = match random.random_range(0..=ends.len() + 1) {
            0 => 0,
            end if end <= ends.len() => ends[end - 1],
            _ => {
                if input.last().is_some_and(|&byte| byte != b'\n') {
                    input.push(b'\n');
                }
                input.len()
            }
        };
        input.splice(at..at, line.repeat(times));
        "lines"
    }

    /// The end of another seed behind a part of this one.
    fn splice(&self, input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
        if let Some(other) = self.seeds.choose(random) {
            let other = &other.given.1[..other.given.1.len().min(LARGEST_MUTANT)];
            input.truncate(random.random_range(0..=input.len()));
            input.extend_from_slice(&other[random.random_range(0..=other.len())..]);
        }
        "splice"
    }
}

/// The same shape with other values, or with other sizes as well.
fn other_sizes(shape: &Shape, same: bool, random: &mut impl Rng) -> Option<Given> {
    let mut sizes = shape.sizes().to_vec();
    if !same && !sizes.is_empty() {
        for _ in 0..random.random_range(1..=2) {
            let at = random.random_range(0..sizes.len());
            sizes[at] = other_size(sizes[at], shape.is_linked(at), random);
        }
    }
    let change = *[0.05, 0.4, 1.0].choose(random)?;
    shape.generate(&sizes, change, random)
}

fn other_size(value: i64, linked: bool, random: &mut impl Rng) -> i64 {
    match random.random_range(0..10) {
        0 => 0,
        1 => 1,
        2 => value.saturating_add(1),
        3 => value.saturating_sub(1),
        4 => value / 2,
        5 => random.random_range(0..=MEDIUM),
        6 if !linked => *NUMBERS.choose(random).unwrap_or(&0),
        7 if linked => value.saturating_mul(2).min(MEDIUM * 8),
        _ => random.random_range(0..=SMALL),
    }
}

fn change_argument(arguments: &mut Vec<String>, random: &mut impl Rng) {
    let at = random.random_range(0..arguments.len());
    match random.random_range(0..6) {
        0 => {
            arguments.remove(at);
        }
        1 => arguments.push(arguments[at].clone()),
        2 => arguments[at].clear(),
        3 => {
            arguments[at] = NUMBERS
                .choose(random)
                .map(i64::to_string)
                .unwrap_or_default();
        }
        4 => arguments.shuffle(random),
        _ => {
            let value = as_integer(arguments[at].as_bytes()).unwrap_or(0);
            arguments[at] = value
                .saturating_add(random.random_range(-2..=2))
                .to_string();
        }
    }
}

/// Puts something else in the place of a token.
fn change_token<R: Rng>(
    input: &mut Vec<u8>,
    random: &mut R,
    change: &mut dyn FnMut(&[u8], &mut R) -> Option<Token>,
) -> &'static str {
    if input.is_empty() {
        return "number";
    }
    let is_blank = u8::is_ascii_whitespace;
    let at = random.random_range(0..input.len());
    let start = input[..at]
        .iter()
        .rposition(is_blank)
        .map_or(0, |blank| blank + 1);
    let end = input[at..]
        .iter()
        .position(is_blank)
        .map_or(input.len(), |blank| at + blank);
    if let Some(new) = input
        .get(start..end)
        .and_then(|token| change(token, random))
    {
        input.splice(start..end, new);
    }
    "number"
}

fn insert(input: &mut Vec<u8>, word: &[u8], random: &mut impl Rng) -> &'static str {
    let at = random.random_range(0..=input.len());
    let mut text = word.to_vec();
    match random.random_range(0..3) {
        0 => text.push(b' '),
        1 => text.push(b'\n'),
        _ => {}
    }
    input.splice(at..at, text);
    "word"
}

fn swap_lines(input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
    let mut lines: Vec<&[u8]> = input.split_inclusive(|&byte| byte == b'\n').collect();
    if lines.len() > 1 {
        let (a, b) = (
            random.random_range(0..lines.len()),
            random.random_range(0..lines.len()),
        );
        lines.swap(a, b);
        *input = lines.concat();
    }
    "lines"
}

fn flip_bit(input: &mut [u8], random: &mut impl Rng) -> &'static str {
    if let Some(byte) = input.choose_mut(random) {
        *byte ^= 1 << random.random_range(0..8);
    }
    "bit"
}

/// A few bytes, or rarely many.
fn chunk(length: usize, random: &mut impl Rng) -> std::ops::Range<usize> {
    let longest = if random.random_bool(0.8) {
        length.min(16)
    } else {
        length
    };
    let start = random.random_range(0..=length);
    start..(start + random.random_range(0..=longest)).min(length)
}

fn repeat_chunk(input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
    let chunk = input[chunk(input.len(), random)].to_vec();
    let times = random.random_range(1..=4);
    let at = random.random_range(0..=input.len());
    input.splice(at..at, chunk.repeat(times));
    "repeat"
}

fn delete_chunk(input: &mut Vec<u8>, random: &mut impl Rng) -> &'static str {
    let chunk = chunk(input.len(), random);
    input.drain(chunk);
    "delete"
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn mutator() -> Mutator {
        let seeds = [
            (vec![], &b"3 2\n1 2\n3 4\n5 6\n"[..]),
            (vec!["20".to_owned()], b"some words here\n"),
            (vec![], b""),
        ];
        let seeds = seeds.map(|(arguments, input)| Seed::new(arguments, input.to_vec()));
        Mutator::new(seeds.to_vec(), vec![b"xyzzy".to_vec()])
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let make = |seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            (0..300)
                .map(|_| mutator().mutate(&mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn many_different_inputs_are_made_and_sizes_stay_true() {
        let mutator = mutator();
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let made: Vec<_> = (0..2_000).map(|_| mutator.mutate(&mut random)).collect();
        let different: std::collections::BTreeSet<_> =
            made.iter().map(|(given, _)| given).collect();
        assert!(different.len() > 700, "{}", different.len());
        assert!(
            made.iter()
                .any(|((_, input), _)| input.windows(5).any(|w| w == b"xyzzy"))
        );
        assert!(made.iter().any(|((arguments, _), _)| arguments.len() == 2));
        let mut grown = 0;
        for ((_, input), how) in &made {
            let lines: Vec<_> = input.split(|&byte| byte == b'\n').collect();
            if *how == "sizes" && input.starts_with(b"9 ") {
                assert_eq!(lines.len(), 11, "{}", input.escape_ascii());
                grown += 1;
            }
        }
        assert!(grown > 0);
    }

    #[test]
    fn without_seeds_the_input_is_empty() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        assert_eq!(Mutator::default().mutate(&mut random).0, Given::default());
    }
}
