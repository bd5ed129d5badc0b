//! `restart`: the backend is killed under five thousand viewers, and comes back.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Outcome;
use super::report::Finding;
use super::server::{free, steadfeed};
use super::support::measure::{Cpu, median, size};
use super::support::process::{Output, Process};
use super::support::steadfeed::get;
use super::support::wait::wait_for;
use super::viewers::{Crowd, Reader};

const ROW: &str = "restart";
/// Between the backend's end and its next start.
const GONE: Duration = Duration::from_secs(1);
/// Once all are live again.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What one restart was like.
struct Restart {
    closed: u64,
    told_stale: u64,
    accepts: u64,
    live_again: f64,
    cpu: f64,
}

/// What the viewers have of each start of the backend.
#[derive(Default)]
struct Seen {
    /// The start that the newest message of each is of.
    boots: RefCell<Vec<u8>>,
    /// Those whose newest is of the second.
    fresh: Cell<usize>,
    stale: Cell<u64>,
}

impl Seen {
    fn read(&self, viewer: usize, text: &[u8]) {
        let holds = |what: &[u8]| text.windows(what.len()).any(|window| window == what);
        if holds(b"\"upstream\":\"stale\"") {
            self.stale.set(self.stale.get() + 1);
        }
        let boot = if holds(b"\"boot\":1,") { 1 } else { u8::from(holds(b"\"boot\":2,")) * 2 };
        let mut boots = self.boots.borrow_mut();
        if boot == 2 && boots[viewer] != 2 {
            self.fresh.set(self.fresh.get() + 1);
        }
        boots[viewer] = boots[viewer].max(boot);
    }
}

pub async fn run(folder: &Path) -> Outcome<Vec<Finding>> {
    let (viewers, rounds) = (size("VIEWERS", 5000)?, size("ROUNDS", 5)?);
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(once(folder, viewers).await?);
    }
    let of = |figure: fn(&Restart) -> f64| all.iter().map(figure);
    let worst = |figure: fn(&Restart) -> f64| of(figure).fold(f64::NAN, f64::max);
    let closed = all.iter().map(|restart| restart.closed).sum();
    let unaware = all.iter().map(|restart| (viewers as u64).abs_diff(restart.told_stale)).sum();
    let accepts = all.iter().map(|restart| restart.accepts).max().unwrap_or_default();
    let who = format!("{rounds} restarts under {viewers} viewers");
    Ok(vec![
        Finding::exactly(ROW, &format!("{who}: viewers that were closed"), closed, 0),
        Finding::exactly(ROW, "viewers that were not told `stale`, or more than once", unaware, 0),
        Finding::exactly(ROW, "sockets that the backend had after it, at most", accepts, 1),
        Finding::told_only(
            ROW,
            "the backend listens to the last viewer has its message, median",
            median(of(|one| one.live_again).collect()),
            "s",
        ),
        Finding::at_most(ROW, "the same, longest", worst(|one| one.live_again), 2.0, "s"),
        Finding::told_only(
            ROW,
            "steadfeed's CPU time from the kill until a second after that, median",
            median(of(|one| one.cpu).collect()),
            "s",
        ),
        Finding::at_most(ROW, "the same, longest", worst(|one| one.cpu), 1.0, "s"),
    ])
}

async fn once(folder: &Path, viewers: usize) -> Outcome<Restart> {
    let upstream = free()?;
    let (backend, _) = backend(folder.to_owned(), upstream, "1").await?;
    let server = steadfeed(
        folder,
        &format!("[feed.live]\nsource = {{ websocket = \"ws://{upstream}/\" }}\n[[route]]\npath = \"/feed\"\nfeed = \"live\"\n"),
    )
    .await?;
    let seen = Rc::new(Seen { boots: RefCell::new(vec![0; viewers]), ..Seen::default() });
    let reading = Rc::clone(&seen);
    let reader: Reader = Rc::new(move |viewer, text| reading.read(viewer, text));
    let crowd = Crowd::seat(server.address, "/feed", viewers, &reader).await?;
    wait_for("everyone's first message", || seen.boots.borrow().iter().all(|boot| *boot == 1)).await?;
    let pids = server.process.pids();
    let before = Cpu::read(&pids)?;
    // By a signal that it does not hear: no close frame, no goodbye.
    drop(backend);
    tokio::time::sleep(GONE).await;
    let (again, returned) = self::backend(folder.to_owned(), upstream, "2").await?;
    wait_for("everyone to be live again", || seen.fresh.get() == viewers || crowd.closed() > 0).await?;
    let live_again = returned.elapsed().as_secs_f64();
    // What follows it is part of it.
    tokio::time::sleep(AFTERMATH).await;
    let after = Cpu::read(&pids)?;
    let count = tokio::task::spawn_blocking(move || get(upstream, "/").unwrap_or_default()).await?;
    let accepts =
        count.rsplit("\r\n").next().and_then(|count| count.parse().ok()).ok_or("the backend does not count")?;
    drop(again);
    Ok(Restart {
        closed: crowd.closed(),
        told_stale: seen.stale.get(),
        accepts,
        live_again,
        cpu: after.used_since(&before).as_secs_f64(),
    })
}

/// Starts it, and gives when it listened.
async fn backend(folder: PathBuf, address: SocketAddr, boot: &'static str) -> Outcome<(Process, Instant)> {
    let started = tokio::task::spawn_blocking(move || {
        let start = || -> Outcome<(Process, Instant)> {
            let (this, port) = (std::env::current_exe()?, address.port().to_string());
            let log = folder.join(format!("backend-{boot}.log"));
            let mut process = Process::start(1, &this, &["--backend", &port, boot], log, Output::Piped)?;
            match process.line(Duration::from_secs(10))?.as_str() {
                "listening" => Ok((process, Instant::now())),
                _ => Err(format!("the backend ended: {}", process.said()).into()),
            }
        };
        start().map_err(|error| error.to_string())
    });
    Ok(started.await??)
}
