//! The shape of an input: numbers that say how much follows, and rows of numbers, words or characters.
//!
//! Bytes changed at random are mostly refused at once by the program. Knowing that `3` stands there because three rows
//! follow makes larger, smaller and different inputs that go deep, and that grow over orders of magnitude for timing.

use std::collections::BTreeMap;

use rand::Rng;

use crate::inputs::columns::{Columns, Token, as_integer};

/// Inputs larger than this are not analysed and not made.
pub(crate) const LARGEST: usize = 16 << 20;
/// Numbers on a line that may all be sizes.
const HEADER_TOKENS: usize = 6;
/// Steps in the search for an explanation of the lines.
const STEPS: usize = 2_000;

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
        let (arguments, sizes) = sizes_of(arguments);
        let lines = if input.len() > LARGEST {
            Vec::new()
        } else {
            lines_of(input)
        };
        let mut search = Search {
            lines: &lines,
            parts: Vec::new(),
            sizes,
            steps: 0,
            rest: false,
        };
        let known = search.sizes.len();
        if !lines.is_empty() && !search.explain(0) {
            search.start_again(known);
            if !search.explain(0) {
                search.start_again(known);
                search.take_rest(0);
            }
        }
        let Search {
            mut parts, sizes, ..
        } = search;
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

/// The search for an explanation of all lines.
struct Search<'a> {
    lines: &'a [Row],
    parts: Vec<Part>,
    sizes: Vec<i64>,
    steps: usize,
    /// Whether lines may remain at the end that no size counts.
    rest: bool,
}

impl Search<'_> {
    /// Forgets what was found, and allows for lines at the end that nothing counts.
    fn start_again(&mut self, known: usize) {
        self.parts.clear();
        self.sizes.truncate(known);
        self.steps = 0;
        self.rest = true;
    }

    /// Explains the lines from `at`; whatever it adds is taken back if it cannot.
    fn explain(&mut self, at: usize) -> bool {
        self.steps += 1;
        if at == self.lines.len() {
            return self.headers_are_justified();
        }
        if self.steps > STEPS {
            return false;
        }
        self.counted_rows(at)
            || self.one_row(at)
            || self.header(at)
            || (self.rest && at > 0 && self.take_rest(at))
    }

    /// The first header may hold any numbers; a later one has to say how much follows, or it is just a row.
    fn headers_are_justified(&self) -> bool {
        let headers = self.parts.iter().filter_map(|part| match part {
            Part::Header(range) => Some(range.clone()),
            Part::Rows { .. } => None,
        });
        headers
            .skip(1)
            .all(|mut range| range.any(|size| is_linked(&self.parts, size)))
    }

    /// As many rows as one of the sizes says; sizes that counted nothing yet come first.
    fn counted_rows(&mut self, at: usize) -> bool {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by_key(|size| self.counts(*size));
        for size in order {
            let Ok(count) = usize::try_from(self.sizes[size]) else {
                continue;
            };
            if count == 0 || count > self.lines.len() - at || self.counts(size) > 1 {
                continue;
            }
            let rows = &self.lines[at..at + count];
            if are_alike(rows) {
                let part = Self::rows(Count::Size(size), self.width_of(rows), rows);
                if self.with(part, at + count) {
                    return true;
                }
            }
        }
        false
    }

    fn counts(&self, size: usize) -> usize {
        let counts =
            |part: &&Part| matches!(part, Part::Rows { count: Count::Size(s), .. } if *s == size);
        self.parts.iter().filter(counts).count()
    }

    /// A line as wide as one of the sizes says.
    fn one_row(&mut self, at: usize) -> bool {
        let rows = &self.lines[at..=at];
        let width = self.width_of(rows);
        width != Width::Free && {
            let part = Self::rows(Count::One, width, rows);
            self.with(part, at + 1)
        }
    }

    /// A line of numbers that may be sizes.
    fn header(&mut self, at: usize) -> bool {
        let line = &self.lines[at];
        let headers = self
            .parts
            .iter()
            .filter(|part| matches!(part, Part::Header(_)))
            .count();
        let longest = if headers == 0 { HEADER_TOKENS } else { 2 };
        // A header stands first, or behind what an earlier header announced.
        if line.is_empty() || line.len() > longest || headers > 2 || (at > 0 && headers == 0) {
            return false;
        }
        let Some(values) = line
            .iter()
            .map(|token| as_integer(token))
            .collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let first = self.sizes.len();
        self.sizes.extend(values);
        let part = Part::Header(first..self.sizes.len());
        let explained = self.with(part, at + 1);
        if !explained {
            self.sizes.truncate(first);
        }
        explained
    }

    /// All that remains, with a size of its own.
    fn take_rest(&mut self, at: usize) -> bool {
        let rows = &self.lines[at..];
        self.sizes.push(rows.len() as i64);
        let size = self.sizes.len() - 1;
        let (count, width) = match rows {
            [row] if row.len() > 1 => {
                self.sizes[size] = row.len() as i64;
                (Count::One, Width::Tokens(size))
            }
            [row] if row.len() == 1 && as_integer(&row[0]).is_none() => {
                self.sizes[size] = row[0].len() as i64;
                (Count::One, Width::Characters(size))
            }
            _ => (Count::Size(size), Width::Free),
        };
        let part = Self::rows(count, width, rows);
        self.parts.push(part);
        let justified = self.headers_are_justified();
        if !justified {
            self.parts.pop();
            self.sizes.pop();
        }
        justified
    }

    fn rows(count: Count, width: Width, rows: &[Row]) -> Part {
        Part::Rows {
            count,
            width,
            rows: rows.to_vec(),
            columns: Columns::default(),
        }
    }

    fn with(&mut self, part: Part, next: usize) -> bool {
        self.parts.push(part);
        let explained = self.explain(next);
        if !explained {
            self.parts.pop();
        }
        explained
    }

    fn width_of(&self, rows: &[Row]) -> Width {
        let size_of = |wanted: usize| {
            self.sizes
                .iter()
                .position(|&size| wanted > 1 && usize::try_from(size) == Ok(wanted))
        };
        let tokens = rows[0].len();
        if rows.iter().any(|row| row.len() != tokens) {
            return Width::Free;
        }
        if let Some(size) = size_of(tokens) {
            return Width::Tokens(size);
        }
        let length = rows[0].first().map_or(0, Vec::len);
        let is_text = tokens == 1 && rows.iter().all(|row| row[0].len() == length);
        match size_of(length) {
            Some(size) if is_text => Width::Characters(size),
            _ => Width::Free,
        }
    }
}

/// Rows of one block have as many tokens each, or begin with a word that says what follows.
fn are_alike(rows: &[Row]) -> bool {
    let tokens = rows[0].len();
    let is_command = |row: &Row| {
        row.first()
            .is_some_and(|first| !first[0].is_ascii_digit() && first[0] != b'-')
    };
    rows.iter().all(|row| row.len() == tokens) || rows.iter().all(is_command)
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shape(input: &str) -> Shape {
        Shape::infer(&[], input.as_bytes())
    }

    fn generate(input: &str, sizes: &[i64], change: f64) -> String {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (_, output) = shape(input).generate(sizes, change, &mut random).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// Numbers of a line of the output.
    fn numbers(output: &str, line: usize) -> Vec<i64> {
        let line = output.lines().nth(line).unwrap();
        line.split(' ')
            .map(|token| token.parse().unwrap())
            .collect()
    }

    #[test]
    fn unchanged_sizes_give_the_input_back() {
        for input in [
            "5\n3 1 4 1 5\n",
            "4 2\n1 2\n3 4\n5 6\n7 8\n",
            "2 3 1\n..#\n.#.\n0 0 1 2\n",
            "7\n",
            "400 1 2024\n",
            "3\nalpha\nbeta\ngamma\n",
            "2\n0.5 1.25\n-1e3 2\n5 5 5 5 5 5 5 5 5\n",
            "10\n+ 1 2\n? 1\n- 1\n* 3 4 5\n",
            "a line of words\n\nanother one\n",
        ] {
            let sizes = shape(input).sizes().to_vec();
            assert_eq!(generate(input, &sizes, 0.0), input);
        }
    }

    #[test]
    fn an_array_is_as_long_as_its_size() {
        let output = generate("5\n3 1 4 1 59\n", &[1000], 0.0);
        assert!(output.starts_with("1000\n3 1 4 1 59 "));
        let values = numbers(&output, 1);
        assert_eq!(values.len(), 1000);
        assert!(values.iter().all(|value| (1..=59).contains(value)));
        assert_eq!(generate("5\n3 1 4 1 5\n", &[0], 0.0), "0\n\n");
        assert_eq!(generate("5 3 1 4 1 7\n", &[2], 0.0), "2\n3 1\n");
    }

    #[test]
    fn a_grid_grows_in_both_directions_and_its_queries_with_it() {
        let input = "3 9 2\n..#...##.\n.#..#....\n.........\n0 8 2 6\n1 7 0 5\n";
        let output = generate(input, &[30, 40, 20], 0.0);
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 51);
        assert!(lines[1..31].iter().all(|row| row.len() == 40));
        assert!(output.contains('#'));
        let far = (31..51).map(|line| numbers(&output, line));
        assert!(
            far.clone()
                .all(|q| q[0] < 30 && q[1] < 40 && q[2] < 30 && q[3] < 40)
        );
        assert!(far.map(|query| query[2]).max() > Some(3), "{output}");
        let small = generate(input, &[1, 1, 2], 0.0);
        assert_eq!(small, "1 1 2\n.\n0 0 0 0\n0 0 0 0\n");
    }

    #[test]
    fn edges_stay_within_the_number_of_nodes() {
        let input = "4 5\n1 2\n2 3\n3 4\n4 1\n1 3\n";
        let output = generate(input, &[100, 200], 0.5);
        assert_eq!(output.lines().count(), 201);
        let ends: Vec<i64> = (1..201).flat_map(|line| numbers(&output, line)).collect();
        assert!(ends.iter().all(|end| (1..=100).contains(end)));
        assert!(ends.iter().any(|&end| end > 50));
    }

    #[test]
    fn an_array_may_be_followed_by_queries_with_a_size_of_their_own() {
        let input = "5\n9 8 7 6 5\n3\n1 5\n2 2\n4 5\n";
        let inferred = shape(input);
        assert_eq!(inferred.sizes(), [5, 3]);
        let output = generate(input, &[2, 1], 0.0);
        assert_eq!(output.lines().count(), 4);
        assert_eq!(numbers(&output, 1), [9, 8]);
    }

    #[test]
    fn commands_keep_their_form_and_the_rest_of_the_lines_has_a_size() {
        let input = "10\n+ 1 2\n? 1\n+ 900 -7\n? 900\n- 1\n";
        let inferred = shape(input);
        assert_eq!(inferred.sizes(), [10, 5]);
        assert!(inferred.is_linked(1) && !inferred.is_linked(0));
        let output = generate(input, &[10, 500], 0.0);
        assert_eq!(output.lines().count(), 501);
        for line in output.lines().skip(1) {
            let tokens: Vec<_> = line.split(' ').collect();
            assert_eq!(tokens.len(), if tokens[0] == "+" { 3 } else { 2 }, "{line}");
        }
    }

    #[test]
    fn arguments_are_sizes_too() {
        let arguments = ["--n".to_owned(), "3".to_owned()];
        let inferred = Shape::infer(&arguments, b"1 2\n3 4\n5 6\n");
        assert_eq!(inferred.sizes(), [3]);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (arguments, output) = inferred.generate(&[6], 0.0, &mut random).unwrap();
        assert_eq!(arguments, ["--n", "6"]);
        assert_eq!(output.split_inclusive(|&byte| byte == b'\n').count(), 6);
    }

    #[test]
    fn text_and_lists_grow_to_the_end_of_the_file() {
        assert_eq!(
            generate("to be or not\n", &[9], 0.0)
                .split_whitespace()
                .count(),
            9
        );
        assert_eq!(generate("abcab\n", &[90], 0.0).trim_end().len(), 90);
        assert_eq!(
            generate("one\ntwo\nthree\n", &[12], 0.0).lines().count(),
            12
        );
        assert!(shape("").sizes().is_empty());
        assert_eq!(generate("", &[], 1.0), "");
    }

    #[test]
    fn lines_can_be_repeated_in_their_order() {
        let shape = Shape::repeating(&["5".to_owned()], b"push 1\nadd\n");
        assert_eq!(shape.sizes(), [5, 2]);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (arguments, output) = shape.generate(&[6, 5], 0.0, &mut random).unwrap();
        assert_eq!(arguments, ["6"]);
        assert_eq!(output, b"push 1\nadd\npush 1\nadd\npush 1\n");
        assert!(Shape::repeating(&[], b"").sizes().is_empty());
    }

    #[test]
    fn what_would_be_too_large_is_not_made() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let shape = shape("5\n3 1 4 1 5\n");
        assert!(shape.generate(&[i64::MAX], 0.0, &mut random).is_none());
        assert!(shape.generate(&[100_000_000], 0.0, &mut random).is_none());
        assert!(shape.generate(&[-5], 0.0, &mut random).is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_shape(input: Vec<u8>, sizes in proptest::collection::vec(-3i64..50, 40), change in 0.0..=1.0) {
            let shape = Shape::infer(&[], &input);
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let count = shape.sizes().len();
            proptest::prop_assert!(count <= sizes.len());
            shape.generate(&sizes[..count], change, &mut random);
        }

        #[test]
        fn any_numbers_have_a_shape(input in "([0-5 \n#-]|[0-9]{19}){0,60}", sizes in proptest::collection::vec(-3i64..50, 40), change in 0.0..=1.0) {
            let shape = Shape::infer(&[], input.as_bytes());
            let mut random = ChaCha8Rng::seed_from_u64(1);
            shape.generate(&sizes[..shape.sizes().len()], change, &mut random);
        }
    }
}
