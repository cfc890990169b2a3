//! Chat templates: from messages to the text that a model was trained on.
//!
//! Templates are Jinja programs in the checkpoint, rendered as transformers does it (`utils/chat_template_utils.py`):
//! blocks are trimmed, Python's string methods exist, and so do `raise_exception`, `strftime_now` and its `tojson`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize as _;
use serde_json::{Value as Json, json};

use crate::error::ModelError;
use crate::files;
use crate::model::{Message, Part, Role};
use crate::tokenizer::TextTokenizer;

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    path: PathBuf,
    special: Value,
    /// Whether messages are lists of parts to the template; else they are strings.
    takes_parts: bool,
}

/// Steps that a template may take, so that a hostile one ends.
const FUEL: u64 = 50_000_000;
const NAME: &str = "chat";

impl ChatTemplate {
    /// Reads the template of a checkpoint folder: `chat_template.jinja`, else `chat_template` in `chat_template.json`
    /// or `tokenizer_config.json`.
    pub fn open(dir: &Path, tokenizer: &TextTokenizer) -> Result<Self, ModelError> {
        let path = dir.join("chat_template.jinja");
        if let Some(source) = files::read_text_if_there(&path)? {
            return Self::new(&path, &source, tokenizer);
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            let path = dir.join(name);
            let Some(text) = files::read_text_if_there(&path)? else {
                continue;
            };
            let json: Json = files::parse_json(&path, &text)?;
            if let Some(source) = source_in(&json) {
                return Self::new(&path, source, tokenizer);
            }
        }
        let problem = "the checkpoint has none (chat_template.jinja, or chat_template in chat_template.json or \
                       tokenizer_config.json)";
        Err(ModelError::Template {
            path: dir.to_owned(),
            problem: problem.into(),
        })
    }

    /// Compiles a template; `path` is for messages. It can use the tokenizer's special tokens by name.
    pub fn new(path: &Path, source: &str, tokenizer: &TextTokenizer) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", to_json);
        let special = Value::from_serialize(tokenizer.special_tokens());
        let mut template = Self {
            environment,
            path: path.to_owned(),
            special,
            takes_parts: false,
        };
        template
            .environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|error| template_error(path, &error))?;
        template.takes_parts = template.probe();
        Ok(template)
    }

    /// The prompt for `messages`, with the beginning of the model's answer where `generation` is set.
    ///
    /// The template decides where images go and what stands there. Some templates take text only; those fail on a
    /// message with an image.
    pub fn render(&self, messages: &[Message], generation: bool) -> Result<String, ModelError> {
        let messages = messages
            .iter()
            .map(|message| self.message(message))
            .collect::<Result<Vec<_>, _>>()?;
        self.render_json(&messages, generation)
            .map_err(|error| template_error(&self.path, &error))
    }

    fn message(&self, message: &Message) -> Result<Json, ModelError> {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        if self.takes_parts {
            let part = |part: &Part| match part {
                Part::Text(text) => json!({ "type": "text", "text": text }),
                Part::Image(_) => json!({ "type": "image" }),
            };
            let parts: Vec<Json> = message.parts.iter().map(part).collect();
            return Ok(json!({ "role": role, "content": parts }));
        }
        let text = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Image(_) => Err(ModelError::Template {
                path: self.path.clone(),
                problem: "it takes text only, and a message holds an image".into(),
            }),
        };
        let text = message
            .parts
            .iter()
            .map(text)
            .collect::<Result<String, _>>()?;
        Ok(json!({ "role": role, "content": text }))
    }

    fn render_json(&self, messages: &[Json], generation: bool) -> Result<String, Error> {
        let variables = context! {
            messages => Value::from_serialize(messages),
            add_generation_prompt => generation,
            tools => (),
            documents => (),
            ..self.special.clone()
        };
        self.environment.get_template(NAME)?.render(variables)
    }

    /// Finds out whether the template looks into lists of parts. It does if the text of a part comes out, and not the
    /// list itself in writing.
    fn probe(&self) -> bool {
        const TEXT: &str = "9d2f probe 7b1c";
        let message = json!({ "role": "user", "content": [{ "type": "text", "text": TEXT }] });
        self.render_json(&[message], true).is_ok_and(|prompt| {
            prompt.contains(TEXT) && !prompt.contains("'type'") && !prompt.contains("\"type\"")
        })
    }
}

/// The template in a JSON file: a string, or the one named `default` in a list of them.
fn source_in(json: &Json) -> Option<&str> {
    let templates = json.get("chat_template")?;
    templates.as_str().or_else(|| {
        let named =
            |template: &&Json| template.get("name").and_then(Json::as_str) == Some("default");
        templates
            .as_array()?
            .iter()
            .find(named)?
            .get("template")?
            .as_str()
    })
}

/// Makes the tags `{% generation %}` and `{% endgeneration %}`, which mark answers for training, into ones that do
/// nothing.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((start, end)) = rest
        .find("{%")
        .and_then(|start| Some((start, start + rest[start..].find("%}")?)))
    {
        let tag = &rest[start + 2..end];
        let word = tag.trim_matches(['-', '+']).trim();
        out.push_str(&rest[..start + 2]);
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn template_error(path: &Path, error: &Error) -> ModelError {
    let mut problem = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        problem = format!("{problem}: {inner}");
        cause = inner.source();
    }
    ModelError::Template {
        path: path.to_owned(),
        problem,
    }
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

/// The local time in Python's `strftime` format.
fn strftime_now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, &jiff::Zoned::now()).map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now({format:?})"),
        )
        .with_source(error)
    })
}

/// Python's `json.dumps(value, ensure_ascii=False)`: a space after comma and colon, HTML left alone.
// The filter's signature is given by minijinja.
#[allow(clippy::needless_pass_by_value)]
fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let unsupported = |what| Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}"));
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    if options.get::<Option<bool>>("sort_keys")?.unwrap_or(false) {
        return Err(unsupported("sort_keys is not supported"));
    }
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let bytes = match (indent, separators.as_deref()) {
        (Some(indent), None) => {
            let indent = " ".repeat(indent.min(64));
            write_json(
                value,
                serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes()),
            )
        }
        (None, None) => write_json(
            value,
            Separated {
                comma: ", ",
                colon: ": ",
            },
        ),
        (None, Some([comma, colon])) => write_json(value, Separated { comma, colon }),
        _ => {
            return Err(unsupported(
                "separators have to be two strings, without indent",
            ));
        }
    };
    let failed = |error: serde_json::Error| {
        Error::new(ErrorKind::BadSerialization, "tojson").with_source(error)
    };
    Ok(Value::from_safe_string(
        String::from_utf8_lossy(&bytes.map_err(failed)?).into_owned(),
    ))
}

fn write_json(
    value: &Value,
    formatter: impl serde_json::ser::Formatter,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, formatter,
    ))?;
    Ok(out)
}

/// JSON in one line with other separators than serde's.
struct Separated<'a> {
    comma: &'a str,
    colon: &'a str,
}

impl serde_json::ser::Formatter for Separated<'_> {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(self.comma.as_bytes())
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.colon.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use whittle_testing::golden;

    use super::*;

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::open(&golden("models/llava-next-mistral")).unwrap()
    }

    fn template(source: &str) -> Result<ChatTemplate, ModelError> {
        ChatTemplate::new(Path::new("chat_template.jinja"), source, &tokenizer())
    }

    fn rendered(source: &str) -> String {
        template(source)
            .unwrap()
            .render(&[Message::user("Hi", 0)], true)
            .unwrap()
    }

    #[test]
    fn blocks_are_trimmed_as_in_transformers() {
        let source = "  {% for message in messages %}\n{{ message.role }}:\n  {% endfor %}\nend\n";
        assert_eq!(rendered(source), "user:\nend");
    }

    #[test]
    fn templates_get_special_tokens_and_python_methods() {
        assert_eq!(
            rendered("{{ bos_token }}{{ 'a,b '.strip().split(',')[1].upper() }}{{ pad_token }}"),
            "<s>B<pad>"
        );
        assert_eq!(
            rendered("{% if tools is none and sep_token is not defined %}ok{% endif %}"),
            "ok"
        );
        assert_eq!(rendered("{{ strftime_now('%Y') | length }}"), "4");
    }

    #[test]
    fn json_is_written_as_python_does() {
        let value = "{'b': [1, 2.0, 'é<'], 'a': {}}";
        assert_eq!(
            rendered(&format!("{{{{ {value} | tojson }}}}")),
            r#"{"b": [1, 2.0, "é<"], "a": {}}"#
        );
        let indented = "{\n  \"b\": [\n    1,\n    2.0,\n    \"é<\"\n  ],\n  \"a\": {}\n}";
        assert_eq!(
            rendered(&format!("{{{{ {value} | tojson(indent=2) }}}}")),
            indented
        );
        assert_eq!(
            rendered("{{ [1, 2] | tojson(separators=(',', ':')) }}"),
            "[1,2]"
        );
    }

    #[test]
    fn loops_may_be_left_and_training_marks_are_ignored() {
        let source = "{% for i in [1, 2, 3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}\
                      {%- generation -%} x {%- endgeneration %}";
        assert_eq!(rendered(source), "1x");
    }

    #[test]
    fn the_published_template_of_llava_next_compiles() {
        // chat_template.json of llava-hf/llava-v1.6-mistral-7b-hf, with its odd escape.
        let source = r"{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}{{' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '<\s>' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";
        let prompt = template(source)
            .unwrap()
            .render(&[Message::user("Hi", 2)], true)
            .unwrap();
        assert_eq!(prompt, "[INST] <image>\n<image>\nHi [/INST]");
    }

    #[test]
    fn the_template_decides_between_parts_and_strings() {
        let parts = "{% for m in messages %}{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}\
                     {{ p.text }}{% endif %}{% endfor %}{% endfor %}";
        let parts = template(parts).unwrap();
        assert_eq!(
            parts.render(&[Message::user("Hi", 2)], false).unwrap(),
            "<image><image>Hi"
        );
        let text = template("{% for m in messages %}{{ m['content'] + '!' }}{% endfor %}").unwrap();
        assert_eq!(
            text.render(&[Message::user("Hi", 0)], false).unwrap(),
            "Hi!"
        );
        let printed = template("{% for m in messages %}{{ m['content'] }}{% endfor %}").unwrap();
        assert_eq!(
            printed.render(&[Message::user("Hi", 0)], false).unwrap(),
            "Hi"
        );
        let error = text
            .render(&[Message::user("Hi", 1)], false)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "chat_template.jinja: chat template: it takes text only, and a message holds an image"
        );
    }

    #[test]
    fn a_rejecting_a_broken_and_an_endless_template_are_errors() {
        let rejecting = template("{{ raise_exception('roles must alternate') }}").unwrap();
        let error = rejecting
            .render(&[Message::user("Hi", 0)], true)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("chat_template.jinja") && error.contains("roles must alternate"),
            "{error}"
        );
        assert!(matches!(
            template("{% for %}"),
            Err(ModelError::Template { .. })
        ));
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}\
                       {% endfor %}{% endfor %}{% endfor %}";
        let error = template(endless)
            .unwrap()
            .render(&[Message::user("Hi", 0)], true)
            .unwrap_err();
        assert!(matches!(error, ModelError::Template { .. }));
    }

    #[test]
    fn the_source_may_be_a_string_or_a_list() {
        let json = json!({ "chat_template": [{ "name": "tool_use", "template": "t" }, { "name": "default", "template": "d" }] });
        assert_eq!(source_in(&json), Some("d"));
        assert_eq!(source_in(&json!({ "chat_template": "s" })), Some("s"));
        assert_eq!(source_in(&json!({ "chat_template": 3 })), None);
        assert_eq!(source_in(&json!({})), None);
    }
}
