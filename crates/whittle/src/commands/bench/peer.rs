//! Other engines, measured by Python scripts that this binary carries.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::interrupt;

use super::grid::Load;
use super::one::{Timed, Times};
use super::scale::{Product, TILES};

/// An engine to compare with.
#[derive(ValueEnum, Serialize, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Hugging Face transformers with torch
    #[value(name = "transformers")]
    #[serde(rename = "transformers")]
    Transformers,
    /// llama.cpp through llama-cpp-python
    #[value(name = "llama.cpp")]
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
}

/// A line that a script writes.
#[derive(Deserialize, Debug, Clone, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    /// The peer is there.
    Peer { version: String },
    /// A Python package is not.
    Missing { package: String },
    /// A point of the grid.
    Point(Times),
    /// A matrix product.
    Product(Timed),
    /// Vision tower and projector.
    Vision { seconds: Vec<f64> },
}

impl Peer {
    /// The name, as on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::LlamaCpp => "llama.cpp",
        }
    }

    /// Whether it can be measured at bare matrix products and vision towers, not only at whole models.
    pub(super) fn has_parts(self) -> bool {
        self == Self::Transformers
    }

    /// File name of the script and its text. Python imports from the script's folder first, so the name must not be
    /// that of a package.
    fn script(self) -> (&'static str, &'static str) {
        match self {
            Self::Transformers => (
                "peer_transformers.py",
                include_str!("peers/peer_transformers.py"),
            ),
            Self::LlamaCpp => ("peer_llama_cpp.py", include_str!("peers/peer_llama_cpp.py")),
        }
    }

    /// What to give to pip.
    fn packages(self) -> &'static str {
        match self {
            Self::Transformers => "torch transformers",
            Self::LlamaCpp => "llama-cpp-python gguf",
        }
    }
}

/// How to run the scripts.
pub(super) struct Scripts {
    python: PathBuf,
    threads: usize,
    folder: tempfile::TempDir,
}

impl Scripts {
    /// Writes the scripts to a temporary folder.
    pub(super) fn new(python: &Path, threads: usize) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the peers' scripts")?;
        for peer in Peer::value_variants() {
            let (name, text) = peer.script();
            std::fs::write(folder.path().join(name), text)
                .context("cannot write the peers' scripts")?;
        }
        Ok(Self {
            python: python.to_owned(),
            threads,
            folder,
        })
    }

    /// Asks whether the peer is installed; its version.
    pub(super) fn version(&self, peer: Peer) -> Result<String> {
        match self.one(peer, &["check".to_owned()])? {
            Line::Peer { version } => Ok(version),
            other => Err(unexpected(peer, &other)),
        }
    }

    /// Measures a point of the grid.
    pub(super) fn point(
        &self,
        peer: Peer,
        model: &Path,
        load: Load,
        new_tokens: usize,
    ) -> Result<Times> {
        let arguments = [
            "point".to_owned(),
            format!("--model={}", model.display()),
            format!("--prompt-tokens={}", load.prompt_tokens),
            format!("--batch={}", load.batch),
            format!("--new-tokens={new_tokens}"),
        ];
        match self.one(peer, &arguments)? {
            Line::Point(times) => Ok(times),
            other => Err(unexpected(peer, &other)),
        }
    }

    /// Measures matrix products.
    pub(super) fn matmul(
        &self,
        peer: Peer,
        products: &[Product],
        samples: usize,
    ) -> Result<Vec<Timed>> {
        let products: Vec<_> = products.iter().map(|p| (&p.name, p.m, p.n, p.k)).collect();
        let arguments = [
            "matmul".to_owned(),
            format!("--products={}", serde_json::to_string(&products)?),
            format!("--samples={samples}"),
        ];
        let lines = self.run(peer, &arguments)?.into_iter();
        lines
            .map(|line| match line {
                Line::Product(timed) => Ok(timed),
                other => Err(unexpected(peer, &other)),
            })
            .collect()
    }

    /// Measures vision tower and projector.
    pub(super) fn vision(&self, peer: Peer, model: &Path, samples: usize) -> Result<Vec<f64>> {
        let arguments = [
            "vision".to_owned(),
            format!("--model={}", model.display()),
            format!("--tiles={TILES}"),
            format!("--samples={samples}"),
        ];
        match self.one(peer, &arguments)? {
            Line::Vision { seconds } => Ok(seconds),
            other => Err(unexpected(peer, &other)),
        }
    }

    /// Runs a script that writes one result.
    fn one(&self, peer: Peer, arguments: &[String]) -> Result<Line> {
        let mut lines = self.run(peer, arguments)?;
        match (lines.pop(), lines.len()) {
            (Some(line), 0) => Ok(line),
            (found, rest) => bail!(
                "{} wrote {} results instead of one",
                peer.name(),
                rest + usize::from(found.is_some())
            ),
        }
    }

    fn run(&self, peer: Peer, arguments: &[String]) -> Result<Vec<Line>> {
        let python = self.python.display();
        let output = Command::new(&self.python)
            .arg(self.folder.path().join(peer.script().0))
            .arg(format!("--threads={}", self.threads))
            .args(arguments)
            .env("OMP_NUM_THREADS", self.threads.to_string())
            .output()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    anyhow!("there is no {python}; --python names the interpreter for peers")
                }
                _ => anyhow::Error::new(error).context(format!("cannot start {python}")),
            })?;
        interrupt::check()?;
        let lines = read(peer, &output)?;
        if let Some(Line::Missing { package }) = lines.first() {
            bail!(
                "{} is not installed for {python} (no package {package}): pip install {}",
                peer.name(),
                peer.packages()
            );
        }
        Ok(lines)
    }
}

fn unexpected(peer: Peer, line: &Line) -> anyhow::Error {
    anyhow!("{} wrote an unexpected result: {line:?}", peer.name())
}

/// The results in a script's output. Libraries may chatter in between; what begins with a brace is ours.
fn read(peer: Peer, output: &Output) -> Result<Vec<Line>> {
    let name = peer.name();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty());
        bail!(
            "{name} failed ({}): {}",
            output.status,
            last.map_or("it said nothing", str::trim)
        );
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("{name} wrote a result that cannot be read: {line}"))
        })
        .collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn message(output: &Output) -> String {
        read(Peer::LlamaCpp, output).unwrap_err().to_string()
    }

    #[test]
    fn chatter_is_skipped() {
        let text = "Loading ...\n\n{\"kind\": \"peer\", \"version\": \"1\"}\nbye\n";
        let version = "1".to_owned();
        assert_eq!(
            read(Peer::LlamaCpp, &output(0, text, "warning")).unwrap(),
            [Line::Peer { version }]
        );
    }

    #[test]
    fn results_of_all_kinds() {
        let text = "\
{\"kind\":\"point\",\"prefill_s\":1.5,\"decode_step_s\":0.1,\"end_to_end_s\":2,\"cache_bytes\":12}
{\"kind\":\"product\",\"name\":\"down\",\"seconds\":[1,2]}
{\"kind\":\"vision\",\"seconds\":[3]}
{\"kind\":\"missing\",\"package\":\"torch\"}";
        let lines = read(Peer::Transformers, &output(0, text, "")).unwrap();
        let times = Times {
            prefill_s: 1.5,
            decode_step_s: 0.1,
            end_to_end_s: 2.0,
            cache_bytes: 12,
        };
        assert_eq!(lines[0], Line::Point(times));
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn broken_lines_are_shown() {
        let broken = message(&output(0, "{\"kind\":\"point\",\"prefill_s\":1", ""));
        assert_eq!(
            broken,
            "llama.cpp wrote a result that cannot be read: {\"kind\":\"point\",\"prefill_s\":1"
        );
        assert!(message(&output(0, "{\"kind\":\"other\"}", "")).contains("cannot be read"));
    }

    #[test]
    fn the_last_line_of_an_error_is_shown() {
        let failed = output(1, "", "Traceback ...\nMemoryError: too large \n\n");
        assert_eq!(
            message(&failed),
            "llama.cpp failed (exit status: 1): MemoryError: too large"
        );
        assert!(message(&output(2, "", "")).ends_with("it said nothing"));
    }
}
