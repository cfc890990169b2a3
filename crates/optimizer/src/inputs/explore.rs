//! Inputs that reach new code, by coverage-guided mutation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use whittle_toolchain::sandbox::End;
use whittle_toolchain::tools::{
    Coverage, CoveragePoint, Digest, Executable, JointCoverage, ToolError, Toolchain,
};

use crate::evidence::parallel::in_order;
use crate::evidence::reference::{Reference, digest};
use crate::inputs::mutate::{Given, Mutator, Seed};
use crate::inputs::workload;
use crate::inputs::{Case, InputError};
use crate::program::Program;

/// Inputs tried at a time; the next are made from what these showed.
const BATCH: usize = 8;
/// An input that takes longer is of no use here.
const LONGEST: Duration = Duration::from_millis(300);
/// Most inputs in the answer.
const MOST: usize = 40;
/// The bucket of counts from which on more is the same: eight.
const OFTEN: u8 = 4;
/// After so many inputs with the same output another one has hardly reached new code; to count that takes longer than to
/// run the program.
const SAME_OUTPUT: usize = 3;
/// Inputs on which the original does not end by itself that are remembered.
const MOST_FAILED: usize = 2;

/// Something that an input reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// A counter, and roughly how often.
    Counter(CoveragePoint),
    /// Exactly these counters. Code that is run when a counter is *not* reached, as behind an early return, has none itself.
    Set(Digest),
}

/// What an input showed.
#[derive(Debug, Clone)]
pub(crate) struct Tried {
    pub(crate) given: Given,
    reached: BTreeSet<Reached>,
}

impl Tried {
    fn new(given: Given, coverage: Coverage) -> Self {
        let counters: Vec<String> = coverage
            .points
            .iter()
            .map(|point| format!("{} {}", point.function, point.counter))
            .collect();
        let counters: Vec<&[u8]> = counters.iter().map(String::as_bytes).collect();
        let set = Reached::Set(Digest::of(&counters));
        let points = coverage.points.into_iter().map(|point| {
            Reached::Counter(CoveragePoint {
                bucket: point.bucket.min(OFTEN),
                ..point
            })
        });
        Self {
            given,
            reached: points.chain([set]).collect(),
        }
    }
}

/// Tries inputs on the original.
pub(crate) struct Explorer<'a> {
    toolchain: &'a Toolchain,
    program: &'a Program,
    reference: &'a Reference,
    executable: Executable,
    seen: BTreeSet<Reached>,
    tried: BTreeSet<Digest>,
    /// How often which output came.
    outputs: BTreeMap<Digest, usize>,
    corpus: Vec<Tried>,
    /// Inputs on which the original does not end by itself.
    pub(crate) failed: Vec<Given>,
}

/// Called after each batch with the number of inputs tried.
pub(crate) type Observer<'o> = dyn FnMut(usize) -> ControlFlow<()> + 'o;

impl<'a> Explorer<'a> {
    pub(crate) fn new(
        toolchain: &'a Toolchain,
        program: &'a Program,
        reference: &'a Reference,
    ) -> Result<Self, InputError> {
        let mut flags = program.base_flags();
        flags.push("-O1".to_owned());
        flags.extend(program.link_flags.iter().cloned());
        Ok(Self {
            executable: toolchain.instrumented_for_coverage(&program.units, &flags)?,
            toolchain,
            program,
            reference,
            seen: BTreeSet::new(),
            tried: BTreeSet::new(),
            outputs: BTreeMap::new(),
            corpus: Vec::new(),
            failed: Vec::new(),
        })
    }

    /// Tries inputs that are there; what reaches new code is kept.
    pub(crate) fn try_all(
        &mut self,
        inputs: &[Given],
        end: Instant,
        observe: &mut Observer<'_>,
    ) -> Result<(), InputError> {
        for batch in inputs.chunks(BATCH) {
            if Instant::now() >= end {
                break;
            }
            self.try_batch(batch.to_vec())?;
            stop_if(observe(self.tried.len()))?;
        }
        Ok(())
    }

    /// Makes and tries inputs until the time or the attempts are spent.
    pub(crate) fn mutate(
        &mut self,
        words: Vec<Vec<u8>>,
        attempts: usize,
        end: Instant,
        random: &mut ChaCha8Rng,
        observe: &mut Observer<'_>,
    ) -> Result<(), InputError> {
        let seeds = self.corpus.iter().map(|tried| seed(&tried.given)).collect();
        let mut mutator = Mutator::new(seeds, words);
        for _ in 0..attempts / BATCH {
            if mutator.is_empty() || Instant::now() >= end {
                break;
            }
            let batch = (0..BATCH).map(|_| mutator.mutate(random).0).collect();
            for found in self.try_batch(batch)? {
                mutator.add(seed(&found));
            }
            stop_if(observe(self.tried.len()))?;
        }
        Ok(())
    }

    /// The fewest inputs that reach all that was reached, those first that reach most; `first` come before all others.
    pub(crate) fn cover(&self, first: &[Case]) -> Vec<Tried> {
        let is_first = |tried: &Tried| {
            first
                .iter()
                .any(|case| (&case.arguments, &case.input) == (&tried.given.0, &tried.given.1))
        };
        let (known, mut rest): (Vec<&Tried>, Vec<&Tried>) =
            self.corpus.iter().partition(|tried| is_first(tried));
        let mut reached: BTreeSet<_> = known.iter().flat_map(|tried| &tried.reached).collect();
        let mut chosen = Vec::new();
        while chosen.len() < MOST {
            let gain = |tried: &Tried| {
                tried
                    .reached
                    .iter()
                    .filter(|point| !reached.contains(point))
                    .count()
            };
            let best = rest.iter().enumerate().max_by_key(|(at, tried)| {
                (gain(tried), std::cmp::Reverse((tried.given.1.len(), *at)))
            });
            let Some((at, best)) = best.filter(|(_, tried)| gain(tried) > 0) else {
                break;
            };
            reached.extend(&best.reached);
            chosen.push((*best).clone());
            rest.remove(at);
        }
        chosen
    }

    /// What these inputs reach together; `None` if none of them can tell.
    pub(crate) fn joint<'c>(
        &self,
        cases: impl Iterator<Item = &'c Case>,
    ) -> Result<Option<JointCoverage>, InputError> {
        let workloads = cases.map(Case::workload).collect::<Result<Vec<_>, _>>()?;
        let joint =
            self.toolchain
                .joint_coverage(&self.executable, &self.program.units, &workloads)?;
        Ok(joint)
    }

    /// The share of the program's regions that these inputs reach together.
    pub(crate) fn share<'c>(
        &self,
        cases: impl Iterator<Item = &'c Case>,
    ) -> Result<Option<f64>, InputError> {
        let joint = self.joint(cases)?;
        Ok(joint.map(|joint| joint.share.regions.share()))
    }

    /// Those of the inputs that are kept, in their order.
    fn try_batch(&mut self, mut batch: Vec<Given>) -> Result<Vec<Given>, InputError> {
        batch.retain(|given| self.tried.insert(digest(&given.0, &given.1)));
        let outputs = in_order(&batch, |given| self.output(given), Result::is_err);
        let mut promising = Vec::new();
        for (given, output) in batch.into_iter().zip(outputs) {
            match output? {
                Some(output) => {
                    let times = self.outputs.entry(output).or_default();
                    *times += 1;
                    if *times <= SAME_OUTPUT {
                        promising.push(given);
                    }
                }
                None if self.failed.len() < MOST_FAILED => self.failed.push(given),
                None => {}
            }
        }
        let coverages = in_order(&promising, |given| self.coverage(given), Result::is_err);
        let mut kept = Vec::new();
        for (given, coverage) in promising.into_iter().zip(coverages) {
            let Some(coverage) = coverage? else { continue };
            let tried = Tried::new(given, coverage);
            if !tried.reached.is_subset(&self.seen) {
                self.seen.extend(tried.reached.iter().cloned());
                kept.push(tried.given.clone());
                self.corpus.push(tried);
            }
        }
        Ok(kept)
    }

    /// A digest of all that the original prints, and how it ends; `None` if it does not end by itself, and soon.
    fn output(&self, given: &Given) -> Result<Option<Digest>, InputError> {
        let finished = self
            .reference
            .run_original(&workload("tried", &given.0, &given.1)?, LONGEST)?;
        match finished.end {
            End::Exited(status) => Ok(Some(Digest::of(&[
                &finished.stdout,
                &finished.stderr,
                &status.to_le_bytes(),
            ]))),
            End::Cancelled => Err(InputError::Cancelled),
            _ => Ok(None),
        }
    }

    fn coverage(&self, given: &Given) -> Result<Option<Coverage>, InputError> {
        let workload = workload("tried", &given.0, &given.1)?;
        match self.toolchain.coverage(&self.executable, &workload) {
            Ok(coverage) => Ok(Some(coverage)),
            Err(ToolError::NoProfile { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn seed(given: &Given) -> Seed {
    Seed::new(given.0.clone(), given.1.clone())
}

pub(crate) fn stop_if(flow: ControlFlow<()>) -> Result<(), InputError> {
    if flow.is_break() {
        Err(InputError::Cancelled)
    } else {
        Ok(())
    }
}
