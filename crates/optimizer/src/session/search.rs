//! The search: the guide picks, an agent proposes, each proposal is built, tested and timed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::tools::Toolchain;

use crate::agents::{Agent, Proposal, TurnEnded, Workbench};
use crate::archive::{Archive, RunId};
use crate::budget::{Budget, Ledger, Resource};
use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::evidence::build::{BuildError, Builder};
use crate::evidence::ladder::{CheckError, Ladder};
use crate::evidence::{Rejection, RejectionKind, Rung};
use crate::guides::{Action, Guide, View};
use crate::inputs::fuzz::Fuzzer;
use crate::program::Program;
use crate::session::analysis;
use crate::session::timing::{SearchTimer, Timed};
use crate::session::{Event, SessionError};
use crate::tree::{Node, NodeId, Outcome, Tree};

/// Turns without a new node after which a run ends: the agents have nothing left to try.
const IDLE_TURNS: usize = 12;

/// Everything that the search works with and on.
pub(crate) struct Search<'a> {
    pub(crate) program: &'a Program,
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) builder: &'a Builder<'a>,
    pub(crate) ladder: &'a Ladder<'a>,
    pub(crate) timer: &'a SearchTimer<'a>,
    pub(crate) archive: &'a mut Archive,
    pub(crate) run: RunId,
    pub(crate) budget: Budget,
    pub(crate) tree: Tree,
    pub(crate) ledger: Ledger,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) observe: &'a mut dyn FnMut(Event<'_>),
    pub(crate) random: ChaCha8Rng,
    /// When wall time was last put on somebody's account.
    pub(crate) accounted: Instant,
}

impl Search<'_> {
    /// A source of chance that a resumed run continues differently, but repeatably.
    pub(crate) fn random(seed: u64, tree: &Tree) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(tree.next_id().0));
        random
    }

    /// Goes on until the guide stops, the budget is spent, the user cancels or nothing new comes any more.
    pub(crate) fn run(
        &mut self,
        guide: &mut dyn Guide,
        agents: &mut [Box<dyn Agent>],
    ) -> Result<(), SessionError> {
        let mut idle = 0;
        while !self.is_over() && idle < IDLE_TURNS {
            let before = self.tree.next_id();
            let view = View {
                tree: &self.tree,
                agents,
                budget_left: self.budget_left(),
            };
            let action = guide.next(&view, &mut self.random);
            match &action {
                Action::Stop => break,
                Action::Optimize { node, agent } => self.turn(*node, agent, agents)?,
                Action::Lower { node, pipeline } => self.lower(*node, pipeline.clone())?,
                Action::Analyze { node } => self.analyze(*node)?,
                Action::Test { node, inputs } => self.test(*node, *inputs)?,
                Action::Measure { node } => self.measure(*node)?,
            }
            self.account("")?;
            idle = if self.tree.next_id() == before {
                idle + 1
            } else {
                0
            };
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.ledger.exhausted(&self.budget).is_some()
            || self.budget_left() <= 0.0
    }

    /// Share of the budget left; the time since the last account counts as spent.
    fn budget_left(&self) -> f64 {
        let mut ledger = self.ledger.clone();
        ledger.spend(
            "",
            Resource::Seconds,
            self.accounted.elapsed().as_secs_f64(),
        );
        ledger.share_left(&self.budget)
    }

    /// One turn of an agent from a node.
    fn turn(
        &mut self,
        node: NodeId,
        agent: &str,
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
        };
        let ended = agent.work(&mut bench);
        self.account(name)?;
        match ended {
            Ok(()) | Err(TurnEnded::Over) => Ok(()),
            Err(TurnEnded::Failed(error)) => Err(match error.downcast::<SessionError>() {
                Ok(error) => *error,
                Err(error) => SessionError::Agent {
                    agent: name.to_owned(),
                    source: error,
                },
            }),
        }
    }

    /// The node's IR or assembly becomes a node of its own.
    fn lower(&mut self, node: NodeId, pipeline: Option<String>) -> Result<(), SessionError> {
        let Some(parent) = self.tree.get(node).cloned() else {
            return Ok(());
        };
        let mut candidate = parent.candidate.clone();
        if pipeline.is_some() {
            candidate.recipe.pipeline = pipeline;
        }
        let built = match self.builder.build(&candidate) {
            Ok(built) => built,
            Err(BuildError::Rejected(rejection)) => {
                return self.log(&format!("{node} cannot be lowered: {}", rejection.reason));
            }
            Err(BuildError::Tool(error)) => return Err(error.into()),
        };
        let (level, units) = match parent.candidate.artifact.level {
            Level::Source => (Level::Ir, built.ir),
            Level::Ir | Level::Assembly => (Level::Assembly, built.assembly),
        };
        candidate.artifact = Artifact { level, units };
        candidate.recipe.pipeline = None;
        let change = match level {
            Level::Ir => "lowered to IR",
            _ => "lowered to assembly",
        };
        let proposal = Proposal {
            candidate,
            change: change.to_owned(),
            note: serde_json::Value::Null,
        };
        self.submit(&parent, "", proposal, true).map(|_| ())
    }

    /// Remarks and statistics of a node, into the log.
    fn analyze(&mut self, node: NodeId) -> Result<(), SessionError> {
        let Some(found) = self.tree.get(node) else {
            return Ok(());
        };
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

    /// Builds, checks and times a proposal, and adds it to the tree whatever comes of it.
    fn submit(
        &mut self,
        parent: &Node,
        agent: &'static str,
        proposal: Proposal,
        same_code_welcome: bool,
    ) -> Result<NodeId, SessionError> {
        self.spend(agent, Resource::Candidates, 1.0)?;
        let outcome = match self.judge(&proposal.candidate, agent, same_code_welcome) {
            Ok(outcome) => outcome,
            Err(CheckError::Rejected(rejection)) => Outcome::Rejected { rejection },
            Err(CheckError::Cancelled) => return Err(SessionError::Cancelled),
            Err(error) => return Err(error.into()),
        };
        self.account(agent)?;
        let node = Node {
            id: self.tree.next_id(),
            parent: Some(parent.id),
            agent: agent.to_owned(),
            change: proposal.change,
            note: proposal.note,
            candidate: proposal.candidate,
            outcome,
            at_s: self.ledger.spent(Resource::Seconds),
        };
        let id = node.id;
        self.archive.add_node(&self.run, &node)?;
        self.tree.push(node);
        self.report(id);
        Ok(id)
    }

    /// Rungs 1 and 2 and the search's timing.
    fn judge(
        &mut self,
        candidate: &Candidate,
        agent: &str,
        same_code_welcome: bool,
    ) -> Result<Outcome, CheckError> {
        if let Some(twin) = self
            .tree
            .nodes()
            .iter()
            .find(|node| node.candidate == *candidate)
        {
            return Ok(Outcome::Duplicate { of: twin.id });
        }
        let built = self.builder.build(candidate)?;
        // Code that is linked in another way is another program.
        if let Some(twin) = self.tree.with_code(&built.code)
            && twin.candidate.recipe.link == candidate.recipe.link
            && !same_code_welcome
        {
            return Ok(Outcome::Duplicate { of: twin.id });
        }
        let timed = self.time(candidate, &built, agent)?;
        Ok(Outcome::Timed {
            code: built.code,
            speedup: timed.speedup,
            seconds: timed.seconds,
        })
    }

    fn time(
        &mut self,
        candidate: &Candidate,
        built: &crate::evidence::build::Built,
        agent: &str,
    ) -> Result<Timed, CheckError> {
        let executable = self
            .builder
            .link(built, &candidate.recipe, 1)?
            .pop()
            .ok_or_else(nothing_linked)?;
        self.builder.check_imports(&executable)?;
        self.ladder.visible_tests(&executable)?;
        let best = self
            .tree
            .ranked()
            .first()
            .and_then(|node| node.speedup())
            .unwrap_or(1.0);
        let timed = self.timer.time(&executable, best)?;
        self.ledger.spend(agent, Resource::Runs, timed.runs as f64);
        Ok(timed)
    }

    fn spend(&mut self, agent: &str, resource: Resource, amount: f64) -> Result<(), SessionError> {
        self.ledger.spend(agent, resource, amount);
        self.archive.save_ledger(&self.run, &self.ledger)?;
        Ok(())
    }

    /// Puts the time since the last call on an account.
    fn account(&mut self, agent: &str) -> Result<(), SessionError> {
        let seconds = self.accounted.elapsed().as_secs_f64();
        self.accounted = Instant::now();
        self.spend(agent, Resource::Seconds, seconds)
    }

    fn replace(&mut self, node: Node) -> Result<(), SessionError> {
        self.archive.update_node(&self.run, &node)?;
        let id = node.id;
        self.tree.replace(node);
        self.report(id);
        Ok(())
    }

    fn report(&mut self, id: NodeId) {
        let budget_left = self.budget_left();
        if let Some(node) = self.tree.get(id) {
            let best = self.tree.ranked().first().copied();
            (self.observe)(Event::Node {
                node,
                best,
                budget_left,
            });
        }
    }

    fn log(&mut self, text: &str) -> Result<(), SessionError> {
        self.archive.log(&self.run, text)?;
        Ok(())
    }
}

/// A check that the user stopped says nothing of the candidate.
fn tolerate(error: CheckError) -> Result<(), SessionError> {
    match error {
        CheckError::Cancelled => Ok(()),
        error => Err(error.into()),
    }
}

impl From<BuildError> for CheckError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Rejected(rejection) => Self::Rejected(rejection),
            BuildError::Tool(error) => Self::Tool(error),
        }
    }
}

fn nothing_linked() -> CheckError {
    CheckError::Rejected(Rejection {
        rung: Rung::Builds,
        kind: RejectionKind::Build,
        reason: "no executable came out of the linker".to_owned(),
    })
}

/// What an agent sees of the search.
struct Bench<'s, 'a> {
    search: &'s mut Search<'a>,
    node: Node,
    agent: &'static str,
}

impl Workbench for Bench<'_, '_> {
    fn program(&self) -> &Program {
        self.search.program
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn tree(&self) -> &Tree {
        &self.search.tree
    }

    fn toolchain(&self) -> &Toolchain {
        self.search.toolchain
    }

    fn pipeline(&self, recipe: &Recipe) -> Result<String, TurnEnded> {
        let failed = |error| TurnEnded::Failed(Box::new(SessionError::from(error)));
        self.search.builder.pipeline(recipe).map_err(failed)
    }

    fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.search.random
    }

    fn budget_left(&self) -> f64 {
        self.search.budget_left()
    }

    fn submit(&mut self, proposal: Proposal) -> Result<NodeId, TurnEnded> {
        if self.search.is_over() {
            return Err(TurnEnded::Over);
        }
        let node = self.node.clone();
        match self.search.submit(&node, self.agent, proposal, false) {
            Ok(id) => Ok(id),
            Err(SessionError::Cancelled) => Err(TurnEnded::Over),
            Err(error) => Err(TurnEnded::Failed(Box::new(error))),
        }
    }
}

impl Search<'_> {
    /// The A/A search: the original once more, under another name, as if it had won.
    pub(crate) fn add_twin(&mut self) -> Result<(), SessionError> {
        let Some(root) = self.tree.get(NodeId::ROOT).cloned() else {
            return Ok(());
        };
        let mut twin = root.clone();
        twin.id = self.tree.next_id();
        twin.parent = Some(NodeId::ROOT);
        "twin".clone_into(&mut twin.agent);
        "nothing: the original under another name".clone_into(&mut twin.change);
        if let Outcome::Timed { speedup, .. } = &mut twin.outcome {
            // Whatever it takes to be considered.
            *speedup = 2.0;
        }
        self.archive.add_node(&self.run, &twin)?;
        self.tree.push(twin);
        Ok(())
    }

    /// No search: these candidates and no others.
    pub(crate) fn submit_all(&mut self, proposals: &[Proposal]) -> Result<(), SessionError> {
        let Some(root) = self.tree.get(NodeId::ROOT).cloned() else {
            return Ok(());
        };
        for proposal in proposals {
            self.submit(&root, "given", proposal.clone(), true)?;
        }
        Ok(())
    }
}
