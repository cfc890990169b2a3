//! Candidates at lower stages: each a candidate of its own, with a recipe that leads on from there.

use whittle_toolchain::tools::ToolError;

use crate::candidate::{Artifact, Candidate, Level, Stage};
use crate::evidence::build::{BuildError, Builder, blame};
use crate::evidence::{Rejection, RejectionKind, Rung};

/// What makes IR fit to read before the middle end: variables in registers instead of in memory.
const READABLE: &str = "function(sroa,instcombine<no-verify-fixpoint>,simplifycfg)";

impl Builder<'_> {
    /// The candidate at a lower stage. What is there already is not taken back up: source of assembly does not exist.
    pub(crate) fn lowered(
        &self,
        candidate: &Candidate,
        stage: &Stage,
    ) -> Result<Candidate, BuildError> {
        match stage {
            Stage::FrontEnd if candidate.artifact.level == Level::Source => {
                self.after_front_end(candidate).map_err(blame)
            }
            Stage::FrontEnd => Ok(candidate.clone()),
            Stage::MiddleEnd { pipeline } => {
                let mut candidate = candidate.clone();
                if pipeline.is_some() {
                    candidate.recipe.pipeline.clone_from(pipeline);
                }
                let built = self.build(&candidate)?;
                Ok(at(candidate, Level::Ir, built.ir))
            }
            Stage::BackEnd => {
                let built = self.build(candidate)?;
                Ok(at(candidate.clone(), Level::Assembly, built.assembly))
            }
        }
    }

    /// The candidate as it is edited at a level: IR before the middle end where it comes from source.
    pub(crate) fn editable(
        &self,
        candidate: &Candidate,
        level: Level,
    ) -> Result<Candidate, BuildError> {
        let own = candidate.artifact.level;
        match level {
            _ if own == level => Ok(candidate.clone()),
            _ if own > level => Err(BuildError::Rejected(Rejection {
                rung: Rung::Builds,
                kind: RejectionKind::Build,
                reason: format!("{} cannot be taken back to {}", own.name(), level.name()),
            })),
            Level::Ir => self.lowered(candidate, &Stage::FrontEnd),
            _ => self.lowered(candidate, &Stage::BackEnd),
        }
    }

    fn after_front_end(&self, candidate: &Candidate) -> Result<Candidate, ToolError> {
        let Candidate { artifact, recipe } = candidate;
        let flags = self.front_end_flags(recipe)?;
        let mut units = self.front_end(&artifact.units, &flags)?;
        for unit in &mut units {
            unit.text = self
                .toolchain()
                .middle_end(&unit.text, READABLE, &[])?
                .output;
        }
        let mut recipe = recipe.clone();
        recipe.pipeline = Some(self.pipeline(&recipe)?);
        let artifact = Artifact {
            level: Level::Ir,
            units,
        };
        Ok(Candidate { artifact, recipe })
    }
}

fn at(
    mut candidate: Candidate,
    level: Level,
    units: Vec<whittle_toolchain::tools::Unit>,
) -> Candidate {
    candidate.artifact = Artifact { level, units };
    candidate.recipe.pipeline = None;
    candidate
}
