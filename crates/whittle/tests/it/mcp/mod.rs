//! `whittle mcp`, spoken to as a client speaks to it: lines of JSON on standard input and output.
#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments are written down where they are passed"
)]

mod ending;
mod protocol;
mod python;
mod refusals;
mod search;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::whittle;

/// Counts bits one by one. What the third number is does not matter; it marks tests.
const PROGRAM: &str = "\
#include <stdio.h>
static unsigned values[4096];
static unsigned ones(unsigned bits) {
    unsigned count = 0;
    for (; bits; bits >>= 1)
        count += bits & 1;
    return count;
}
int main(void) {
    int rounds, n;
    long mark;
    if (scanf(\"%d %d %ld\", &rounds, &n, &mark) != 3 || rounds < 0 || rounds > 5000 || n < 0 || n > 4096) {
        puts(\"bad input\");
        return 1;
    }
    for (int i = 0; i < n; i++)
        values[i] = (unsigned)i * 2654435761u;
    unsigned sum = 0;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            sum += ones(values[i] + (unsigned)r);
    printf(\"%ld %u\\n\", mark, sum);
    return 0;
}
";

/// Tests: name, and input with a mark that is nowhere else.
const TESTS: [(&str, &str); 9] = [
    ("a", "1 5 81930274\n"),
    ("b", "0 0 62748159\n"),
    ("c", "3 100 95027463\n"),
    ("d", "9 9 48160397\n"),
    ("e", "2 77 73916428\n"),
    ("f", "5 31 29583706\n"),
    ("g", "4 600 50741982\n"),
    ("h", "700 1000 36285910\n"),
    ("i", "400 1700 17493865\n"),
];

/// The right idea.
const RIGHT: &str = "\
<<<<<<< SEARCH
    unsigned count = 0;
    for (; bits; bits >>= 1)
        count += bits & 1;
    return count;
=======
    return (unsigned)__builtin_popcount(bits);
>>>>>>> REPLACE
";

/// A folder with the program and its tests, and a place for stores and results.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(place.path("work/tests")).unwrap();
        place.write("work/bits.c", PROGRAM);
        for (name, input) in TESTS {
            place.write(&format!("work/tests/{name}.in"), input);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A command with this folder's stores, in its folder `work`.
    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = whittle(arguments);
        command
            .current_dir(self.path("work"))
            .env("HOME", self.folder.path())
            .env("WHITTLE_STORE", self.path("runs.sqlite"))
            // What one test has built, the next need not.
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            );
        for name in ["WHITTLE_LLVM_PREFIX", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    /// A server that waits for its client to begin.
    fn start(&self, arguments: &[&str]) -> Client {
        let out = self.path("out");
        let template =
            self.command(&[&["mcp", "--out", out.to_str().unwrap()], arguments].concat());
        let mut command = Command::new(template.get_program());
        command
            .args(template.get_args())
            .current_dir(self.path("work"));
        for (name, value) in template.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Client::new(command, self.path("log"))
    }

    /// A server with which a client agreed on a version.
    fn connect(&self, arguments: &[&str]) -> Client {
        let mut client = self.start(arguments);
        client.initialize();
        client
    }

    /// What the server said on standard error.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// The client's end.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Every byte that the server wrote.
    transcript: String,
    /// Notifications, as they came.
    notifications: Vec<Value>,
    last: u64,
}

impl Client {
    fn new(mut command: Command, log: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                // Whoever does not listen any more has seen enough.
                let _ = sender.send(line.unwrap());
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            transcript: String::new(),
            notifications: Vec::new(),
            last: 0,
        }
    }

    fn initialize(&mut self) -> Value {
        let answer = self.request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}
            }),
        );
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        answer["result"].clone()
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends a request; answers its number.
    fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.last += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": parameters});
        self.write(&request.to_string());
        self.last
    }

    /// Sends a request; answers the response to it.
    fn request(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters);
        self.response(id)
    }

    /// The response to a request; what comes before it is kept.
    fn response(&mut self, id: u64) -> Value {
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap();
            writeln!(self.transcript, "{line}").unwrap();
            // Nothing but MCP may stand on standard output.
            let message: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if message["id"] == id {
                return message;
            }
            assert!(message["method"].is_string(), "{line}");
            self.notifications.push(message);
        }
    }

    /// Calls a tool; its text, or what was wrong.
    fn call(&mut self, tool: &str, arguments: Value) -> Result<String, String> {
        let response = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        read(&response)
    }

    /// Opens the program with its tests.
    fn open(&mut self, budget_seconds: u32) -> String {
        let arguments =
            json!({"paths": ["bits.c"], "tests": "tests", "budget_seconds": budget_seconds});
        self.call("open_program", arguments).unwrap()
    }

    /// Submits an edit of the original in source.
    fn submit(&mut self, edit: &str, change: &str) -> Result<String, String> {
        self.call(
            "submit_candidate",
            json!({"candidate": 0, "level": "source", "edit": edit, "change": change}),
        )
    }

    /// Hangs up; waits for the server's end. Its exit code.
    fn hang_up(mut self) -> Option<i32> {
        self.input = None;
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server goes on and on");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a tool's result, or of its error.
fn read(response: &Value) -> Result<String, String> {
    let result = &response["result"];
    let text = result["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("{response}")).to_owned();
    if result["isError"] == true {
        Err(text)
    } else {
        Ok(text)
    }
}

/// The number in "Candidate #7: ...".
fn number(answer: &str) -> u32 {
    let number = answer
        .strip_prefix("Candidate #")
        .and_then(|rest| rest.split_once(':'));
    number
        .unwrap_or_else(|| panic!("{answer}"))
        .0
        .parse()
        .unwrap()
}
