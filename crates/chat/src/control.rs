//! When a call is to end before its reply is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
}
