//! The parts of the bench, each printing its figures beside what they must reach.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use super::load::{Count, Door, Seen, seat};
use super::measure::kernel;
use super::server::{Floor, INTERVAL, Server, message};
use super::support::handshake::upgrade;
use super::support::measure::{Cpu, median, resident, size};
use super::support::wait;

type Part = fn() -> Pin<Box<dyn Future<Output = ()>>>;

pub const ALL: [(&str, Part); 5] = [
    ("ready", || Box::pin(ready())),
    ("fanout", || Box::pin(fanout())),
    ("memory", || Box::pin(memory())),
    ("crowd", || Box::pin(connect_all())),
    ("stall", || Box::pin(stall())),
];

/// The shape that sends what was published, so that all servers send the same bytes.
const RAW: &str = "shape = \"raw\"\ngreet = false\nkeepalive = false\nping = false";

async fn ready() {
    let times: Vec<f64> = (0..5).map(|_| Server::start(RAW).ready.as_secs_f64() * 1000.0).collect();
    let server = Server::start(RAW);
    println!("start to ready           {:>8.1} ms      (at most 100)", median(times));
    println!("resident, nobody there   {:>8.1} MiB     (at most 15)", rss(server.pid()) / 1024.0);
}

/// One figure a round for each of `rows`, in turn, so that a machine that slows down slows all of them.
async fn fanout() {
    let (viewers, rounds) = (size("VIEWERS", 5000).unwrap(), size("ROUNDS", 3).unwrap());
    let few = viewers.min(1000);
    println!(
        "{viewers} viewers ({few} for HTTP/2 and SSE), 200 B, 10 a second, us of CPU a delivered message, {rounds} rounds"
    );
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); 7];
    for _ in 0..rounds {
        figures[0].push(floor("plain", Door::Plain, viewers).await);
        figures[1].push(ours(Door::Plain, viewers, true).await);
        figures[2].push(floor("tls", Door::Tls, viewers).await);
        figures[3].push(ours(Door::Tls, viewers, true).await);
        figures[4].push(ours(Door::Deflate, viewers, false).await);
        figures[5].push(ours(Door::Sse, few, false).await);
        figures[6].push(ours(Door::Http2, few, false).await);
    }
    let ratio = |a: usize, b: usize| median(figures[a].iter().zip(&figures[b]).map(|(a, b)| a / b).collect());
    let figure = |row: usize| median(figures[row].clone());
    println!("plain   floor {:>6.2}   steadfeed {:>6.2}   x {:.2}  (at most 1.15)", figure(0), figure(1), ratio(1, 0));
    println!("TLS     floor {:>6.2}   steadfeed {:>6.2}   x {:.2}  (at most 1.20)", figure(2), figure(3), ratio(3, 2));
    println!("deflate                steadfeed {:>6.2}", figure(4));
    println!("SSE                    steadfeed {:>6.2}", figure(5));
    println!("HTTP/2                 steadfeed {:>6.2}", figure(6));
}

async fn floor(kind: &str, door: Door, viewers: usize) -> f64 {
    let mut floor = Floor::start(kind, viewers);
    let seen = Count::default();
    let local = LocalSet::new();
    local
        .run_until(async {
            seat(door, floor.address, viewers, &seen).await;
            floor.seated();
            measure(floor.pid(), &seen).await
        })
        .await
}

async fn ours(door: Door, viewers: usize, others: bool) -> f64 {
    let server = Server::start(RAW);
    let seen = Count::default();
    let local = LocalSet::new();
    let address = if door == Door::Tls { server.tls } else { server.plain };
    local
        .run_until(async {
            seat(door, address, viewers, &seen).await;
            let publishing = publish(&server);
            let cost = measure(server.pid(), &seen).await;
            if others {
                notice(server.plain).await;
            }
            publishing.abort();
            cost
        })
        .await
}

/// Publishes a message each interval, from a thread of the runtime's pool so that it keeps its time.
fn publish(server: &Server) -> tokio::task::JoinHandle<()> {
    let mut publisher = server.publisher();
    tokio::task::spawn_local(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        for number in 1u64.. {
            ticks.tick().await;
            publisher(&message(number));
        }
    })
}

/// CPU a message, over some seconds once messages flow.
async fn measure(pid: u32, seen: &Rc<Seen>) -> f64 {
    wait_for("the first messages", || seen.messages.get() > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (cpu_before, seen_before) = (Cpu::read(&[pid]).unwrap(), seen.messages.get());
    tokio::time::sleep(Duration::from_secs(size("SECONDS", 5).unwrap() as u64)).await;
    let (spent, delivered) = (Cpu::read(&[pid]).unwrap().used_since(&cpu_before), seen.messages.get() - seen_before);
    assert_eq!(seen.gaps.get(), 0, "a viewer that keeps up misses nothing");
    spent.as_secs_f64() * 1e6 / delivered as f64
}

/// What others notice meanwhile.
async fn notice(address: SocketAddr) {
    let this = std::env::current_exe().unwrap();
    let mut command = tokio::process::Command::new("nice");
    command.args(["-n", "-10", "taskset", "-c", "1"]).arg(this).args(["--notice", &address.to_string()]);
    assert!(command.status().await.unwrap().success());
}

async fn memory() {
    let viewers = size("VIEWERS", 5000).unwrap();
    let aims =
        [(Door::Plain, viewers, "1.2"), (Door::Tls, viewers, "10"), (Door::Sse, 1000, "-"), (Door::Http2, 1000, "-")];
    for (door, viewers, aim) in aims {
        let server = Server::start("keepalive = false\nping = false");
        server.publisher()(&message(1));
        let before = rss(server.pid());
        let seen = Count::default();
        let local = LocalSet::new();
        let address = if door == Door::Tls { server.tls } else { server.plain };
        local
            .run_until(async {
                seat(door, address, viewers, &seen).await;
                wait_for("the snapshots", || seen.messages.get() >= viewers as u64).await;
                let each = (rss(server.pid()) - before) / viewers as f64;
                println!(
                    "{:<22} {each:>8.2} KiB a viewer, {viewers} of them  (at most {aim})",
                    format!("{door:?}, idle")
                );
            })
            .await;
    }
}

async fn connect_all() {
    let viewers = size("CROWD", 9500).unwrap();
    let server = Server::start("");
    server.publisher()(&message(1));
    for (door, address) in [(Door::Plain, server.plain), (Door::Tls, server.tls)] {
        let seen = Count::default();
        let local = LocalSet::new();
        let began = Instant::now();
        local
            .run_until(async {
                seat(door, address, viewers, &seen).await;
                wait_for("the snapshots", || seen.messages.get() >= viewers as u64).await;
            })
            .await;
        let took = began.elapsed().as_secs_f64();
        println!(
            "{viewers} viewers in with their snapshot, {door:?}: {took:.2} s on one worker  (10,000 in at most 5 s)"
        );
    }
}

async fn stall() {
    let viewers = size("STALLED", 200).unwrap();
    for (bytes, count) in [(200, 20_000), (10_000, 4_000), (900_000, 60)] {
        let server = Server::start("history = 30");
        let mut publisher = server.publisher();
        let sockets: Vec<_> = (0..viewers).map(|_| stalled(server.plain)).collect();
        let text = format!("{{\"type\":\"big\",\"data\":\"{}\"}}", "x".repeat(bytes));
        publisher(&text);
        let before = rss(server.pid());
        for _ in 0..count {
            publisher(&text);
        }
        let (own, kernel) =
            ((rss(server.pid()) - before) / viewers as f64, kernel(server.plain.port()) / viewers as f64);
        println!(
            "{viewers} viewers that do not read, {count} messages of {bytes:>6} B: {own:>6.1} + {kernel:>6.1} KiB each, ours + the kernel's  (at most 192)"
        );
        drop(sockets);
    }
}

/// A viewer that asks, and never reads.
fn stalled(address: SocketAddr) -> std::net::TcpStream {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(upgrade("/feed", "").as_bytes()).unwrap();
    let mut head = [0; 16];
    stream.read_exact(&mut head).unwrap();
    stream
}

/// Resident memory, in KiB.
fn rss(pid: u32) -> f64 {
    resident(pid, "VmRSS:").unwrap()
}

async fn wait_for(what: &str, done: impl FnMut() -> bool) {
    wait::wait_for(what, done).await.unwrap();
}
