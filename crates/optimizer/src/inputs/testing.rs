//! The testing agent: a language model writes a generator and literal cases (arXiv 2604.04238).
//!
//! What it writes counts for nothing by itself: each input has to be one on which the original is fit to be a reference. It
//! is told what was dropped, why, and which parts of the code are not reached, and may answer again.

use serde::Serialize;
use whittle_chat::{ChatError, ChatReply, ChatRequest, Message};
use whittle_toolchain::tools::{CoverageGap, GapKind, Toolchain, Unit};

use crate::agents::level::mark_for;
use crate::edit::{self, Reply};
use crate::inputs::command::{Generator, GeneratorError};
use crate::inputs::explore::Explorer;
use crate::inputs::gather::Gatherer;
use crate::inputs::select::{Known, Timing};
use crate::inputs::{Case, InputError, Origin, RawCase};
use crate::program::Program;
use crate::prompts::{self, cut};
use crate::session::TestingUse;

/// Answers that the agent is asked for at most.
const ROUNDS: u32 = 3;
/// Reaching this share of the code is enough.
const ENOUGH: f64 = 0.95;
/// Sizes with which results are checked.
const SMALL: [u64; 10] = [1, 2, 3, 5, 8, 12, 20, 40, 80, 150];
/// Seeds of the inputs that are timed for the result, so that no search saw them.
const FRESH: u64 = 1000;
/// Longest program text and longest list of complaints in a message, in bytes.
const LONGEST_TEXT: usize = 48 << 10;
const LONGEST_FEEDBACK: usize = 3000;
/// Parts of the program that are named as not reached.
const MOST_GAPS: usize = 25;
/// Literal cases that are looked at.
const MOST_CASES: usize = 40;

/// Asks the model; `None` when the budget does not allow it.
type Ask<'t> = dyn FnMut(
        ChatRequest,
    )
        -> Result<Option<Result<ChatReply, ChatError>>, Box<dyn std::error::Error + Send + Sync>>
    + 't;

/// What the agent needs.
pub(crate) struct Tester<'t> {
    /// How many inputs are wanted.
    pub(crate) wanted: TestingUse,
    /// Whether its inputs are all that there are, if they are enough.
    pub(crate) alone: bool,
    pub(crate) max_tokens: u32,
    pub(crate) temperature: Option<f64>,
    pub(crate) ask: &'t mut Ask<'t>,
}

#[derive(Serialize)]
struct Values {
    mark: String,
    units: Vec<Unit>,
    correctness: u32,
    large: u32,
    seconds: f64,
}

/// What the prompt for another answer refers to.
#[derive(Serialize)]
struct Again {
    said: String,
    dropped: Vec<String>,
    usable: usize,
    share: String,
    gaps: Vec<String>,
}

/// What a reply consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Suite {
    generator: Option<String>,
    sizes: Vec<u64>,
    /// Arguments and standard input.
    cases: Vec<(Vec<String>, String)>,
}

impl Gatherer<'_> {
    /// Asks for inputs and judges them. Answers what to time if nothing else is wanted; else the inputs stand with the others.
    pub(super) fn testing_agent(
        &mut self,
        toolchain: &Toolchain,
        program: &Program,
        explorer: &Explorer<'_>,
        tester: &mut Tester<'_>,
    ) -> Result<Option<Timing>, InputError> {
        let mut messages = opening(program, tester, self.options.timing_seconds);
        let mut timing = Timing::default();
        let mut why = "it gave no answer".to_owned();
        for round in 1..=ROUNDS {
            self.observe("asks the testing agent", round as usize, ROUNDS as usize)?;
            let request = ChatRequest {
                label: format!("testing/round {round}"),
                messages: messages.clone(),
                tools: Vec::new(),
                max_tokens: tester.max_tokens,
                temperature: tester.temperature,
                seed: None,
            };
            let reply = match (tester.ask)(request).map_err(InputError::Model)? {
                Some(Ok(reply)) => reply,
                Some(Err(error)) => {
                    why = error.to_string();
                    break;
                }
                None => {
                    "the budget does not allow to ask it".clone_into(&mut why);
                    break;
                }
            };
            let before = self.dropped.len();
            let said = match read(&reply.text) {
                Ok(suite) => self.try_suite(toolchain, &suite, tester, &mut timing)?,
                Err(said) => Some(said),
            };
            let joint = explorer.joint(self.models())?;
            let (coverage, gaps) = joint.map_or((0.0, Vec::new()), |joint| {
                (joint.share.regions.share(), joint.gaps)
            });
            let enough = self.models().count() >= tester.wanted.correctness as usize;
            if said.is_none() && enough && coverage >= ENOUGH {
                break;
            }
            messages.push(Message::Assistant {
                text: reply.text,
                tool_calls: Vec::new(),
            });
            let text = self.feedback(said.as_deref(), before, coverage, &gaps, program);
            why = said.unwrap_or_else(|| "it wrote too few usable inputs".to_owned());
            messages.push(Message::User { text });
        }
        Ok(self.conclude(tester, timing, &why))
    }

    /// The usable inputs of the agent.
    fn models(&self) -> impl Iterator<Item = &Case> {
        let cases = self.known.iter().map(|known| &known.case);
        cases.filter(|case| case.origin == Origin::Model)
    }

    fn conclude(&mut self, tester: &Tester<'_>, mut timing: Timing, why: &str) -> Option<Timing> {
        let usable = self.models().count();
        if usable == 0 || (tester.alone && timing.search.is_empty()) {
            self.notes.push(format!(
                "the testing agent wrote no usable inputs ({}): the built-in generator stands in",
                cut(why, 300)
            ));
            return None;
        }
        self.notes
            .push(format!("the testing agent wrote {usable} usable inputs"));
        if !tester.alone {
            return None;
        }
        self.known
            .retain(|known| known.case.origin != Origin::BuiltIn);
        self.known.truncate(tester.wanted.correctness as usize);
        if timing.result.is_empty() {
            timing.result.clone_from(&timing.search);
        }
        Some(timing)
    }

    /// Judges what a reply consists of. What is wrong with the generator is answered in words.
    fn try_suite(
        &mut self,
        toolchain: &Toolchain,
        suite: &Suite,
        tester: &Tester<'_>,
        timing: &mut Timing,
    ) -> Result<Option<String>, InputError> {
        for (number, (arguments, input)) in suite.cases.iter().take(MOST_CASES).enumerate() {
            self.add(&RawCase {
                name: format!("model-case-{}", number + 1),
                arguments: arguments.clone(),
                input: input.clone().into_bytes(),
                declared_output: None,
                origin: Origin::Model,
            })?;
        }
        let Some(text) = &suite.generator else {
            return Ok(None);
        };
        let units = [Unit::new("generator.c", text.as_str())];
        let executable = match toolchain.compile(&units, &["-O1".to_owned(), "-lm".to_owned()]) {
            Ok(executable) => executable,
            Err(error) if error.is_about_the_input() => {
                return Ok(Some(format!("The generator does not compile:\n{error}")));
            }
            Err(error) => return Err(error.into()),
        };
        let folder = tempfile::tempdir()?;
        let generator = Generator::program(
            toolchain.sandbox(),
            executable.path,
            folder.path().to_owned(),
        );
        let said = match self.small_inputs(&generator, tester.wanted.correctness) {
            Ok(()) => self.large_inputs(&generator, &suite.sizes, tester, timing),
            failed => failed,
        };
        match said {
            Ok(()) => Ok(None),
            Err(Failed::Generator(GeneratorError::Cancelled)) => Err(InputError::Cancelled),
            Err(Failed::Generator(error @ GeneratorError::Sandbox(_))) => Err(error.into()),
            Err(Failed::Generator(error)) => Ok(Some(format!("The generator fails: {error}"))),
            Err(Failed::Input(error)) => Err(error),
        }
    }

    fn small_inputs(&mut self, generator: &Generator<'_>, count: u32) -> Result<(), Failed> {
        for at in 0..count as usize {
            let (seed, size) = (at as u64 + 1, SMALL[at % SMALL.len()]);
            let raw = generator.make(seed, size)?;
            if at == 0 {
                generator.check(&raw, seed, size)?;
            }
            self.add(&raw)?;
        }
        Ok(())
    }

    /// Inputs to time. Where other inputs are timed as well, they stand with the tests until it is known how long they take.
    fn large_inputs(
        &mut self,
        generator: &Generator<'_>,
        sizes: &[u64],
        tester: &Tester<'_>,
        timing: &mut Timing,
    ) -> Result<(), Failed> {
        let sizes = &sizes[..sizes.len().min(tester.wanted.large as usize)];
        for size in sizes {
            for seed in [1, FRESH] {
                let raw = generator.make(seed, *size)?;
                let Some(case) = self.judge(&raw)? else {
                    continue;
                };
                if tester.alone {
                    let list = if seed == FRESH {
                        &mut timing.result
                    } else {
                        &mut timing.search
                    };
                    list.push(case);
                } else {
                    let seconds = self.reference.quiet_seconds_of(&case);
                    self.known.push(Known::new(case, seconds));
                }
            }
        }
        Ok(())
    }

    /// What is told before the next answer.
    fn feedback(
        &self,
        said: Option<&str>,
        before: usize,
        coverage: f64,
        gaps: &[CoverageGap],
        program: &Program,
    ) -> String {
        let dropped = self.dropped.iter().skip(before);
        let dropped = dropped.map(|dropped| format!("{}: {}", dropped.name, dropped.reason));
        let gaps = gaps
            .iter()
            .take(MOST_GAPS)
            .map(|gap| in_words(gap, program));
        prompts::TESTING.part(
            "again",
            &Again {
                said: cut(said.unwrap_or_default(), LONGEST_FEEDBACK),
                dropped: bounded(dropped),
                usable: self.models().count(),
                share: format!("{:.0}", coverage * 100.0),
                gaps: bounded(gaps),
            },
        )
    }
}

/// The first lines, up to a bound.
fn bounded(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut left = LONGEST_FEEDBACK;
    lines
        .map_while(|line| {
            left = left.checked_sub(line.len() + 1)?;
            Some(line)
        })
        .collect()
}

/// What no input has reached, with its text.
fn in_words(gap: &CoverageGap, program: &Program) -> String {
    let unit = program.units.iter().find(|unit| unit.name == gap.unit);
    let line = unit
        .and_then(|unit| unit.text.lines().nth(gap.start.0 as usize - 1))
        .unwrap_or_default();
    let end = if gap.end.0 == gap.start.0 {
        gap.end.1 as usize - 1
    } else {
        line.len()
    };
    let text = line.get(gap.start.1 as usize - 1..end).unwrap_or(line);
    let place = format!("{} line {}", gap.function, gap.start.0);
    match gap.kind {
        GapKind::Function => format!("{} is never called", gap.function),
        GapKind::Code => format!("{place}: `{}` is never run", edit::one_line(text)),
        GapKind::False => format!("{place}: `{}` is never false", edit::one_line(text)),
    }
}

/// Why making inputs ended.
enum Failed {
    Generator(GeneratorError),
    Input(InputError),
}

impl From<GeneratorError> for Failed {
    fn from(error: GeneratorError) -> Self {
        Self::Generator(error)
    }
}

impl From<InputError> for Failed {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

fn opening(program: &Program, tester: &Tester<'_>, seconds: f64) -> Vec<Message> {
    let texts: Vec<&str> = program
        .units
        .iter()
        .map(|unit| unit.text.as_str())
        .collect();
    let share = LONGEST_TEXT / program.units.len().max(1);
    let [system, user] = prompts::TESTING.fill(&Values {
        mark: mark_for(&texts),
        units: program
            .units
            .iter()
            .map(|unit| Unit::new(unit.name.clone(), cut(&unit.text, share)))
            .collect(),
        correctness: tester.wanted.correctness,
        large: tester.wanted.large,
        seconds,
    });
    vec![
        Message::System { text: system },
        Message::User { text: user },
    ]
}

/// Reads a reply; what is wrong with it is said in words for the model.
fn read(reply: &str) -> Result<Suite, String> {
    let mut suite = Suite::default();
    let Reply { blocks, prose } = edit::blocks(reply)?;
    for sizes in prose
        .iter()
        .filter_map(|line| line.trim().strip_prefix("SIZES:"))
    {
        let words = sizes.split(|c: char| !c.is_ascii_digit());
        suite.sizes = words.filter_map(|word| word.parse().ok()).collect();
    }
    for (kind, text) in blocks {
        let mut words = kind.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("generator" | "c" | "C") => suite.generator = Some(text),
            Some("case") => suite.cases.push((words.collect(), text)),
            _ => {}
        }
    }
    if suite.generator.is_none() && suite.cases.is_empty() {
        return Err("The answer has neither a ```generator block nor a ```case block.".to_owned());
    }
    suite.sizes.sort_unstable();
    suite.sizes.dedup();
    Ok(suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_by_its_blocks() {
        let reply = "Here:\n```generator\nint main(void) {}\n```\nSIZES: 10, 1000 100000\n```case -n 5\n1 2\n3\n```\n\
                     ```case\n```\n```text\nno\n```\n";
        let suite = read(reply).unwrap();
        assert_eq!(suite.generator.as_deref(), Some("int main(void) {}\n"));
        assert_eq!(suite.sizes, [10, 1000, 100_000]);
        let arguments = vec!["-n".to_owned(), "5".to_owned()];
        assert_eq!(
            suite.cases,
            [
                (arguments, "1 2\n3\n".to_owned()),
                (Vec::new(), String::new())
            ]
        );
    }

    #[test]
    fn what_is_no_answer_is_said_in_words() {
        assert!(read("I will not do that.").unwrap_err().contains("neither"));
        assert!(
            read("```generator\nint main(")
                .unwrap_err()
                .contains("not closed")
        );
    }
}
