//! Processes of our own that measure one thing each, so that peaks of memory and warm caches don't mix.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;

use crate::interrupt;

use super::grid::{Load, Setting};
use super::one::{Point, Speed, Timed};
use super::scale::TILES;

/// How to start them.
pub(super) struct Children {
    program: PathBuf,
    shape: String,
    threads: usize,
}

impl Children {
    /// Processes for a shape, with so many threads.
    pub(super) fn new(shape: &str, threads: usize) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find this program's file")?,
            shape: shape.to_owned(),
            threads,
        })
    }

    /// What the machine can do.
    pub(super) fn machine(&self) -> Result<Speed> {
        self.run("machine", &[&self.of_shape()])
    }

    /// A point of the grid.
    pub(super) fn point(
        &self,
        model: &Path,
        setting: &Setting,
        load: Load,
        new_tokens: usize,
    ) -> Result<Point> {
        let arguments = [
            &format!("--model={}", model.display()),
            &format!("--policy={}", setting.policy),
            &format!("--kv-budget={}", setting.budget),
            &format!("--prompt-tokens={}", load.prompt_tokens),
            &format!("--batch={}", load.batch),
            &format!("--new-tokens={new_tokens}"),
        ];
        self.run("point", &arguments)
            .with_context(|| format!("{} at {} tokens", setting.policy, load.prompt_tokens))
    }

    /// Matrix products.
    pub(super) fn matmul(&self, samples: usize) -> Result<Vec<Timed>> {
        self.run(
            "matmul",
            &[&self.of_shape(), &format!("--samples={samples}")],
        )
    }

    /// Vision tower and projector.
    pub(super) fn vision(&self, model: &Path, samples: usize) -> Result<Vec<f64>> {
        let arguments = [
            &self.of_shape(),
            &format!("--model={}", model.display()),
            &format!("--tiles={TILES}"),
            &format!("--samples={samples}"),
        ];
        self.run("vision", &arguments)
    }

    fn of_shape(&self) -> String {
        format!("--shape={}", self.shape)
    }

    fn run<T: DeserializeOwned>(&self, what: &str, arguments: &[&String]) -> Result<T> {
        let output = Command::new(&self.program)
            .arg("bench-one")
            .arg(format!("--threads={}", self.threads))
            .arg(what)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the measuring process")?;
        interrupt::check()?;
        if !output.status.success() {
            bail!("measuring {what} failed: {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("the measuring process wrote no result")
    }
}
