//! What a guide can ask for, done.

use crate::agents::{Agent, Proposal, TurnEnded};
use crate::candidate::{Level, Stage};
use crate::evidence::build::BuildError;
use crate::evidence::insight::Insight;
use crate::evidence::ladder::CheckError;
use crate::guides::{Action, Brief};
use crate::inputs::fuzz::Fuzzer;
use crate::session::SessionError;
use crate::session::analysis;
use crate::session::bench::Bench;
use crate::session::search::Search;
use crate::session::timing::Timed;
use crate::tree::{NodeId, Outcome};

impl Search<'_> {
    /// Does what the guide asked for.
    pub(crate) fn act(
        &mut self,
        action: &Action,
        agents: &mut [Box<dyn Agent>],
    ) -> Result<(), SessionError> {
        match action {
            Action::Stop | Action::GoTo { .. } => Ok(()),
            Action::Optimize { node, agent, brief } => self.turn(*node, agent, brief, agents),
            Action::FrontEnd { node } => self.lower(*node, &Stage::FrontEnd),
            Action::MiddleEnd { node, pipeline } => {
                let pipeline = pipeline.clone();
                self.lower(*node, &Stage::MiddleEnd { pipeline })
            }
            Action::BackEnd { node } => self.lower(*node, &Stage::BackEnd),
            Action::Analyze { node } => self.analyze(*node),
            Action::Test { node, inputs } => self.test(*node, *inputs),
            Action::Measure { node } => self.measure(*node),
        }
    }

    /// One turn of an agent from a node.
    fn turn(
        &mut self,
        node: NodeId,
        agent: &str,
        brief: &Brief,
        agents: &mut [Box<dyn Agent>],
    ) -> Result<(), SessionError> {
        let Some(start) = self.tree.get(node).cloned() else {
            return Ok(());
        };
        let Some(agent) = agents.iter_mut().find(|a| a.name() == agent) else {
            return Ok(());
        };
        let name = agent.name();
        let mut bench = Bench {
            search: self,
            node: start,
            agent: name,
            brief: brief.clone(),
        };
        let ended = agent.work(&mut bench);
        self.account(name)?;
        match ended {
            Ok(()) | Err(TurnEnded::Over) => Ok(()),
            Err(TurnEnded::Failed(error)) => {
                let agent = name.to_owned();
                Err(SessionError::unwrapped(error, |source| {
                    SessionError::Agent { agent, source }
                }))
            }
        }
    }

    /// The node at a lower stage becomes a node of its own.
    fn lower(&mut self, node: NodeId, stage: &Stage) -> Result<(), SessionError> {
        let Some(parent) = self.tree.get(node).cloned() else {
            return Ok(());
        };
        let candidate = match self.builder.lowered(&parent.candidate, stage) {
            Ok(candidate) if candidate != parent.candidate => candidate,
            Ok(_) => return self.log(&format!("{node} is there already")),
            Err(BuildError::Rejected(rejection)) => {
                return self.log(&format!("{node} cannot be lowered: {}", rejection.reason));
            }
            Err(BuildError::Tool(error)) => return Err(error.into()),
        };
        let change = match stage {
            Stage::FrontEnd => "IR before the middle end".to_owned(),
            Stage::MiddleEnd { pipeline: None } => "lowered to IR".to_owned(),
            Stage::MiddleEnd {
                pipeline: Some(passes),
            } => {
                format!(
                    "lowered to IR through {}",
                    passes.chars().take(80).collect::<String>()
                )
            }
            Stage::BackEnd => "lowered to assembly".to_owned(),
        };
        let proposal = Proposal {
            candidate,
            change,
            note: serde_json::Value::Null,
        };
        self.submit(&parent, "", proposal, true).map(|_| ())
    }

    /// Remarks and statistics of a node, into the log.
    fn analyze(&mut self, node: NodeId) -> Result<(), SessionError> {
        let Some(found) = self.tree.get(node) else {
            return Ok(());
        };
        let hot = Insight::new(self.builder, &self.hot).hot_names();
        let mut text = match self.builder.build(&found.candidate) {
            Ok(built) => analysis::describe(self.toolchain, &built),
            Err(error) => error.to_string(),
        };
        if found.candidate.artifact.level == Level::Source {
            text += "\n";
            text += &match self.builder.remarks(&found.candidate) {
                Ok(remarks) => analysis::describe_remarks(&remarks),
                Err(error) => error.to_string(),
            };
        }
        if !hot.is_empty() {
            text = format!("{text}\nhot functions of the original: {hot}");
        }
        self.log(&format!("{node}: {text}"))
    }

    /// More inputs for a node; a wrong answer rejects it after all.
    fn test(&mut self, id: NodeId, inputs: u32) -> Result<(), SessionError> {
        let Some(mut node) = self.tree.get(id).cloned() else {
            return Ok(());
        };
        if node.speedup().is_none() || id == NodeId::ROOT {
            return Ok(());
        }
        let seed = u64::from(id.0) << 32 | u64::from(self.tree.next_id().0);
        let fuzzer = Fuzzer::new(self.ladder.inputs(), seed).take(inputs as usize);
        match self
            .ladder
            .agrees_on(&node.candidate, self.timer.original(), fuzzer)
        {
            Ok(agreed) => self.log(&format!("{id}: {agreed} more inputs give the same results")),
            Err(CheckError::Rejected(rejection)) => {
                node.outcome = Outcome::Rejected { rejection };
                self.replace(node)
            }
            Err(error) => tolerate(error),
        }
    }

    /// Times a node again.
    fn measure(&mut self, id: NodeId) -> Result<(), SessionError> {
        let Some(mut node) = self.tree.get(id).cloned() else {
            return Ok(());
        };
        let Outcome::Timed { code, .. } = node.outcome.clone() else {
            return Ok(());
        };
        let built = match self.builder.build(&node.candidate) {
            Ok(built) => built,
            Err(error) => return self.log(&format!("{id} cannot be built again: {error}")),
        };
        match self.time(&node.candidate, &built, "") {
            Ok(Timed {
                speedup, seconds, ..
            }) => {
                node.outcome = Outcome::Timed {
                    code,
                    speedup,
                    seconds,
                };
                self.replace(node)
            }
            Err(CheckError::Rejected(rejection)) => {
                node.outcome = Outcome::Rejected { rejection };
                self.replace(node)
            }
            Err(error) => tolerate(error),
        }
    }
}

/// A check that the user stopped says nothing of the candidate.
fn tolerate(error: CheckError) -> Result<(), SessionError> {
    match error {
        CheckError::Cancelled => Ok(()),
        error => Err(error.into()),
    }
}
