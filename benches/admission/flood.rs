//! A flood of clients that were never seen before, each of a network (/64) of its own, on a route with a limit: what the
//! limiter holds afterwards, and what viewers who are in notice.
//!
//! The same visits on a route without a limit, as many a second, come before it: what they cost is no limiter's, and the
//! memory that connections take is taken then.

use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfeed::limits;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::Outcome;
use super::client::{OWN, ask, upgrade};
use super::server::Server;
use super::support::measure::{Cpu, resident, size};
use super::viewers::{Delay, Viewers};

/// What the limiter may hold, in KiB: 64 bytes a client.
const CAP: usize = limits::CLIENT_KEYS * 64 / 1024;
/// The p99 of viewers during the flood, to that without it.
const WITHIN: f64 = 2.0;
/// Connections of the flood that are open at once, at the most.
const AT_ONCE: usize = 256;

/// Who has come is not forgotten before the flood is over: nobody has the whole rate again within six minutes.
const CONFIG: &str = r#"
[limit.public]
upgrades = "10/h"
connections_per_client = 50
[[route]]
path = "/limited"
feed = "bench"
limit = "public"
"#;

/// What became of a flood.
#[derive(Debug, Clone, Copy, Default)]
struct Flooded {
    admitted: usize,
    refused: usize,
    seconds: f64,
    /// Share of steadfeed's core.
    busy: f64,
}

pub fn run() -> Outcome<()> {
    let (clients, rate, seats) = (size("CLIENTS", 100_000)?, size("RATE", 6000)?, size("VIEWERS", 500)?);
    let seconds = Duration::from_secs(size("SECONDS", 3)? as u64);
    let server = Server::start(CONFIG)?;
    let viewers = Viewers::seat(&server, seats)?;
    std::thread::sleep(Duration::from_millis(500));
    viewers.forget();
    std::thread::sleep(seconds);
    let quiet = viewers.seen();
    let few = usize::try_from(seconds.as_secs())? * rate;
    let visits = flood(&server, "/open", few, rate)?;
    let busy = viewers.seen();
    let pid = *server.pids().first().ok_or("it runs")?;
    // What is the most from here on is counted anew.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let before = resident(pid, "VmRSS:")?;
    let flooded = flood(&server, "/limited", clients, rate)?;
    let during = viewers.seen();
    let (after, most) = (resident(pid, "VmRSS:")? - before, resident(pid, "VmHWM:")? - before);

    println!("{:<34} {:>8} {:>8} {:>6}", format!("{seats} viewers, 10 messages a second"), "p50 ms", "p99 ms", "busy");
    print("nobody else", quiet, None);
    print(&format!("{:.0} visits a second, no limit", few as f64 / visits.seconds), busy, Some(visits));
    print(&format!("{:.0} a second, each a new client", clients as f64 / flooded.seconds), during, Some(flooded));
    let Flooded { admitted, refused, .. } = flooded;
    println!("the flood: {clients} clients, {admitted} admitted, {refused} refused with 429");
    let verdict = |reached| if reached { "reached" } else { "missed" };
    println!(
        "memory: {after:.0} KiB more after it, {most:.0} KiB at the most (the limiter's cap: {CAP}): {}",
        verdict(most < CAP as f64)
    );
    let ratio = during.p99 / quiet.p99;
    println!("viewers' p99: x {ratio:.2} (at most {WITHIN}): {}", verdict(ratio <= WITHIN));
    Ok(())
}

fn print(name: &str, delay: Delay, flooded: Option<Flooded>) {
    let busy = flooded.map(|flooded| format!("{:.0}%", flooded.busy * 100.0)).unwrap_or_default();
    println!("{name:<34} {:>8.2} {:>8.2} {busy:>6}   ({} delivered)", delay.p50, delay.p99, delay.messages);
}

/// `clients` of them visit `path`, `rate` a second.
fn flood(server: &Server, path: &str, clients: usize, rate: usize) -> Outcome<Flooded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (pids, began) = (server.pids(), Instant::now());
    let before = Cpu::read(&pids)?;
    let come = come(server, upgrade(path, OWN), clients, rate);
    let mut flooded = LocalSet::new().block_on(&runtime, come)?;
    flooded.seconds = began.elapsed().as_secs_f64();
    flooded.busy = Cpu::read(&pids)?.used_since(&before).as_secs_f64() / flooded.seconds;
    Ok(flooded)
}

async fn come(server: &Server, request: String, clients: usize, rate: usize) -> Outcome<Flooded> {
    let (proxied, request): (_, Rc<str>) = (server.proxied, request.into());
    let open = Arc::new(Semaphore::new(AT_ONCE));
    let (mut visits, mut flooded) = (JoinSet::new(), Flooded::default());
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(Duration::from_millis(1)));
    let mut number = 0;
    while number < clients {
        ticks.tick().await;
        let due = ((began.elapsed().as_secs_f64() * rate as f64) as usize).min(clients);
        while number < due {
            let (permit, request) = (Arc::clone(&open).acquire_owned().await?, Rc::clone(&request));
            visits.spawn_local(async move {
                let said = [&header(number), request.as_bytes()].concat();
                let status = ask(proxied, &said).await.map_err(|error| error.to_string());
                drop(permit);
                status
            });
            number += 1;
        }
        while let Some(status) = visits.try_join_next() {
            flooded.count(status??)?;
        }
    }
    while let Some(status) = visits.join_next().await {
        flooded.count(status??)?;
    }
    Ok(flooded)
}

impl Flooded {
    fn count(&mut self, status: u16) -> Outcome<()> {
        match status {
            101 => self.admitted += 1,
            429 => self.refused += 1,
            other => return Err(format!("{other} to a client of the flood").into()),
        }
        Ok(())
    }
}

/// A PROXY header, version 2, for the client of this number: each has a /64 of its own, and no two runs of numbers differ.
fn header(number: usize) -> Vec<u8> {
    let network = (0x2001_0db8_u128 << 32 | number as u128) << 64;
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    header.extend(Ipv6Addr::from_bits(network | 1).octets());
    header.extend(Ipv6Addr::LOCALHOST.octets());
    header.extend([0xc0, 0, 0, 80]);
    header
}
