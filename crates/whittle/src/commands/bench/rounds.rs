//! Runs everything, round by round.
//!
//! In a round, all engines do the same work one after the other, each in a process of its own: a change of the
//! machine's speed meets all of them, and ratios compare runs of the same minutes.

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use indicatif::ProgressBar;

use crate::cli::Interrupted;
use crate::format;

use super::child::Children;
use super::grid::{self, Engine, Load, Setting};
use super::one::{Point, Speed, Timed};
use super::peer::{Peer, Scripts};
use super::report::{Machine, ModelReport, PeerReport, ProductReport, Report};
use super::results::{Run, Samples, ratios, rows};
use super::scale::{Scale, text_checkpoint, vision_checkpoint};
use super::{Arguments, Part};

/// Runs of every matrix product in a process.
const PRODUCT_SAMPLES: usize = 3;
/// Runs of the vision tower in a process.
const VISION_SAMPLES: usize = 1;
/// Our own name among the peers'.
const OURS: &str = "whittle";

/// The bench at work.
pub(super) struct Rounds<'a> {
    arguments: &'a Arguments,
    scale: Scale,
    threads: usize,
    children: Children,
    scripts: Scripts,
    peers: Vec<Candidate>,
    settings: Vec<Setting>,
    loads: Vec<Load>,
    progress: ProgressBar,
    speeds: Vec<Speed>,
    runs: Vec<Run>,
    /// Times of an engine's products.
    products: Vec<(&'static str, Timed)>,
    /// Times of an engine's vision tower.
    vision: Vec<(&'static str, f64)>,
}

/// A peer that is measured until it fails.
struct Candidate {
    peer: Peer,
    version: Option<String>,
    problem: Option<String>,
}

impl<'a> Rounds<'a> {
    /// Looks for the peers; those that are not there are left out with a warning.
    pub(super) fn new(arguments: &'a Arguments) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = arguments.threads.unwrap_or(cores);
        let mut peers: Vec<Candidate> = Vec::new();
        for &peer in &arguments.peers {
            if !peers.iter().any(|known| known.peer == peer) {
                peers.push(Candidate {
                    peer,
                    version: None,
                    problem: None,
                });
            }
        }
        let mut rounds = Self {
            arguments,
            scale: Scale::named(&arguments.shape)?,
            threads,
            children: Children::new(&arguments.shape, threads)?,
            scripts: Scripts::new(&arguments.python, threads)?,
            peers,
            settings: grid::settings(&arguments.policies, &arguments.budgets),
            loads: grid::loads(&arguments.prompts, &arguments.batches),
            progress: ProgressBar::hidden(),
            speeds: Vec::new(),
            runs: Vec::new(),
            products: Vec::new(),
            vision: Vec::new(),
        };
        for peer in 0..rounds.peers.len() {
            let version = rounds.scripts.version(rounds.peers[peer].peer);
            rounds.peers[peer].version = rounds.accept(peer, version)?;
        }
        Ok(rounds)
    }

    /// Measures all rounds.
    pub(super) fn run(mut self) -> Result<Report> {
        let text = if self.measures(Part::Grid) {
            Some(text_checkpoint(&self.text_folder(), &self.scale)?)
        } else {
            None
        };
        let vision = if self.measures(Part::Vision) {
            Some(vision_checkpoint(&self.text_folder(), &self.scale)?)
        } else {
            None
        };
        self.progress = crate::commands::progress(self.processes() as u64, "runs");
        for round in 0..self.arguments.repeat {
            let speed = self.children.machine()?;
            self.speeds.push(speed);
            self.progress.inc(1);
            if let Some(model) = &text {
                self.grid(round, model)?;
            }
            if self.measures(Part::Matmul) {
                self.matmul()?;
            }
            if let Some(model) = &vision {
                self.vision(model)?;
            }
        }
        self.progress.finish_and_clear();
        self.report()
    }

    fn measures(&self, part: Part) -> bool {
        self.arguments.measure.contains(&part)
    }

    fn text_folder(&self) -> PathBuf {
        let default =
            || std::env::temp_dir().join(format!("whittle-bench-{}", self.arguments.shape));
        self.arguments.checkpoint.clone().unwrap_or_else(default)
    }

    /// How many processes there will be if no peer fails.
    fn processes(&self) -> usize {
        let working = || self.peers.iter().filter(|peer| peer.problem.is_none());
        let with_parts = 1 + working().filter(|peer| peer.peer.has_parts()).count();
        let of = |part: Part, count: usize| if self.measures(part) { count } else { 0 };
        let grid = self.loads.len() * (self.settings.len() + working().count());
        let parts = of(Part::Matmul, with_parts) + of(Part::Vision, with_parts);
        self.arguments.repeat * (1 + of(Part::Grid, grid) + parts)
    }

    fn grid(&mut self, round: usize, model: &Path) -> Result<()> {
        let new_tokens = self.arguments.new_tokens;
        for load in self.loads.clone() {
            for setting in self.settings.clone() {
                let point = self.children.point(model, &setting, load, new_tokens)?;
                self.check_model(model, &point)?;
                let engine = Engine::Ours(setting);
                self.runs.push(Run::ours(round, load, engine, point));
                self.progress.inc(1);
            }
            for index in self.working_peers(|_| true) {
                let peer = self.peers[index].peer;
                let times = self.scripts.point(peer, model, load, new_tokens);
                let times = self.accept(index, times)?;
                self.runs.extend(times.map(|times| Run {
                    round,
                    load,
                    engine: Engine::Peer(peer),
                    times,
                    details: None,
                }));
                self.progress.inc(1);
            }
        }
        Ok(())
    }

    fn matmul(&mut self) -> Result<()> {
        let ours = self.children.matmul(PRODUCT_SAMPLES)?;
        self.products
            .extend(ours.into_iter().map(|timed| (OURS, timed)));
        self.progress.inc(1);
        let products = self.scale.products();
        for index in self.working_peers(Peer::has_parts) {
            let peer = self.peers[index].peer;
            let timed = self.scripts.matmul(peer, &products, PRODUCT_SAMPLES);
            let timed = self.accept(index, timed)?.into_iter().flatten();
            self.products
                .extend(timed.map(|timed| (peer.name(), timed)));
            self.progress.inc(1);
        }
        Ok(())
    }

    fn vision(&mut self, model: &Path) -> Result<()> {
        let ours = self.children.vision(model, VISION_SAMPLES)?;
        self.vision
            .extend(ours.into_iter().map(|seconds| (OURS, seconds)));
        self.progress.inc(1);
        for index in self.working_peers(Peer::has_parts) {
            let peer = self.peers[index].peer;
            let seconds = self.scripts.vision(peer, model, VISION_SAMPLES);
            let seconds = self.accept(index, seconds)?.into_iter().flatten();
            self.vision
                .extend(seconds.map(|seconds| (peer.name(), seconds)));
            self.progress.inc(1);
        }
        Ok(())
    }

    fn working_peers(&self, suits: impl Fn(Peer) -> bool) -> Vec<usize> {
        let works = |index: &usize| {
            let candidate = &self.peers[*index];
            candidate.problem.is_none() && suits(candidate.peer)
        };
        (0..self.peers.len()).filter(works).collect()
    }

    /// What a peer measured. If it failed, it is told and the peer left out from now on; only Ctrl-C ends the bench.
    fn accept<T>(&mut self, index: usize, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => {
                let problem = format!("{error:#}");
                let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
                let name = self.peers[index].peer.name();
                self.progress.suspend(|| {
                    anstream::eprintln!(
                        "{yellow}warning:{yellow:#} going on without {name}: {problem}"
                    );
                });
                self.peers[index].problem = Some(problem);
                Ok(None)
            }
        }
    }

    /// A folder given by hand may hold anything; bounds and peers need the shape that they are told.
    fn check_model(&self, folder: &Path, point: &Point) -> Result<()> {
        let expected = 2 * self.scale.text.parameters() as u64;
        let found = point.details.weight_bytes;
        if found != expected {
            bail!(
                "{} holds {} of weights, but shape {} has {}: give another --checkpoint",
                folder.display(),
                format::bytes(found),
                self.arguments.shape,
                format::bytes(expected)
            );
        }
        Ok(())
    }

    fn report(self) -> Result<Report> {
        let Some(speed) = best(&self.speeds) else {
            bail!("nothing was measured");
        };
        let (shape, new_tokens) = (&self.scale.text, self.arguments.new_tokens);
        let products = self.scale.products().into_iter().map(|product| {
            let of_product = self
                .products
                .iter()
                .filter(|(_, timed)| timed.name == product.name);
            let times = of_product.flat_map(|(engine, timed)| {
                timed.seconds.iter().map(move |seconds| (*engine, *seconds))
            });
            ProductReport {
                operations: product.operations(),
                engines: samples(times),
                product,
            }
        });
        Ok(Report {
            grid: rows(&self.runs, shape, new_tokens, &speed),
            ratios: ratios(&self.runs),
            matmul: products.filter(|of| !of.engines.is_empty()).collect(),
            vision: samples(self.vision.iter().copied()),
            machine: Machine::here(self.threads, speed),
            model: ModelReport {
                shape: self.arguments.shape.clone(),
                parameters: shape.parameters(),
            },
            new_tokens,
            repeat: self.arguments.repeat,
            peers: self.peers.into_iter().map(Candidate::report).collect(),
        })
    }
}

impl Candidate {
    fn report(self) -> PeerReport {
        PeerReport {
            name: self.peer.name(),
            version: self.version,
            problem: self.problem,
        }
    }
}

/// The best of all rounds: a bound is what the machine can do, not what it did in a bad moment.
fn best(speeds: &[Speed]) -> Option<Speed> {
    speeds.iter().cloned().reduce(|a, b| Speed {
        isa: a.isa,
        read_bandwidth: a.read_bandwidth.max(b.read_bandwidth),
        matmul_rate: a.matmul_rate.max(b.matmul_rate),
    })
}

/// The times of every engine, in the order in which they first appear.
fn samples(times: impl Iterator<Item = (&'static str, f64)>) -> Vec<Samples> {
    let mut engines: Vec<(&'static str, Vec<f64>)> = Vec::new();
    for (engine, seconds) in times {
        match engines.iter_mut().find(|(name, _)| *name == engine) {
            Some((_, of_engine)) => of_engine.push(seconds),
            None => engines.push((engine, vec![seconds])),
        }
    }
    engines
        .into_iter()
        .map(|(engine, seconds)| Samples::new(engine, seconds))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rounds_count() {
        let speed = |read_bandwidth, matmul_rate| Speed {
            isa: "scalar".to_owned(),
            read_bandwidth,
            matmul_rate,
        };
        assert_eq!(
            best(&[speed(1.0, 5.0), speed(2.0, 4.0)]),
            Some(speed(2.0, 5.0))
        );
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn samples_are_gathered_by_engine() {
        let times = [("a", 3.0), ("b", 1.0), ("a", 1.0), ("a", 2.0)];
        let samples = samples(times.into_iter());
        assert_eq!(samples.len(), 2);
        assert_eq!(
            (samples[0].engine, samples[0].best_s, samples[0].median_s),
            ("a", 1.0, 2.0)
        );
    }
}
