//! A report's claim, checked again: rebuilt, tested and measured on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use whittle_toolchain::measure::{Comparison, Verdict};
use whittle_toolchain::tools::{Digest, Profile, Toolchain, Unit};

use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::evidence::Rung;
use crate::evidence::build::Builder;
use crate::evidence::ladder::CheckError;
use crate::evidence::runner::{Runner, Variation};
use crate::inputs::{Case, Expected, Origin};
use crate::program::Program;
use crate::report::{PROFILE_FILE, Report, wire};
use crate::session::prepare::{Linked, Precision, compare, noise_floor};
use crate::session::{Event, SessionError};

/// Longest run of a test.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest report that is read.
const LARGEST: u64 = 256 << 20;

/// What came of checking a report again.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// The run that the report is of.
    pub run: String,
    /// Whether the claim holds here: every test passes and the winner is faster.
    pub confirmed: bool,
    /// Why not, in words.
    pub problems: Vec<String>,
    /// Tests with the results that the report states.
    pub tests_passed: usize,
    /// Speed-up and interval that the report claims.
    pub claimed: Option<[f64; 3]>,
    /// The comparison made here.
    pub comparison: Option<Comparison>,
    /// What this machine's timing cannot tell apart.
    pub noise: Option<f64>,
}

/// Rebuilds what a report claims, runs its tests and measures it against `-O3` afresh.
pub fn verify(
    toolchain: &Toolchain,
    path: &Path,
    time_limit: Duration,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Verification, SessionError> {
    let folder = Folder::read(path)?;
    let program = folder.program()?;
    let mut verification = Verification {
        run: folder.report.run.clone(),
        confirmed: false,
        problems: Vec::new(),
        tests_passed: 0,
        claimed: None,
        comparison: None,
        noise: None,
    };
    let Some((winner, claim)) = folder.winner() else {
        // Nothing was claimed: what can be checked is that the original still does what it did.
        verification.confirmed = true;
        return Ok(verification);
    };
    let [low, high] = claim.interval;
    verification.claimed = Some([claim.ratio, low, high]);

    observe(Event::Stage("rebuilds original and winner"));
    let mut builder = Builder::new(toolchain, &program, Vec::new());
    if winner.recipe.profile {
        builder = builder.with_profile(folder.profile(toolchain)?);
    }
    let baseline = Linked::baseline(&builder, &program.o3_flags())?;
    let linked = Linked::candidate(&builder, &folder.candidate(winner)?)?;

    observe(Event::Stage("runs the tests"));
    let runner = Runner::new(toolchain.sandbox(), folder.report.options.fp_tolerance, 1)?;
    for case in folder.cases(&[wire::CaseList::Visible, wire::CaseList::HeldOut])? {
        let (program, plain) = (&linked.plain().path, Variation::default());
        let finished = runner.run(program, &case.workload()?, PATIENCE, plain)?;
        match runner.judge(&case, &finished, Rung::HeldOut) {
            Ok(()) => verification.tests_passed += 1,
            Err(CheckError::Rejected(rejection)) => verification.problems.push(rejection.reason),
            Err(error) => return Err(error.into()),
        }
    }

    let timing = folder.cases(&[wire::CaseList::FinalTiming])?;
    let mut precision = Precision {
        margin: folder.report.options.margin,
        noise: 0.0,
        time_limit: time_limit / 4,
        seed: folder.report.options.seed,
        confidence: 0.95,
        tolerance: folder.report.options.fp_tolerance,
    };
    let noise = noise_floor(toolchain, &baseline, &timing, precision, observe)?.half_width;
    precision.noise = noise;
    precision.time_limit = time_limit;
    observe(Event::Stage("measures original and winner"));
    let pair = [("-O3", &baseline), ("the winner", &linked)];
    let comparison = compare(toolchain, pair, &timing, precision, observe)?;
    if comparison.verdict != Verdict::Faster {
        let Comparison {
            verdict,
            ratio,
            interval: [low, high],
            ..
        } = &comparison;
        verification.problems.push(format!(
            "here the winner is {ratio:.3}x ({low:.3} to {high:.3}): {verdict}"
        ));
    }
    verification.noise = Some(noise);
    verification.comparison = Some(comparison);
    verification.confirmed = verification.problems.is_empty();
    Ok(verification)
}

/// An output folder that is read again.
struct Folder {
    path: PathBuf,
    root: PathBuf,
    report: Report,
}

impl Folder {
    fn read(path: &Path) -> Result<Self, SessionError> {
        let failed = |why: String| SessionError::Report {
            path: path.to_owned(),
            why,
        };
        let file = if path.is_dir() {
            path.join("report.json")
        } else {
            path.to_owned()
        };
        let bytes = std::fs::metadata(&file)
            .map_err(|e| failed(e.to_string()))?
            .len();
        if bytes > LARGEST {
            return Err(failed(format!("it has {bytes} bytes")));
        }
        let text = std::fs::read(&file).map_err(|e| failed(e.to_string()))?;
        let report: Report = serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?;
        if report.format != wire::FORMAT {
            return Err(failed(format!(
                "its format is {}, this program reads {}",
                report.format,
                wire::FORMAT
            )));
        }
        let root = file.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self {
            path: file,
            root,
            report,
        })
    }

    /// A file of the folder: nothing outside of it, whatever the report says.
    fn bytes(&self, relative: &str) -> Result<Vec<u8>, SessionError> {
        let failed = |why: String| SessionError::Report {
            path: self.path.clone(),
            why,
        };
        let inside = Path::new(relative)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            return Err(failed(format!("{relative} is not in the report's folder")));
        }
        std::fs::read(self.root.join(relative)).map_err(|e| failed(format!("{relative}: {e}")))
    }

    /// A file with the content that the report states.
    fn stated(&self, relative: &str, sha256: &str) -> Result<Vec<u8>, SessionError> {
        let bytes = self.bytes(relative)?;
        if Digest::of_bytes(&bytes).as_str() == sha256 {
            return Ok(bytes);
        }
        Err(SessionError::Report {
            path: self.path.clone(),
            why: format!("{relative} was changed after the report was written"),
        })
    }

    fn units(&self, files: &[wire::File]) -> Result<Vec<Unit>, SessionError> {
        files
            .iter()
            .map(|file| {
                let bytes = self.stated(&file.path, &file.sha256)?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    let why = format!("{} is not text", file.path);
                    SessionError::Report {
                        path: self.path.clone(),
                        why,
                    }
                })?;
                // The first folder of the path is the output folder's, the rest is the unit's name.
                let name = file
                    .path
                    .split_once('/')
                    .map_or(file.path.as_str(), |(_, name)| name);
                Ok(Unit {
                    name: name.to_owned(),
                    text,
                })
            })
            .collect()
    }

    /// The execution profile that the winner was built with.
    fn profile(&self, toolchain: &Toolchain) -> Result<Profile, SessionError> {
        let digest = toolchain.store().put(&self.bytes(PROFILE_FILE)?)?;
        let path = toolchain
            .store()
            .path(&digest)
            .ok_or_else(|| SessionError::Report {
                path: self.path.clone(),
                why: format!("{PROFILE_FILE} is gone from the store"),
            })?;
        Ok(Profile { digest, path })
    }

    fn program(&self) -> Result<Program, SessionError> {
        let program = &self.report.program;
        Ok(Program {
            name: program.name.clone(),
            units: self.units(&program.files)?,
            flags: program.flags.clone(),
            link_flags: program.link_flags.clone(),
        })
    }

    /// The winner, if one was claimed, and the claim against `-O3`.
    fn winner(&self) -> Option<(&wire::Winner, &wire::Claim)> {
        let winner = self
            .report
            .winner
            .as_ref()
            .filter(|winner| winner.candidate != 0)?;
        let claim = self.report.claims.iter().find(|claim| {
            claim.candidate == Some(winner.candidate)
                && matches!(
                    claim.kind,
                    wire::ClaimKind::Portable | wire::ClaimKind::Host
                )
        })?;
        Some((winner, claim))
    }

    fn candidate(&self, winner: &wire::Winner) -> Result<Candidate, SessionError> {
        let level = match winner.level {
            wire::Level::Source => Level::Source,
            wire::Level::Ir => Level::Ir,
            wire::Level::Assembly => Level::Assembly,
        };
        let recipe = winner.recipe.clone();
        Ok(Candidate {
            artifact: Artifact {
                level,
                units: self.units(&winner.files)?,
            },
            recipe: Recipe {
                front_end: recipe.front_end,
                merge: recipe.merge,
                pipeline: recipe.pipeline,
                middle_end: recipe.middle_end,
                back_end: recipe.back_end,
                link: recipe.link,
                profile: recipe.profile,
                host: recipe.host,
            },
        })
    }

    fn cases(&self, lists: &[wire::CaseList]) -> Result<Vec<Case>, SessionError> {
        let cases = self.report.inputs.iter().flat_map(|inputs| &inputs.cases);
        cases
            .filter(|case| lists.contains(&case.list))
            .map(|case| {
                Ok(Case {
                    name: case.name.clone(),
                    arguments: case.arguments.clone(),
                    input: self.stated(&format!("{}.in", case.path), &case.input_sha256)?,
                    expected: Expected {
                        stdout: self.stated(&format!("{}.out", case.path), &case.output_sha256)?,
                        status: case.status,
                    },
                    origin: Origin::User,
                })
            })
            .collect()
    }
}
