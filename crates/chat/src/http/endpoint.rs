//! A request on its way to a server and back.

use std::error::Error as _;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::draft::Draft;
use super::events::Events;
use super::status;
use crate::backends::{Backend, Failure, Opening};
use crate::control::Control;
use crate::error::ChatError;
use crate::message::{ChatReply, ChatRequest};
use crate::runtime;
use crate::secrets::Secrets;

/// The longest reply; there is no model that writes as much.
const MOST: usize = 16 << 20;
/// As much of an error's body is read.
const MOST_ERROR: usize = 64 << 10;

/// How requests and replies are written.
pub(crate) trait Dialect: Send + Sync {
    /// The body of a request.
    fn body(&self, request: &ChatRequest, stream: bool) -> Value;
    /// Reads a whole reply.
    fn reply(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault>;
    /// Reads an event of a stream.
    fn event(&self, value: &Value, draft: &mut Draft) -> Result<(), Fault>;
}

/// What went wrong, in the server's words: they get into an error only through [`Secrets::brief`].
#[derive(Debug)]
pub(crate) enum Fault {
    Again(String, Option<Duration>),
    Refused(String),
    Unreadable(String),
}

/// A model behind a URL.
pub(crate) struct Endpoint<D> {
    dialect: D,
    name: String,
    url: Url,
    headers: HeaderMap,
    client: Client,
    stream: bool,
    limit: Duration,
    idle: Duration,
    secrets: Secrets,
}

/// A header that no log shows.
pub(crate) fn secret(opening: &Opening<'_>, value: &str) -> Result<HeaderValue, ChatError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| opening.wrong("its key has characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(url: &Url) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        // Redirects would take keys along.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(30))
        .user_agent(concat!("whittle/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // No need for the system's certificates, which small containers do not have.
        builder = builder.tls_certs_only([]);
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if local {
        builder = builder.no_proxy();
    }
    builder.build()
}

impl<D: Dialect> Endpoint<D> {
    pub(crate) fn new(
        opening: &Opening<'_>,
        dialect: D,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Self, ChatError> {
        let client = client(&url).map_err(|error| opening.wrong(words(error)))?;
        Ok(Self {
            dialect,
            name: opening.spec.to_owned(),
            url,
            headers,
            client,
            stream: opening.options.stream,
            limit: opening.options.limit,
            idle: opening.options.idle,
            secrets: opening.secrets.clone(),
        })
    }

    async fn exchange(&self, request: &ChatRequest) -> Result<Draft, Fault> {
        let body = self.dialect.body(request, self.stream).to_string();
        let sending = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone());
        let sending = sending
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let response = self.awake(sending).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            self.read_stream(response).await
        } else {
            self.read_whole(response).await
        }
    }

    /// Waits for the network; in a stream not longer than its longest silence.
    async fn awake<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> Result<T, Fault> {
        let result = if self.stream {
            let silent = |_| Fault::Again(format!("silent for {} s", self.idle.as_secs()), None);
            tokio::time::timeout(self.idle, work)
                .await
                .map_err(silent)?
        } else {
            work.await
        };
        result.map_err(|error| Fault::Again(words(error), None))
    }

    async fn refused(&self, mut response: Response) -> Fault {
        let mut body = Vec::new();
        while body.len() < MOST_ERROR
            && let Ok(Some(bytes)) = self.awake(response.chunk()).await
        {
            body.extend_from_slice(&bytes[..bytes.len().min(MOST_ERROR - body.len())]);
        }
        status::refused(response.status(), response.headers(), &body)
    }

    async fn read_whole(&self, mut response: Response) -> Result<Draft, Fault> {
        let mut body = Vec::new();
        while let Some(bytes) = self.awake(response.chunk()).await? {
            body.extend_from_slice(&bytes);
            bounded(body.len())?;
        }
        self.whole(&parse(&body)?)
    }

    fn whole(&self, value: &Value) -> Result<Draft, Fault> {
        status::error_in_body(value)?;
        let mut draft = Draft::default();
        self.dialect.reply(value, &mut draft)?;
        Ok(draft)
    }

    async fn read_stream(&self, mut response: Response) -> Result<Draft, Fault> {
        let mut draft = Draft::default();
        let mut events = Events::default();
        let mut body = Vec::new();
        while !draft.complete
            && let Some(bytes) = self.awake(response.chunk()).await?
        {
            body.extend_from_slice(&bytes);
            bounded(body.len())?;
            events.push(&bytes, |data| {
                if data == b"[DONE]" {
                    draft.complete = true;
                    return Ok(());
                }
                let value = parse(data)?;
                status::error_in_body(&value)?;
                self.dialect.event(&value, &mut draft)
            })?;
        }
        if draft.is_whole() {
            return Ok(draft);
        }
        // Some servers announce a stream and give the whole reply.
        if let Ok(value) = serde_json::from_slice(&body) {
            return self.whole(&value);
        }
        let why = "the stream ended before the reply did";
        Err(Fault::Again(why.to_owned(), None))
    }

    fn failure(&self, fault: Fault) -> Failure {
        let model = self.name.clone();
        match fault {
            Fault::Again(why, after) => Failure::Retry {
                why: self.secrets.brief(&why),
                after,
            },
            Fault::Refused(why) => {
                let why = self.secrets.brief(&why);
                ChatError::Rejected { model, why }.into()
            }
            Fault::Unreadable(why) => {
                let why = self.secrets.brief(&why);
                ChatError::Malformed { model, why }.into()
            }
        }
    }
}

impl<D: Dialect> Backend for Endpoint<D> {
    fn ask(&self, request: &ChatRequest, control: &Control) -> Result<ChatReply, Failure> {
        let work = async {
            self.exchange(request)
                .await
                .map_err(|fault| self.failure(fault))
        };
        let draft = runtime::run(&self.name, control, self.limit, work)?;
        Ok(draft.into_reply(request))
    }
}

fn bounded(length: usize) -> Result<(), Fault> {
    if length > MOST {
        return Err(Fault::Unreadable(format!(
            "it is longer than {} MiB",
            MOST >> 20
        )));
    }
    Ok(())
}

fn parse(text: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(text).map_err(|error| {
        let begin = String::from_utf8_lossy(&text[..text.len().min(2048)]);
        Fault::Unreadable(format!("{error} in {begin}"))
    })
}

/// An error with its causes, without the URL, which the model's name has already.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
