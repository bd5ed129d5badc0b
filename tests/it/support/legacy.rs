//! The legacy backends of `tests/legacy` under a real uvicorn, and other people's clients, each in a process of its own.
//!
//! Owns: the processes, which end with it. Needs what `tests/run` installs in `target/venv` and `target/node`.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::time::Instant;

use super::{get, post_json, until, within};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn venv(program: &str) -> PathBuf {
    Path::new(ROOT).join("target/venv/bin").join(program)
}

/// One of the backends, always on the same port.
pub struct Legacy {
    app: &'static str,
    env: Vec<(&'static str, String)>,
    address: SocketAddr,
    process: Option<Child>,
}

impl Legacy {
    /// Starts `tests/legacy/APP.py`, told by these variables, and waits until it listens.
    pub async fn start(app: &'static str, env: &[(&'static str, &str)]) -> Legacy {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut legacy = Legacy { app, env, address: port, process: None };
        legacy.again().await;
        legacy
    }

    /// Starts it anew; gives when it was seen to listen.
    pub async fn again(&mut self) -> Instant {
        let uvicorn = venv("uvicorn");
        let process = Command::new(&uvicorn)
            .arg(format!("{}:app", self.app))
            .args(["--app-dir", "tests/legacy", "--log-level", "warning", "--port", &self.address.port().to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", uvicorn.display()));
        self.process = Some(process);
        until("the backend to listen", || async { tokio::net::TcpStream::connect(self.address).await.ok() }).await;
        Instant::now()
    }

    /// SIGKILL: no close frame, no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it is our child");
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many sockets of this kind are `open`, or were ever `opened`.
    pub async fn sockets(&self, kind: &str, which: &str) -> u64 {
        let told: Value = get(self.address, "/debug/sockets", &[]).await.json();
        told[kind][which].as_u64().unwrap_or_else(|| panic!("{kind} {which}: {told}"))
    }

    /// POSTs to it, past steadfeed.
    pub async fn tell(&self, path: &str, body: &str) -> Value {
        let reply = post_json(self.address, path, body).await;
        assert_eq!(reply.status, 200, "{path}");
        reply.json()
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself, which its test has seen.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A client that prints what it gets.
pub struct Client {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Client {
    /// Python's `websockets`.
    pub fn python(url: &str) -> Client {
        Client::run(Command::new(venv("python")).arg("tests/legacy/clients/client.py").arg(url))
    }

    /// Node's `ws`.
    pub fn node(url: &str) -> Client {
        Client::run(Command::new("node").arg("tests/legacy/clients/client.mjs").arg(url))
    }

    fn run(command: &mut Command) -> Client {
        let piped = command.current_dir(ROOT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                into.lock().expect("no other panicked").push(line);
            }
        });
        Client { process, lines }
    }

    /// All it got so far.
    pub fn messages(&self) -> Vec<Value> {
        let lines = self.lines.lock().expect("no other panicked");
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("the client said: {line}")))
            .collect()
    }

    /// The first message that fits, past or to come.
    pub async fn message(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || async { self.messages().into_iter().find(|message| fits(message)) }).await
    }

    /// Tells it to leave; it must have been connected until then.
    pub async fn leave(mut self) {
        drop(self.process.stdin.take());
        let status =
            until("the client to leave", || std::future::ready(self.process.try_wait().expect("our child"))).await;
        assert!(status.success(), "{:?}", self.lines.lock().expect("no other panicked").last());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for `future`, and fails the test if that took until 2 s after `from`.
pub async fn in_2_s<T>(what: &str, from: Instant, future: impl Future<Output = T>) -> T {
    let outcome = within(what, future).await;
    let took = from.elapsed();
    assert!(took.as_secs_f64() < 2.0, "{what}: {took:?}");
    outcome
}
