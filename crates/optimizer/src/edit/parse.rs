//! From the text of a reply to an edit.

/// What a reply asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Passages to be replaced, in order.
    Replace(Vec<Replacement>),
    /// Whole functions, each as text.
    Functions(Vec<String>),
    /// The model has no (further) idea, and says so.
    Nothing,
    /// Neither: what is wrong with the reply, for the model.
    Malformed(String),
}

/// A passage and what comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The passage, which must occur exactly once.
    pub search: String,
    /// The new text.
    pub replace: String,
}

/// By which a model says that it has nothing to propose.
const NOTHING: &str = "NO CHANGE";
const SEARCH: &str = "<<<<<<< SEARCH";
const MIDDLE: &str = "=======";
const REPLACE: &str = ">>>>>>> REPLACE";

/// Reads a reply. Search/replace blocks count before fenced code, since prose around them often quotes code.
pub fn parse(reply: &str) -> Edit {
    if reply.lines().any(|line| line.trim_end() == SEARCH) {
        return match replacements(reply) {
            Ok(blocks) => Edit::Replace(blocks),
            Err(why) => Edit::Malformed(why),
        };
    }
    match fenced(reply) {
        Ok(blocks) if !blocks.is_empty() => Edit::Functions(blocks),
        Ok(_) if reply.lines().any(|line| line.trim() == NOTHING) => Edit::Nothing,
        Ok(_) => Edit::Malformed(
            "the reply has neither a SEARCH/REPLACE block nor a fenced code block with a whole function".to_owned(),
        ),
        Err(why) => Edit::Malformed(why),
    }
}

fn replacements(reply: &str) -> Result<Vec<Replacement>, String> {
    let mut blocks = Vec::new();
    let mut lines = reply.lines();
    while lines.any(|line| line.trim_end() == SEARCH) {
        let number = blocks.len() + 1;
        let search = until(&mut lines, MIDDLE).ok_or_else(|| missing(number, MIDDLE))?;
        let replace = until(&mut lines, REPLACE).ok_or_else(|| missing(number, REPLACE))?;
        if search.trim().is_empty() {
            return Err(format!("the SEARCH part of block {number} is empty"));
        }
        blocks.push(Replacement { search, replace });
    }
    Ok(blocks)
}

fn missing(number: usize, line: &str) -> String {
    format!("block {number} has no line `{line}`")
}

/// The lines up to a line; `None` if it does not come.
fn until<'t>(lines: &mut impl Iterator<Item = &'t str>, end: &str) -> Option<String> {
    let mut text = String::new();
    for line in lines {
        if line.trim_end() == end {
            return Some(text);
        }
        text.push_str(line);
        text.push('\n');
    }
    None
}

/// The contents of fenced code blocks.
fn fenced(reply: &str) -> Result<Vec<String>, String> {
    let mut blocks = Vec::new();
    let mut lines = reply.lines();
    while lines.any(|line| line.trim_start().starts_with("```")) {
        let mut text = String::new();
        loop {
            match lines.next() {
                Some(line) if line.trim() == "```" => break,
                Some(line) => {
                    text.push_str(line);
                    text.push('\n');
                }
                None => {
                    return Err(
                        "a fenced code block is not closed: was the reply cut off?".to_owned()
                    );
                }
            }
        }
        if !text.trim().is_empty() {
            blocks.push(text);
        }
    }
    Ok(blocks)
}
