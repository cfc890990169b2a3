//! Asks language models on a run's account: within the budget, and never twice for the same call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use whittle_chat::{ChatError, ChatModel, ChatReply, ChatRequest, Control};

use crate::archive::{Archive, CallRecord, RunId};
use crate::budget::{Budget, Ledger, Resource};
use crate::session::SessionError;

/// Longest wait for a reply, retries included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// ... and the share of the time left that it may take.
const MOST_OF_THE_TIME: f64 = 0.5;
/// Times in a row that a model may give no reply before it is given up; what is asked at the same time counts once.
const FAILURES: u32 = 3;

/// What came of asking.
pub(crate) type Answer = Result<ChatReply, ChatError>;

/// The run's model, and what it has said already.
pub(crate) struct Asking {
    model: Option<Arc<dyn ChatModel>>,
    /// Replies by label.
    replies: BTreeMap<String, ChatReply>,
    stop: Arc<AtomicBool>,
    /// How often in a row there was no reply.
    failures: u32,
    /// Set once the model is given up. A resumed run tries it again.
    broken: bool,
}

/// On whose account a call goes.
pub(crate) struct Account<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) run: &'a RunId,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) budget: &'a Budget,
    /// Who asks.
    pub(crate) agent: &'a str,
}

impl Asking {
    pub(crate) fn new(
        model: Option<Arc<dyn ChatModel>>,
        calls: &[CallRecord],
        stop: Arc<AtomicBool>,
    ) -> Self {
        let replies = calls
            .iter()
            .map(|call| (call.label.clone(), call.reply.clone()))
            .collect();
        Self {
            model,
            replies,
            stop,
            failures: 0,
            broken: false,
        }
    }

    /// Whether there is a model that may still answer.
    pub(crate) fn is_possible(&self) -> bool {
        self.model.is_some() && !self.broken
    }

    /// Asks all at the same time; answers come in the order of the requests. `None` when the budget does not allow it.
    pub(crate) fn ask(
        &mut self,
        requests: &[ChatRequest],
        account: &mut Account<'_>,
    ) -> Result<Option<Vec<Answer>>, SessionError> {
        let Some(model) = self.model.clone() else {
            return Ok(None);
        };
        let known: Vec<Option<ChatReply>> = requests
            .iter()
            .map(|request| self.replies.get(&request.label).cloned())
            .collect();
        let mut open: Vec<ChatRequest> = requests
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(request, _)| request.clone())
            .collect();
        if !open.is_empty() && !self.affordable(&mut open, model.as_ref(), account) {
            return Ok(None);
        }
        let fresh = self.fresh(&model, &open, account);
        let given_up = self.give_up(&fresh);
        let mut fresh = fresh.into_iter().zip(open);
        let mut answers = Vec::new();
        for known in known {
            if let Some(reply) = known {
                answers.push(Ok(reply));
                continue;
            }
            let Some((answer, request)) = fresh.next() else {
                break;
            };
            answers.push(self.keep(model.as_ref(), request, answer, account)?);
        }
        for answer in &answers {
            if let Err(ChatError::File { path, why }) = answer {
                let (path, why) = (path.clone(), why.clone());
                return Err(SessionError::Recording { path, why });
            }
        }
        if let Some(why) = given_up {
            let said =
                format!("the model is not asked any more, and the run goes on without it: {why}");
            account.archive.log(account.run, &said)?;
        }
        Ok(Some(answers))
    }

    /// Counts failures in a row; says why if the model is given up now.
    fn give_up(&mut self, answers: &[Answer]) -> Option<String> {
        let errors: Vec<&ChatError> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
        if errors.len() < answers.len() {
            self.failures = 0;
        } else if !answers.is_empty() {
            self.failures += 1;
        }
        let lasting = errors.iter().find(|error| error.is_final());
        self.broken |= lasting.is_some() || self.failures >= FAILURES;
        match lasting {
            // The whole run ends.
            Some(ChatError::Cancelled) => None,
            Some(error) => Some(error.to_string()),
            None if self.broken && !errors.is_empty() => {
                Some(format!("it gave no reply {FAILURES} times in a row"))
            }
            None => None,
        }
    }

    /// Cuts replies to what is left of the budget; `false` if that is not enough for anything.
    fn affordable(
        &self,
        requests: &mut [ChatRequest],
        model: &dyn ChatModel,
        account: &Account<'_>,
    ) -> bool {
        let left = |resource| account.ledger.left(account.budget, resource);
        if self.broken || account.ledger.exhausted(account.budget).is_some() {
            return false;
        }
        if left(Resource::ModelCalls).is_some_and(|left| left < requests.len() as f64) {
            return false;
        }
        let prompts: u64 = requests.iter().map(ChatRequest::estimated_tokens).sum();
        let mut most = f64::INFINITY;
        if let Some(left) = left(Resource::Tokens) {
            most = left - prompts as f64;
        }
        if let (Some(left), Some(price)) = (left(Resource::Dollars), model.price())
            && price.output > 0.0
        {
            most = most.min((left - price.input * prompts as f64 / 1e6) * 1e6 / price.output);
        }
        let each = most / requests.len() as f64;
        if each < LEAST_REPLY {
            return false;
        }
        for request in requests {
            request.max_tokens = request.max_tokens.min(each.min(f64::from(u32::MAX)) as u32);
        }
        true
    }

    fn fresh(
        &self,
        model: &Arc<dyn ChatModel>,
        requests: &[ChatRequest],
        account: &Account<'_>,
    ) -> Vec<Answer> {
        let seconds = account.ledger.left(account.budget, Resource::Seconds);
        // One reply that never comes leaves time for others, and for the agents that ask nobody.
        let limit = seconds.map_or(PATIENCE, |left| {
            PATIENCE.min(Duration::from_secs_f64(left * MOST_OF_THE_TIME))
        });
        let control = Control::new(self.stop.clone(), Some(limit));
        let ask = |request: &ChatRequest| model.complete(request, &control);
        thread::scope(|scope| {
            let waiting: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(move || ask(request)))
                .collect();
            let lost = |_| {
                Err(ChatError::Malformed {
                    model: model.name().to_owned(),
                    why: "the call ended in a fault of its own".to_owned(),
                })
            };
            waiting
                .into_iter()
                .map(|answer| answer.join().unwrap_or_else(lost))
                .collect()
        })
    }

    /// Puts a reply on the account and into the store before anything is done with it.
    fn keep(
        &mut self,
        model: &dyn ChatModel,
        request: ChatRequest,
        answer: Answer,
        account: &mut Account<'_>,
    ) -> Result<Answer, SessionError> {
        let mut spend = |resource, amount| account.ledger.spend(account.agent, resource, amount);
        spend(Resource::ModelCalls, 1.0);
        match answer {
            Ok(reply) => {
                spend(Resource::Tokens, reply.usage.total() as f64);
                if let Some(cost) = reply.cost {
                    spend(Resource::Dollars, cost.max(0.0));
                }
                let call = CallRecord {
                    label: request.label.clone(),
                    agent: account.agent.to_owned(),
                    model: model.name().to_owned(),
                    request,
                    reply: reply.clone(),
                };
                account
                    .archive
                    .add_call(account.run, &call, account.ledger)?;
                self.replies.insert(call.label, reply.clone());
                Ok(Ok(reply))
            }
            Err(error) => {
                account.archive.save_ledger(account.run, account.ledger)?;
                let said = format!("{}: {error}", request.label);
                account.archive.log(account.run, &said)?;
                Ok(Err(error))
            }
        }
    }
}

/// A reply that is cut to fewer tokens is not worth asking for.
const LEAST_REPLY: f64 = 64.0;
