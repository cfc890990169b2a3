//! The search: the guide picks, an agent proposes, each proposal is built, tested and timed at once.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use whittle_toolchain::tools::{HotFunction, Toolchain};

use crate::agents::{Agent, Proposal};
use crate::archive::{ActionRecord, Archive, RunId};
use crate::budget::{Budget, Ledger, Resource};
use crate::candidate::{Candidate, Level, Stage};
use crate::evidence::build::{BuildError, Builder};
use crate::evidence::insight::Insight;
use crate::evidence::ladder::{CheckError, Ladder};
use crate::evidence::{Rejection, RejectionKind, Rung, convention};
use crate::guides::{Action, Guide, View};
use crate::program::Program;
use crate::prompts::cut;
use crate::session::asking::{Account, Asking};
use crate::session::timing::{SearchTimer, Timed};
use crate::session::{Event, ModelUse, SessionError};
use crate::tree::{Node, NodeId, Outcome, Tree};

/// Turns without a new node after which a run ends: the agents have nothing left to try.
const IDLE_TURNS: usize = 12;
/// Longest account of what came of an action, in bytes.
const LONGEST_RESULT: usize = 4000;

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
    /// What the guide asked for; the last may still be under way.
    pub(crate) actions: Vec<ActionRecord>,
    /// Nodes that the action under way had made already when the run was killed.
    pub(crate) redone: VecDeque<NodeId>,
    /// What the action under way has to say, beside its nodes.
    pub(crate) told: Vec<String>,
    pub(crate) asking: Asking,
    /// Whether code that not every machine can run is wanted.
    pub(crate) host: bool,
    /// How the run uses its model.
    pub(crate) model: Option<&'a ModelUse>,
    /// The hot functions of the original, once somebody wanted to know.
    pub(crate) hot: OnceCell<Vec<HotFunction>>,
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
        agents: &mut Vec<Box<dyn Agent>>,
    ) -> Result<(), SessionError> {
        let mut idle = 0;
        while idle < IDLE_TURNS {
            if !self.asking.is_possible() {
                agents.retain(|agent| !agent.asks_model());
            }
            let action = match self.actions.last() {
                Some(last) if last.action == Action::Stop => break,
                // The run was killed while it did this.
                Some(last) if last.result.is_none() => last.action.clone(),
                _ if self.is_over() => break,
                _ => {
                    let action = self.consult(guide, agents)?;
                    self.begin(action.clone(), agents)?;
                    action
                }
            };
            let before = self.tree.next_id();
            self.act(&action, agents)?;
            self.account("")?;
            self.end()?;
            idle = if self.tree.next_id() == before {
                idle + 1
            } else {
                0
            };
        }
        Ok(())
    }

    /// Asks the guide.
    fn consult(
        &mut self,
        guide: &mut dyn Guide,
        agents: &[Box<dyn Agent>],
    ) -> Result<Action, SessionError> {
        let budget_left = self.budget_left();
        let ledger = self.ledger.clone();
        let turn_budget = self.budget.without(Resource::AgentCalls);
        let view = View {
            tree: &self.tree,
            agents,
            budget_left,
            actions: &self.actions,
            budget: (&self.budget, &ledger),
            program: &self.program.name,
            insight: Some(Insight::new(self.builder, &self.hot)),
        };
        let (asking, archive, run, ledger) = (
            &mut self.asking,
            &*self.archive,
            &self.run,
            &mut self.ledger,
        );
        let mut ask = |request| {
            let mut account = Account {
                archive,
                run,
                ledger,
                budget: &turn_budget,
                agent: "guide",
            };
            let answers = asking.ask(&[request], &mut account)?;
            Ok(answers.and_then(|mut answers| answers.pop()))
        };
        guide
            .consult(&view, &mut self.random, &mut ask)
            .map_err(|error| SessionError::unwrapped(error, SessionError::Guide))
    }

    /// Puts an action on record before it is done, and what it costs on its agent's account.
    pub(crate) fn begin(
        &mut self,
        action: Action,
        agents: &[Box<dyn Agent>],
    ) -> Result<(), SessionError> {
        if let Action::Optimize { agent, .. } = &action
            && agents.iter().any(|a| a.name() == agent && a.asks_model())
        {
            self.ledger.spend(agent, Resource::AgentCalls, 1.0);
        }
        let number = self.actions.len() as u32;
        let record = ActionRecord {
            action,
            first_node: self.tree.next_id(),
            result: None,
        };
        self.archive
            .save_action(&self.run, number, &record, &self.ledger)?;
        self.actions.push(record);
        Ok(())
    }

    /// Notes what came of the last action.
    pub(crate) fn end(&mut self) -> Result<(), SessionError> {
        let number = self.actions.len().saturating_sub(1) as u32;
        let Some(record) = self.actions.last_mut() else {
            return Ok(());
        };
        let first = record.first_node.0 as usize;
        let nodes = self.tree.nodes().get(first..).unwrap_or_default();
        let mut told: Vec<String> = nodes.iter().map(Node::in_a_line).collect();
        told.append(&mut self.told);
        record.result = Some(cut(&told.join("\n"), LONGEST_RESULT));
        let record = record.clone();
        self.redone.clear();
        self.archive
            .save_action(&self.run, number, &record, &self.ledger)?;
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.ledger.exhausted(&self.budget).is_some()
            || self.budget_left() <= 0.0
    }

    /// Whether a turn that was begun has to end: what it costs to begin one does not count any more.
    pub(crate) fn must_end_turn(&self) -> bool {
        let budget = self.budget.without(Resource::AgentCalls);
        self.cancel.load(Ordering::Relaxed)
            || self.ledger.exhausted(&budget).is_some()
            || self.ledger_now().share_left(&budget) <= 0.0
    }

    /// Share of the budget left; the time since the last account counts as spent.
    pub(crate) fn budget_left(&self) -> f64 {
        self.ledger_now().share_left(&self.budget)
    }

    pub(crate) fn ledger_now(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        ledger.spend(
            "",
            Resource::Seconds,
            self.accounted.elapsed().as_secs_f64(),
        );
        ledger
    }

    /// Builds, checks and times a proposal, and adds it to the tree whatever comes of it.
    pub(crate) fn submit(
        &mut self,
        parent: &Node,
        agent: &'static str,
        proposal: Proposal,
        same_code_welcome: bool,
    ) -> Result<NodeId, SessionError> {
        if let Some(id) = self.done_before(&proposal.candidate) {
            return Ok(id);
        }
        self.spend(agent, Resource::Candidates, 1.0)?;
        let judged = self.judge(parent, &proposal.candidate, agent, same_code_welcome);
        let (outcome, extensions) = match judged {
            Ok(judged) => judged,
            Err(CheckError::Rejected(rejection)) => (Outcome::Rejected { rejection }, Vec::new()),
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
            extensions,
            at_s: self.ledger.spent(Resource::Seconds),
        };
        let id = node.id;
        self.archive.add_node(&self.run, &node)?;
        self.tree.push(node);
        self.report(id);
        Ok(id)
    }

    /// The node of a proposal that the run had judged already when it was killed in the middle of this action.
    fn done_before(&mut self, candidate: &Candidate) -> Option<NodeId> {
        let id = self.redone.pop_front()?;
        if self
            .tree
            .get(id)
            .is_some_and(|node| node.candidate == *candidate)
        {
            return Some(id);
        }
        self.redone.clear();
        None
    }

    /// Rungs 1 and 2 and the search's timing: what came of it, and the extensions of the instruction set that it needs beyond
    /// the program.
    fn judge(
        &mut self,
        parent: &Node,
        candidate: &Candidate,
        agent: &str,
        same_code_welcome: bool,
    ) -> Result<(Outcome, Vec<String>), CheckError> {
        if let Some(twin) = self
            .tree
            .nodes()
            .iter()
            .find(|node| node.candidate == *candidate)
        {
            return Ok((Outcome::Duplicate { of: twin.id }, Vec::new()));
        }
        let built = self.builder.build(candidate)?;
        // Code that is linked in another way is another program.
        if let Some(twin) = self.tree.with_code(&built.code)
            && twin.candidate.recipe.link == candidate.recipe.link
            && !same_code_welcome
        {
            return Ok((Outcome::Duplicate { of: twin.id }, Vec::new()));
        }
        self.check_convention(parent, candidate)?;
        let demands = self.builder.demands(candidate, &built)?;
        if !self.host {
            demands.refuse()?;
        }
        let timed = self.time(candidate, &built, agent)?;
        let outcome = Outcome::Timed {
            code: built.code,
            speedup: timed.speedup,
            seconds: timed.seconds,
        };
        Ok((outcome, demands.extensions))
    }

    /// Assembly that somebody wrote has to keep to the calling convention wherever what it was made from did.
    fn check_convention(&self, parent: &Node, candidate: &Candidate) -> Result<(), CheckError> {
        if candidate.artifact.level != Level::Assembly
            || parent.candidate.artifact == candidate.artifact
        {
            return Ok(());
        }
        let before = self.builder.lowered(&parent.candidate, &Stage::BackEnd)?;
        Ok(convention::check(&before.artifact, &candidate.artifact)?)
    }

    pub(crate) fn time(
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

    pub(crate) fn spend(
        &mut self,
        agent: &str,
        resource: Resource,
        amount: f64,
    ) -> Result<(), SessionError> {
        self.ledger.spend(agent, resource, amount);
        self.archive.save_ledger(&self.run, &self.ledger)?;
        Ok(())
    }

    /// Puts the time since the last call on an account.
    pub(crate) fn account(&mut self, agent: &str) -> Result<(), SessionError> {
        let seconds = self.accounted.elapsed().as_secs_f64();
        self.accounted = Instant::now();
        self.spend(agent, Resource::Seconds, seconds)
    }

    pub(crate) fn replace(&mut self, node: Node) -> Result<(), SessionError> {
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

    pub(crate) fn log(&mut self, text: &str) -> Result<(), SessionError> {
        self.archive.log(&self.run, text)?;
        self.told.push(text.to_owned());
        Ok(())
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
