//! Each thread waits its turn.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backends::{Backend, Failure};
use crate::control::{Control, TICK};
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::options::OpenOptions;

const MINUTE: Duration = Duration::from_secs(60);

/// Bounds the requests that run at once, and those of any minute, over all threads.
pub(super) struct Limited {
    inner: Box<dyn Backend>,
    name: String,
    concurrent: usize,
    per_minute: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// When the requests of the last minute began; empty without a limit.
    begun: VecDeque<Instant>,
}

impl Limited {
    pub(super) fn new(inner: Box<dyn Backend>, name: String, options: &OpenOptions) -> Self {
        Self {
            inner,
            name,
            concurrent: options.concurrent.max(1),
            per_minute: options
                .per_minute
                .map_or(usize::MAX, |most| most.max(1) as usize),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, control: &Control) -> Result<Turn<'_>, ChatError> {
        let begun = Instant::now();
        let mut state = self.lock();
        loop {
            control.check(&self.name, begun)?;
            let now = Instant::now();
            while state
                .begun
                .front()
                .is_some_and(|then| now - *then >= MINUTE)
            {
                state.begun.pop_front();
            }
            if state.running < self.concurrent && state.begun.len() < self.per_minute {
                state.running += 1;
                if self.per_minute < usize::MAX {
                    state.begun.push_back(now);
                }
                return Ok(Turn(self));
            }
            let woken = self.changed.wait_timeout(state, TICK);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A running request.
struct Turn<'a>(&'a Limited);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_one();
    }
}

impl Backend for Limited {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let _turn = self.enter(control)?;
        self.inner.ask(request, control)
    }
}
