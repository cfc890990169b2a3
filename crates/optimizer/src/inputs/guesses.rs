//! Inputs to begin with when the user gave none: the usual forms of contest and kernel programs.

use rand::Rng;

use crate::inputs::columns::Token;
use crate::inputs::mutate::Given;
use crate::inputs::source::Hints;

/// Texts of the usual forms, the most likely first. Each is tried; coverage decides which were worth it.
pub(crate) fn guesses(hints: &Hints, random: &mut impl Rng) -> Vec<Given> {
    let mut guess = Guess { random };
    let mut numbers = guess.numbers();
    let mut texts = guess.texts(&hints.words);
    if hints.fractions {
        numbers.splice(0..0, guess.fractions());
    }
    if hints.text {
        std::mem::swap(&mut numbers, &mut texts);
    }
    let mut inputs: Vec<Vec<u8>> = vec![Vec::new()];
    if hints.input || !hints.arguments {
        inputs.extend(numbers.into_iter().chain(texts));
    }
    let mut all: Vec<Given> = inputs
        .iter()
        .map(|input| (Vec::new(), input.clone()))
        .collect();
    if hints.arguments {
        let words = hints
            .words
            .iter()
            .filter_map(|word| String::from_utf8(word.clone()).ok());
        for arguments in arguments(words) {
            // Most programs with arguments read nothing else; the rest is found by mutation.
            all.extend(
                inputs
                    .iter()
                    .take(4)
                    .map(|input| (arguments.clone(), input.clone())),
            );
        }
    }
    all
}

fn arguments(words: impl Iterator<Item = String>) -> Vec<Vec<String>> {
    let usual = [
        &["7"][..],
        &["7", "5"],
        &["7", "5", "3"],
        &["100"],
        &["1000", "10"],
        &["0"],
        &["-1"],
        &["0.5"],
        &["word"],
        &["3", "word"],
        &["word", "another"],
        &["3", "1", "4", "1", "5", "9", "2", "6"],
    ];
    let owned = |arguments: &[&str]| arguments.iter().map(ToString::to_string).collect();
    let mut all: Vec<Vec<String>> = usual.into_iter().map(owned).collect();
    for word in words
        .filter(|word| !word.contains(char::is_whitespace))
        .take(12)
    {
        all.push(vec![word.clone()]);
        all.push(vec![word, "7".to_owned()]);
    }
    all
}

struct Guess<'a, R> {
    random: &'a mut R,
}

impl<R: Rng> Guess<'_, R> {
    /// `count` integers below `bound`, separated by `separator`.
    fn integers(&mut self, count: usize, lowest: i64, highest: i64, separator: &str) -> String {
        let values: Vec<_> = (0..count)
            .map(|_| self.random.random_range(lowest..=highest).to_string())
            .collect();
        values.join(separator)
    }

    fn rows(&mut self, rows: usize, columns: usize, lowest: i64, highest: i64) -> String {
        (0..rows)
            .map(|_| self.integers(columns, lowest, highest, " ") + "\n")
            .collect()
    }

    fn numbers(&mut self) -> Vec<Vec<u8>> {
        let mut all: Vec<String> = [
            "0", "1", "7", "100", "-5", "10000", "7 5", "7 5 3", "12 3 9 2", "1000000",
        ]
        .map(|line| format!("{line}\n"))
        .to_vec();
        // Sizes differ from each other and from what else stands there, so that it is clear what they count.
        for (lowest, highest) in [(-1_000_000, 1_000_000), (1, 9), (1, 8)] {
            all.push(format!("8\n{}\n", self.integers(8, lowest, highest, " ")));
            all.push(format!("8\n{}\n", self.integers(8, lowest, highest, "\n")));
            all.push(format!("8 3\n{}\n", self.integers(8, lowest, highest, " ")));
        }
        all.push(format!("7 5\n{}", self.rows(7, 5, -99, 99)));
        all.push(format!("7\n{}", self.rows(7, 7, -99, 99)));
        all.push(format!("7\n{}", self.rows(7, 2, -99, 99)));
        all.push(format!("7\n{}", self.rows(7, 3, -99, 99)));
        all.push(format!("9 13\n{}", self.rows(13, 2, 1, 9)));
        all.push(format!("9 13\n{}", self.rows(13, 2, 0, 8)));
        all.push(format!("9 13\n{}", self.rows(13, 3, 1, 9)));
        all.push(format!(
            "9 13 4\n{}{}",
            self.rows(13, 3, 1, 9),
            self.rows(4, 2, 1, 9)
        ));
        all.push(format!(
            "9 5\n{}\n{}",
            self.integers(9, -99, 99, " "),
            self.rows(5, 2, 1, 9)
        ));
        all.push(format!(
            "9 5\n{}\n{}",
            self.integers(9, -99, 99, " "),
            self.rows(5, 3, 1, 9)
        ));
        all.push(format!(
            "9\n{}\n5\n{}",
            self.integers(9, -99, 99, " "),
            self.rows(5, 2, 1, 9)
        ));
        all.push(format!(
            "9\n{}\n{}\n",
            self.integers(9, -99, 99, " "),
            self.integers(9, -99, 99, " ")
        ));
        let (left, right) = (self.rows(5, 4, -9, 9), self.rows(4, 6, -9, 9));
        all.push(format!("5 4 6\n{left}{right}"));
        all.push(self.integers(12, -999, 999, "\n") + "\n");
        all.push(self.integers(12, 0, 99, " ") + "\n");
        all.into_iter().map(String::into_bytes).collect()
    }

    fn fractions(&mut self) -> Vec<Vec<u8>> {
        let row = |guess: &mut Self, columns: usize| {
            let values: Vec<_> = (0..columns)
                .map(|_| format!("{:.3}", guess.random.random_range(-100.0..100.0)))
                .collect();
            values.join(" ") + "\n"
        };
        let mut all = vec![
            row(self, 1),
            row(self, 2),
            row(self, 3),
            format!("8\n{}", row(self, 8)),
        ];
        for columns in [2, 3, 4, 7] {
            let rows: String = (0..9).map(|_| row(self, columns)).collect();
            all.push(format!("9\n{rows}"));
        }
        all.into_iter().map(String::into_bytes).collect()
    }

    fn texts(&mut self, words: &[Token]) -> Vec<Vec<u8>> {
        let mut all: Vec<String> = vec![
            "a\n".to_owned(),
            "hello world\n".to_owned(),
            "The quick brown fox jumps over the lazy dog.\nIt's 42 o'clock;  level, noon!\n\nend\n"
                .to_owned(),
            "abracadabra\n".to_owned(),
            "abcbdab\nbdcaba\n".to_owned(),
            "11\nabracadabra\n".to_owned(),
            "5\nalpha\nbeta\ngamma\nalpha\ndelta\n".to_owned(),
            "5\nalpha 3\nbeta -1\ngamma 20\nalpha 7\ndelta 0\n".to_owned(),
            "(1+2)*3-4/(5-6)\n".to_owned(),
            "([]{})[(\n".to_owned(),
            "{\"key\": [1, -2.5e3, true, null, \"text\"]}\n".to_owned(),
            "a,b,c\n1,\"x y\",-3\n".to_owned(),
            "0110100110010110\n".to_owned(),
        ];
        for open in ['.', '0'] {
            let wall = if open == '.' { '#' } else { '1' };
            let grid: String = (0..6)
                .map(|_| {
                    let cell = |_| {
                        if self.random.random_bool(0.3) {
                            wall
                        } else {
                            open
                        }
                    };
                    (0..9).map(cell).collect::<String>() + "\n"
                })
                .collect();
            all.push(format!("6 9\n{grid}"));
            all.push(format!("6 9 3\n{grid}0 0 5 8\n1 1 4 7\n5 0 0 8\n"));
        }
        let mut all: Vec<Vec<u8>> = all.into_iter().map(String::into_bytes).collect();
        all.extend(self.commands(words));
        all
    }

    /// Lines that begin with a word the program may look for.
    fn commands(&mut self, words: &[Token]) -> Vec<Vec<u8>> {
        let is_command = |word: &&Token| {
            word.iter().all(u8::is_ascii_graphic) && word.iter().any(|byte| !byte.is_ascii_digit())
        };
        let commands: Vec<&Token> = words.iter().filter(is_command).take(40).collect();
        if commands.is_empty() {
            return Vec::new();
        }
        let lines = |values: usize, guess: &mut Self| {
            let mut text = Vec::new();
            for _ in 0..3 {
                for command in &commands {
                    text.extend_from_slice(command);
                    for _ in 0..values {
                        text.extend_from_slice(
                            format!(" {}", guess.random.random_range(1..=6)).as_bytes(),
                        );
                    }
                    text.push(b'\n');
                }
            }
            text
        };
        let mut all = Vec::new();
        // A wrong first command may end it all.
        for command in &commands {
            for values in 0..3 {
                let value = format!(" {}", self.random.random_range(1..=6)).repeat(values);
                all.push([command.as_slice(), value.as_bytes(), b"\n"].concat());
            }
        }
        for values in 0..4 {
            let text = lines(values, self);
            let counted = format!("{}\n", commands.len() * 3).into_bytes();
            all.push([counted, text.clone()].concat());
            all.push([&b"10\n"[..], &text].concat());
            all.push(text);
        }
        let soup: Vec<u8> = commands
            .iter()
            .flat_map(|word| word.iter().copied().chain([b' ']))
            .collect();
        all.push(soup);
        all
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn make(hints: &Hints) -> Vec<Given> {
        guesses(hints, &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn the_form_that_the_text_hints_at_comes_first() {
        let reads = Hints {
            input: true,
            ..Hints::default()
        };
        let numbers = make(&reads);
        assert_eq!(numbers[0].1, b"");
        assert_eq!(numbers[1].1, b"0\n");
        assert_eq!(
            make(&Hints {
                text: true,
                ..reads.clone()
            })[1]
                .1,
            b"a\n"
        );
        let fraction = &make(&Hints {
            fractions: true,
            ..reads
        })[1]
            .1;
        assert!(fraction.contains(&b'.'));
        assert_eq!(make(&Hints::default()), numbers);
    }

    #[test]
    fn a_program_that_reads_arguments_only_is_given_no_input() {
        let hints = Hints {
            arguments: true,
            words: vec![b"--fast".to_vec()],
            ..Hints::default()
        };
        let made = make(&hints);
        assert!(made.iter().all(|(_, input)| input.is_empty()));
        assert!(made.iter().any(|(arguments, _)| arguments == &["7", "5"]));
        assert!(made.iter().any(|(arguments, _)| arguments == &["--fast"]));
    }

    #[test]
    fn words_of_the_text_become_commands() {
        let hints = Hints {
            input: true,
            words: vec![b"push".to_vec()],
            ..Hints::default()
        };
        assert!(
            make(&hints)
                .iter()
                .any(|(_, input)| input.starts_with(b"3\npush "))
        );
    }
}
