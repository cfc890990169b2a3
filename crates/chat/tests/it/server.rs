//! A server for tests. It is written on bare sockets, as most of what it does no server library would do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The first line and the headers.
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status with headers and a body.
    Body(u16, Vec<(&'static str, String)>, String),
    /// The first bytes of a longer body, then the connection ends.
    Cut(String),
    /// Events, with a proper end of the connection.
    Events(Vec<String>),
    /// Events, then the connection ends in the middle of a chunk.
    CutEvents(Vec<String>),
    /// Events, then nothing more until the client leaves.
    StuckEvents(Vec<String>),
    /// Nothing until the client leaves.
    Hang,
    /// A body without an end.
    Huge,
}

pub(crate) fn json(value: &Value) -> Answer {
    status(200, &[], value)
}

pub(crate) fn status(status: u16, headers: &[(&'static str, &str)], value: &Value) -> Answer {
    let mut headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    headers.push(("content-type", "application/json".to_owned()));
    Answer::Body(status, headers, value.to_string())
}

pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<AtomicUsize>,
}

impl Server {
    /// Answers the n-th request with `answer(n, request)`.
    pub(crate) fn start(answer: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            left: Arc::default(),
        };
        let (seen, left, answer) = (server.seen.clone(), server.left.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, left, answer) = (seen.clone(), left.clone(), answer.clone());
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let nth = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    write(stream, &answer(nth, &request), &left);
                });
            }
        });
        server
    }

    /// Answers one request after the other; the last answer stands for all further ones.
    pub(crate) fn script(answers: Vec<Answer>) -> Self {
        Self::start(move |nth, _| answers[nth.min(answers.len() - 1)].clone())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until that many clients have closed a connection that the server kept open.
    pub(crate) fn wait_left(&self, clients: usize) {
        while self.left.load(Ordering::SeqCst) < clients {
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn spec(&self, dialect: &str) -> String {
        format!("{dialect}:tester@{}/v1", self.url)
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Seen { head, body })
}

/// Failures to write are the client's leaving, which some tests are about.
fn write(mut stream: TcpStream, answer: &Answer, left: &AtomicUsize) {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    match answer {
        Answer::Body(status, headers, body) => {
            let lines: String = headers.iter().fold(String::new(), |lines, (name, value)| {
                lines + name + ": " + value + "\r\n"
            });
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nconnection: close\r\n{lines}content-length: {length}\r\n\r\n{body}"
            );
        }
        Answer::Cut(body) => {
            let length = body.len() + 100;
            let _ = write!(
                stream,
                "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
        Answer::Events(events) => {
            events_head(&mut stream, head, events);
            let _ = stream.write_all(b"0\r\n\r\n");
        }
        Answer::CutEvents(events) => {
            events_head(&mut stream, head, events);
            let _ = stream.write_all(b"1000\r\ndata: {\"cho");
        }
        Answer::StuckEvents(events) => {
            events_head(&mut stream, head, events);
            wait_for_end(stream, left);
        }
        Answer::Hang => wait_for_end(stream, left),
        Answer::Huge => {
            let _ = write!(stream, "{head}content-type: application/json\r\n\r\n\"");
            let block = [b'x'; 1 << 12];
            while stream.write_all(&block).is_ok() {}
        }
    }
}

fn events_head(stream: &mut TcpStream, head: &str, events: &[String]) {
    let _ = write!(
        stream,
        "{head}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for event in events {
        let event = format!("data: {event}\n\n");
        let _ = write!(stream, "{:x}\r\n{event}\r\n", event.len());
    }
}

fn wait_for_end(mut stream: TcpStream, left: &AtomicUsize) {
    let mut bytes = [0; 64];
    while matches!(stream.read(&mut bytes), Ok(length) if length > 0) {}
    left.fetch_add(1, Ordering::SeqCst);
}
