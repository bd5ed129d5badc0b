//! Rows in interleaved rounds, of one running steadfeed: what one visit costs it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use super::Outcome;
use super::client::ask;
use super::server::Server;
use super::support::measure::{Cpu, median, size};

/// Clients at once, each with one connection after the other.
const AT_ONCE: usize = 16;
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_millis(100);

/// One kind of visit, and the status that it must be answered with.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    pub request: String,
    pub status: u16,
}

/// What one run of a row took.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Microseconds of the process's CPU a visit.
    pub cpu: f64,
    pub visits_a_second: f64,
    /// Share of the time in which a thread of it was ready, but another had the core.
    pub waited: f64,
}

/// A row's figures, round by round.
pub type Taken = Vec<Figures>;

/// `ROUNDS` times each row for `SECONDS`, in an order that rotates.
pub fn run(server: &Server, rows: &[Row]) -> Outcome<Vec<Taken>> {
    let (rounds, seconds) = (size("ROUNDS", 5)?, size("SECONDS", 1)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut taken: Vec<Taken> = rows.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..rows.len() {
            let place = (round + turn) % rows.len();
            let one = measure(server, &rows[place], Duration::from_secs(seconds as u64));
            taken[place].push(LocalSet::new().block_on(&runtime, one)?);
        }
    }
    Ok(taken)
}

async fn measure(server: &Server, row: &Row, time: Duration) -> Outcome<Figures> {
    visit(server.plain, row, WARM_UP).await?;
    let (pids, began) = (server.pids(), Instant::now());
    let before = Cpu::read(&pids)?;
    let visits = visit(server.plain, row, time).await?;
    let (after, took) = (Cpu::read(&pids)?, began.elapsed().as_secs_f64());
    Ok(Figures {
        cpu: after.used_since(&before).as_secs_f64() * 1e6 / visits as f64,
        visits_a_second: visits as f64 / took,
        waited: after.waited_since(&before).as_secs_f64() / took,
    })
}

/// Visits of all clients for `time`; the first wrong answer is an error.
async fn visit(address: SocketAddr, row: &Row, time: Duration) -> Outcome<usize> {
    let until = Instant::now() + time;
    let (request, wanted): (Rc<str>, _) = (row.request.as_str().into(), row.status);
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let request = Rc::clone(&request);
        clients.spawn_local(async move {
            let mut visits = 0;
            while Instant::now() < until {
                let status = ask(address, request.as_bytes()).await.map_err(|error| error.to_string())?;
                if status != wanted {
                    return Err(format!("{status} in place of {wanted}"));
                }
                visits += 1;
            }
            Ok(visits)
        });
    }
    let mut visits = 0;
    while let Some(client) = clients.join_next().await {
        visits += client?.map_err(|error| format!("{}: {error}", row.name))?;
    }
    Ok(visits)
}

/// The medians of a row as the table's columns tell them, beside those of the first row in the same rounds.
pub fn line(name: &str, taken: &Taken, first: &Taken) -> String {
    let of = |part: fn(&Figures) -> f64| median(taken.iter().map(part).collect());
    let beside = added(taken, first);
    format!(
        "{name:<24} {:>8.1} {beside:>+8.1} {:>8.0} {:>7.0}%",
        of(|figures| figures.cpu),
        of(|figures| figures.visits_a_second),
        of(|figures| figures.waited) * 100.0
    )
}

/// The names of [`line`]'s columns.
pub fn header(first: &str) -> String {
    format!("{:<24} {:>8} {:>8} {:>8} {:>8}", "us of CPU a visit", "", format!("- {first}"), "a second", "waited")
}

/// What a row adds to the first: the median over the rounds.
pub fn added(taken: &Taken, first: &Taken) -> f64 {
    median(taken.iter().zip(first).map(|(one, first)| one.cpu - first.cpu).collect())
}
