//! What an agent sees of the search.

use rand_chacha::ChaCha8Rng;
use whittle_chat::{ChatError, ChatReply, ChatRequest};
use whittle_toolchain::tools::Toolchain;

use crate::agents::{Proposal, TurnEnded, Workbench};
use crate::budget::Resource;
use crate::candidate::{Candidate, Level, Recipe};
use crate::evidence::build::BuildError;
use crate::evidence::insight::Insight;
use crate::guides::Brief;
use crate::inputs::Case;
use crate::program::Program;
use crate::session::asking::Account;
use crate::session::search::Search;
use crate::session::{ModelUse, SessionError};
use crate::tree::{Node, NodeId, Tree};

/// A search as an agent sees it, from one node.
pub(crate) struct Bench<'s, 'a> {
    pub(crate) search: &'s mut Search<'a>,
    pub(crate) node: Node,
    pub(crate) agent: &'static str,
    pub(crate) brief: Brief,
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

    fn agent(&self) -> &'static str {
        self.agent
    }

    fn brief(&self) -> &Brief {
        &self.brief
    }

    fn turn(&self) -> u32 {
        self.search.actions.len() as u32
    }

    fn editable(&self, level: Level) -> Result<Result<Candidate, String>, TurnEnded> {
        match self.search.builder.editable(&self.node.candidate, level) {
            Ok(candidate) => Ok(Ok(candidate)),
            Err(BuildError::Rejected(rejection)) => Ok(Err(rejection.reason)),
            Err(BuildError::Tool(error)) => Err(ended(error.into())),
        }
    }

    fn insight(&self) -> Insight<'_> {
        Insight::new(self.search.builder, &self.search.hot)
    }

    fn model(&self) -> Option<&ModelUse> {
        self.search.model
    }

    fn ask(
        &mut self,
        requests: Vec<ChatRequest>,
    ) -> Result<Vec<Result<ChatReply, ChatError>>, TurnEnded> {
        let search = &mut *self.search;
        search.account(self.agent).map_err(ended)?;
        let budget = search.budget.without(Resource::AgentCalls);
        let mut account = Account {
            archive: search.archive,
            run: &search.run,
            ledger: &mut search.ledger,
            budget: &budget,
            agent: self.agent,
        };
        let answers = search.asking.ask(&requests, &mut account).map_err(ended)?;
        answers.ok_or(TurnEnded::Over)
    }

    fn unusable(&mut self, label: &str, why: &str) -> Result<(), TurnEnded> {
        let search = &mut *self.search;
        let spent = search.spend(self.agent, Resource::Unusable, 1.0);
        spent.map_err(ended)?;
        search.log(&format!("{label}: {why}")).map_err(ended)
    }

    fn visible_test(&self, name: &str) -> Option<&Case> {
        let tests = &self.search.ladder.inputs().visible;
        tests.iter().find(|case| case.name == name)
    }

    fn submit(&mut self, proposal: Proposal) -> Result<NodeId, TurnEnded> {
        if self.search.must_end_turn() {
            return Err(TurnEnded::Over);
        }
        let node = self.node.clone();
        match self.search.submit(&node, self.agent, proposal, false) {
            Ok(id) => Ok(id),
            Err(error) => Err(ended(error)),
        }
    }
}

fn ended(error: SessionError) -> TurnEnded {
    match error {
        SessionError::Cancelled => TurnEnded::Over,
        error => TurnEnded::Failed(Box::new(error)),
    }
}
