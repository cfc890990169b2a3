//! A model that plays replies from files: a `command:` model, as users can have one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use whittle_chat::{ChatModel, OpenOptions};

/// Reads the request, keeps it, and answers with the file that is named like the request's label.
const COMMAND: &str = r#"
request=$(cat)
label=$(printf %s "$request" | sed -n 's/.*"label":"\([^"]*\)".*/\1/p' | head -n 1 | tr '/ ' '__')
printf '%s\n' "$request" >> "$0/asked/$label"
for reply in "$0/replies/$label" "$0/replies/$(printf %s "$label" | sed 's/[0-9][0-9]*/N/g')" "$0/replies/default"; do
    if [ -f "$reply.sh" ]; then exec sh "$reply.sh"; fi
    if [ -f "$reply" ]; then exec cat "$reply"; fi
done
echo "no reply to $label" >&2
exit 1
"#;

/// A folder of replies, by label; `N` in a label stands for any number.
pub(crate) struct Script {
    folder: PathBuf,
}

impl Script {
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join("asked")).unwrap();
        fs::create_dir_all(folder.join("replies")).unwrap();
        Self { folder }
    }

    /// A reply in text.
    pub(crate) fn text(self, label: &str, text: &str) -> Self {
        let usage = json!({"input": 1000, "output": 100});
        self.raw(label, &json!({"text": text, "usage": usage}).to_string())
    }

    /// A reply that calls a tool.
    pub(crate) fn tool(self, label: &str, name: &str, arguments: &Value) -> Self {
        let call = json!({"id": "1", "name": name, "arguments": arguments});
        self.raw(
            label,
            &json!({"text": "", "tool_calls": [call]}).to_string(),
        )
    }

    /// The guide's decisions, from the first on; then it stops.
    pub(crate) fn decisions(mut self, decisions: &[(&str, Value)]) -> Self {
        for (number, (name, arguments)) in decisions.iter().enumerate() {
            self = self.tool(&format!("decision {}/try 1", number + 1), name, arguments);
        }
        self.tool("decision N/try N", "stop", &json!({}))
    }

    /// Whatever the command prints.
    pub(crate) fn raw(self, label: &str, printed: &str) -> Self {
        fs::write(self.reply(label), printed).unwrap();
        self
    }

    /// What the command does, as a shell script.
    pub(crate) fn shell(self, label: &str, script: &str) -> Self {
        fs::write(self.reply(label).with_extension("sh"), script).unwrap();
        self
    }

    fn reply(&self, label: &str) -> PathBuf {
        self.folder
            .join("replies")
            .join(label.replace(['/', ' '], "_"))
    }

    /// What stands after `--model`.
    pub(crate) fn spec(&self) -> String {
        let command = self.folder.join("model.sh");
        fs::write(&command, COMMAND).unwrap();
        format!(
            "command:sh -c \"$(cat {})\" {}",
            command.display(),
            self.folder.display()
        )
    }

    pub(crate) fn open(&self) -> Arc<dyn ChatModel> {
        open(&self.spec())
    }

    /// Every request with this label, in order.
    pub(crate) fn asked(&self, label: &str) -> Vec<Value> {
        let file = self
            .folder
            .join("asked")
            .join(label.replace(['/', ' '], "_"));
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// All labels with which it was asked, each with how often.
    pub(crate) fn labels(&self) -> Vec<(String, usize)> {
        let mut labels: Vec<_> = fs::read_dir(self.folder.join("asked"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let count = fs::read_to_string(entry.path()).unwrap().lines().count();
                (entry.file_name().to_string_lossy().into_owned(), count)
            })
            .collect();
        labels.sort();
        labels
    }
}

pub(crate) fn open(spec: &str) -> Arc<dyn ChatModel> {
    let options = OpenOptions {
        backoff: std::time::Duration::from_millis(20),
        tries: 2,
        ..OpenOptions::default()
    };
    Arc::from(whittle_chat::open(spec, &options).unwrap())
}

/// All text in the files below a folder, for what must not be in it.
pub(crate) fn everything_in(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &everything_in(&path);
        } else {
            text += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        }
    }
    text
}
