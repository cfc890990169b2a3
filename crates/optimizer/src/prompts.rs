//! The texts that language models are given, from versioned files in `prompts/`.

use minijinja::Environment;
use serde::Serialize;

/// A prompt: what the model is for, and what it is asked first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt {
    /// Name and version, as in `source 1`: stands in the note of what came of it.
    pub(crate) name: &'static str,
    text: &'static str,
}

/// Separates the two parts of a prompt file.
const USER: &str = "\n=== user ===\n";

pub(crate) const SOURCE: Prompt = Prompt::new("source 1", include_str!("../prompts/source-1.txt"));
pub(crate) const IR: Prompt = Prompt::new("ir 1", include_str!("../prompts/ir-1.txt"));
pub(crate) const ASSEMBLY: Prompt =
    Prompt::new("assembly 1", include_str!("../prompts/assembly-1.txt"));
pub(crate) const TESTING: Prompt =
    Prompt::new("testing 1", include_str!("../prompts/testing-1.txt"));
pub(crate) const GUIDE: Prompt = Prompt::new("guide 1", include_str!("../prompts/guide-1.txt"));

impl Prompt {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// Both parts, filled in. The templates are ours and tested, so that they cannot fail on any values.
    pub(crate) fn fill(self, values: &impl Serialize) -> [String; 2] {
        let (system, user) = self.text.split_once(USER).unwrap_or((self.text, ""));
        [render(system, values), render(user, values)]
    }
}

fn render(template: &str, values: &impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment
        .render_str(template, values)
        .unwrap_or_else(|error| format!("[{error}]"))
        .trim()
        .to_owned()
}

/// A text cut to a bound, in whole lines, with a note of what is missing.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = text[..end].rfind('\n').map_or(end, |at| at + 1);
    format!(
        "{}[... {} more bytes ...]\n",
        &text[..end],
        text.len() - end
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_has_two_parts_and_no_fault() {
        for prompt in [SOURCE, IR, ASSEMBLY, TESTING, GUIDE] {
            let [system, user] = prompt.fill(&serde_json::json!({}));
            assert!(!system.is_empty() && !user.is_empty(), "{}", prompt.name);
            assert!(
                !system.contains("[syntax") && !user.contains("[syntax"),
                "{system}\n{user}"
            );
        }
    }

    #[test]
    fn long_texts_are_cut_at_lines() {
        assert_eq!(cut("ab\ncd\nef\n", 5), "ab\n[... 6 more bytes ...]\n");
        assert_eq!(cut("ab\n", 5), "ab\n");
        assert!(cut("ééé", 3).starts_with('é'));
    }
}
