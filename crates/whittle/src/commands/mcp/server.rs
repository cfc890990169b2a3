//! Requests of the client, answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, interval, timeout};
use whittle_optimizer::session::{Answer, Desk};
use whittle_optimizer::tree::NodeId;

use super::open::Place;
use super::run::Run;
use super::tools::{
    self, INSTRUCTIONS, Lower, Nothing, OfCandidate, OpenProgram, Remarks, ShowLevel,
    SubmitCandidate,
};

/// How often a client that wants to know hears how a call goes.
const TICK: Duration = Duration::from_secs(2);

/// The server; clones are the same server.
#[derive(Clone)]
pub(super) struct Server {
    place: Arc<Place>,
    /// The program that is open, or was last.
    run: Arc<Mutex<Option<Run>>>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let own = Implementation::new("whittle", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(own)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let answer = self.answer(&request.name, arguments);
        let result = match self.with_progress(&context, answer).await {
            Some(Ok(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Some(Err(why)) => CallToolResult::error(vec![ContentBlock::text(why)]),
            None => {
                let message = format!("there is no tool named {:?}", request.name);
                return Err(ErrorData::invalid_params(message, None));
            }
        };
        Ok(result.into())
    }
}

impl Server {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place: Arc::new(place),
            run: Arc::default(),
        }
    }

    /// Waits until nothing runs any more, but not for ever.
    pub(super) async fn come_to_rest(&self, patience: Duration) {
        let run = self.current().clone();
        if let Some(run) = run {
            // What does not end in time ends with the process.
            let _ = timeout(patience, run.result()).await;
        }
    }

    /// The answer of a tool or what is wrong, for the client to read; `None` if there is no such tool.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "a method is one of desks of one lifetime, a closure of all"
    )]
    async fn answer(&self, tool: &str, arguments: Value) -> Option<Result<String, String>> {
        Some(match tool {
            "open_program" => self.open(arguments).await,
            "show_level" => self.show(arguments).await,
            "remarks" => self.remarks(arguments).await,
            "lower" => self.lower(arguments).await,
            "submit_candidate" => self.submit(arguments).await,
            "verdict" => self.verdict(arguments).await,
            "profile" => self.tell(arguments, profile).await,
            "tree" => self.tell(arguments, |desk| desk.tree()).await,
            "budget" => self.tell(arguments, |desk| desk.budget()).await,
            "export" => self.export(arguments).await,
            _ => return None,
        })
    }

    async fn open(&self, arguments: Value) -> Result<String, String> {
        let wanted: OpenProgram = read(arguments)?;
        let run = {
            let mut current = self.current();
            if let Some(open) = current.as_ref().filter(|run| !run.is_over()) {
                return Err(format!(
                    "{} is open, and one program is open at a time; export ends its search",
                    open.name()
                ));
            }
            let run = Run::begin(self.place.job(&wanted)?).map_err(|error| error.to_string())?;
            current.insert(run).clone()
        };
        run.at_desk(|desk| Ok(Ok(describe(desk)))).await
    }

    async fn show(&self, arguments: Value) -> Result<String, String> {
        let ShowLevel {
            candidate,
            level,
            function,
        } = read(arguments)?;
        self.at_desk(move |desk| desk.show(NodeId(candidate), level.into(), function.as_deref()))
            .await
    }

    async fn remarks(&self, arguments: Value) -> Result<String, String> {
        let Remarks {
            candidate,
            function,
        } = read(arguments)?;
        let remarks = self
            .at_desk(move |desk| Ok(desk.remarks(NodeId(candidate), function.as_deref())))
            .await?;
        Ok(match remarks.as_slice() {
            [] => "there are none: the compiler says nothing of missed optimizations there, or the candidate is not in source".to_owned(),
            remarks => remarks.join("\n"),
        })
    }

    async fn lower(&self, arguments: Value) -> Result<String, String> {
        let wanted: Lower = read(arguments)?;
        let (candidate, stage) = (NodeId(wanted.candidate), wanted.stage()?);
        self.try_out(move |desk| desk.lower(candidate, &stage))
            .await
    }

    async fn submit(&self, arguments: Value) -> Result<String, String> {
        let SubmitCandidate {
            candidate,
            level,
            function,
            edit,
            change,
        } = read(arguments)?;
        self.try_out(move |desk| {
            desk.submit(
                NodeId(candidate),
                level.into(),
                function.as_deref(),
                &edit,
                &change,
            )
        })
        .await
    }

    async fn verdict(&self, arguments: Value) -> Result<String, String> {
        let node = read::<OfCandidate>(arguments)?.node();
        self.at_desk(move |desk| Ok(desk.verdict(node))).await
    }

    /// Tools without parameters that look at the search.
    async fn tell(
        &self,
        arguments: Value,
        text: fn(&Desk<'_, '_>) -> String,
    ) -> Result<String, String> {
        let Nothing {} = read(arguments)?;
        self.at_desk(move |desk| Ok(Ok(text(desk)))).await
    }

    async fn export(&self, arguments: Value) -> Result<String, String> {
        let Nothing {} = read(arguments)?;
        self.run()?.conclude().await
    }

    /// Something that makes a candidate: its number, and what came of it.
    async fn try_out(
        &self,
        work: impl FnOnce(&mut Desk<'_, '_>) -> Answer<NodeId> + Send + 'static,
    ) -> Result<String, String> {
        self.at_desk(move |desk| {
            let node = match work(desk)? {
                Ok(node) => node,
                Err(declined) => return Ok(Err(declined)),
            };
            Ok(desk
                .verdict(node)
                .map(|verdict| format!("Candidate {node}: {verdict}")))
        })
        .await
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk<'_, '_>) -> Answer<T> + Send + 'static,
    ) -> Result<T, String> {
        self.run()?.at_desk(work).await
    }

    fn run(&self) -> Result<Run, String> {
        let run = self.current().clone();
        run.ok_or_else(|| "no program is open; open_program comes first".to_owned())
    }

    /// Never held for longer than it takes to begin a run.
    fn current(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how a call goes as long as it goes on, if the client wants to know.
    async fn with_progress<T>(
        &self,
        context: &RequestContext<RoleServer>,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(token) = context.meta.get_progress_token() else {
            return work.await;
        };
        let mut work = std::pin::pin!(work);
        let (start, mut ticks) = (Instant::now(), interval(TICK));
        // The first tick comes at once.
        ticks.tick().await;
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    let seconds = start.elapsed().as_secs_f64().round();
                    let mut progress = ProgressNotificationParam::new(token.clone(), seconds);
                    progress.message = self.run().ok().map(|run| run.stage());
                    // A client that does not listen any more gets no answer, either.
                    let _ = context.peer.notify_progress(progress).await;
                }
            }
        }
    }
}

/// Parameters of a tool, or what is wrong with them.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| format!("wrong arguments: {error}"))
}

/// What there is to know of a program that was just opened.
fn describe(desk: &Desk<'_, '_>) -> String {
    format!(
        "Run {} is open. Candidate #0 is the original under clang -O3. It has {} visible tests; others are held out.\n\n\
         Where its time goes:\n{}\n\n\
         Budget of the search; export has its own share:\n{}",
        desk.run(),
        desk.visible_tests(),
        profile(desk),
        desk.budget(),
    )
}

fn profile(desk: &Desk<'_, '_>) -> String {
    match desk.profile().trim_end() {
        "" => "execution counts are not to be had for this program".to_owned(),
        text => text.to_owned(),
    }
}
