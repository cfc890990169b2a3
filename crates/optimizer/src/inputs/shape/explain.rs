//! How the lines of an input hang together.

use crate::inputs::columns::{Columns, as_integer};
use crate::inputs::shape::{Count, Part, Row, Width, is_linked};

/// Numbers on a line that may all be sizes.
const HEADER_TOKENS: usize = 6;
/// Steps in the search for an explanation of the lines.
const STEPS: usize = 2_000;

/// The parts that explain all lines. The sizes that are known (from arguments) may count lines; those that the lines have
/// are added to them.
pub(super) fn explain(lines: &[Row], sizes: &mut Vec<i64>) -> Vec<Part> {
    let known = sizes.len();
    let mut search = Search {
        lines,
        parts: Vec::new(),
        sizes,
        steps: 0,
        rest: false,
    };
    if !lines.is_empty() && !search.explain(0) {
        search.start_again(known);
        if !search.explain(0) {
            search.start_again(known);
            search.take_rest(0);
        }
    }
    search.parts
}

/// The search for an explanation of all lines.
struct Search<'a> {
    lines: &'a [Row],
    parts: Vec<Part>,
    sizes: &'a mut Vec<i64>,
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
