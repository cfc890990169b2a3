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

/// A reply, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// What stands behind the opening fence of each block, and its content.
    pub(crate) blocks: Vec<(String, String)>,
    /// The lines outside the blocks.
    pub(crate) prose: Vec<String>,
}

/// The fenced blocks of a reply; an error for the model if one is not closed.
pub(crate) fn blocks(reply: &str) -> Result<Reply, String> {
    let mut found = Reply::default();
    let mut lines = reply.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.trim_start().strip_prefix("```") else {
            found.prose.push(line.to_owned());
            continue;
        };
        let mut text = String::new();
        loop {
            match lines.next() {
                Some(line) if line.trim() == "```" => break,
                Some(line) => {
                    text.push_str(line);
                    text.push('\n');
                }
                None => {
                    return Err("a fenced block is not closed: was the reply cut off?".to_owned());
                }
            }
        }
        found.blocks.push((kind.trim().to_owned(), text));
    }
    Ok(found)
}

/// The contents of the blocks that are not empty.
fn fenced(reply: &str) -> Result<Vec<String>, String> {
    let texts = blocks(reply)?.blocks.into_iter().map(|(_, text)| text);
    Ok(texts.filter(|text| !text.trim().is_empty()).collect())
}
