//! What stands in the columns of rows that are alike, and new values of the same kind.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

/// A word or number of an input.
pub(crate) type Token = Vec<u8>;

/// Different words that are remembered of a column.
const WORDS: usize = 256;

/// The columns of rows, by kind of row: how many tokens it has, and the word it begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    /// Whether all tokens are values of one kind, as in an array or matrix.
    pooled: bool,
    kinds: BTreeMap<Kind, Vec<Column>>,
}

type Kind = (usize, Option<Token>);

/// What stands in a column.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    /// Integers between two bounds.
    Integers {
        /// The lowest seen.
        lowest: i64,
        /// The highest seen.
        highest: i64,
        /// A size and its value that bounds the integers, as the number of nodes bounds the ends of edges.
        bound: Option<(usize, i64)>,
    },
    /// Decimal fractions between two bounds.
    Decimals {
        /// The lowest seen.
        lowest: f64,
        /// The highest seen.
        highest: f64,
    },
    /// Words.
    Words(Vec<Token>),
}

impl Columns {
    /// The columns of `rows`; `pooled` if all tokens are values of one kind. `count` is the size that counts the rows.
    pub(crate) fn of(
        rows: &[Vec<Token>],
        pooled: bool,
        count: Option<usize>,
        sizes: &[i64],
    ) -> Self {
        let mut tokens: BTreeMap<Kind, Vec<Vec<&Token>>> = BTreeMap::new();
        let mut columns = Self {
            pooled,
            kinds: BTreeMap::new(),
        };
        for row in rows {
            let places = tokens.entry(columns.kind(row)).or_default();
            for (place, token) in row.iter().enumerate() {
                let place = if pooled { 0 } else { place };
                if place == places.len() {
                    places.push(Vec::new());
                }
                places[place].push(token);
            }
        }
        for (kind, places) in tokens {
            let places = places
                .into_iter()
                .map(|tokens| Column::of(&tokens, count, sizes))
                .collect();
            columns.kinds.insert(kind, places);
        }
        columns
    }

    fn kind(&self, row: &[Token]) -> Kind {
        if self.pooled {
            return (0, None);
        }
        let is_word = |token: &&Token| as_decimal(token).is_none() && token.len() <= 16;
        // Only words followed by something say what follows.
        let word = row.first().filter(|token| row.len() > 1 && is_word(token));
        (row.len(), word.cloned())
    }

    /// The columns of rows of this kind.
    pub(crate) fn of_row(&self, row: &[Token]) -> &[Column] {
        self.kinds.get(&self.kind(row)).map_or(&[], Vec::as_slice)
    }
}

impl Column {
    /// Writes a token, or with the probability `change`, or if it does not fit the new sizes, another of its kind.
    pub(crate) fn write(
        &self,
        token: &[u8],
        sizes: &[i64],
        change: f64,
        random: &mut impl Rng,
        output: &mut Vec<u8>,
    ) {
        let is_new = change > 0.0 && random.random_bool(change.min(1.0));
        if is_new || !self.allows(token, sizes) {
            self.write_new(token, sizes, random, output);
        } else {
            output.extend_from_slice(token);
        }
    }

    fn of(tokens: &[&Token], count: Option<usize>, sizes: &[i64]) -> Self {
        let integers: Option<Vec<i64>> = tokens.iter().map(|token| as_integer(token)).collect();
        if let Some(integers) = integers {
            let lowest = integers.iter().copied().min().unwrap_or(0);
            let highest = integers.iter().copied().max().unwrap_or(0);
            return Self::Integers {
                lowest,
                highest,
                bound: bound(lowest, highest, count, sizes),
            };
        }
        let decimals: Option<Vec<f64>> = tokens.iter().map(|token| as_decimal(token)).collect();
        if let Some(decimals) = decimals {
            let lowest = decimals.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = decimals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            return Self::Decimals { lowest, highest };
        }
        let words: BTreeSet<&Token> = tokens.iter().copied().take(1 << 14).collect();
        Self::Words(words.into_iter().take(WORDS).cloned().collect())
    }

    /// The bounds of the integers under new sizes.
    fn range(lowest: i64, highest: i64, bound: Option<(usize, i64)>, sizes: &[i64]) -> (i64, i64) {
        let Some((size, old)) = bound else {
            return (lowest, highest);
        };
        let new = sizes[size];
        if new == old {
            return (lowest, highest);
        }
        // Indices count from 0 or from 1: the distance to the size is kept.
        let last = new.saturating_sub(i64::from(highest != old)).max(0);
        let scaled = (highest as f64 * new as f64 / old as f64).round() as i64;
        let highest = scaled.min(last);
        (lowest.min(1).min(highest), highest)
    }

    fn allows(&self, token: &[u8], sizes: &[i64]) -> bool {
        let Self::Integers {
            lowest,
            highest,
            bound,
        } = *self
        else {
            return true;
        };
        let (_, highest) = Self::range(lowest, highest, bound, sizes);
        as_integer(token).is_none_or(|value| value <= highest)
    }

    fn write_new(&self, token: &[u8], sizes: &[i64], random: &mut impl Rng, output: &mut Vec<u8>) {
        match self {
            Self::Integers {
                lowest,
                highest,
                bound,
            } => {
                let (lowest, highest) = Self::range(*lowest, *highest, *bound, sizes);
                let value = random.random_range(lowest..=highest);
                output.extend_from_slice(value.to_string().as_bytes());
            }
            Self::Decimals { lowest, highest } => {
                let value = lowest + (highest - lowest) * random.random::<f64>();
                let point = token.iter().position(|&byte| byte == b'.');
                let digits = point.map_or(0, |point| token.len() - point - 1);
                let is_plain = token.iter().all(|byte| b"+-.0123456789".contains(byte));
                let text = if is_plain {
                    format!("{value:.digits$}")
                } else {
                    format!("{value:e}")
                };
                output.extend_from_slice(text.as_bytes());
            }
            Self::Words(words) => {
                output.extend_from_slice(&words[random.random_range(0..words.len())]);
            }
        }
    }
}

/// The size that bounds a column of indices: the least that is not below the highest of them, and not far above. The
/// number of the rows themselves comes last: the ends of edges are bounded by the number of nodes.
fn bound(lowest: i64, highest: i64, count: Option<usize>, sizes: &[i64]) -> Option<(usize, i64)> {
    let is_near = |size: i64| lowest >= 0 && size > 1 && size >= highest && size / 2 <= highest;
    let near = sizes
        .iter()
        .copied()
        .enumerate()
        .filter(|&(_, size)| is_near(size));
    near.min_by_key(|&(at, size)| (Some(at) == count, size))
}

/// The value of a token that is an integer.
pub(crate) fn as_integer(token: &[u8]) -> Option<i64> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// The value of a token that is a finite number.
pub(crate) fn as_decimal(token: &[u8]) -> Option<f64> {
    let is_number = token.iter().any(u8::is_ascii_digit)
        && token.iter().all(|byte| b"+-.0123456789eE".contains(byte));
    let value: f64 = std::str::from_utf8(token)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()?;
    value.is_finite().then_some(value)
}
