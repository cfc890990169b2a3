//! The shape of an input: numbers that say how much follows, and rows of numbers, words or characters.
//!
//! Bytes changed at random are mostly refused at once by the program. Knowing that `3` stands there because three rows
//! follow makes larger, smaller and different inputs that go deep, and that grow over orders of magnitude for timing.

mod explain;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand::Rng;

use crate::inputs::columns::{Columns, Token, as_integer};

/// Inputs larger than this are not analysed and not made.
pub(crate) const LARGEST: usize = 16 << 20;

/// Tokens of a line.
pub(crate) type Row = Vec<Token>;

/// An input as sizes and rows.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    arguments: Vec<Argument>,
    parts: Vec<Part>,
    sizes: Vec<i64>,
    /// Whether rows that are added are the old ones over again, in their order.
    repeating: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Size(usize),
    Word(String),
}

#[derive(Debug, Clone)]
enum Part {
    /// A line with these sizes.
    Header(std::ops::Range<usize>),
    /// Rows that are alike.
    Rows {
        count: Count,
        width: Width,
        rows: Vec<Row>,
        columns: Columns,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    One,
    Size(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Free,
    /// As many tokens as this size says.
    Tokens(usize),
    /// One token with as many characters as this size says.
    Characters(usize),
}

impl Shape {
    /// The most plausible shape of an input.
    pub(crate) fn infer(arguments: &[String], input: &[u8]) -> Self {
        let (arguments, mut sizes) = sizes_of(arguments);
        let lines = if input.len() > LARGEST {
            Vec::new()
        } else {
            lines_of(input)
        };
        let mut parts = explain::explain(&lines, &mut sizes);
        for part in &mut parts {
            if let Part::Rows {
                count,
                width,
                rows,
                columns,
            } = part
            {
                let own = if let Count::Size(size) = count {
                    Some(*size)
                } else {
                    None
                };
                *columns = Columns::of(rows, *width != Width::Free, own, &sizes);
            }
        }
        Self {
            arguments,
            parts,
            sizes,
            repeating: false,
        }
    }

    /// The lines of an input as they are, over and over again: what remains when nothing says how much follows.
    pub(crate) fn repeating(arguments: &[String], input: &[u8]) -> Self {
        let (arguments, mut sizes) = sizes_of(arguments);
        let rows = if input.len() > LARGEST {
            Vec::new()
        } else {
            rows_of(input)
        };
        let mut parts = Vec::new();
        if !rows.is_empty() {
            sizes.push(rows.len() as i64);
            let count = Count::Size(sizes.len() - 1);
            let columns = Columns::of(&rows, false, None, &[]);
            parts.push(Part::Rows {
                count,
                width: Width::Free,
                rows,
                columns,
            });
        }
        Self {
            arguments,
            parts,
            sizes,
            repeating: true,
        }
    }

    /// What can be made larger or smaller: numbers in the input and arguments that may be sizes, and numbers of rows.
    pub(crate) fn sizes(&self) -> &[i64] {
        &self.sizes
    }

    /// Whether something follows from the size: rows or their width.
    pub(crate) fn is_linked(&self, size: usize) -> bool {
        is_linked(&self.parts, size)
    }

    /// An input of this shape with other sizes, and about the share `change` of its values drawn anew; `None` if it would
    /// be too large.
    pub(crate) fn generate(
        &self,
        sizes: &[i64],
        change: f64,
        random: &mut impl Rng,
    ) -> Option<(Vec<String>, Vec<u8>)> {
        let arguments = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Size(size) => sizes[*size].to_string(),
                Argument::Word(word) => word.clone(),
            })
            .collect();
        let mut output = Vec::new();
        for part in &self.parts {
            match part {
                Part::Header(range) => {
                    let words: Vec<_> = sizes[range.clone()].iter().map(i64::to_string).collect();
                    output.extend_from_slice(words.join(" ").as_bytes());
                    output.push(b'\n');
                }
                Part::Rows {
                    count,
                    width,
                    rows,
                    columns,
                } => {
                    let count = match count {
                        Count::One => rows.len(),
                        Count::Size(size) => usize::try_from(sizes[*size]).unwrap_or(0),
                    };
                    let resized = Resized {
                        width: *width,
                        sizes,
                        change,
                        repeating: self.repeating,
                    };
                    for at in 0..count {
                        resized.write_row(at, rows, columns, random, &mut output)?;
                        if output.len() > LARGEST {
                            return None;
                        }
                    }
                }
            }
        }
        Some((arguments, output))
    }
}

fn is_linked(parts: &[Part], size: usize) -> bool {
    parts.iter().any(|part| match part {
        Part::Header(_) => false,
        Part::Rows { count, width, .. } => {
            *count == Count::Size(size)
                || *width == Width::Tokens(size)
                || *width == Width::Characters(size)
        }
    })
}

/// Rows under new sizes.
struct Resized<'a> {
    width: Width,
    sizes: &'a [i64],
    change: f64,
    repeating: bool,
}

impl Resized<'_> {
    fn write_row(
        &self,
        at: usize,
        rows: &[Row],
        columns: &Columns,
        random: &mut impl Rng,
        output: &mut Vec<u8>,
    ) -> Option<()> {
        let start = output.len();
        let is_new = at >= rows.len() && !self.repeating;
        let row = if is_new {
            &rows[random.random_range(0..rows.len())]
        } else {
            &rows[at % rows.len()]
        };
        let change = if is_new { 1.0 } else { self.change };
        match self.width {
            Width::Characters(size) => {
                let length = self.length(size)?;
                let text = row.first()?;
                for place in 0..length {
                    let kept = text.get(place).filter(|_| !random.random_bool(change));
                    // What is new comes from another row, so that the mix of characters stays.
                    let other = rows[random.random_range(0..rows.len())].first()?;
                    let new = other.get(random.random_range(0..other.len().max(1)));
                    output.push(*kept.or(new).unwrap_or(&b'a'));
                }
            }
            Width::Tokens(size) => {
                let column = columns.of_row(row).first()?;
                for place in 0..self.length(size)? {
                    let token = row.get(place).or_else(|| row.first())?;
                    let change = if place < row.len() { change } else { 1.0 };
                    column.write(token, self.sizes, change, random, output);
                    output.push(b' ');
                }
            }
            Width::Free => {
                for (column, token) in columns.of_row(row).iter().zip(row) {
                    column.write(token, self.sizes, change, random, output);
                    output.push(b' ');
                }
            }
        }
        output.truncate(output.trim_ascii_end().len().max(start));
        output.push(b'\n');
        Some(())
    }

    fn length(&self, size: usize) -> Option<usize> {
        usize::try_from(self.sizes[size].max(0))
            .ok()
            .filter(|&length| length <= LARGEST)
    }
}

/// Numbers among the arguments, which may be sizes.
fn sizes_of(arguments: &[String]) -> (Vec<Argument>, Vec<i64>) {
    let mut sizes = Vec::new();
    let arguments = arguments
        .iter()
        .map(|argument| match as_integer(argument.as_bytes()) {
            Some(value) => {
                sizes.push(value);
                Argument::Size(sizes.len() - 1)
            }
            None => Argument::Word(argument.clone()),
        })
        .collect();
    (arguments, sizes)
}

/// Lines of tokens.
fn rows_of(input: &[u8]) -> Vec<Row> {
    let text = input.trim_ascii_end();
    let split = |line: &[u8]| -> Row {
        let tokens = line
            .split(u8::is_ascii_whitespace)
            .filter(|token| !token.is_empty());
        tokens.map(<[u8]>::to_vec).collect()
    };
    if text.is_empty() {
        Vec::new()
    } else {
        text.split(|&byte| byte == b'\n').map(split).collect()
    }
}

/// Lines of tokens. A line `3 1 2 3`, a number and as many more, is as good as two lines.
fn lines_of(input: &[u8]) -> Vec<Row> {
    let mut lines = rows_of(input);
    if let Some(first) = lines.first_mut()
        && first.len() > 3
        && as_integer(&first[0]) == Some(first.len() as i64 - 1)
    {
        let values = first.split_off(1);
        lines.insert(1, values);
    }
    lines
}

/// All tokens of an input with how often they occur, the most frequent first.
pub(crate) fn words_of(input: &[u8]) -> Vec<Token> {
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    let bounded = &input[..input.len().min(1 << 16)];
    for token in bounded
        .split(u8::is_ascii_whitespace)
        .filter(|token| !token.is_empty())
    {
        *counts.entry(&token[..token.len().min(32)]).or_default() += 1;
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    words.into_iter().map(|(word, _)| word.to_vec()).collect()
}
