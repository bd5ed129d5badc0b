//! The servers measured: steadfeed itself and the floor, each a process on core 0.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::steadfeed::{address, is_ready};

/// Between two messages.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a message as viewers get it.
const SIZE: usize = 200;

/// A running server, killed on drop.
pub struct Server {
    child: Child,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    admin: SocketAddr,
    _out: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
    pub ready: Duration,
}

/// The floor's process, killed on drop.
pub struct Floor {
    child: Child,
    pub address: SocketAddr,
    out: BufReader<ChildStdout>,
}

/// A message of [`SIZE`] bytes, as the raw shape sends it; its number is its first member.
pub fn message(number: u64) -> String {
    let head = format!("{{\"n\":\"{number:010}\",\"type\":\"bench\",\"data\":\"");
    let fill = "x".repeat(SIZE - head.len() - 2);
    format!("{head}{fill}\"}}")
}

impl Server {
    /// Starts steadfeed with one worker, a feed to publish to, plain and TLS listeners.
    pub fn start(delivery: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        // The certificate is made before the clock runs, as on every start but the first.
        let (mut first, ..) = Server::launch(&folder, delivery);
        first.kill().unwrap();
        first.wait().unwrap();
        Server::assemble(folder, delivery)
    }

    fn launch(
        folder: &tempfile::TempDir,
        delivery: &str,
    ) -> (Child, BufReader<ChildStdout>, Vec<SocketAddr>, Duration) {
        let config = folder.path().join("bench.toml");
        std::fs::write(&config, config_text(delivery)).unwrap();
        let began = Instant::now();
        let mut child = on_core_0(env!("CARGO_BIN_EXE_steadfeed"))
            .args(["run", "--config"])
            .arg(&config)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut addresses = Vec::new();
        let mut line = String::new();
        while addresses.len() < 3 {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "steadfeed ended before it listened");
            addresses.extend(address(&line));
        }
        while !is_ready(addresses[2]) {}
        (child, out, addresses, began.elapsed())
    }

    fn assemble(folder: tempfile::TempDir, delivery: &str) -> Server {
        let (child, out, addresses, ready) = Server::launch(&folder, delivery);
        let (plain, tls, admin) = (addresses[0], addresses[1], addresses[2]);
        Server { child, plain, tls, admin, _out: out, _folder: folder, ready }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Publishes message `number`, over a connection that is kept.
    pub fn publisher(&self) -> impl FnMut(&str) + use<> {
        let admin = self.admin;
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_nodelay(true).unwrap();
        move |text| {
            let head = format!(
                "POST /api/feeds/bench HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                text.len()
            );
            stream.write_all(format!("{head}{text}").as_bytes()).unwrap();
            let mut reply = [0; 1024];
            let count = stream.read(&mut reply).unwrap();
            assert!(reply[..count].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply[..count]));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Floor {
    pub fn start(kind: &str, viewers: usize) -> Floor {
        let this = std::env::current_exe().unwrap();
        let mut child = on_core_0(this.to_str().unwrap())
            .args(["--floor", kind, &viewers.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let address = next_line(&mut out).parse().unwrap();
        Floor { child, address, out }
    }

    /// Waits until all viewers are in.
    pub fn seated(&mut self) {
        assert_eq!(next_line(&mut self.out), "seated");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_core_0(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", program]);
    command
}

fn next_line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn config_text(delivery: &str) -> String {
    format!(
        r#"workers = 1
[log]
access = false
[admin]
listen = "127.0.0.1:0"
[[listener]]
address = "127.0.0.1:0"
websocket_h2 = true
[[listener]]
address = "127.0.0.1:0"
websocket_h2 = true
[listener.tls]
self_signed = ["localhost"]
[feed.bench]
source = {{ publish = {{}} }}
{delivery}
[[route]]
path = "/feed"
feed = "bench"
[[route]]
path = "/small"
respond = {{ status = 200, body = "small" }}
"#
    )
}
