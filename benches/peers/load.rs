//! The load: a process of its own that opens a row's sockets, keeps them busy, and reads the proxy's accounts at both ends.
//!
//! It prints one line, its [`Figures`]. Each answer is looked at; the first wrong one ends it with an error.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsConnector;

use super::rows::{Row, Work, named};
use super::support::measure::{Cpu, memory, memory_at_rest, quantile, size};
use super::support::wait::wait_for;
use super::tally::Tally;
use super::{Outcome, http1, http2, tls, websocket};

/// Sockets that are being opened at once.
const OPENING: usize = 64;
/// At full load before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// For what an idle proxy's sockets cost.
const IDLE: Duration = Duration::from_secs(1);

/// What one run says of one proxy.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// CPU time of the proxy's processes, microseconds a unit.
    pub cpu: f64,
    pub units_a_second: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// The share of one core that the proxy used.
    pub busy: f64,
    /// The share of the time in which a thread of it was ready, but another had the core.
    pub waited: f64,
    /// KiB of the proxy's processes over what they held before, a socket.
    pub memory: f64,
}

impl Figures {
    /// As the load prints them.
    fn line(&self) -> String {
        let Figures { cpu, units_a_second, p50, p99, busy, waited, memory } = self;
        format!("{cpu} {units_a_second} {p50} {p99} {busy} {waited} {memory}")
    }

    /// Reads what [`Figures::line`] wrote.
    pub fn parse(line: &str) -> Option<Figures> {
        let numbers: Vec<f64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [cpu, units_a_second, p50, p99, busy, waited, memory] = numbers[..] else { return None };
        Some(Figures { cpu, units_a_second, p50, p99, busy, waited, memory })
    }
}

pub trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}
/// A connection to the proxy, plain or TLS.
pub type Stream = Box<dyn Io>;

/// How to get to the proxy.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Door {
    pub async fn open(&self) -> Outcome<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(connector) = &self.tls else { return Ok(Box::new(stream)) };
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let wanted = connector.config().alpn_protocols.first();
        if stream.get_ref().1.alpn_protocol() != wanted.map(Vec::as_slice) {
            return Err("another protocol was chosen (ALPN)".into());
        }
        Ok(Box::new(stream))
    }
}

/// Runs the row against the proxy at `address`, whose processes are `pids`.
pub fn run(row: &str, address: &str, folder: &str, pids: &[&str]) -> Outcome<()> {
    let row = named(row).ok_or("no such row")?;
    let protocol = if matches!(row.work, Work::Http2(_)) { "h2" } else { "http/1.1" };
    let tls = if row.tls { Some(tls::connector(Path::new(folder), protocol)?) } else { None };
    let door = Door { address: address.parse()?, tls };
    let pids = pids.iter().map(|pid| pid.parse()).collect::<Result<Vec<u32>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = LocalSet::new().block_on(&runtime, drive(row, door, &pids))?;
    println!("{}", figures.line());
    // Thousands of sockets are closed faster by ending than one by one.
    std::process::exit(0);
}

/// All sockets, until they are measured or one fails.
async fn drive(row: &'static Row, door: Door, pids: &[u32]) -> Outcome<Figures> {
    let base = memory(pids)?;
    let tally = Rc::new(Tally::default());
    let opening = Rc::new(Semaphore::new(OPENING));
    let mut sockets = JoinSet::new();
    for _ in 0..row.sockets {
        let (door, tally, opening) = (door.clone(), Rc::clone(&tally), Rc::clone(&opening));
        sockets.spawn_local(async move {
            // Nothing but an error ends a socket.
            match one(row, &door, &tally, &opening).await {
                Ok(never) => match never {},
                Err(error) => error.to_string(),
            }
        });
    }
    tokio::select! {
        Some(failure) = sockets.join_next() => Err(failure?.into()),
        figures = measure(row, &tally, pids, base) => figures,
    }
}

async fn one(row: &Row, door: &Door, tally: &Tally, opening: &Semaphore) -> Outcome<Infallible> {
    if row.work == Work::Upgrade {
        return websocket::come_and_go(door, tally).await;
    }
    let permit = opening.acquire().await?;
    let stream = door.open().await?;
    drop(permit);
    match row.work {
        Work::Http1(answer) => http1::repeat(stream, answer, tally).await,
        Work::Http2(answer) => http2::repeat(stream, answer, tally).await,
        Work::Echo => websocket::repeat(stream, tally).await,
        Work::Upgrade | Work::Idle => websocket::be_idle(stream, tally).await,
    }
}

async fn measure(row: &Row, tally: &Tally, pids: &[u32], base: f64) -> Outcome<Figures> {
    wait_for("all to be seated", || tally.seated() == row.sockets).await?;
    if row.work == Work::Idle {
        return rest(row, tally, pids, base).await;
    }
    tokio::time::sleep(WARM_UP).await;
    let duration = Duration::from_secs(size("SECONDS", 3)? as u64);
    let (before, began) = (Cpu::read(pids)?, Instant::now());
    tally.start();
    tokio::time::sleep(duration).await;
    let mut times = tally.stop();
    let (after, took) = (Cpu::read(pids)?, began.elapsed().as_secs_f64());
    let used = after.used_since(&before);
    if times.is_empty() {
        return Err(format!("nothing was done in {} s", duration.as_secs()).into());
    }
    times.sort_unstable();
    let units = times.len() as f64;
    let memory = if row.work == Work::Upgrade { f64::NAN } else { memory(pids)? - base };
    Ok(Figures {
        cpu: used.as_secs_f64() * 1e6 / units,
        units_a_second: units / took,
        p50: quantile(&times, 0.5) / 1000.0,
        p99: quantile(&times, 0.99) / 1000.0,
        busy: used.as_secs_f64() / took,
        waited: after.waited_since(&before).as_secs_f64() / took,
        memory: memory / row.sockets as f64,
    })
}

/// The memory of a proxy whose sockets are silent, once it stands still; then each must still work.
async fn rest(row: &Row, tally: &Tally, pids: &[u32], base: f64) -> Outcome<Figures> {
    let held = memory_at_rest(pids).await?;
    let before = Cpu::read(pids)?;
    tokio::time::sleep(IDLE).await;
    let (after, took) = (Cpu::read(pids)?, IDLE.as_secs_f64());
    let busy = after.used_since(&before).as_secs_f64() / took;
    let waited = after.waited_since(&before).as_secs_f64() / took;
    tally.start();
    tally.wake.notify_waiters();
    wait_for("idle sockets to answer", || tally.count() == row.sockets).await?;
    let none = f64::NAN;
    let memory = (held - base) / row.sockets as f64;
    Ok(Figures { cpu: none, units_a_second: none, p50: none, p99: none, busy, waited, memory })
}
