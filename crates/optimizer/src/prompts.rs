//! The texts that language models are given, from versioned files in `prompts/`.

use minijinja::Environment;
use serde::Serialize;
use whittle_chat::Tool;

/// A prompt file: what the model is for, and, after lines with their names, what it is told when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt {
    /// Name and version, as in `source 1`: stands in the note of what came of it.
    pub(crate) name: &'static str,
    text: &'static str,
}

/// The part that is asked first.
const USER: &str = "user";

pub(crate) const SOURCE: Prompt = Prompt::new("source 1", include_str!("../prompts/source-1.txt"));
pub(crate) const IR: Prompt = Prompt::new("ir 1", include_str!("../prompts/ir-1.txt"));
pub(crate) const ASSEMBLY: Prompt =
    Prompt::new("assembly 1", include_str!("../prompts/assembly-1.txt"));
pub(crate) const TESTING: Prompt =
    Prompt::new("testing 2", include_str!("../prompts/testing-2.txt"));
pub(crate) const GUIDE: Prompt = Prompt::new("guide 1", include_str!("../prompts/guide-1.txt"));
/// What came of an edit of a level agent.
pub(crate) const FEEDBACK: Prompt =
    Prompt::new("feedback 1", include_str!("../prompts/feedback-1.txt"));

const GUIDE_TOOLS: &str = include_str!("../prompts/guide-tools-1.json");

/// The tools of a guiding model. `values` has `agents`, each with `name` and `summary`.
pub(crate) fn guide_tools(values: &impl Serialize) -> Vec<Tool> {
    serde_json::from_str(&render(GUIDE_TOOLS, values)).unwrap_or_default()
}

impl Prompt {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// What the model is for and what it is asked first, filled in. The templates are ours and tested, so that they cannot
    /// fail on any values.
    pub(crate) fn fill(self, values: &impl Serialize) -> [String; 2] {
        let system = self.text.split("\n=== ").next().unwrap_or_default();
        [render(system, values), self.part(USER, values)]
    }

    /// The part with a name, filled in.
    pub(crate) fn part(self, name: &str, values: &impl Serialize) -> String {
        let found = self.parts().find(|(known, _)| *known == name);
        found.map_or_else(String::new, |(_, text)| render(text, values))
    }

    /// All parts but the first, with their names.
    fn parts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let after_names = self.text.split("\n=== ").skip(1);
        after_names.filter_map(|part| part.split_once(" ===\n"))
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
        let nothing = serde_json::json!({});
        for prompt in [SOURCE, IR, ASSEMBLY, TESTING, GUIDE] {
            let [system, user] = prompt.fill(&nothing);
            assert!(!system.is_empty() && !user.is_empty(), "{}", prompt.name);
        }
        for prompt in [SOURCE, IR, ASSEMBLY, TESTING, GUIDE, FEEDBACK] {
            let first = std::iter::once(prompt.fill(&nothing)[0].clone());
            let parts = prompt.parts().map(|(name, _)| prompt.part(name, &nothing));
            for text in first.chain(parts) {
                assert!(
                    !text.starts_with('[') && !text.contains("\n=== "),
                    "{}: {text}",
                    prompt.name
                );
            }
        }
        assert_eq!(FEEDBACK.part("no such part", &nothing), "");
    }

    #[test]
    fn the_guides_tools_are_json_with_all_agents() {
        let agents: Vec<_> = crate::agents::registry()
            .iter()
            .map(|entry| serde_json::json!({"name": entry.name, "summary": entry.summary}))
            .collect();
        let tools = guide_tools(&serde_json::json!({"agents": agents}));
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let expected = [
            "front_end",
            "middle_end",
            "back_end",
            "optimize",
            "analyze",
            "test",
            "measure",
            "go_to",
            "stop",
        ];
        assert_eq!(names, expected);
        let of_agents = &tools[3].parameters["properties"]["agent"]["enum"];
        assert_eq!(of_agents.as_array().unwrap().len(), agents.len());
        assert!(tools[3].description.contains("source: a language model"));
    }

    #[test]
    fn long_texts_are_cut_at_lines() {
        assert_eq!(cut("ab\ncd\nef\n", 5), "ab\n[... 6 more bytes ...]\n");
        assert_eq!(cut("ab\n", 5), "ab\n");
        assert!(cut("ééé", 3).starts_with('é'));
    }
}
