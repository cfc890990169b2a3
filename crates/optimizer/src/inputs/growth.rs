//! Larger inputs for timing, and others as large.

use rand::Rng;

use crate::inputs::columns::as_integer;
use crate::inputs::mutate::Given;
use crate::inputs::shape::Shape;

/// Steps by which a size grows.
const STEP: f64 = 4.0;
/// Steps in one direction at most.
const STEPS: usize = 16;
/// How often another size is made to grow when one alone does not reach far enough.
const ROUNDS: usize = 3;
/// Times within these factors of the wanted one are near enough.
const NEAR: std::ops::Range<f64> = 0.6..1.6;
/// Attempts to come near.
const REFINEMENTS: usize = 5;
/// Inputs that take long enough to be timed grow no further than this: each is stored, and read again in each run.
const LARGE_ENOUGH: usize = 4 << 20;
/// Inputs of this many bytes show whether time grows with their size.
const STAGNANT: usize = 256 << 10;
/// Inputs of fewer bytes are short.
const SHORT: usize = 256;

/// What a run of the original on an input says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Run {
    /// It ended by itself as the smaller input did, after so many seconds.
    Took(f64),
    /// It took longer than was asked for.
    TooSlow,
    /// It failed, or ended otherwise.
    Failed,
}

/// Times an input; stops at the limit in seconds.
pub(crate) type Timer<'a, E> = dyn FnMut(&Given, f64) -> Result<Run, E> + 'a;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Time of a run in seconds.
    pub(crate) seconds: f64,
    /// Time that is enough if more cannot be had.
    pub(crate) least: f64,
}

/// A larger input.
#[derive(Debug, Clone)]
pub(crate) struct Grown {
    pub(crate) given: Given,
    pub(crate) seconds: f64,
    sizes: Vec<i64>,
}

/// Grows an input of a shape until a run takes as long as wanted, or as long as it will. All steps on the way are in the
/// answer, the last is the largest.
pub(crate) fn grow<E>(
    shape: &Shape,
    wanted: Wanted,
    random: &mut impl Rng,
    timer: &mut Timer<'_, E>,
) -> Result<Vec<Grown>, E> {
    let mut growth = Growth {
        shape,
        wanted,
        random,
        timer,
        path: Vec::new(),
    };
    let mut sizes = shape.sizes().to_vec();
    let mut seconds = 0.0;
    for _ in 0..ROUNDS {
        let mut best: Option<(Vec<Grown>, bool)> = None;
        for direction in directions(shape) {
            let (path, reached) = growth.along(&sizes, &direction)?;
            let farther = |(other, _): &(Vec<Grown>, bool)| time_of(&path) > time_of(other) * 1.2;
            if reached || best.as_ref().is_none_or(farther) {
                best = Some((path, reached));
            }
            if reached {
                break;
            }
        }
        let Some((path, reached)) = best else { break };
        let gained = time_of(&path) > seconds * 1.2;
        if let Some(last) = path.last().filter(|_| gained) {
            (sizes, seconds) = (last.sizes.clone(), last.seconds);
            growth.path.extend(path);
        }
        if reached || !gained {
            break;
        }
    }
    Ok(enough(growth.path, wanted))
}

/// Without the last steps if these made the input larger and no run long enough to be timed.
fn enough(mut path: Vec<Grown>, wanted: Wanted) -> Vec<Grown> {
    let longest = path.iter().map(|grown| grown.seconds).fold(0.0, f64::max);
    if longest < wanted.least {
        let is_as_long = |grown: &Grown| grown.seconds >= longest * 0.7;
        let length = path.iter().position(is_as_long).map_or(0, |at| at + 1);
        path.truncate(length);
    }
    path
}

/// Inputs between the shape's own size and a grown one, the largest first.
pub(crate) fn between(
    shape: &Shape,
    grown: &Grown,
    steps: u32,
    random: &mut impl Rng,
) -> Vec<Given> {
    let part = |own: i64, grown: i64, share: f64| {
        ((own.max(1) as f64).ln() * (1.0 - share) + (grown.max(1) as f64).ln() * share)
            .exp()
            .round() as i64
    };
    (1..=steps)
        .filter_map(|step| {
            let share = 1.0 - f64::from(step) / f64::from(steps + 1);
            let pairs = shape.sizes().iter().zip(&grown.sizes);
            let sizes: Vec<i64> = pairs
                .map(|(&own, &grown)| {
                    if own == grown {
                        own
                    } else {
                        part(own, grown, share)
                    }
                })
                .collect();
            shape.generate(&sizes, 0.0, random)
        })
        .collect()
}

/// Other inputs of the same size, those that differ most first.
pub(crate) fn siblings(given: &Given, random: &mut impl Rng) -> Vec<Given> {
    let shape = Shape::infer(&given.0, &given.1);
    let mut all = Vec::new();
    // In a short input there are few values to draw others from; its last number may be a seed.
    if given.1.len() < SHORT {
        all.extend(with_other_last_number(given, random));
    }
    for change in [1.0, 0.3, 0.03] {
        all.extend(shape.generate(shape.sizes(), change, random));
    }
    let free = (0..shape.sizes().len())
        .rev()
        .filter(|&size| !shape.is_linked(size));
    for size in free {
        let mut sizes = shape.sizes().to_vec();
        sizes[size] = sizes[size].saturating_add(random.random_range(1..=9));
        all.extend(shape.generate(&sizes, 0.0, random));
    }
    // Almost the same size is all that can be had of an input without values.
    let mut sizes = shape.sizes().to_vec();
    for (size, value) in sizes
        .iter_mut()
        .enumerate()
        .filter(|(size, _)| shape.is_linked(*size))
    {
        *value -= *value / random.random_range(40..=60) + i64::from(size == 0);
    }
    all.extend(shape.generate(&sizes, 0.0, random));
    all.retain(|sibling| sibling != given);
    all
}

fn with_other_last_number((arguments, input): &Given, random: &mut impl Rng) -> Option<Given> {
    let text = input.trim_ascii_end();
    let start = text
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(0, |blank| blank + 1);
    let value = as_integer(&text[start..])?.saturating_add(random.random_range(1..=97));
    let input = [
        &input[..start],
        value.to_string().as_bytes(),
        &input[text.len()..],
    ]
    .concat();
    Some((arguments.clone(), input))
}

/// Much larger and no slower: the program does not care for this size.
fn is_stagnant(path: &[Grown]) -> bool {
    let [.., before, _, _, last] = path else {
        return false;
    };
    last.given.1.len() > STAGNANT && last.seconds < before.seconds * 1.2
}

fn time_of(path: &[Grown]) -> f64 {
    path.last().map_or(0.0, |grown| grown.seconds)
}

/// Sets of sizes that grow together: what counts rows or their width first, each alone and all of them; then other numbers.
fn directions(shape: &Shape) -> Vec<Vec<usize>> {
    let all = 0..shape.sizes().len();
    let (linked, free): (Vec<usize>, Vec<usize>) = all.partition(|&size| shape.is_linked(size));
    let mut directions: Vec<Vec<usize>> = linked.iter().map(|&size| vec![size]).collect();
    if linked.len() > 1 {
        directions.insert(0, linked);
    }
    directions.extend(free.into_iter().map(|size| vec![size]));
    directions
}

struct Growth<'a, 't, R, E> {
    shape: &'a Shape,
    wanted: Wanted,
    random: &'a mut R,
    timer: &'a mut Timer<'t, E>,
    path: Vec<Grown>,
}

impl<R: Rng, E> Growth<'_, '_, R, E> {
    /// Grows some sizes step by step, then comes near to the wanted time. Also answers whether that was reached.
    fn along(&mut self, from: &[i64], direction: &[usize]) -> Result<(Vec<Grown>, bool), E> {
        let mut path: Vec<Grown> = Vec::new();
        let mut factor = 1.0;
        for _ in 0..STEPS {
            let next = factor * STEP;
            match self.step(from, direction, next, &path)? {
                Some(grown) if grown.seconds < self.wanted.seconds * NEAR.start => {
                    path.push(grown);
                    factor = next;
                    if is_stagnant(&path) {
                        path.truncate(1);
                        break;
                    }
                }
                // Near, or beyond.
                Some(grown) if grown.seconds <= self.wanted.seconds * NEAR.end => {
                    path.push(grown);
                    return Ok((path, true));
                }
                _ => {
                    let reached = self.refine(from, direction, (factor, next), &mut path)?;
                    return Ok((path, reached));
                }
            }
        }
        Ok((path, false))
    }

    /// Comes near to the wanted time between a factor that is too small and one that is too large.
    fn refine(
        &mut self,
        from: &[i64],
        direction: &[usize],
        (mut low, mut high): (f64, f64),
        path: &mut Vec<Grown>,
    ) -> Result<bool, E> {
        for _ in 0..REFINEMENTS {
            let middle = (low * high).sqrt();
            match self.step(from, direction, middle, path)? {
                Some(grown) if grown.seconds <= self.wanted.seconds * NEAR.end => {
                    let near = NEAR.contains(&(grown.seconds / self.wanted.seconds));
                    path.push(grown);
                    if near {
                        return Ok(true);
                    }
                    low = middle;
                }
                _ => high = middle,
            }
        }
        Ok(false)
    }

    /// One larger input, if it can be made and the original takes it.
    fn step(
        &mut self,
        from: &[i64],
        direction: &[usize],
        factor: f64,
        path: &[Grown],
    ) -> Result<Option<Grown>, E> {
        let mut sizes = from.to_vec();
        for &size in direction {
            sizes[size] = (sizes[size].max(1) as f64 * factor).round() as i64;
        }
        let Some(given) = self.shape.generate(&sizes, 0.0, self.random) else {
            return Ok(None);
        };
        let reached = time_of(path).max(time_of(&self.path));
        if given.1.len() > LARGE_ENOUGH && reached >= self.wanted.least {
            return Ok(None);
        }
        let limit = self.wanted.seconds * NEAR.end * STEP;
        Ok(match (self.timer)(&given, limit)? {
            Run::Took(seconds) => Some(Grown {
                given,
                seconds,
                sizes,
            }),
            Run::TooSlow | Run::Failed => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const WANTED: Wanted = Wanted {
        seconds: 0.1,
        least: 0.02,
    };

    fn numbers(input: &[u8]) -> Vec<i64> {
        let text = std::str::from_utf8(input).unwrap();
        text.split_whitespace()
            .map(|token| token.parse().unwrap())
            .collect()
    }

    /// Grows an input of a program of which the time is known.
    fn grow_to(input: &str, time: impl Fn(&[i64]) -> Option<f64>) -> Vec<Grown> {
        let shape = Shape::infer(&[], input.as_bytes());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut timer = |given: &Given, limit: f64| -> Result<Run, Infallible> {
            Ok(match time(&numbers(&given.1)) {
                None => Run::Failed,
                Some(seconds) if seconds > limit => Run::TooSlow,
                Some(seconds) => Run::Took(seconds),
            })
        };
        grow(&shape, WANTED, &mut random, &mut timer).unwrap()
    }

    fn is_near(grown: &[Grown]) -> bool {
        NEAR.contains(&(grown.last().unwrap().seconds / WANTED.seconds))
    }

    #[test]
    fn linear_quadratic_and_cubic_programs_reach_the_wanted_time() {
        for (power, unit) in [(1, 1e-6), (2, 1e-8), (3, 1e-9)] {
            let grown = grow_to("8\n3 1 4 1 5 9 2 6\n", |numbers| {
                assert_eq!(numbers.len() as i64, numbers[0] + 1);
                Some(unit * (numbers[0] as f64).powi(power))
            });
            assert!(
                is_near(&grown),
                "{power}: {}",
                grown.last().unwrap().seconds
            );
        }
    }

    #[test]
    fn the_number_that_matters_is_found() {
        let grown = grow_to("5 3 17\n", |numbers| {
            (numbers[0] <= 600 && numbers[2] <= 1000)
                .then(|| numbers[0] as f64 * numbers[1] as f64 * 1e-6)
        });
        assert!(is_near(&grown));
    }

    #[test]
    fn limits_of_the_program_are_kept() {
        let grown = grow_to("8\n3 1 4 1 5 9 2 6\n", |numbers| {
            (numbers[0] <= 1000).then(|| numbers[0] as f64 * 1e-5)
        });
        let largest = numbers(&grown.last().unwrap().given.1)[0];
        assert!((700..=1000).contains(&largest), "{largest}");
        assert!(!is_near(&grown));
    }

    #[test]
    fn a_program_of_constant_time_is_given_up() {
        let grown = grow_to("8\n3 1 4 1 5 9 2 6\n", |_| Some(0.001));
        assert!(grown.last().is_none_or(|grown| grown.seconds <= 0.001));
        assert!(grow_to("", |_| Some(0.001)).is_empty());
    }

    #[test]
    fn siblings_have_the_same_size_and_other_values() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let given = (Vec::new(), b"6\n3 1 4 1 59 26\n".to_vec());
        let all = siblings(&given, &mut random);
        assert!(!all.is_empty());
        assert!(all.iter().all(|sibling| *sibling != given));
        let (same, last) = all.split_at(all.len() - 1);
        assert!(same.iter().all(|sibling| numbers(&sibling.1)[0] == 6));
        assert!(same.iter().any(|sibling| numbers(&sibling.1)[1] != 3));
        assert_eq!(numbers(&last[0].1)[0], 5);
        let seeds = siblings(&(Vec::new(), b"400 1 2024\n".to_vec()), &mut random);
        let first = numbers(&seeds[0].1);
        assert_eq!(first[..2], [400, 1]);
        assert_ne!(first[2], 2024);
    }

    #[test]
    fn smaller_inputs_lie_between() {
        let grown = grow_to("8\n3 1 4 1 5 9 2 6\n", |numbers| {
            Some(1e-6 * numbers[0] as f64)
        });
        let shape = Shape::infer(&[], b"8\n3 1 4 1 5 9 2 6\n");
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let between = between(&shape, grown.last().unwrap(), 3, &mut random);
        let sizes: Vec<i64> = between.iter().map(|given| numbers(&given.1)[0]).collect();
        assert_eq!(sizes.len(), 3);
        assert!(
            sizes.is_sorted_by(|a, b| a > b) && sizes[2] > 8,
            "{sizes:?}"
        );
    }
}
