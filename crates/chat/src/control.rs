//! When a call is to end before its reply is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::ChatError;

/// How long a call may go on before it notices that it was ended.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Ends calls: at a deadline, or when somebody says so.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Set to end the call.
    pub cancel: Arc<AtomicBool>,
    /// When the call has to be over, retries included.
    pub deadline: Option<Instant>,
}

impl Control {
    /// Ends calls when `cancel` is set, or after `limit`.
    pub fn new(cancel: Arc<AtomicBool>, limit: Option<Duration>) -> Self {
        let deadline = limit.map(|limit| Instant::now() + limit);
        Self { cancel, deadline }
    }

    /// Whether somebody ended the call.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Time left; `None` without a deadline.
    pub fn left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// An error if the call is to end; `begun` is when it began.
    pub(crate) fn check(&self, model: &str, begun: Instant) -> Result<(), ChatError> {
        if self.is_cancelled() {
            return Err(ChatError::Cancelled);
        }
        if self.left().is_some_and(|left| left.is_zero()) {
            return Err(ChatError::TimedOut {
                model: model.to_owned(),
                after: begun.elapsed(),
            });
        }
        Ok(())
    }

    /// Sleeps, but not past the call's end.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + self.left().map_or(time, |left| left.min(time));
        while !self.is_cancelled() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
