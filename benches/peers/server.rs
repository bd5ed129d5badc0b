//! The proxies measured: each started on core 0 with a configuration of its own, ready once it answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::process::{Output, Process};
use super::support::steadfeed::program;
use super::{Outcome, config, install};

/// From start to the first answer.
const READY: Duration = Duration::from_secs(10);
/// Starts, where another process took a port that was free.
const TRIES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Nginx,
    Haproxy,
    Steadfeed,
}

/// Who is compared, with where each one's program is.
#[derive(Debug)]
pub struct Program {
    pub peer: Peer,
    pub path: PathBuf,
}

/// Where a proxy listens, on the loopback.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub plain: u16,
    pub tls: u16,
}

/// A proxy that answers.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub ports: Ports,
}

/// What became of a start.
enum Started {
    Answering(Server),
    /// With what it said last.
    Ended(String),
}

impl Peer {
    pub const ALL: [Peer; 3] = [Peer::Nginx, Peer::Haproxy, Peer::Steadfeed];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Nginx => "nginx",
            Peer::Haproxy => "HAProxy",
            Peer::Steadfeed => "steadfeed",
        }
    }

    fn config(self, folder: &Path, ports: Ports, backend: u16) -> String {
        match self {
            Peer::Nginx => config::nginx(folder, ports, backend),
            Peer::Haproxy => config::haproxy(folder, ports, backend),
            Peer::Steadfeed => config::steadfeed(folder, ports, backend),
        }
    }
}

impl Program {
    pub fn find(peer: Peer) -> Outcome<Program> {
        let path = match peer {
            Peer::Nginx => install::program("nginx")?,
            Peer::Haproxy => install::program("haproxy")?,
            Peer::Steadfeed => program()?,
        };
        Ok(Program { peer, path })
    }

    /// Name and version as it tells them.
    pub fn version(&self) -> String {
        let option = if self.peer == Peer::Steadfeed { "--version" } else { "-v" };
        let Ok(output) = Command::new(&self.path).arg(option).output() else { return self.peer.name().to_owned() };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let numbered =
            |word: &&str| word.trim_start_matches("nginx/").starts_with(|first: char| first.is_ascii_digit());
        let number = text.split_whitespace().find(numbered).unwrap_or_default();
        format!("{} {}", self.peer.name(), number.trim_start_matches("nginx/"))
    }

    /// Starts it in `folder`, before the backend at that port, and waits until it answers a request for `path`.
    pub fn start(&self, folder: &Path, backend: u16, path: &str) -> Outcome<Server> {
        let mut tries = 1;
        loop {
            let server = self.launch(folder, backend)?;
            match server.answers(path)? {
                Started::Answering(server) => return Ok(server),
                Started::Ended(said) if tries == TRIES => return Err(format!("ended at once: {said}").into()),
                Started::Ended(_) => tries += 1,
            }
        }
    }

    fn launch(&self, folder: &Path, backend: u16) -> Outcome<Server> {
        let ports = Ports::free()?;
        let name = self.peer.name();
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, self.peer.config(folder, ports, backend))?;
        let file = file.to_string_lossy();
        let log = folder.join(format!("{name}.log"));
        let log_text = log.to_string_lossy().into_owned();
        let args: &[&str] = match self.peer {
            Peer::Nginx => &["-e", &log_text, "-c", &file],
            Peer::Haproxy => &["-db", "-f", &file],
            Peer::Steadfeed => &["run", "--config", &file],
        };
        let process = Process::start(0, &self.path, args, log.clone(), Output::Logged)?;
        Ok(Server { process, ports })
    }
}

impl Ports {
    fn free() -> Outcome<Ports> {
        let sockets = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        Ok(Ports { plain: sockets[0].local_addr()?.port(), tls: sockets[1].local_addr()?.port() })
    }
}

impl Server {
    pub fn address(&self, tls: bool) -> SocketAddr {
        let port = if tls { self.ports.tls } else { self.ports.plain };
        (Ipv4Addr::LOCALHOST, port).into()
    }

    fn answers(mut self, path: &str) -> Outcome<Started> {
        let deadline = Instant::now() + READY;
        let mut reply = String::new();
        while Instant::now() < deadline {
            if self.process.has_ended() {
                return Ok(Started::Ended(self.process.said()));
            }
            reply = ask(self.address(false), path).unwrap_or_default();
            if reply.starts_with("HTTP/1.1 200 ") {
                return Ok(Started::Answering(self));
            }
            // Others may mean that it has not found the backend yet.
            if reply.starts_with("HTTP/1.1 4") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no 200 for {path}: {reply:?} {}", self.process.said()).into())
    }
}

/// The first part of an answer, its head.
fn ask(address: SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READY))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 300];
    let count = stream.read(&mut head)?;
    Ok(String::from_utf8_lossy(head.get(..count).unwrap_or_default()).into_owned())
}
