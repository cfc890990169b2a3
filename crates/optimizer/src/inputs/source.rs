//! What the program's text says about its input.

use std::collections::BTreeSet;

use crate::inputs::columns::Token;
use crate::program::Program;

/// Literals that are remembered.
const MOST_WORDS: usize = 200;
/// Functions that read standard input.
const READERS: [&str; 15] = [
    "scanf",
    "fscanf",
    "getchar",
    "getchar_unlocked",
    "getc",
    "getc_unlocked",
    "fgetc",
    "gets",
    "fgets",
    "getline",
    "getdelim",
    "fread",
    "fread_unlocked",
    "read",
    "vscanf",
];

/// Hints from the text, taken without understanding it: they only say what to try first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations")]
pub(crate) struct Hints {
    /// Words, characters and numbers that stand in the text: what the program may look for.
    pub(crate) words: Vec<Token>,
    /// It uses its arguments.
    pub(crate) arguments: bool,
    /// It reads standard input.
    pub(crate) input: bool,
    /// It reads characters or words rather than numbers.
    pub(crate) text: bool,
    /// It reads numbers with a fraction.
    pub(crate) fractions: bool,
}

impl Hints {
    pub(crate) fn of(program: &Program) -> Self {
        let mut hints = Self::default();
        let mut words = BTreeSet::new();
        for unit in &program.units {
            hints.read(&unit.text, &mut words);
        }
        hints.words = words.into_iter().take(MOST_WORDS).collect();
        hints
    }

    fn read(&mut self, text: &str, words: &mut BTreeSet<Token>) {
        let mut uses_of_arguments = 0;
        let mut last_name = "";
        let mut scanning = false;
        for lexeme in Lexemes(text) {
            match lexeme {
                Lexeme::Name(name) => {
                    uses_of_arguments += usize::from(name == "argv");
                    if READERS.contains(&name) {
                        self.input = true;
                        self.text |= !name.ends_with("scanf");
                    }
                    scanning = name.ends_with("scanf") || (scanning && name == "stdin");
                    last_name = name;
                }
                Lexeme::Text(text) if scanning => {
                    self.read_format(&text);
                    scanning = false;
                }
                Lexeme::Text(text) => {
                    // What is printed is rarely looked for, and includes are not either.
                    let is_word = !text.is_empty()
                        && text.len() <= 16
                        && !text.contains(&b'%')
                        && !text.contains(&0)
                        && !["printf", "puts", "include", "fprintf"].contains(&last_name);
                    if is_word {
                        words.insert(text);
                    }
                }
                Lexeme::Number(number) => {
                    words.insert(number.as_bytes().to_vec());
                }
                Lexeme::Other(b';') => scanning = false,
                Lexeme::Other(_) => {}
            }
        }
        // Once it is declared.
        self.arguments |= uses_of_arguments > 1;
    }

    /// The conversions of a `scanf` format.
    fn read_format(&mut self, format: &[u8]) {
        for conversion in format.split(|&byte| byte == b'%').skip(1) {
            let kind = conversion.iter().find(|byte| {
                byte.is_ascii_alphabetic() && !b"hljztqL".contains(byte) || **byte == b'['
            });
            match kind {
                Some(b's' | b'c' | b'[' | b'S' | b'C') => self.text = true,
                Some(b'f' | b'e' | b'g' | b'a' | b'F' | b'E' | b'G' | b'A') => {
                    self.fractions = true;
                }
                _ => {}
            }
        }
    }
}

enum Lexeme<'a> {
    Name(&'a str),
    Number(&'a str),
    /// A string or character literal without its quotes.
    Text(Vec<u8>),
    Other(u8),
}

/// C, roughly: comments are skipped.
struct Lexemes<'a>(&'a str);

impl<'a> Iterator for Lexemes<'a> {
    type Item = Lexeme<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_start();
            let end = if self.0.starts_with("//") {
                self.0.find('\n')
            } else if self.0.starts_with("/*") {
                self.0.find("*/").map(|end| end + 2)
            } else {
                break;
            };
            self.0 = &self.0[end.unwrap_or(self.0.len())..];
        }
        let first = self.0.chars().next()?;
        if first == '"' || first == '\'' {
            return Some(Lexeme::Text(self.literal(first)));
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) {
            self.0.find(|c| !is_word(c)).unwrap_or(self.0.len())
        } else {
            first.len_utf8()
        };
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(match first {
            '0'..='9' => Lexeme::Number(word.trim_end_matches(['u', 'U', 'l', 'L'])),
            _ if is_word(first) => Lexeme::Name(word),
            _ => Lexeme::Other(word.as_bytes()[0]),
        })
    }
}

impl Lexemes<'_> {
    fn literal(&mut self, quote: char) -> Vec<u8> {
        let mut text = Vec::new();
        let mut chars = self.0.char_indices().skip(1);
        let mut end = self.0.len();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    end = at + 1;
                    break;
                }
                '\n' => {
                    end = at;
                    break;
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push(b'\n'),
                    Some('t') => text.push(b'\t'),
                    Some('0') => text.push(0),
                    Some(c) if c.is_ascii_punctuation() => text.push(c as u8),
                    _ => {}
                },
                _ => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.0 = &self.0[end..];
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(text: &str) -> Hints {
        let mut words = BTreeSet::new();
        let mut hints = Hints::default();
        hints.read(text, &mut words);
        hints.words = words.into_iter().collect();
        hints
    }

    #[test]
    fn words_that_the_program_looks_for_are_found() {
        let found = hints(
            "#include \"x.h\"\n/* \"comment\" */ int main(void) { // 'c'\n\
             if (!strcmp(word, \"push\") || c == '+' || c == '\\n' || n > 4096UL) printf(\"no\\n\"); }",
        );
        let words: Vec<_> = found
            .words
            .iter()
            .map(|word| word.escape_ascii().to_string())
            .collect();
        assert_eq!(words, ["\\n", "+", "4096", "push"]);
        assert!(!found.arguments && !found.input);
    }

    #[test]
    fn ways_of_reading_are_told_apart() {
        let numbers = hints("int n; scanf(\"%d %lld\", &n, &m);");
        assert!(numbers.input && !numbers.text && !numbers.fractions);
        assert!(hints("scanf(\"%5s\", word);").text);
        assert!(hints("fscanf(stdin, \"%lf\", &x);").fractions);
        assert!(!hints("scanf(\"%d\", &x); printf(\"%s %f\", s, x);").text);
        assert!(hints("while ((c = getchar()) != EOF)").text);
        assert!(hints("int main(int argc, char **argv) { n = atoi(argv[1]); }").arguments);
        assert!(!hints("int main(int argc, char **argv) { return 0; }").arguments);
    }

    #[test]
    fn broken_text_is_read_to_its_end() {
        for text in ["\"abc", "'", "/*", "//", "\"\\", "ä\"ö\\ü\"", "'\n'"] {
            hints(text);
        }
    }
}
