//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result};
use whittle_engine::Canceller;

use crate::cli::{INTERRUPTED, Interrupted};

static INTERRUPTS: AtomicBool = AtomicBool::new(false);
static RUNNING: OnceLock<Mutex<Option<Canceller>>> = OnceLock::new();

/// From now on the first Ctrl-C cancels what runs, the second ends the process at once.
pub(crate) fn listen() -> Result<()> {
    RUNNING.get_or_init(Mutex::default);
    let handler = || {
        if INTERRUPTS.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        if let Some(running) = RUNNING.get()
            && let Some(canceller) = &*running.lock().unwrap_or_else(PoisonError::into_inner)
        {
            canceller.cancel();
        }
    };
    ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")
}

/// Names the request that Ctrl-C cancels.
pub(crate) fn cancels(canceller: Canceller) {
    if let Some(running) = RUNNING.get() {
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(canceller);
    }
}

/// An error after Ctrl-C; call it wherever work can stop.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTS.load(Ordering::SeqCst) {
        Err(Interrupted.into())
    } else {
        Ok(())
    }
}
