//! The runtime under the synchronous surface.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::backends::Failure;
use crate::control::{Control, TICK};
use crate::error::ChatError;

/// One for the process: a single thread drives all connections and children, callers wait on their own.
fn runtime() -> Result<&'static Runtime, Failure> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let build = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("whittle-chat");
        builder.enable_all().build()
    };
    match RUNTIME.get_or_init(build) {
        Ok(runtime) => Ok(runtime),
        Err(error) => Err(Failure::again(format!("no thread for it: {error}"))),
    }
}

/// Runs a try until it is done, `limit` is over or `control` ends it; then it is dropped on the spot.
pub(crate) fn run<T>(
    model: &str,
    control: &Control,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    let ended = async {
        loop {
            if let Err(error) = control.check(model, begun) {
                return error;
            }
            tokio::time::sleep(control.left().map_or(TICK, |left| left.min(TICK))).await;
        }
    };
    runtime()?.block_on(async {
        tokio::select! {
            biased;
            error = ended => Err(error.into()),
            result = work => result,
            () = tokio::time::sleep(limit) => Err(ChatError::TimedOut { model: model.to_owned(), after: limit }.into()),
        }
    })
}
