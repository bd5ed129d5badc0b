//! What is started: steadfeed on core 0 with a configuration, and a real uvicorn on core 1.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use super::Outcome;
use super::support::process::{Output, Process};
use super::support::steadfeed::{get, program};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// From start to the first answer.
const READY: Duration = Duration::from_secs(20);

/// A process that answers at an address.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

/// steadfeed with one worker; `rest` is its feeds, upstreams and routes.
pub async fn steadfeed(folder: &Path, rest: &str) -> Outcome<Server> {
    let address = free()?;
    let config = folder.join("steadfeed.toml");
    let text = format!(
        "workers = 1\n[log]\naccess = false\n[admin]\nlisten = \"off\"\n[[listener]]\naddress = \"{address}\"\n\
         [[route]]\npath = \"/health\"\nrespond = {{ status = 200, body = \"ok\" }}\n{rest}"
    );
    std::fs::write(&config, text)?;
    with_config(folder, &config, &[], address).await
}

/// steadfeed with this configuration, told these variables, which make it listen at `address`.
pub async fn with_config(folder: &Path, config: &Path, variables: &[String], address: SocketAddr) -> Outcome<Server> {
    let program = program()?;
    let (program, config) = (program.to_string_lossy(), config.to_string_lossy());
    let mut args: Vec<&str> = variables.iter().map(String::as_str).collect();
    args.extend([&*program, "run", "--config", &*config]);
    let process = Process::start(0, Path::new("env"), &args, folder.join("steadfeed.log"), Output::Logged)?;
    Server { process, address }.ready().await
}

/// The backend in `tests/legacy/APP.py`, as it is.
pub async fn uvicorn(folder: &Path, app: &str) -> Outcome<Server> {
    let python = Path::new(ROOT).join("target/venv/bin/python");
    if !python.exists() {
        return Err(format!("{} is missing; tests/run installs it", python.display()).into());
    }
    let address = free()?;
    let (port, place) = (address.port().to_string(), Path::new(ROOT).join("tests/legacy"));
    let (module, place) = (format!("{app}:app"), place.to_string_lossy());
    let args = ["-B", "-m", "uvicorn", &module, "--app-dir", &place, "--log-level", "warning", "--port", &port];
    let process = Process::start(1, &python, &args, folder.join("uvicorn.log"), Output::Logged)?;
    Server { process, address }.ready().await
}

/// A port of the loopback that was free just now.
pub fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// Waits until it answers.
    async fn ready(mut self) -> Outcome<Server> {
        let deadline = Instant::now() + READY;
        let mut reply = String::new();
        while Instant::now() < deadline {
            if self.process.has_ended() {
                return Err(format!("ended at once: {}", self.process.said()).into());
            }
            let address = self.address;
            // Whoever answers may ask a backend that is served on this thread.
            reply = tokio::task::spawn_blocking(move || get(address, "/health").unwrap_or_default()).await?;
            if reply.starts_with("HTTP/1.1 200 ") {
                return Ok(self);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("no 200 for /health: {reply:?} {}", self.process.said()).into())
    }
}
