//! Whether two outputs are the same, and where they first differ, in words.

use crate::inputs::Expected;

/// Characters of a line that are shown.
const SHOWN: usize = 80;

/// The first difference between what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The line, counted from 1; `None` if it is the exit status that differs.
    pub(crate) line: Option<usize>,
    /// Whether all that differs are numbers, written with a point or an exponent on one side at least.
    pub(crate) only_floating_point: bool,
    /// The difference in words.
    pub(crate) text: String,
}

/// The first difference between a run's result and the expected one; the exit status is looked at last, because an output
/// says more. `tolerance` is the largest relative difference between floating-point numbers, `None` is exact.
pub(crate) fn compare_outputs(
    expected: &Expected,
    stdout: &[u8],
    status: i32,
    tolerance: Option<f64>,
) -> Option<Difference> {
    compare_text(&expected.stdout, stdout, tolerance).or_else(|| {
        (expected.status != status).then(|| Difference {
            line: None,
            only_floating_point: false,
            text: format!("exit status {status} instead of {}", expected.status),
        })
    })
}

/// The first difference between two texts.
pub(crate) fn compare_text(
    expected: &[u8],
    got: &[u8],
    tolerance: Option<f64>,
) -> Option<Difference> {
    if expected == got {
        return None;
    }
    let mut first = None;
    let mut only_floating_point = true;
    let (mut left, mut right) = (lines(expected), lines(got));
    for number in 1.. {
        let (left, right) = (left.next(), right.next());
        if left == right {
            if left.is_none() {
                break;
            }
            continue;
        }
        let likeness = match (left, right) {
            (Some(left), Some(right)) => compare_line(left, right, tolerance),
            _ => Likeness::Different,
        };
        if likeness == Likeness::WithinTolerance {
            continue;
        }
        only_floating_point &= likeness == Likeness::FloatingPoint;
        first.get_or_insert_with(|| (number, describe(number, left, right)));
        if !only_floating_point {
            break;
        }
    }
    first.map(|(line, text)| Difference {
        line: Some(line),
        only_floating_point,
        text,
    })
}

/// Lines with their ends, so that a missing last newline is a difference.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
}

fn describe(number: usize, expected: Option<&[u8]>, got: Option<&[u8]>) -> String {
    let (Some(expected), Some(got)) = (expected, got) else {
        return match expected {
            Some(line) => format!("the output ends before line {number}, {}", shown(line, 0)),
            None => {
                format!(
                    "line {number} is too much: {}",
                    shown(got.unwrap_or_default(), 0)
                )
            }
        };
    };
    let trim = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
    if trim(expected) == trim(got) {
        let what = if got.ends_with(b"\n") {
            "too much"
        } else {
            "missing"
        };
        return format!("line {number}: the newline at its end is {what}");
    }
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    // The place of the difference is to be seen even on a long line.
    let start = if same > SHOWN * 3 / 4 {
        same - SHOWN / 4
    } else {
        0
    };
    format!(
        "line {number}: expected {}, got {}",
        shown(expected, start),
        shown(got, start)
    )
}

/// A line in quotes from `start`, bounded, with what cannot be printed escaped.
pub(crate) fn shown(line: &[u8], start: usize) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let part = &line[start.min(line.len())..];
    let before = if start > 0 { "…" } else { "" };
    let after = if part.len() > SHOWN { "…" } else { "" };
    format!(
        "\"{before}{}{after}\"",
        part[..part.len().min(SHOWN)].escape_ascii()
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The same but for numbers within the tolerance.
    WithinTolerance,
    /// Only floating-point numbers differ.
    FloatingPoint,
    /// Something else differs.
    Different,
}

/// Compares two lines piece by piece.
fn compare_line(left: &[u8], right: &[u8], tolerance: Option<f64>) -> Likeness {
    let mut likeness = Likeness::WithinTolerance;
    let (mut left, mut right) = (left, right);
    loop {
        match (next_piece(&mut left), next_piece(&mut right)) {
            (None, None) => break,
            (Some(a), Some(b)) if a.text == b.text || (a.is_blank() && b.is_blank()) => {}
            (
                Some(Piece {
                    number: Some(a), ..
                }),
                Some(Piece {
                    number: Some(b), ..
                }),
            ) if a.is_float || b.is_float => {
                if tolerance.is_none_or(|tolerance| !a.is_near(b, tolerance)) {
                    likeness = Likeness::FloatingPoint;
                }
            }
            _ => return Likeness::Different,
        }
    }
    // Without a tolerance every byte counts, blanks too.
    if tolerance.is_none() {
        Likeness::FloatingPoint
    } else {
        likeness
    }
}

/// A number, or what stands between two numbers.
struct Piece<'a> {
    text: &'a [u8],
    number: Option<Number>,
}

#[derive(Clone, Copy)]
struct Number {
    value: f64,
    /// Written with a point or an exponent, or no number at all. Integers are counts, which are right or wrong.
    is_float: bool,
}

impl Number {
    fn is_near(self, other: Self, tolerance: f64) -> bool {
        let (a, b) = (self.value, other.value);
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= tolerance * a.abs().max(b.abs()) && (a - b).is_finite()
    }
}

impl Piece<'_> {
    /// Blanks of different width stand before numbers of different width.
    fn is_blank(&self) -> bool {
        self.text.iter().all(u8::is_ascii_whitespace)
    }
}

fn next_piece<'a>(rest: &mut &'a [u8]) -> Option<Piece<'a>> {
    if rest.is_empty() {
        return None;
    }
    let (length, number) = if let Some((length, number)) = number_at(rest) {
        (length, Some(number))
    } else {
        let blank = rest[0].is_ascii_whitespace();
        let is_end =
            |at: usize| rest[at].is_ascii_whitespace() != blank || number_at(&rest[at..]).is_some();
        (
            (1..rest.len()).find(|&at| is_end(at)).unwrap_or(rest.len()),
            None,
        )
    };
    let (text, after) = rest.split_at(length);
    *rest = after;
    Some(Piece { text, number })
}

/// The number that the text begins with, and its length.
fn number_at(text: &[u8]) -> Option<(usize, Number)> {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    for word in ["nan", "infinity", "inf"] {
        let end = sign + word.len();
        let found = text
            .get(sign..end)
            .is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes()));
        if found && !text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            return parse(&text[..end], true);
        }
    }
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut fraction = 0;
    let mut is_float = false;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        // The point of "5." at the end of a sentence is none of the number's.
        if fraction > 0 {
            end += 1 + fraction;
            is_float = true;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        if exponent < text.len() && digits(exponent) > 0 {
            end = exponent + digits(exponent);
            is_float = true;
        }
    }
    parse(&text[..end], is_float)
}

fn parse(text: &[u8], is_float: bool) -> Option<(usize, Number)> {
    let value = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((text.len(), Number { value, is_float }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(expected: &str, got: &str) -> String {
        compare_text(expected.as_bytes(), got.as_bytes(), None)
            .unwrap()
            .text
    }

    fn near(expected: &str, got: &str) -> bool {
        compare_text(expected.as_bytes(), got.as_bytes(), Some(1e-6)).is_none()
    }

    #[test]
    fn equal_is_equal() {
        let expected = Expected {
            stdout: b"a\n".to_vec(),
            status: 3,
        };
        assert_eq!(compare_outputs(&expected, b"a\n", 3, None), None);
        let status = compare_outputs(&expected, b"a\n", 0, None).unwrap();
        assert_eq!(status.text, "exit status 0 instead of 3");
        assert_eq!(status.line, None);
        let both = compare_outputs(&expected, b"b\n", 0, None).unwrap();
        assert_eq!(both.line, Some(1));
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(
            text("1\n2\n3\n", "1\n5\n4\n"),
            "line 2: expected \"2\", got \"5\""
        );
        assert_eq!(
            text("1\n2\n", "1\n"),
            "the output ends before line 2, \"2\""
        );
        assert_eq!(text("1\n", "1\n2\n3\n"), "line 2 is too much: \"2\"");
        assert_eq!(
            text("1\n", "1"),
            "line 1: the newline at its end is missing"
        );
        assert_eq!(
            text("1", "1\n"),
            "line 1: the newline at its end is too much"
        );
        assert_eq!(text("", "\u{1}\n"), "line 1 is too much: \"\\x01\"");
        assert_eq!(text("a\n\n", "a\nb\n"), "line 2: expected \"\", got \"b\"");
    }

    #[test]
    fn a_late_difference_on_a_long_line_is_shown_and_bounded() {
        let (left, right) = ("x".repeat(100_000) + "1\n", "x".repeat(100_000) + "2\n");
        let text = text(&left, &right);
        assert!(text.len() < 300, "{text}");
        assert!(text.contains("x1\"") && text.contains("x2\""), "{text}");
    }

    #[test]
    fn floating_point_numbers_may_differ_within_the_tolerance() {
        assert!(near("x = 1.0000001, y\n", "x = 1.0000002, y\n"));
        assert!(near("1.5 2\n", "1.5000001 2\n"));
        assert!(near("1e10\n", "1.0000001e10\n"));
        assert!(near("1.0\n", "1\n"));
        assert!(near("nan -inf\n", "-nan -inf\n"));
        assert!(near("  -0.0|\n", "   0.0|\n"));
        assert!(near("(0.30000001)", "(0.3)"));
        assert!(!near("1.001\n", "1.002\n"));
        assert!(!near("0.0\n", "1e-9\n"));
        assert!(!near("inf\n", "1e300\n"));
        assert!(!near("nan\n", "0.0\n"));
        assert!(!near("inf\n", "-inf\n"));
    }

    #[test]
    fn integers_and_words_are_exact_under_any_tolerance() {
        assert!(!near("1000000007\n", "1000000008\n"));
        assert!(!near("a 1.0\n", "b 1.0\n"));
        assert!(!near("1.0 2.0\n", "1.0\n"));
        assert!(!near("1.0\n2.0\n", "1.0\n"));
        assert!(!near("1.0 2.0\n", "1.02.0\n"));
    }

    #[test]
    fn a_difference_in_floating_point_alone_is_known_as_such() {
        let only = |left: &str, right: &str| {
            compare_text(left.as_bytes(), right.as_bytes(), None)
                .unwrap()
                .only_floating_point
        };
        assert!(only("a 1.25\nb 1.50\n", "a 1.26\nb 1.51\n"));
        assert!(!only("a 1.25\nb 1\n", "a 1.26\nb 2\n"));
        assert!(!only("1.25\n", "1.25\n1.25\n"));
        assert!(!only("nano\n", "nanu\n"));
    }
}
