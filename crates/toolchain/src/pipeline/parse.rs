//! Text → tree.

use std::fmt;
use std::str::FromStr;

use super::tree::{DEEPEST, Level, Node, Pipeline};

/// A text is no pass pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pass pipeline: at byte {at}, {kind}")]
pub struct ParseError {
    /// The byte at which it goes wrong.
    pub at: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// No name where one must be.
    NoName,
    /// A character that cannot stand here.
    Unexpected(char),
    /// A `<` or `(` without its counterpart.
    Unclosed(char),
    /// A group of a kind that does not exist or cannot stand at this level.
    Misplaced {
        /// The group's name.
        group: String,
        /// The level of the sequence that it is in.
        level: Level,
    },
    /// Groups in groups beyond [`DEEPEST`].
    TooDeep,
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("the name of a pass is missing"),
            Self::Unexpected(character) => write!(f, "{character:?} cannot stand here"),
            Self::Unclosed(character) => write!(f, "{character:?} is not closed"),
            Self::Misplaced { group, level } => {
                write!(f, "no group {group}(…) can stand among {level} passes")
            }
            Self::TooDeep => write!(f, "groups are nested more than {DEEPEST} deep"),
        }
    }
}

impl FromStr for Pipeline {
    type Err = ParseError;

    /// White space around the text is none of it.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text);
        let root = parser.sequence(Level::Module, 0)?;
        parser.end()?;
        Ok(Self { root })
    }
}

impl FromStr for Node {
    type Err = ParseError;

    /// A node of any level.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut error = None;
        for level in Level::ALL {
            let mut parser = Parser::new(text);
            let node = parser
                .node(level, 0)
                .and_then(|node| parser.end().map(|()| node));
            match node {
                Ok(node) => return Ok(node),
                // Of the complaints at all levels the one that got farthest is to the point.
                Err(new) => match &error {
                    Some(ParseError { at, .. }) if *at >= new.at => {}
                    _ => error = Some(new),
                },
            }
        }
        Err(error.unwrap_or(ParseError {
            at: 0,
            kind: ParseErrorKind::NoName,
        }))
    }
}

impl TryFrom<String> for Pipeline {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl TryFrom<String> for Node {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            at: text.len() - text.trim_start().len(),
            text: text.trim_end(),
        }
    }

    /// Nodes separated by commas.
    fn sequence(&mut self, level: Level, depth: usize) -> Result<Vec<Node>, ParseError> {
        let mut nodes = vec![self.node(level, depth)?];
        while self.take(',') {
            nodes.push(self.node(level, depth)?);
        }
        Ok(nodes)
    }

    fn node(&mut self, level: Level, depth: usize) -> Result<Node, ParseError> {
        let start = self.at;
        let name = self.name()?;
        let parameters = self.parameters()?;
        let open = self.at;
        let children = if self.take('(') {
            if depth >= DEEPEST {
                return Err(error(start, ParseErrorKind::TooDeep));
            }
            let inside = level.inside(name).ok_or_else(|| {
                let group = name.to_owned();
                error(start, ParseErrorKind::Misplaced { group, level })
            })?;
            let children = self.sequence(inside, depth + 1)?;
            if !self.take(')') {
                return Err(self.unexpected_or(error(open, ParseErrorKind::Unclosed('('))));
            }
            Some(children)
        } else {
            None
        };
        Ok(Node {
            name: name.to_owned(),
            parameters,
            children,
        })
    }

    fn name(&mut self) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| matches!(c, '<' | '>' | '(' | ')' | ',') || !is_plain(c))
            .unwrap_or(rest.len());
        if length == 0 {
            let missing = error(self.at, ParseErrorKind::NoName);
            return Err(match rest.chars().next() {
                Some(c) if !matches!(c, ',' | ')') => self.unexpected_or(missing),
                _ => missing,
            });
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// What is between `<` and its `>`. No commas and parentheses: LLVM would split the text there.
    fn parameters(&mut self) -> Result<Option<String>, ParseError> {
        let open = self.at;
        if !self.take('<') {
            return Ok(None);
        }
        let rest = self.rest();
        let mut nested = 0_usize;
        for (index, c) in rest.char_indices() {
            match c {
                '<' => nested += 1,
                '>' if nested == 0 => {
                    self.at += index + 1;
                    return Ok(Some(rest[..index].to_owned()));
                }
                '>' => nested -= 1,
                ',' | '(' | ')' => {
                    return Err(error(self.at + index, ParseErrorKind::Unexpected(c)));
                }
                c if !is_plain(c) => {
                    return Err(error(self.at + index, ParseErrorKind::Unexpected(c)));
                }
                _ => {}
            }
        }
        Err(error(open, ParseErrorKind::Unclosed('<')))
    }

    fn end(&self) -> Result<(), ParseError> {
        match self.rest().chars().next() {
            None => Ok(()),
            Some(c) => Err(error(self.at, ParseErrorKind::Unexpected(c))),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    /// The complaint about the next character; at the end of the text, the other one.
    fn unexpected_or(&self, at_end: ParseError) -> ParseError {
        match self.rest().chars().next() {
            Some(c) => error(self.at, ParseErrorKind::Unexpected(c)),
            None => at_end,
        }
    }
}

fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control()
}

fn error(at: usize, kind: ParseErrorKind) -> ParseError {
    ParseError { at, kind }
}
