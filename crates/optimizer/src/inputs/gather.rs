//! The collection of all inputs of a run.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::tools::{Digest, Toolchain};

use crate::evidence::reference::{Judgement, Reference, ReferenceError, digest};
use crate::inputs::command::Generator;
use crate::inputs::explore::{Explorer, seed, stop_if};
use crate::inputs::guesses::guesses;
use crate::inputs::mutate::{Given, LARGEST_MUTANT, Mutator};
use crate::inputs::select::{Known, all_visible, given, hold_out, select};
use crate::inputs::source::Hints;
use crate::inputs::testing::Tester;
use crate::inputs::workload;
use crate::inputs::{
    Case, Dropped, GatherProgress, InputError, InputOptions, Inputs, Origin, RawCase, directory,
};
use crate::program::Program;

/// Inputs that take longer are not mutated.
const QUICK: f64 = 0.1;
/// Sizes for which the generator is asked, as long as the original is quick on them.
const SIZES: [u64; 8] = [1, 2, 5, 10, 30, 100, 300, 1000];
const SEEDS_PER_SIZE: u64 = 2;
/// Inputs made here that were not used and are listed one by one.
const LISTED: usize = 5;
/// Inputs with the same output that show that a program's input does not reach it.
const ALL_THE_SAME: usize = 5;
/// Fewest inputs with which a run makes sense: a test for everybody, one held out, and one that is timed.
const FEWEST: usize = 4;
const BLANKS: [&[u8]; 4] = [b"\n\n", b" \n", b"\t\n", b"\n \n"];

/// Collects tests and timing inputs of all sources and says what the original does on them.
pub fn gather(
    toolchain: &Toolchain,
    program: &Program,
    reference: &Reference,
    options: &InputOptions,
    observer: &mut dyn FnMut(&GatherProgress) -> ControlFlow<()>,
) -> Result<Inputs, InputError> {
    gather_asking(toolchain, program, reference, options, None, observer)
}

/// The same with a testing agent.
pub(crate) fn gather_asking(
    toolchain: &Toolchain,
    program: &Program,
    reference: &Reference,
    options: &InputOptions,
    tester: Option<&mut Tester<'_>>,
    observer: &mut dyn FnMut(&GatherProgress) -> ControlFlow<()>,
) -> Result<Inputs, InputError> {
    let mut gatherer = Gatherer {
        reference,
        options,
        observer,
        generator: None,
        random: ChaCha8Rng::seed_from_u64(options.seed),
        known: Vec::new(),
        siblings: 0,
        seen: BTreeSet::new(),
        dropped: Vec::new(),
        made_in_vain: 0,
        notes: Vec::new(),
    };
    if let Some(command) = &options.generator {
        gatherer.generator = Some(Generator::new(toolchain.sandbox(), command)?);
    }
    gatherer.given()?;
    let mut explorer = Explorer::new(toolchain, program, reference)?;
    if let Some(tester) = tester
        && let Some(timing) = gatherer.testing_agent(toolchain, program, &explorer, tester)?
    {
        let mut inputs = all_visible(gatherer.known, timing);
        inputs.dropped = gatherer.dropped;
        inputs.notes = gatherer.notes;
        inputs.coverage = explorer.share(inputs.visible.iter())?;
        return Ok(inputs);
    }
    hold_out(&mut gatherer.known, options.visible);
    gatherer.explore(program, &mut explorer)?;
    gatherer.refuse_what_needs_files()?;
    gatherer.fill()?;
    let timing = gatherer.timing()?;
    let mut inputs = select(gatherer.known, timing, options);
    inputs.dropped = gatherer.dropped;
    inputs.notes = gatherer.notes;
    if gatherer.made_in_vain > LISTED {
        let name = format!("{} more made here", gatherer.made_in_vain - LISTED);
        inputs.dropped.push(Dropped {
            name,
            reason: "have no right answer either".to_owned(),
        });
    }
    inputs.coverage = explorer.share(inputs.visible.iter().chain(&inputs.held_out))?;
    Ok(inputs)
}

/// What is known so far.
pub(crate) struct Gatherer<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) options: &'a InputOptions,
    pub(crate) generator: Option<Generator<'a>>,
    pub(crate) random: ChaCha8Rng,
    pub(crate) known: Vec<Known>,
    /// Inputs made to be like another.
    pub(crate) siblings: usize,
    observer: &'a mut dyn FnMut(&GatherProgress) -> ControlFlow<()>,
    seen: BTreeSet<Digest>,
    pub(crate) dropped: Vec<Dropped>,
    /// Inputs made here that have no right answer.
    made_in_vain: usize,
    /// What people should know of the inputs, in words.
    pub(crate) notes: Vec<String>,
}

impl Gatherer<'_> {
    pub(crate) fn observe(
        &mut self,
        stage: &'static str,
        done: usize,
        total: usize,
    ) -> Result<(), InputError> {
        stop_if((self.observer)(&GatherProgress { stage, done, total }))
    }

    /// Notes why an input is not used.
    pub(crate) fn drop(&mut self, raw: &RawCase, reason: String) {
        let is_made = raw.origin == Origin::BuiltIn;
        self.made_in_vain += usize::from(is_made);
        if !is_made || self.made_in_vain <= LISTED {
            let name = raw.name.clone();
            self.dropped.push(Dropped { name, reason });
        }
    }

    /// Judges an input that was not there before; `None` if it is of no use.
    pub(crate) fn judge(&mut self, raw: &RawCase) -> Result<Option<Case>, InputError> {
        if !self.seen.insert(digest(&raw.arguments, &raw.input)) {
            return Ok(None);
        }
        match self.reference.judge(raw)? {
            Judgement::Fit(case) => Ok(Some(case)),
            Judgement::Unfit(reason) => {
                self.drop(raw, reason);
                Ok(None)
            }
        }
    }

    /// Judges an input, and makes it a test if it is fit.
    pub(crate) fn add(&mut self, raw: &RawCase) -> Result<bool, InputError> {
        let Some(case) = self.judge(raw)? else {
            return Ok(false);
        };
        let seconds = self.reference.quiet_seconds_of(&case);
        self.known.push(Known::new(case, seconds));
        Ok(true)
    }

    /// The user's tests and the generator's inputs.
    fn given(&mut self) -> Result<(), InputError> {
        let stage = "runs the given inputs";
        if let Some(folder) = &self.options.tests {
            let tests = directory::read(folder)?;
            for (done, raw) in tests.iter().enumerate() {
                self.observe(stage, done, tests.len())?;
                if self.seen.contains(&digest(&raw.arguments, &raw.input)) {
                    self.drop(raw, "is the same as another test".to_owned());
                } else {
                    self.add(raw)?;
                }
            }
            self.refuse_if_none(tests.len())?;
        }
        if self.generator.is_some() {
            let asked = self.generate(stage)?;
            self.refuse_if_none(asked)?;
        }
        Ok(())
    }

    /// Small inputs of the generator.
    fn generate(&mut self, stage: &'static str) -> Result<usize, InputError> {
        let mut asked = 0;
        for size in SIZES {
            for seed in 1..=SEEDS_PER_SIZE {
                self.observe(stage, asked, SIZES.len() * SEEDS_PER_SIZE as usize)?;
                let Some(generator) = &self.generator else {
                    return Ok(asked);
                };
                let raw = generator.make(seed, size)?;
                if asked == 0 {
                    generator.check(&raw, seed, size)?;
                }
                asked += 1;
                self.add(&raw)?;
            }
            if self.known.last().is_some_and(|known| known.seconds > QUICK) {
                break;
            }
        }
        Ok(asked)
    }

    /// Inputs that reach code that the given ones do not.
    fn explore(
        &mut self,
        program: &Program,
        explorer: &mut Explorer<'_>,
    ) -> Result<(), InputError> {
        let hints = Hints::of(program);
        let mut start: Vec<Given> = self.seeds().map(given).collect();
        if start.is_empty() {
            start = guesses(&hints, &mut self.random);
        } else {
            // Whatever the tests are, nothing at all is worth a try.
            start.push(Given::default());
        }
        let held_out = self.quick().filter(|known| known.held_out);
        let held_out: Vec<Given> = held_out.map(|known| given(&known.case)).collect();
        let (begin, effort, attempts) =
            (Instant::now(), self.options.effort, self.options.attempts);
        let observer = &mut *self.observer;
        let mut observe = |done| {
            observer(&GatherProgress {
                stage: "looks for inputs that reach new code",
                done,
                total: attempts,
            })
        };
        explorer.try_all(&start, begin + effort / 2, &mut observe)?;
        explorer.mutate(
            hints.words,
            attempts,
            begin + effort,
            &mut self.random,
            &mut observe,
        )?;
        // After the others: what they reach need not be reached again, but nothing is made of them.
        explorer.try_all(&held_out, begin + effort * 2, &mut observe)?;
        let cases: Vec<Case> = self.known.iter().map(|known| known.case.clone()).collect();
        let found = explorer.cover(&cases);
        let total = found.len();
        for (number, tried) in found.into_iter().enumerate() {
            self.observe("checks the inputs found", number, total)?;
            self.add(&built_in(tried.given, &format!("built-in-{}", number + 1)))?;
        }
        if self.known.is_empty() {
            // What is wrong is to be seen best where the original does not even end.
            for (number, given) in explorer.failed.iter().enumerate() {
                self.add(&built_in(
                    given.clone(),
                    &format!("built-in-failing-{}", number + 1),
                ))?;
            }
            self.refuse_if_none(total + explorer.failed.len())?;
        }
        Ok(())
    }

    fn quick(&self) -> impl Iterator<Item = &Known> {
        let is_quick =
            |known: &&Known| known.seconds <= QUICK && known.case.input.len() <= LARGEST_MUTANT;
        self.known.iter().filter(is_quick)
    }

    /// What others are made of.
    fn seeds(&self) -> impl Iterator<Item = &Case> {
        let may_be_seen = self.quick().filter(|known| !known.held_out);
        may_be_seen.map(|known| &known.case)
    }

    /// More tests of the shape of those that there are, until there are enough.
    fn fill(&mut self) -> Result<(), InputError> {
        let wanted = self.options.visible + self.options.held_out;
        let seeds = self.seeds().map(|case| seed(&given(case))).collect();
        let mutator = Mutator::new(seeds, Vec::new());
        let mut outputs: BTreeSet<Digest> = self
            .known
            .iter()
            .map(|known| digest(&[], &known.case.expected.stdout))
            .collect();
        let end = Instant::now() + self.options.effort;
        for attempt in 0..wanted * 4 {
            if self.known.len() >= wanted || mutator.is_empty() || Instant::now() >= end {
                break;
            }
            self.observe("makes more tests", self.known.len(), wanted)?;
            let (given, how) = mutator.mutate(&mut self.random);
            // Another message of the same error is no other test.
            let run = self.reference.run_original(
                &workload("tried", &given.0, &given.1)?,
                std::time::Duration::from_secs_f64(QUICK * 2.0),
            )?;
            if outputs.insert(digest(&[], &run.stdout)) {
                self.add(&built_in(given, &format!("built-in-{how}-{}", attempt + 1)))?;
            }
        }
        self.add_blanks()
    }

    /// A program that does not care for its input has no tests but the same over again.
    fn add_blanks(&mut self) -> Result<(), InputError> {
        let seen = self.known.iter().find(|known| !known.held_out);
        let Some(first) = seen.or(self.known.first()).map(|known| given(&known.case)) else {
            return Ok(());
        };
        for (number, blanks) in BLANKS.into_iter().enumerate() {
            if self.known.len() >= FEWEST {
                break;
            }
            let mut same = first.clone();
            same.1.extend_from_slice(blanks);
            self.add(&built_in(same, &format!("built-in-blanks-{}", number + 1)))?;
        }
        Ok(())
    }

    /// Refuses a program of which nothing that was tried is fit.
    fn refuse_if_none(&self, inputs: usize) -> Result<(), InputError> {
        if !self.known.is_empty() {
            return Ok(());
        }
        let kind = |dropped: &Dropped| -> String {
            let end = dropped
                .reason
                .find([':', ';', '('])
                .unwrap_or(dropped.reason.len());
            dropped.reason[..end].to_owned()
        };
        let count = |reason: &str| {
            self.dropped
                .iter()
                .filter(|dropped| kind(dropped) == reason)
                .count()
        };
        let mut dropped: Vec<&Dropped> = self.dropped.iter().collect();
        // The most frequent reason, and of those that are as frequent the first.
        dropped.sort_by_key(|dropped| std::cmp::Reverse(count(&kind(dropped))));
        let Some(example) = dropped.first() else {
            return Ok(());
        };
        Err(ReferenceError::Unfit {
            inputs,
            reason: example.reason.clone(),
            example: example.name.clone(),
        }
        .into())
    }

    /// Refuses a program that opens files and does nothing without them.
    fn refuse_what_needs_files(&self) -> Result<(), InputError> {
        let imports = self.reference.imports().files();
        let cases = || self.known.iter().map(|known| &known.case.expected);
        if imports.is_empty() || self.known.is_empty() {
            return Ok(());
        }
        let fails = cases().all(|expected| expected.status != 0);
        let same = self.known.len() >= ALL_THE_SAME
            && cases().all(|expected| Some(expected) == cases().next());
        let outcome = match (fails, same) {
            (true, _) => "it fails on every input".to_owned(),
            (_, true) => "it prints the same on every input".to_owned(),
            _ => return Ok(()),
        };
        Err(ReferenceError::NeedsFiles {
            imports: imports.join(", "),
            outcome,
        }
        .into())
    }
}

pub(crate) fn built_in((arguments, input): Given, name: &str) -> RawCase {
    RawCase {
        name: name.to_owned(),
        arguments,
        input,
        declared_output: None,
        origin: Origin::BuiltIn,
    }
}
