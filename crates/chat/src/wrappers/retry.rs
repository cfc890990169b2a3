//! What fails by chance is tried again.

use std::time::{Duration, Instant};

use crate::backends::{Backend, Failure};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};

/// The longest wait of its own accord.
const LONGEST: Duration = Duration::from_secs(60);
/// Whoever asks to wait longer than this is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Tries again, with growing waits, as long as the call's time allows.
pub(super) struct Retrying {
    pub(super) inner: Box<dyn Backend>,
    pub(super) name: String,
    pub(super) tries: u32,
    pub(super) backoff: Duration,
}

impl Retrying {
    /// Doubles with each try. Half of it is chance, so that threads that failed together do not come back together.
    fn pause(&self, tried: u32) -> Duration {
        let factor = 2_u32.saturating_pow(tried - 1);
        let most = self.backoff.saturating_mul(factor).min(LONGEST);
        most.mul_f64(rand::random_range(0.5..=1.0))
    }
}

impl Backend for Retrying {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let begun = Instant::now();
        let mut tried = 0;
        loop {
            let (why, after) = match self.inner.ask(request, control) {
                Err(Failure::Retry { why, after }) => (why, after),
                result => return result,
            };
            tried += 1;
            let wait = self.pause(tried).max(after.unwrap_or_default());
            let patience = control.left().unwrap_or(PATIENCE).min(PATIENCE);
            if tried >= self.tries || wait >= patience {
                let (model, tries) = (self.name.clone(), tried);
                return Err(ChatError::Unreachable { model, tries, why }.into());
            }
            tracing::debug!(model = %self.name, tried, ?wait, why, "trying again");
            control.sleep(wait);
            control.check(&self.name, begun)?;
        }
    }
}
