//! `command:CMD`: a program that reads one request and writes one reply, as JSON.
//!
//! The format is published in `docs/chat-command.schema.json`. The program runs in a process group of its own, with this
//! process's environment; the group is killed when the call ends.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Backend, BackendEntry, Failure, Opened, Opening, Pricing, ToolSupport};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest, Finish, ToolCall, Usage};
use crate::runtime;
use crate::secrets::Secrets;

pub(super) const ENTRY: BackendEntry = BackendEntry {
    prefix: "command",
    summary: "a shell command that reads a request from standard input and writes a reply to standard output, both JSON \
              (docs/chat-command.schema.json)",
    example: "command:./answer.py",
    open,
};

/// The version of the format.
const VERSION: u32 = 1;
/// The longest reply.
const MOST: u64 = 16 << 20;
/// As much of standard error is kept, from its end.
const MOST_ERROR: usize = 8 << 10;
/// `EX_TEMPFAIL` of sysexits.h: the command asks to be tried again.
const TRY_AGAIN: i32 = 75;

/// A request to a command, and its reply.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CommandExchange {
    /// What the command reads.
    pub request: CommandRequest,
    /// What the command writes.
    pub reply: CommandReply,
}

/// What a command reads from standard input.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CommandRequest {
    /// The version of the format: 1.
    pub version: u32,
    /// The request.
    #[serde(flatten)]
    pub request: ChatRequest,
}

/// What a command writes to standard output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandReply {
    /// The text.
    pub text: String,
    /// The tools that it calls.
    #[serde(default)]
    pub tool_calls: Vec<CommandToolCall>,
    /// Tokens; estimated if the command does not say.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// US dollars.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Why the reply ended.
    #[serde(default)]
    pub finish: Option<Finish>,
}

/// A tool call in a command's reply.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandToolCall {
    /// Names the call within the conversation; made up if the command does not say.
    #[serde(default)]
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// The arguments: an object.
    #[serde(default)]
    pub arguments: Value,
}

fn open(opening: &Opening<'_>) -> Result<Opened, ChatError> {
    if opening.rest.contains('\0') {
        return Err(opening.wrong("no command has a zero byte"));
    }
    Ok(Opened {
        backend: Box::new(Shell {
            name: opening.spec.to_owned(),
            command: opening.rest.to_owned(),
            limit: opening.options.limit,
            secrets: opening.secrets.clone(),
        }),
        name: opening.spec.to_owned(),
        pricing: Pricing::Table {
            model: opening.rest.to_owned(),
            published: false,
        },
        tools: ToolSupport::Either,
        direct: false,
    })
}

struct Shell {
    name: String,
    command: String,
    limit: Duration,
    secrets: Secrets,
}

/// Kills a process group when it goes out of scope, also when the call is dropped midway.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that there is nobody left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// What a run of the command left.
struct Output {
    status: ExitStatus,
    text: Vec<u8>,
    errors: Vec<u8>,
}

impl Backend for Shell {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let wire = CommandRequest {
            version: VERSION,
            request: request.clone(),
        };
        let body = serde_json::to_vec(&wire).map_err(|error| self.malformed(&error.to_string()))?;
        let output = runtime::run(&self.name, control, self.limit, self.run(body))?;
        self.check(&output)?;
        let reply: CommandReply = serde_json::from_slice(&output.text).map_err(|error| {
            let begin = String::from_utf8_lossy(&output.text[..output.text.len().min(2048)]);
            let errors = String::from_utf8_lossy(&output.errors);
            self.malformed(&format!("{error} in {begin:?}; {errors}"))
        })?;
        Ok(read(reply, request))
    }
}

impl Shell {
    fn malformed(&self, why: &str) -> Failure {
        let model = self.name.clone();
        let why = self.secrets.brief(why);
        ChatError::Malformed { model, why }.into()
    }

    async fn run(&self, body: Vec<u8>) -> Result<Output, Failure> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Too many processes for a while is nothing to give up for.
        let mut child = command
            .spawn()
            .map_err(|error| Failure::again(format!("it cannot be started: {error}")))?;
        let mut group = Group(child.id().map(|id| Pid::from_raw(id as i32)));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is asked.
                let _ = stdin.write_all(&body).await;
            }
            Ok(())
        };
        let text = async {
            let mut text = Vec::new();
            if let Some(stdout) = stdout {
                let read = stdout.take(MOST + 1).read_to_end(&mut text).await;
                read.map_err(|error| Failure::again(error.to_string()))?;
            }
            if text.len() as u64 > MOST {
                return Err(self.malformed(&format!("it is longer than {} MiB", MOST >> 20)));
            }
            Ok(text)
        };
        let errors = async { Ok(tail(stderr).await) };
        let (status, (), text, errors) =
            tokio::try_join!(wait(&mut child, &mut group), feed, text, errors)?;
        Ok(Output {
            status,
            text,
            errors,
        })
    }

    fn check(&self, output: &Output) -> Result<(), Failure> {
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.errors);
        let last: Vec<&str> = errors
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(4)
            .collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let why = self
            .secrets
            .brief(&format!("{}: {}", output.status, last.join(" / ")));
        if output.status.code() == Some(TRY_AGAIN) {
            return Err(Failure::again(why));
        }
        let model = self.name.clone();
        Err(ChatError::Rejected { model, why }.into())
    }
}

/// Waits for the command; what it left running is killed, so that its pipes end, too.
async fn wait(child: &mut Child, group: &mut Group) -> Result<ExitStatus, Failure> {
    let status = child
        .wait()
        .await
        .map_err(|error| Failure::again(error.to_string()))?;
    drop(Group(group.0.take()));
    Ok(status)
}

/// The end of what a pipe gives.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut bytes = [0; 4096];
    if let Some(mut pipe) = pipe {
        while let Ok(length @ 1..) = pipe.read(&mut bytes).await {
            kept.extend_from_slice(&bytes[..length]);
            let surplus = kept.len().saturating_sub(MOST_ERROR);
            kept.drain(..surplus);
        }
    }
    kept
}

fn read(reply: CommandReply, request: &ChatRequest) -> ChatReply {
    let calls = reply.tool_calls.into_iter().enumerate();
    let tool_calls: Vec<ToolCall> = calls
        .map(|(nth, call)| ToolCall {
            id: call.id.unwrap_or_else(|| request.call_id(nth)),
            name: call.name,
            arguments: if call.arguments.is_null() {
                Value::Object(Map::new())
            } else {
                call.arguments
            },
        })
        .collect();
    let usual = if tool_calls.is_empty() {
        Finish::Stop
    } else {
        Finish::ToolCalls
    };
    ChatReply {
        usage: reply.usage.unwrap_or_else(|| Usage {
            input: request.estimated_tokens(),
            output: (reply.text.len() as u64).div_ceil(3),
            estimated: true,
        }),
        finish: reply.finish.unwrap_or(usual),
        text: reply.text,
        tool_calls,
        cost: reply.cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
        compressed: None,
    }
}
