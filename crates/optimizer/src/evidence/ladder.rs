//! Rungs 2 to 4: the same results as the original, on more and more inputs, and then for all of them.

use std::time::{Duration, Instant};

use whittle_toolchain::measure::Workload;
use whittle_toolchain::sandbox::{AddressLayout, End, SandboxError, SealedInput};
use whittle_toolchain::tools::{
    AliveOutcome, Executable, Sanitizer, SanitizerOutcome, Tool, ToolError, Toolchain,
};

use crate::candidate::{Candidate, Level};
use crate::evidence::build::{Builder, Built};
use crate::evidence::reference::{Judgement, Reference, ReferenceError};
use crate::evidence::runner::{Runner, Variation};
use crate::evidence::{Evidence, Rejection, RejectionKind, Rung};
use crate::inputs::fuzz::Fuzzer;
use crate::inputs::{Case, Expected, Inputs, RawCase};

/// Loops are unrolled this often by translation validation.
const UNROLL: u32 = 8;
/// Bytes with which `malloc` fills memory in the runs that look for uninitialised reads.
const FILLS: [u8; 2] = [0x55, 0xaa];
/// A candidate may take this many times as long as the original before a test counts as failed.
const PATIENCE: u32 = 10;
/// ... but never less than this.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
/// A fuzzed input on which the original takes longer is left: many others can be tried in that time.
const FUZZ_PATIENCE: Duration = Duration::from_millis(250);

/// A candidate fell, or the check itself failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The candidate's own fault.
    #[error("{}", .0.reason)]
    Rejected(Rejection),
    /// The user stopped the run.
    #[error("the run was stopped")]
    Cancelled,
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A tool failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The reference failed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An input could not be made.
    #[error("cannot hold an input in memory")]
    Input(#[from] std::io::Error),
}

/// How much is done on rung 3 and 4.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Time for fuzzing.
    pub(crate) fuzz: Duration,
    /// Most inputs tried in that time.
    pub(crate) fuzz_inputs: usize,
}

/// Climbs the ladder with candidates of one program.
pub(crate) struct Ladder<'a> {
    toolchain: &'a Toolchain,
    builder: &'a Builder<'a>,
    reference: &'a Reference,
    inputs: &'a Inputs,
    runner: Runner<'a>,
    seed: u64,
}

impl<'a> Ladder<'a> {
    pub(crate) fn new(
        toolchain: &'a Toolchain,
        builder: &'a Builder<'a>,
        reference: &'a Reference,
        inputs: &'a Inputs,
        tolerance: Option<f64>,
        seed: u64,
    ) -> Result<Self, CheckError> {
        Ok(Self {
            toolchain,
            builder,
            reference,
            inputs,
            runner: Runner::new(toolchain.sandbox(), tolerance, seed)?,
            seed,
        })
    }

    /// Rung 2: every visible test. Answers how many.
    pub(crate) fn visible_tests(&self, executable: &Executable) -> Result<usize, CheckError> {
        for case in &self.inputs.visible {
            let workload = case.workload()?;
            self.check(
                executable,
                case,
                &workload,
                Variation::default(),
                Rung::Tests,
            )?;
        }
        Ok(self.inputs.visible.len())
    }

    /// Rung 3 but for the timing runs, whose outputs are compared when they are timed.
    pub(crate) fn held_out(
        &self,
        candidate: &Candidate,
        executable: &Executable,
        original: &Executable,
        effort: Effort,
        evidence: &mut Evidence,
    ) -> Result<(), CheckError> {
        for case in &self.inputs.held_out {
            let workload = case.workload()?;
            let plain = Variation::default();
            self.check(executable, case, &workload, plain, Rung::HeldOut)?;
            evidence.held_out_tests += 1;
        }
        for case in self.inputs.visible.iter().chain(&self.inputs.held_out) {
            let workload = case.workload()?;
            let fixed = Variation {
                layout: AddressLayout::Fixed,
                fill: None,
            };
            self.check(executable, case, &workload, fixed, Rung::HeldOut)?;
            evidence.layouts += 1;
            for fill in FILLS {
                let filled = Variation {
                    fill: Some(fill),
                    ..Variation::default()
                };
                self.check(executable, case, &workload, filled, Rung::HeldOut)?;
                evidence.memory_fills += 1;
            }
        }
        if candidate.artifact.level == Level::Source
            && candidate.artifact.units != self.reference.program().units
        {
            self.sanitizers(candidate, evidence)?;
        }
        self.fuzz(executable, original, effort, evidence)
    }

    /// Changed source has to be as clean as the original was.
    fn sanitizers(&self, candidate: &Candidate, evidence: &mut Evidence) -> Result<(), CheckError> {
        let flags = self.reference.program().base_flags();
        for sanitizer in [Sanitizer::AddressUndefined, Sanitizer::Memory] {
            let executable =
                self.toolchain
                    .sanitized(&candidate.artifact.units, &flags, sanitizer)?;
            for case in self.inputs.visible.iter().chain(&self.inputs.held_out) {
                let input = SealedInput::new(&case.input)?;
                let outcome = self
                    .toolchain
                    .run_sanitized(&executable, &input, &case.arguments)?;
                if let SanitizerOutcome::Report { kind, place, .. } = outcome {
                    let place = place
                        .map(|place| format!(" at {place}"))
                        .unwrap_or_default();
                    return Err(fallen(
                        Rung::HeldOut,
                        RejectionKind::Undefined,
                        format!("{kind}{place} on test {}", case.name),
                    ));
                }
                evidence.sanitized_runs += 1;
            }
        }
        Ok(())
    }

    /// The inputs that the ladder works with.
    pub(crate) fn inputs(&self) -> &Inputs {
        self.inputs
    }

    /// On how many of these inputs candidate and original agree.
    pub(crate) fn agrees_on(
        &self,
        candidate: &Candidate,
        original: &Executable,
        inputs: impl Iterator<Item = RawCase>,
    ) -> Result<usize, CheckError> {
        let built = self.builder.build(candidate)?;
        let executables = self.builder.link(&built, &candidate.recipe, 1)?;
        let mut agreed = 0;
        for (raw, executable) in inputs.zip(executables.iter().cycle()) {
            agreed += usize::from(self.fuzz_one(executable, original, &raw)?);
        }
        Ok(agreed)
    }

    /// Fresh inputs against the original, until the effort is spent.
    fn fuzz(
        &self,
        executable: &Executable,
        original: &Executable,
        effort: Effort,
        evidence: &mut Evidence,
    ) -> Result<(), CheckError> {
        let start = Instant::now();
        for raw in Fuzzer::new(self.inputs, self.seed).take(effort.fuzz_inputs) {
            if start.elapsed() >= effort.fuzz {
                break;
            }
            if self.fuzz_one(executable, original, &raw)? {
                evidence.fuzzed_inputs += 1;
            }
        }
        evidence.fuzz_s += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Whether original and candidate agree on an input on which the original is fit to be a reference.
    fn fuzz_one(
        &self,
        executable: &Executable,
        original: &Executable,
        raw: &RawCase,
    ) -> Result<bool, CheckError> {
        let workload = raw.workload()?;
        let run = |program: &Executable, patience| {
            let plain = Variation::default();
            self.runner.run(&program.path, &workload, patience, plain)
        };
        let first = run(original, FUZZ_PATIENCE)?;
        let End::Exited(status) = first.end else {
            return Ok(false);
        };
        let case = Case {
            name: raw.name.clone(),
            arguments: raw.arguments.clone(),
            input: raw.input.clone(),
            expected: Expected {
                stdout: first.stdout,
                status,
            },
            origin: raw.origin,
        };
        let got = run(executable, patience(first.wall))?;
        let Err(fallen) = self.runner.judge(&case, &got, Rung::HeldOut) else {
            return Ok(true);
        };
        // Where the original itself has no defined or repeatable answer, another answer is no fault.
        match self.reference.judge(raw)? {
            Judgement::Fit(_) => Err(fallen),
            Judgement::Unfit(_) => Ok(false),
        }
    }

    /// Rung 4: what alive-tv says of the changed functions, if it is installed.
    pub(crate) fn prove(
        &self,
        candidate: &Candidate,
        built: &Built,
        evidence: &mut Evidence,
    ) -> Result<(), CheckError> {
        if self.toolchain.found().path(Tool::AliveTv).is_none()
            || built.ir.is_empty()
            || candidate.recipe.merge
        {
            return Ok(());
        }
        let flags = self.builder.front_end_flags(&candidate.recipe)?;
        let before = self
            .builder
            .front_end(&self.reference.program().units, &flags)?;
        let mut proofs = Vec::new();
        for (before, after) in before.iter().zip(&built.ir) {
            match self.toolchain.alive(&before.text, &after.text, UNROLL)? {
                AliveOutcome::Proved { functions, unroll } => {
                    proofs.push(format!(
                        "{}: proved up to {unroll} unrollings",
                        functions.join(", ")
                    ));
                }
                AliveOutcome::Unknown { reason } => {
                    evidence.proof = Some(format!("not decided: {reason}"));
                    return Ok(());
                }
                AliveOutcome::Refuted {
                    function,
                    counterexample,
                } => {
                    return Err(fallen(
                        Rung::Proved,
                        RejectionKind::Refuted,
                        format!("alive-tv refutes {function}: {counterexample}"),
                    ));
                }
            }
        }
        evidence.proof = Some(proofs.join("; "));
        evidence.rung = Some(Rung::Proved);
        Ok(())
    }

    /// One run of a test, and whether its result is the original's.
    fn check(
        &self,
        executable: &Executable,
        case: &Case,
        workload: &Workload,
        variation: Variation,
        rung: Rung,
    ) -> Result<(), CheckError> {
        let patience = patience(self.reference.time_of(case));
        let program = &executable.path;
        let finished = self.runner.run(program, workload, patience, variation)?;
        self.runner.judge(case, &finished, rung)
    }
}

fn patience(original: Duration) -> Duration {
    (original * PATIENCE).max(LEAST_PATIENCE)
}

fn fallen(rung: Rung, kind: RejectionKind, reason: String) -> CheckError {
    CheckError::Rejected(Rejection { rung, kind, reason })
}
