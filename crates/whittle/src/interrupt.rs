//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result};

use crate::cli::{INTERRUPTED, Interrupted};

/// What Ctrl-C does to the work that runs.
struct Running {
    stop: Box<dyn Fn() + Send>,
    farewell: Option<String>,
}

static INTERRUPTS: AtomicBool = AtomicBool::new(false);
static RUNNING: OnceLock<Mutex<Option<Running>>> = OnceLock::new();

/// From now on the first Ctrl-C stops what runs, the second ends the process at once.
pub(crate) fn listen() -> Result<()> {
    RUNNING.get_or_init(Mutex::default);
    let handler = || {
        let again = INTERRUPTS.swap(true, Ordering::SeqCst);
        let running = RUNNING
            .get()
            .map(|running| running.lock().unwrap_or_else(PoisonError::into_inner));
        let running = running.as_ref().and_then(|running| running.as_ref());
        if again {
            if let Some(farewell) = running.and_then(|running| running.farewell.as_ref()) {
                anstream::eprintln!("\n{farewell}");
            }
            std::process::exit(i32::from(INTERRUPTED));
        }
        if let Some(running) = running {
            (running.stop)();
        }
    };
    ctrlc::set_handler(handler).context("cannot listen for Ctrl-C")
}

/// Says what the first Ctrl-C does: `stop` asks the work to stop, from another thread. The second prints `farewell`, if
/// there is one, before it ends the process.
pub(crate) fn stops(stop: impl Fn() + Send + 'static, farewell: Option<String>) {
    if let Some(running) = RUNNING.get() {
        let stop = Box::new(stop);
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { stop, farewell });
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
