//! `whittle mcp`: an MCP server through which a coding agent is the one that optimizes.
//!
//! The client has the ideas. Tests, times, budget and acceptance stay here, and what is held out does not go out.

mod open;
mod roots;
mod run;
mod server;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;
use tokio::sync::Notify;
use whittle_optimizer::budget::Budget;

use self::open::Place;
use self::roots::Roots;
use self::server::Server;
use crate::cli::Interrupted;
use crate::commands::optimize::{budget_of, duration};
use crate::interrupt;
use crate::options::{positive, unit_interval};
use crate::progress::Detail;
use crate::workplace::{StoreArguments, ToolArguments};

/// Longest wait for a run to come to rest when the server ends.
const FAREWELL: Duration = Duration::from_secs(10);

/// Let a coding agent make C programs faster: an MCP server.
///
/// It speaks the Model Context Protocol on standard input and output; what happens is told on standard error. The client
/// reads the program and submits edits of source, IR or assembly; they are built, tested and timed here. In the end what
/// it found is checked on inputs that it never saw and measured afresh, as whittle optimize does it. One program is open
/// at a time. docs/mcp.md has a configuration for clients.
///
/// The program's text goes to the client, and from there to whatever model it uses.
#[derive(Args)]
#[command(after_help = "\
Examples:
  whittle mcp
  whittle mcp --root ~/project --out ~/results --budget-time 20m")]
pub(crate) struct Arguments {
    /// Folder from which the client may open programs and tests, beside the current one (unless that is /); may be given
    /// several times
    #[arg(long = "root", value_name = "DIR")]
    roots: Vec<PathBuf>,
    #[command(flatten)]
    limits: Limits,
    /// Folder in which each result gets a folder NAME.whittle, after the program's first file [default: the current one]
    #[arg(long, short, value_name = "FOLDER", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Say nothing but warnings on standard error
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    tools: ToolArguments,
}

/// What the client cannot change.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Wall time for search, evidence and measurements of a program, the client's thinking included, as in 90s, 2m or
    /// 1h30m; preparation comes on top. The client may ask for less
    #[arg(long = "budget-time", value_name = "TIME", default_value = "10m", value_parser = duration)]
    time: Duration,
    /// Most timed runs of the program in the search
    #[arg(long = "budget-runs", value_name = "N", value_parser = positive)]
    runs: Option<usize>,
    /// Most candidates to try
    #[arg(long = "budget-candidates", value_name = "N", value_parser = positive)]
    candidates: Option<usize>,
    /// A gain counts only beyond this share: 0.01 is 1 %
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = unit_interval::<f64>)]
    margin: f64,
    /// Let numbers in the output differ by this share of their size; without it, outputs must be equal to the byte
    #[arg(long, value_name = "SHARE", value_parser = unit_interval::<f64>)]
    fp_tolerance: Option<f64>,
}

impl Limits {
    /// The budget of a run that may last this long.
    fn budget(&self, time: Duration) -> Budget {
        budget_of(time, self.runs, self.candidates)
    }
}

/// Runs the subcommand.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    interrupt::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let server = Server::new(arguments.place(&stop)?);
    let interrupted = Arc::new(Notify::new());
    let (stopping, interrupting) = (stop.clone(), interrupted.clone());
    interrupt::stops(
        move || {
            stopping.store(true, Ordering::SeqCst);
            interrupting.notify_one();
        },
        None,
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")?;
    let result = runtime.block_on(async {
        let result = tokio::select! {
            result = serve(server.clone()) => result,
            () = interrupted.notified() => Err(Interrupted.into()),
        };
        // A run that is under way ends here and stays open in the store.
        stop.store(true, Ordering::SeqCst);
        server.come_to_rest(FAREWELL).await;
        result
    });
    // Reading standard input may still block a thread.
    runtime.shutdown_background();
    result
}

/// Answers until the client hangs up.
async fn serve(server: Server) -> Result<()> {
    match server.serve(stdio_pipes()).await {
        Ok(service) => {
            service.waiting().await.context("the server failed")?;
            Ok(())
        }
        // The client went away before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error).context("the client does not speak MCP"),
    }
}

impl Arguments {
    /// All that a run needs and the client has no say in. What is wrong with it is said before the first request.
    fn place(self, stop: &Arc<AtomicBool>) -> Result<Place> {
        let current = std::env::current_dir().context("there is no current folder")?;
        let out = match &self.out {
            Some(folder) => std::path::absolute(folder)
                .with_context(|| format!("cannot use {}", folder.display()))?,
            None => current.clone(),
        };
        let roots = Roots::new(current, &self.roots)?;
        let toolchain = self.tools.toolchain(stop.clone())?;
        let store = self.store.path()?;
        self.store.open()?;
        Ok(Place {
            roots,
            toolchain,
            store,
            out,
            stop: stop.clone(),
            detail: if self.quiet {
                Detail::Warnings
            } else {
                Detail::All
            },
            limits: self.limits,
        })
    }
}
