//! What a session costs beside a tunnel: CPU of one worker for a message's round trip, and memory of an idle one.
//!
//! steadfeed is a process of its own, with one worker; application and clients are this process. A message goes from a
//! client to the application and comes back as it was said. Set `SOCKETS`, `SECONDS` and `IDLE` for other sizes.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steadfeed::app::App;
use steadfeed::config::{self, Surroundings};
use steadfeed::feed::{Delivery, NormalizeOptions, Shape};
use steadfeed::handler::SessionOptions;
use steadfeed::route::Action;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// What a session's messages become.
const MODES: [(&str, Shape, bool); 3] =
    [("/verbatim", Shape::Raw, false), ("/raw", Shape::Raw, true), ("/envelope", Shape::Envelope, true)];
const BACKEND: &str = "BENCH_BACKEND";

fn main() {
    if let Ok(backend) = std::env::var(BACKEND) {
        return serve(&backend);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let backend = std::thread::spawn(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || echo(listener));
        address
    });
    let (mut server, address) = start(backend.join().unwrap());
    runtime.block_on(compare(&server, address));
    server.kill().unwrap();
    server.wait().unwrap();
}

/// steadfeed, with a tunnel and each kind of session.
fn serve(backend: &str) {
    let mut toml = format!(
        "workers = 1\n[log]\naccess = false\n[admin]\nlisten = \"off\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [upstream.app]\nservers = [\"http://{backend}\"]\n[[route]]\npath = \"/tunnel\"\nproxy = \"app\"\n"
    );
    for (path, ..) in MODES {
        toml.push_str(&format!("[[route]]\npath = \"{path}\"\nproxy = \"app\"\n"));
    }
    let surroundings = Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 60_000 };
    let loaded = config::check("bench.toml".to_owned(), toml, &surroundings);
    let mut config = loaded.unwrap_or_else(|refused| panic!("{refused}")).config;
    for route in &mut config.routes {
        let path = route.path.to_string();
        let Some((_, shape, skip_system)) = MODES.into_iter().find(|mode| mode.0 == path) else { continue };
        let Action::Proxy { upstream } = &route.action else { continue };
        let normalize = NormalizeOptions { skip_system, ..NormalizeOptions::default() };
        let delivery = Delivery { shape, ..Delivery::default() };
        let session = SessionOptions { normalize, delivery, ..SessionOptions::default() };
        route.action = Action::Session { upstream: upstream.clone(), session };
    }
    let app = App::bind(config).unwrap();
    println!("{}", app.addresses()[0].address);
    app.run(std::future::pending).unwrap();
}

fn start(backend: SocketAddr) -> (Child, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.env(BACKEND, backend.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap().by_ref()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// Says everything again.
fn echo(listener: std::net::TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            #[expect(clippy::disallowed_methods, reason = "the other end, which nobody drains")]
            tokio::task::spawn_local(async move {
                let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
                let (mut out, mut heard) = socket.split();
                while let Some(Ok(message)) = heard.next().await {
                    if (message.is_text() || message.is_binary()) && out.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

async fn compare(server: &Child, address: SocketAddr) {
    let (sockets, seconds) = (size("SOCKETS", 64), size("SECONDS", 3));
    println!(
        "{sockets} sockets, one message each on its way; us of the worker's CPU a round trip, rounds of {seconds} s"
    );
    for bytes in [100, 1500] {
        let mut best = f64::INFINITY;
        for path in ["/tunnel", "/verbatim", "/raw", "/envelope"] {
            let mut rounds = Vec::new();
            for _ in 0..3 {
                rounds.push(round_trips(server, address, path, bytes, sockets, seconds).await);
            }
            rounds.sort_by(f64::total_cmp);
            if path == "/tunnel" {
                best = rounds[1];
            }
            println!("  {bytes:>5} B  {path:<10} {:>7.2}  ({:.2} x)", rounds[1], rounds[1] / best);
        }
    }
    let idle = size("IDLE", 1000);
    for path in ["/tunnel", "/raw"] {
        let before = rss(server);
        let mut all = Vec::new();
        for _ in 0..idle {
            all.push(connect(address, path).await);
        }
        // hyper's own parting and the allocator's are over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!("  idle    {path:<10} {:>7.2} KiB a socket, of {idle}", (rss(server) - before) / idle as f64);
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn connect(address: SocketAddr, path: &str) -> Socket {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream).await.unwrap().0
}

async fn round_trips(
    server: &Child,
    address: SocketAddr,
    path: &str,
    bytes: usize,
    sockets: usize,
    seconds: usize,
) -> f64 {
    let text = format!("{{\"type\":\"say\",\"data\":{{\"text\":\"{}\"}}}}", "x".repeat(bytes - 36));
    let mut all = Vec::new();
    for _ in 0..sockets {
        all.push(connect(address, path).await);
    }
    let (before, end) = (cpu(server), Instant::now() + Duration::from_secs(seconds as u64));
    let counts = futures_util::future::join_all(all.iter_mut().map(|socket| async {
        let mut count = 0u64;
        while Instant::now() < end {
            socket.send(Message::text(text.clone())).await.unwrap();
            while !socket.next().await.unwrap().unwrap().is_text() {}
            count += 1;
        }
        count
    }));
    let count: u64 = counts.await.iter().sum();
    (cpu(server) - before).as_secs_f64() * 1e6 / count as f64
}

/// CPU time of the worker.
fn cpu(server: &Child) -> Duration {
    let mut nanos = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").starts_with("worker") {
            nanos += read("schedstat").split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Duration::from_nanos(nanos)
}

/// Resident memory, in KiB.
fn rss(server: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
