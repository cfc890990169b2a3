//! The thread that owns the model's time.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use whittle_models::{Model, ModelError, PrefillObserver};

use crate::sequence::step_together;
use crate::{Done, EngineError, Event, FinishReason, Prefilled, Prefix, Request, Sequence};

/// Sequences decoded side by side: each further one adds little to a step, whose time is that of reading the weights.
const MAX_ACTIVE: usize = 8;

/// Limits of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Refuse prompts that are estimated to need more bytes than this; by default what the system has available.
    pub memory_limit: Option<u64>,
}

/// A model behind a queue of requests. Dropping it cancels what runs and waits.
pub struct Engine {
    jobs: Option<Sender<Job>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A request's events, in order; ends after [`Event::Done`] or an error. Dropping it cancels the request.
pub struct Answer {
    events: Receiver<Result<Event, EngineError>>,
    canceller: Canceller,
    finished: bool,
}

/// Cancels a request from anywhere.
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// Ends the request at its next token or prefill chunk and frees its cache. Its last event is [`Event::Done`] with
    /// [`FinishReason::Cancelled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Engine {
    /// Starts the thread.
    pub fn start(model: Arc<dyn Model>, options: EngineOptions) -> Result<Self, EngineError> {
        let (jobs, inbox) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let schedule = move || {
            let (waiting, active) = (VecDeque::new(), Vec::new());
            Scheduler {
                model: &*model,
                options,
                stopping: stop,
                inbox,
                waiting,
                active,
            }
            .run();
        };
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(schedule)
            .map_err(EngineError::Thread)?;
        Ok(Self {
            jobs: Some(jobs),
            stopping,
            thread: Some(thread),
        })
    }

    /// Queues a request. Unusable options are refused here, everything else comes as an event.
    pub fn submit(&self, request: Request) -> Result<Answer, EngineError> {
        request.limits.validate()?;
        request.policy.build()?;
        let (events, receiver) = channel();
        let canceller = Canceller::default();
        let job = Job {
            request,
            events,
            canceller: canceller.clone(),
        };
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .ok_or(EngineError::Stopped)?;
        Ok(Answer {
            events: receiver,
            canceller,
            finished: false,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has reached its callers as `EngineError::Stopped`.
            let _ = thread.join();
        }
    }
}

impl Answer {
    /// A handle to cancel with, for other threads and signal handlers.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Cancels the request; the events still to come are few.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }
}

impl Iterator for Answer {
    type Item = Result<Event, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let event = self.events.recv().unwrap_or(Err(EngineError::Stopped));
        self.finished = matches!(event, Err(_) | Ok(Event::Done(_)));
        Some(event)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}

struct Job {
    request: Request,
    events: Sender<Result<Event, EngineError>>,
    canceller: Canceller,
}

impl Job {
    /// Sends an event; whoever dropped the answer has cancelled it, so a missing receiver is no error.
    fn send(&self, event: Result<Event, EngineError>) {
        let _ = self.events.send(event);
    }
}

struct Running<'m> {
    job: Job,
    sequence: Sequence<'m>,
}

struct Scheduler<'m> {
    model: &'m dyn Model,
    options: EngineOptions,
    stopping: Arc<AtomicBool>,
    inbox: Receiver<Job>,
    waiting: VecDeque<Job>,
    active: Vec<Running<'m>>,
}

impl<'m> Scheduler<'m> {
    fn run(mut self) {
        while self.receive() {
            while self.active.len() < MAX_ACTIVE
                && let Some(job) = self.waiting.pop_front()
            {
                self.admit(job);
            }
            self.step();
        }
    }

    /// Takes what is in the inbox, waiting if there is nothing to do. False once the engine is gone and its requests
    /// have ended.
    fn receive(&mut self) -> bool {
        loop {
            let idle = self.active.is_empty() && self.waiting.is_empty();
            let received = if idle {
                self.inbox.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.inbox.try_recv()
            };
            match received {
                Ok(job) => self.waiting.push_back(job),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !idle,
            }
        }
    }

    fn cancelled(&self, job: &Job) -> bool {
        job.canceller.is_cancelled() || self.stopping.load(Ordering::SeqCst)
    }

    /// Prefills a request and compresses its cache.
    fn admit(&mut self, job: Job) {
        match self.prefill(&job) {
            Ok((prefilled, sequence)) => {
                job.send(Ok(Event::Prefilled(Box::new(prefilled))));
                self.active.push(Running { job, sequence });
            }
            Err(EngineError::Model(ModelError::Cancelled)) => {
                let done = Done {
                    reason: FinishReason::Cancelled,
                    prompt_tokens: 0,
                    generated_tokens: 0,
                    decode_steps: 0,
                    decode_time: std::time::Duration::ZERO,
                };
                job.send(Ok(Event::Done(done)));
            }
            Err(error) => job.send(Err(error)),
        }
    }

    fn prefill(&self, job: &Job) -> Result<(Prefilled, Sequence<'m>), EngineError> {
        if self.cancelled(job) {
            return Err(ModelError::Cancelled.into());
        }
        let request = &job.request;
        let policy = request.policy.build()?;
        let start = Instant::now();
        let prompt = self.model.prompt(&request.messages, &request.images)?;
        let needs = policy.needs(&prompt.info)?;
        let mut observer = CancelObserver {
            scheduler: self,
            job,
        };
        let memory_limit = self.options.memory_limit;
        let prefix = Prefix::new(
            self.model,
            prompt,
            &needs,
            memory_limit,
            start.elapsed(),
            &mut observer,
        )?;
        prefix.into_sequence(self.model, &*policy, request.limits.clone())
    }

    /// One token for every active sequence.
    fn step(&mut self) {
        let active = std::mem::take(&mut self.active);
        let (cancelled, mut active): (Vec<_>, Vec<_>) = active
            .into_iter()
            .partition(|running| self.cancelled(&running.job));
        for running in cancelled {
            running.end(FinishReason::Cancelled);
        }
        let mut sequences: Vec<_> = active.iter_mut().map(|r| &mut r.sequence).collect();
        let steps = step_together(&mut sequences);
        for (running, step) in active.into_iter().zip(steps) {
            match step {
                Ok(step) => {
                    running.job.send(Ok(Event::Token {
                        id: step.id,
                        text: step.text,
                    }));
                    match step.finished {
                        Some(reason) => running.end(reason),
                        None => self.active.push(running),
                    }
                }
                Err(error) => {
                    let Running { job, sequence } = running;
                    drop(sequence);
                    job.send(Err(error));
                }
            }
        }
    }
}

impl Running<'_> {
    /// Frees the cache, then says that the answer is complete.
    fn end(self, reason: FinishReason) {
        let Self { job, sequence } = self;
        let done = sequence.done(reason);
        drop(sequence);
        job.send(Ok(Event::Done(done)));
    }
}

/// Stops a prefill between chunks.
struct CancelObserver<'a> {
    scheduler: &'a Scheduler<'a>,
    job: &'a Job,
}

impl PrefillObserver for CancelObserver<'_> {
    fn progress(&mut self, _done: usize, _total: usize) -> ControlFlow<()> {
        if self.scheduler.cancelled(self.job) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
