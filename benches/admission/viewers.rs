//! Viewers of a feed, and how long a message takes to each of them: from just before it is published to when it is read.
//!
//! They are a thread that goes before the rest of the load, so that what they wait for is steadfeed.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::Outcome;
use super::client::{OWN, upgrade};
use super::server::Server;
use super::support::measure::quantile;

/// Between two messages.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a message, all of them the same; with a header of four a frame.
const SIZE: usize = 200;
const FRAME: usize = SIZE + 4;

/// Seated viewers, who read until the process ends.
#[derive(Debug)]
pub struct Viewers {
    delays: Delays,
}

/// What was seen since it was last asked, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Delay {
    pub p50: f64,
    pub p99: f64,
    pub messages: usize,
}

/// Microseconds.
type Delays = Arc<Mutex<Vec<u32>>>;

impl Viewers {
    /// Seats so many, and begins to publish.
    pub fn seat(server: &Server, count: usize) -> Outcome<Viewers> {
        let delays = Delays::default();
        let (watched, admin, shared) = (server.plain, server.admin, Arc::clone(&delays));
        let (told, seated) = channel();
        std::thread::spawn(move || {
            go_first();
            let error = watch(watched, admin, count, &shared, &told).err();
            let _ = told.send(Err(error.map_or_else(String::new, |error| error.to_string())));
        });
        seated.recv_timeout(Duration::from_secs(20))??;
        Ok(Viewers { delays })
    }

    /// Forgets what was seen.
    pub fn forget(&self) {
        self.take();
    }

    /// What was seen since the last call.
    pub fn seen(&self) -> Delay {
        let mut delays = self.take();
        delays.sort_unstable();
        let ms = |share| quantile(&delays, share) / 1000.0;
        Delay { p50: ms(0.5), p99: ms(0.99), messages: delays.len() }
    }

    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.delays.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where it may not be, viewers and flood share their core as equals, and the figures are worse for it.
fn go_first() {
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let Some(id) = thread.as_deref().and_then(|path| path.file_name()?.to_str()) else { return };
    let is_real_time = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !is_real_time(Command::new("chrt").args(["--rr", "-p", "20", id])) {
        let _ = Command::new("renice").args(["-n", "-10", "-p", id]).output();
    }
}

fn watch(
    watched: SocketAddr,
    admin: SocketAddr,
    count: usize,
    delays: &Delays,
    told: &Sender<Result<(), String>>,
) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let start = Instant::now();
        for _ in 0..count {
            let stream = open(watched).await?;
            tokio::task::spawn_local(read(stream, start, Arc::clone(delays)));
        }
        told.send(Ok(()))?;
        publish(admin, start).await
    })
}

async fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(upgrade("/open", OWN).as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    if text.starts_with("HTTP/1.1 101") { Ok(stream) } else { Err(format!("a viewer was refused: {text}").into()) }
}

/// Ends when the socket does, and then no message is missing that was counted.
async fn read(mut stream: TcpStream, start: Instant, delays: Delays) {
    let mut frame = [0; FRAME];
    while stream.read_exact(&mut frame).await.is_ok() {
        let sent = std::str::from_utf8(&frame[4 + AT..4 + AT + DIGITS]).ok().and_then(|text| text.parse().ok());
        let delay = start.elapsed().saturating_sub(Duration::from_micros(sent.unwrap_or(0)));
        let micros = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        delays.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
    }
}

/// Where a message has the microsecond at which it was published.
const AT: usize = "{\"data\":\"".len();
const DIGITS: usize = 16;

fn message(micros: u128) -> String {
    let head = format!("{{\"data\":\"{micros:016}");
    format!("{head}{}\"}}", "x".repeat(SIZE - head.len() - 2))
}

/// Publishes a message each interval, for ever.
async fn publish(admin: SocketAddr, start: Instant) -> Outcome<()> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.set_nodelay(true)?;
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let text = message(start.elapsed().as_micros());
        let head = format!(
            "POST /api/feeds/bench HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\nContent-Length: {SIZE}\r\n\r\n"
        );
        stream.write_all(format!("{head}{text}").as_bytes()).await?;
        let mut reply = [0; 1024];
        let count = stream.read(&mut reply).await?;
        if !reply.starts_with(b"HTTP/1.1 200") {
            return Err(format!("not published: {}", String::from_utf8_lossy(&reply[..count])).into());
        }
    }
}
