//! `session`: an echo through a session beside one through a tunnel, in rounds that interleave them; then what an idle
//! one holds.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::backend::Backend;
use super::echo::{Echo, asked, message};
use super::report::Finding;
use super::server::{Server, steadfeed};
use super::support::measure::{Cpu, median, quantile, size};
use super::{Outcome, idle};

pub const ROW: &str = "session";
/// The ways through, and where each is.
pub const WAYS: [(&str, &str); 3] =
    [("tunnel", "/tunnel"), ("session, raw", "/raw"), ("session, envelope", "/envelope")];
const SOCKETS: usize = 100;
const WARM_UP: Duration = Duration::from_millis(300);

/// What one run of one way gave.
#[derive(Clone, Copy)]
struct Run {
    /// Microseconds of steadfeed's CPU time a round trip.
    cpu: f64,
    /// Microseconds that one took, the median.
    took: f64,
}

/// The sockets of one run.
#[derive(Default)]
struct Tally {
    measuring: Cell<bool>,
    /// Microseconds a round trip.
    times: RefCell<Vec<u32>>,
}

pub fn routes(upstream: SocketAddr) -> String {
    format!(
        "[upstream.app]\nservers = [\"http://{upstream}\"]\n\
         [[route]]\npath = \"/tunnel\"\nproxy = \"app\"\n\
         [[route]]\npath = \"/raw\"\nproxy = \"app\"\n[route.session]\nshape = \"raw\"\n\
         [[route]]\npath = \"/envelope\"\nproxy = \"app\"\n[route.session]\n"
    )
}

pub async fn run(folder: &Path) -> Outcome<Vec<Finding>> {
    let (_backend, upstream) = Backend::start(true).await?;
    let server = steadfeed(folder, &routes(upstream)).await?;
    let rounds = size("ROUNDS", 5)?;
    let mut runs: Vec<[Run; 3]> = Vec::new();
    for round in 0..rounds {
        let mut of_round = [Run { cpu: f64::NAN, took: f64::NAN }; 3];
        for turn in 0..WAYS.len() {
            let place = (round + turn) % WAYS.len();
            of_round[place] = one(&server, WAYS[place].1).await?;
        }
        runs.push(of_round);
    }
    drop(server);
    let mut findings = Vec::new();
    for (place, (way, _)) in WAYS.iter().enumerate() {
        let of = |figure: fn(&Run) -> f64| median(runs.iter().map(|round| figure(&round[place])).collect());
        let to = |figure: fn(&Run) -> f64| {
            median(runs.iter().map(|round| figure(&round[place]) / figure(&round[0])).collect())
        };
        let what = |what: &str| format!("{way}: {what}, echo of 128 B over {SOCKETS} sockets");
        findings.push(Finding::told_only(ROW, &what("CPU time a round trip"), of(|run| run.cpu), "us"));
        findings.push(Finding::told_only(ROW, &what("median round trip"), of(|run| run.took), "us"));
        if place > 0 {
            findings.push(Finding::at_most(ROW, &what("CPU time to a tunnel's"), to(|run| run.cpu), 1.5, "x"));
            findings.push(Finding::at_most(ROW, &what("round trip to a tunnel's"), to(|run| run.took), 1.5, "x"));
        }
    }
    findings.extend(idle::run(folder, upstream).await?);
    Ok(findings)
}

async fn one(server: &Server, path: &'static str) -> Outcome<Run> {
    let tally = Rc::new(Tally::default());
    let mut sockets = JoinSet::new();
    for _ in 0..SOCKETS {
        let (tally, address) = (Rc::clone(&tally), server.address);
        sockets.spawn_local(async move {
            let end = repeat(address, path, &tally).await;
            end.err().map_or_else(String::new, |error| error.to_string())
        });
    }
    tokio::select! {
        Some(failure) = sockets.join_next() => Err(failure?.into()),
        run = measure(server, &tally) => run,
    }
}

/// Until one fails.
async fn repeat(address: SocketAddr, path: &str, tally: &Tally) -> Outcome<()> {
    let mut echo = Echo::open(address, path).await?;
    let text = message();
    let asked = asked(&text);
    loop {
        let began = Instant::now();
        echo.once(&asked, &text).await?;
        if tally.measuring.get() {
            tally.times.borrow_mut().push(u32::try_from(began.elapsed().as_micros())?);
        }
    }
}

async fn measure(server: &Server, tally: &Tally) -> Outcome<Run> {
    let duration = Duration::from_secs_f64(size("SECONDS", 20)? as f64 / 10.0);
    tokio::time::sleep(WARM_UP).await;
    let pids = server.process.pids();
    let before = Cpu::read(&pids)?;
    tally.measuring.set(true);
    tokio::time::sleep(duration).await;
    tally.measuring.set(false);
    let used = Cpu::read(&pids)?.used_since(&before);
    let mut times = tally.times.take();
    if times.len() < SOCKETS {
        return Err(format!("{} echoes in {:.1} s", times.len(), duration.as_secs_f64()).into());
    }
    times.sort_unstable();
    Ok(Run { cpu: used.as_secs_f64() * 1e6 / times.len() as f64, took: quantile(&times, 0.5) })
}
