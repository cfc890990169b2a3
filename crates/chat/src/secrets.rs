//! Keys, and how they are kept out of texts.

use std::fmt;

use serde_json::Value;

use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest, Message, ToolCall};
use crate::options::Environment;

/// The key for api.openai.com.
pub(crate) const OPENAI_KEY: &str = "OPENAI_API_KEY";
/// The key for api.anthropic.com.
pub(crate) const ANTHROPIC_KEY: &str = "ANTHROPIC_API_KEY";
/// The key for endpoints with a URL.
pub(crate) const ENDPOINT_KEY: &str = "WHITTLE_ENDPOINT_KEY";

/// What stands in place of a key.
const MASK: &str = "[key]";

/// To take placeholders out would garble texts and protect nothing.
const SHORTEST: usize = 8;

/// The keys of the environment, to be taken out of whatever leaves this crate. Values of fewer than eight bytes, such as
/// `none`, are taken for placeholders and stay.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Longest first, as a key may contain another one.
    values: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

/// A variable's value; empty counts as unset.
pub(crate) fn variable(environment: &Environment, name: &str) -> Option<String> {
    let value = environment(name)?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}

impl Secrets {
    /// Reads the keys that the environment has.
    pub fn read(environment: &Environment) -> Self {
        let mut values = Vec::new();
        for name in [OPENAI_KEY, ANTHROPIC_KEY, ENDPOINT_KEY] {
            let Some(value) = variable(environment, name).filter(|value| value.len() >= SHORTEST)
            else {
                continue;
            };
            // As it looks inside JSON, where that is something else.
            let quoted = Value::from(value.as_str()).to_string();
            values.push(quoted[1..quoted.len() - 1].to_owned());
            values.push(value);
        }
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    /// The text with `[key]` in place of every key.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.clean(&mut text);
        text
    }

    fn clean(&self, text: &mut String) {
        for value in &self.values {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), MASK);
            }
        }
    }

    fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.clean_value(value)),
            Value::Object(map) => {
                let entries = std::mem::take(map).into_iter();
                *map = entries
                    .map(|(mut name, mut value)| {
                        self.clean(&mut name);
                        self.clean_value(&mut value);
                        (name, value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn clean_calls(&self, calls: &mut [ToolCall]) {
        for call in calls {
            self.clean(&mut call.id);
            self.clean(&mut call.name);
            self.clean_value(&mut call.arguments);
        }
    }

    pub(crate) fn clean_reply(&self, reply: &mut ChatReply) {
        self.clean(&mut reply.text);
        self.clean_calls(&mut reply.tool_calls);
    }

    pub(crate) fn clean_request(&self, request: &mut ChatRequest) {
        self.clean(&mut request.label);
        for message in &mut request.messages {
            match message {
                Message::System { text } | Message::User { text } => self.clean(text),
                Message::Assistant { text, tool_calls } => {
                    self.clean(text);
                    self.clean_calls(tool_calls);
                }
                Message::ToolResult { id, text } => {
                    self.clean(id);
                    self.clean(text);
                }
            }
        }
        for tool in &mut request.tools {
            self.clean(&mut tool.name);
            self.clean(&mut tool.description);
            self.clean_value(&mut tool.parameters);
        }
    }

    pub(crate) fn clean_error(&self, error: &mut ChatError) {
        match error {
            ChatError::Spec { spec, why } => {
                self.clean(spec);
                self.clean(why);
            }
            ChatError::NoKey { model, .. } | ChatError::TimedOut { model, .. } => self.clean(model),
            ChatError::Cancelled => {}
            ChatError::Unreachable { model, why, .. }
            | ChatError::Rejected { model, why }
            | ChatError::Malformed { model, why } => {
                self.clean(model);
                self.clean(why);
            }
            ChatError::NotRecorded { file, label } => {
                self.clean(file);
                self.clean(label);
            }
            ChatError::File { path, why } => {
                self.clean(path);
                self.clean(why);
            }
        }
    }

    /// A text of somebody else for an error: in one line, cut. Keys are taken out first, as a cut key is found no more.
    pub(crate) fn brief(&self, text: &str) -> String {
        const MOST: usize = 500;
        let clean = self.redact(text);
        let words: Vec<&str> = clean
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = words.join(" ");
        match line.char_indices().nth(MOST) {
            Some((end, _)) => format!("{} ...", &line[..end]),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn secrets(key: &'static str) -> Secrets {
        Secrets::read(
            &(Arc::new(move |name: &str| (name == ENDPOINT_KEY).then(|| key.to_owned()))
                as Environment),
        )
    }

    #[test]
    fn keys_are_taken_out_of_texts_and_values() {
        let secrets = secrets("sk-\"planted\"-1\n");
        assert_eq!(secrets.redact(r#"a sk-"planted"-1 b"#), "a [key] b");
        assert_eq!(
            secrets.redact(r#"{"a":"sk-\"planted\"-1"}"#),
            r#"{"a":"[key]"}"#
        );
        let mut value = json!({"sk-\"planted\"-1": ["x sk-\"planted\"-1", 1]});
        secrets.clean_value(&mut value);
        assert_eq!(value, json!({"[key]": ["x [key]", 1]}));
    }

    #[test]
    fn a_key_does_not_survive_the_cut_of_a_long_text() {
        let secrets = secrets("sk-planted-key-0123456789");
        for before in 470..500 {
            let text = "x".repeat(before) + "sk-planted-key-0123456789";
            assert!(!secrets.brief(&text).contains("sk-"));
        }
    }

    #[test]
    fn placeholders_are_no_secrets() {
        assert_eq!(secrets("none").redact("none of them"), "none of them");
    }
}
