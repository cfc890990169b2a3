//! A run on a thread of its own, and the way to it.
//!
//! The search is not `async` and holds what cannot be sent between threads, so what is to be done with it is sent to it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use whittle_optimizer::inputs::InputOptions;
use whittle_optimizer::program::Program;
use whittle_optimizer::session::{
    self, Answer, Declined, Desk, Event, Finished, RunOptions, SessionError, Setup,
};

use crate::commands::optimize::where_it_is;
use crate::progress::{Detail, Progress};

/// How often a waiting run looks whether it has to end.
const LOOK: Duration = Duration::from_millis(100);

/// What is to be done at the desk.
type Work = Box<dyn FnOnce(&mut Desk<'_, '_>) -> Result<ControlFlow<()>, SessionError> + Send>;

/// Everything for a run.
pub(super) struct Job {
    pub(super) setup: Setup,
    pub(super) program: Program,
    pub(super) options: RunOptions,
    pub(super) inputs: InputOptions,
    pub(super) detail: Detail,
}

/// How far a run is.
#[derive(Clone, Debug)]
enum Phase {
    Preparing,
    Searching,
    /// What was found is checked and measured.
    Concluding,
    /// The result, or why there is none.
    Over(Result<String, String>),
}

/// A run that was begun.
#[derive(Clone)]
pub(super) struct Run {
    name: String,
    work: Sender<Work>,
    phase: watch::Receiver<Phase>,
    stage: watch::Receiver<String>,
}

impl Run {
    /// Begins a run.
    pub(super) fn begin(job: Job) -> std::io::Result<Self> {
        let (work, queue) = mpsc::channel();
        let (phases, phase) = watch::channel(Phase::Preparing);
        let (stages, stage) = watch::channel("begins".to_owned());
        let name = job.program.name.clone();
        thread::Builder::new()
            .name("run".to_owned())
            .spawn(move || {
                let result = job.run(queue, &phases, &stages);
                phases.send_replace(Phase::Over(result));
            })?;
        Ok(Self {
            name,
            work,
            phase,
            stage,
        })
    }

    /// The program's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it does now, in words.
    pub(super) fn stage(&self) -> String {
        self.stage.borrow().clone()
    }

    /// Whether nothing happens any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Over(_)) || self.phase.has_changed().is_err()
    }

    /// Has something done at the desk; waits until the run is prepared.
    pub(super) async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk<'_, '_>) -> Answer<T> + Send + 'static,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |desk: &mut Desk<'_, '_>| {
            // Nobody listens if the call was cancelled; what was done is in the tree all the same.
            let _ = reply.send(work(desk)?);
            Ok(ControlFlow::Continue(()))
        });
        // Nobody takes it if the search is over; then the answer is that.
        let _ = self.work.send(work);
        match answer.await {
            Ok(answer) => answer.map_err(|Declined(why)| why),
            Err(_) => Err(self.why_closed().await),
        }
    }

    /// Ends the search; waits for the result.
    pub(super) async fn conclude(&self) -> Result<String, String> {
        // Nobody takes it if the search is over already.
        let _ = self.work.send(Box::new(|_| Ok(ControlFlow::Break(()))));
        self.result().await
    }

    /// The result, once it is there.
    pub(super) async fn result(&self) -> Result<String, String> {
        match self.wait_for(|phase| matches!(phase, Phase::Over(_))).await {
            Some(Phase::Over(result)) => result,
            _ => Err(self.fault()),
        }
    }

    /// Why nothing can be done at the desk any more.
    async fn why_closed(&self) -> String {
        let closed = |phase: &Phase| matches!(phase, Phase::Concluding | Phase::Over(_));
        let name = &self.name;
        match self.wait_for(closed).await {
            Some(Phase::Over(Ok(_))) => format!("{name} is exported; open_program begins anew"),
            Some(Phase::Over(Err(why))) => why,
            Some(_) => format!(
                "the search on {name} is over, and what it found is being checked; export waits for the result"
            ),
            None => self.fault(),
        }
    }

    /// The phase, once it is such; `None` if the thread died.
    async fn wait_for(&self, is_such: impl FnMut(&Phase) -> bool) -> Option<Phase> {
        let mut phase = self.phase.clone();
        let found = phase.wait_for(is_such).await.map(|phase| phase.clone());
        found.ok()
    }

    fn fault(&self) -> String {
        format!("the run of {} ended by a fault of this server", self.name)
    }
}

impl Job {
    fn run(
        self,
        queue: Receiver<Work>,
        phases: &watch::Sender<Phase>,
        stages: &watch::Sender<String>,
    ) -> Result<String, String> {
        let Self {
            mut setup,
            program,
            options,
            inputs,
            detail,
        } = self;
        let (name, stop) = (program.name.clone(), setup.stop.clone());
        let mut queue = Some(queue);
        let mut serve = |desk: &mut Desk<'_, '_>| {
            phases.send_replace(Phase::Searching);
            if let Some(queue) = &queue {
                serve(desk, queue, &stop)?;
            }
            phases.send_replace(Phase::Concluding);
            // Whoever still waits is told.
            queue = None;
            Ok(())
        };
        let mut progress = Progress::new(detail);
        let mut observe = |event: Event<'_>| {
            if let Event::Stage(stage) = event {
                stages.send_replace(stage.to_owned());
            }
            progress.show(&event);
        };
        let result = session::drive(
            &mut setup,
            program,
            options,
            &inputs,
            &mut serve,
            &mut observe,
        );
        progress.finish();
        match result {
            Ok(finished) => Ok(tell(&finished)),
            Err(error @ SessionError::NotWritten(_)) => {
                let why = in_words(&error);
                anstream::eprintln!("{name}: {why}: whittle optimize --resume");
                Err(format!(
                    "the result of {name} cannot be written, but is kept in the run store; this server's log says why"
                ))
            }
            Err(error) => {
                let why = in_words(&error);
                if error.is_interruption() {
                    anstream::eprintln!(
                        "{name} stays in the run store: whittle optimize --resume goes on with it"
                    );
                } else {
                    anstream::eprintln!("{name}: {why}");
                }
                Err(match *phases.borrow() {
                    // What fails there may be about inputs that the client must not see.
                    Phase::Concluding => {
                        format!("the last checks of {name} failed; this server's log says why")
                    }
                    _ => format!("{name} cannot be optimized: {why}"),
                })
            }
        }
    }
}

/// Does what comes until the search is to end.
fn serve(
    desk: &mut Desk<'_, '_>,
    queue: &Receiver<Work>,
    stop: &AtomicBool,
) -> Result<(), SessionError> {
    while !stop.load(Ordering::Relaxed) {
        match queue.recv_timeout(LOOK) {
            Ok(work) => {
                if work(desk)?.is_break() {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // The run stays open: the client did not say that it has done what it can.
    Err(SessionError::Cancelled)
}

fn tell(finished: &Finished) -> String {
    format!(
        "{}\n{}\n  winner      {}",
        session::told(finished).trim_end(),
        where_it_is(&finished.output),
        finished.output.join("winner").display(),
    )
}

/// An error and its causes.
fn in_words(error: &SessionError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Errors that repeat their source's text would say it twice.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
