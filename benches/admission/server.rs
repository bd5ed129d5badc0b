//! The steadfeed that is measured: a process of its own on core 0, with one worker.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Outcome;
use super::support::process::{Output, Process};
use super::support::steadfeed::{address, is_ready, program};

/// From start to ready.
const READY: Duration = Duration::from_secs(10);

/// A running one, ended on drop.
#[derive(Debug)]
pub struct Server {
    process: Process,
    pub plain: SocketAddr,
    /// Wants a PROXY header first, of whoever is on the loopback.
    pub proxied: SocketAddr,
    pub admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one with a feed `bench` that is silent until published to, and with `config` beside it.
    pub fn start(config: &str) -> Outcome<Server> {
        let folder = tempfile::Builder::new().prefix("steadfeed-admission-").tempdir()?;
        let (file, log) = (folder.path().join("bench.toml"), folder.path().join("steadfeed.log"));
        std::fs::write(&file, format!("{BASE}{config}"))?;
        let program = program()?;
        let args = ["run", "--config", &file.to_string_lossy()];
        let mut process = Process::start(0, &program, &args, log.clone(), Output::Logged)?;
        let deadline = Instant::now() + READY;
        loop {
            // Its listeners, then admin.
            let said: Vec<_> = std::fs::read_to_string(&log)?.lines().filter_map(address).collect();
            if let [plain, proxied, admin] = said[..]
                && is_ready(admin)
            {
                return Ok(Server { process, plain, proxied, admin, _folder: folder });
            }
            if process.has_ended() || Instant::now() > deadline {
                return Err(format!("steadfeed did not start: {}", process.said()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }
}

/// Nothing is said to a viewer but what was published, so that to admit one costs least.
const BASE: &str = r#"workers = 1
trusted_proxies = ["127.0.0.1"]
[log]
access = false
[admin]
listen = "127.0.0.1:0"
[[listener]]
address = "127.0.0.1:0"
[[listener]]
address = "127.0.0.1:0"
proxy_protocol = true
[feed.bench]
source = { publish = {} }
shape = "raw"
greet = false
snapshot = "none"
keepalive = false
ping = false
notices = false
[[route]]
path = "/open"
feed = "bench"
"#;
