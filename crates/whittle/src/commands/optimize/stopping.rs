//! Ctrl-C during a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;

use crate::interrupt;

/// What Ctrl-C does.
pub(super) struct Stopping {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) bar: ProgressBar,
    pub(super) how_to_resume: String,
}

impl Stopping {
    /// The first Ctrl-C ends the search, the second everything.
    pub(super) fn listen(&self, resumable: bool) {
        let (stop, bar) = (self.stop.clone(), self.bar.clone());
        let stop = move || {
            stop.store(true, Ordering::SeqCst);
            bar.suspend(|| {
                anstream::eprintln!(
                    "stopping: the best so far is checked and reported; Ctrl-C again ends at once"
                );
            });
        };
        let farewell = format!("ended; {}", self.what_is_kept(resumable));
        interrupt::stops(stop, Some(farewell));
    }

    pub(super) fn what_is_kept(&self, resumable: bool) -> String {
        if resumable {
            format!("what was found is kept: {}", self.how_to_resume)
        } else {
            "there is nothing to go on with yet".to_owned()
        }
    }
}
