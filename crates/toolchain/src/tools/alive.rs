//! Translation validation: does changed IR refine what it was made from?

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::{Tool, ToolError, Toolchain};

/// Milliseconds that the solver may take for one question.
const SOLVER_TIMEOUT: u32 = 10_000;
/// Bytes of a counterexample that are kept.
const COUNTEREXAMPLE_LIMIT: usize = 8 << 10;

/// What the validator found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AliveOutcome {
    /// Every function that both modules define does what it did, with loops taken up to `unroll` times: no proof for loops
    /// that run longer. Arguments are assumed not to be `undef`, which C doesn't pass.
    Proved {
        /// The functions compared.
        functions: Vec<String>,
        /// How many iterations of each loop were looked at.
        unroll: u32,
    },
    /// A function does something else.
    Refuted {
        /// The function.
        function: String,
        /// An input for which it does, in the validator's words.
        counterexample: String,
    },
    /// Neither.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Toolchain {
    /// Asks alive-tv whether `after` refines `before`, function by function. An error of kind
    /// [`NotFound`](ToolError::NotFound) when it isn't installed.
    pub fn alive(&self, before: &str, after: &str, unroll: u32) -> Result<AliveOutcome, ToolError> {
        let call = Call::new(Tool::AliveTv)
            .args([
                format!("--src-unroll={unroll}"),
                format!("--tgt-unroll={unroll}"),
            ])
            .args([format!("--smt-to={SOLVER_TIMEOUT}")])
            .args(["--disable-undef-input", "before.ll", "after.ll"])
            .input("before.ll", before)
            .input("after.ll", after);
        match self.execute(&call) {
            // What goes to which of the two differs among its versions; so does the status of a refutation.
            Ok(executed) => {
                let stdout = String::from_utf8_lossy(&executed.stdout);
                Ok(parse(&format!("{}\n{stdout}", executed.stderr), unroll))
            }
            Err(ToolError::TimedOut { seconds, .. }) => Ok(AliveOutcome::Unknown {
                reason: format!("alive-tv was stopped after {seconds:.0} s"),
            }),
            Err(error @ ToolError::Died { .. }) => Ok(AliveOutcome::Unknown {
                reason: error.to_string(),
            }),
            Err(error) => Err(error),
        }
    }
}

/// The numbers under `Summary:`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    correct: u64,
    incorrect: u64,
    undecided: u64,
}

fn parse(output: &str, unroll: u32) -> AliveOutcome {
    let unknown = |reason: &str| AliveOutcome::Unknown {
        reason: reason.to_owned(),
    };
    let first_error = output.lines().find(|line| line.starts_with("ERROR:"));
    // The summary comes last: nothing in the modules can write one after it.
    let Some((comparisons, summary)) = output
        .rsplit_once("Summary:\n")
        .and_then(|(before, after)| Some((before, read_summary(after)?)))
    else {
        let line = first_error.or_else(|| output.lines().find(|line| !line.trim().is_empty()));
        return unknown(line.unwrap_or("alive-tv said nothing"));
    };
    let blocks = || {
        comparisons
            .split("----------------------------------------\n")
            .skip(1)
    };
    if summary.incorrect > 0 {
        let wrong = blocks().find(|block| block.contains("\nTransformation doesn't verify!"));
        let counterexample = wrong.and_then(|block| Some(block[block.find("ERROR:")?..].trim()));
        return AliveOutcome::Refuted {
            function: wrong
                .and_then(function_name)
                .unwrap_or_else(|| "an unnamed function".to_owned()),
            counterexample: bounded(counterexample.or(first_error).unwrap_or("none given")),
        };
    }
    if summary.undecided > 0 {
        return unknown(first_error.unwrap_or("alive-tv could not decide"));
    }
    if summary.correct == 0 {
        return unknown("the modules have no function in common");
    }
    AliveOutcome::Proved {
        functions: blocks().filter_map(function_name).collect(),
        unroll,
    }
}

/// `None` when a line has no number, or there are none.
fn read_summary(text: &str) -> Option<Summary> {
    let mut summary = Summary::default();
    let mut lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .peekable();
    lines.peek()?;
    for line in lines {
        let (number, what) = line.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match what {
            "correct transformations" => summary.correct += number,
            "incorrect transformations" => summary.incorrect += number,
            _ => summary.undecided += number,
        }
    }
    Some(summary)
}

/// From the first line of a block, `define i32 @f(i32 %x) {`.
fn function_name(block: &str) -> Option<String> {
    let define = block.lines().find(|line| line.starts_with("define "))?;
    let name = define.split_once('@')?.1.split_once('(')?.0;
    Some(name.trim_matches('"').to_owned())
}

fn bounded(text: &str) -> String {
    let end = (0..=COUNTEREXAMPLE_LIMIT.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    text[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(name: &str, verdict: &str) -> String {
        format!(
            "\n----------------------------------------\ndefine i32 @{name}(i32 %x) {{\n  ret i32 %x\n}}\n=>\ndefine i32 @{name}(i32 %x) {{\n  ret i32 %x\n}}\n{verdict}\n\n"
        )
    }

    fn summary(correct: u32, incorrect: u32, failed: u32, errors: u32) -> String {
        format!(
            "Summary:\n  {correct} correct transformations\n  {incorrect} incorrect transformations\n  {failed} failed-to-prove transformations\n  {errors} Alive2 errors\n"
        )
    }

    const CORRECT: &str = "Transformation seems to be correct!";
    const WRONG: &str = "Transformation doesn't verify!\n\nERROR: Value mismatch\n\nExample:\ni32 %x = #x00000000 (0)\nSource value: #x00000000 (0)\nTarget value: #x00000001 (1)";

    fn unknown(reason: &str) -> AliveOutcome {
        AliveOutcome::Unknown {
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn proved() {
        let equal = format!("{CORRECT} (syntactically equal)");
        let output = block("f", CORRECT) + &block("g", &equal) + &summary(2, 0, 0, 0);
        let functions = ["f", "g"].map(str::to_owned).to_vec();
        assert_eq!(
            parse(&output, 4),
            AliveOutcome::Proved {
                functions,
                unroll: 4
            }
        );
    }

    #[test]
    fn refuted() {
        let output = block("f", CORRECT) + &block("g", WRONG) + &summary(1, 1, 0, 0);
        let AliveOutcome::Refuted {
            function,
            counterexample,
        } = parse(&output, 4)
        else {
            panic!()
        };
        assert_eq!(function, "g");
        insta::assert_snapshot!(counterexample, @r"
        ERROR: Value mismatch

        Example:
        i32 %x = #x00000000 (0)
        Source value: #x00000000 (0)
        Target value: #x00000001 (1)
        ");
    }

    #[test]
    fn neither() {
        let timeout = block("f", "ERROR: Timeout") + &summary(0, 0, 1, 0);
        assert_eq!(parse(&timeout, 1), unknown("ERROR: Timeout"));
        let partly = block("f", CORRECT)
            + "ERROR: Could not translate 'g' to Alive IR\n"
            + &summary(1, 0, 0, 1);
        assert_eq!(
            parse(&partly, 1),
            unknown("ERROR: Could not translate 'g' to Alive IR")
        );
        assert_eq!(
            parse(&summary(0, 0, 0, 0), 1),
            unknown("the modules have no function in common")
        );
        assert_eq!(
            parse("Could not read bitcode from 'a.ll'\n", 1),
            unknown("Could not read bitcode from 'a.ll'")
        );
        assert_eq!(parse("", 1), unknown("alive-tv said nothing"));
        // Cut off in the middle.
        assert_eq!(
            parse(&(block("f", CORRECT) + "Summary:\n"), 1),
            unknown("----------------------------------------")
        );
    }

    #[test]
    fn words_in_the_module_prove_nothing() {
        let forged = block("f", &(CORRECT.to_owned() + "\n" + &summary(1, 0, 0, 0)))
            + &block("g", WRONG)
            + &summary(0, 1, 0, 0);
        assert!(matches!(parse(&forged, 1), AliveOutcome::Refuted { .. }));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(Summary:\n|  [0-9] correct transformations\n|define i32 @f\\(|-{40}\n|ERROR:|\\PC){0,30}") {
            parse(&text, 1);
        }
    }
}
