//! A worker: one thread with its own single-threaded runtime, and the sockets placed on it.
//!
//! Owns: its rosters and its service; the first one also accepts for all, between its other work, so that no other
//! thread must be scheduled for a socket to be taken up. Never: hands a connection on; once placed it stays.

mod accept;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use futures_util::future::join_all;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::feed::hub::FeedHub;
use crate::feed::roster::Scratch;
use crate::feed::rosters::Rosters;
use crate::limits;
use crate::net::Connections;
use crate::net::connection::{self, Edge};
use crate::net::listener::Accepted;
use crate::net::permit::{Load, Place};
use crate::route::Table;
use crate::route::service::{Means, Service, Shared};
use crate::shutdown::{DrainOptions, Stages, Tasks};
use crate::telemetry::Sockets;
use crate::telemetry::log::client_warning;
use crate::telemetry::sockets::{self, Inquiry};
use crate::upstream::{self, Upstreams};
use accept::Accepting;
pub use accept::{Bound, Gate};

/// All workers' threads.
#[derive(Debug)]
pub struct Workers {
    placement: Arc<Placement>,
    sockets: Sockets,
    threads: Vec<JoinHandle<()>>,
}

/// All workers, as the acceptor sees them.
#[derive(Debug)]
pub struct Placement {
    slots: Vec<Slot>,
    connections: Arc<Connections>,
    /// Nothing more will be placed: a worker that drains may end once what was placed before has been answered.
    sealed: CancellationToken,
}

#[derive(Debug)]
struct Slot {
    inbox: mpsc::Sender<Errand>,
    load: Load,
}

/// What a worker is sent.
#[derive(Debug)]
enum Errand {
    Serve(Placed),
    /// Accept here, and place for all.
    Accept(Vec<Bound>, Arc<Placement>),
    /// Serve this from now on, and say when that is so.
    Change(Arc<Edition>, oneshot::Sender<()>),
}

/// What one config makes for all workers.
#[derive(Debug)]
pub struct Edition {
    pub table: Arc<Table>,
    pub hub: Arc<FeedHub>,
    pub upstreams: Arc<upstream::Shared>,
    pub drain: DrainOptions,
}

/// A connection on its way to its worker.
#[derive(Debug)]
struct Placed {
    accepted: Accepted,
    place: Place,
    edge: Edge,
}

/// What every worker works with.
#[derive(Debug, Clone)]
pub struct Work {
    pub shared: Arc<Shared>,
    /// What is served at first.
    pub edition: Arc<Edition>,
    pub stages: Stages,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be had.
    pub fn start(count: usize, work: &Work, connections: Arc<Connections>) -> io::Result<Workers> {
        let sealed = CancellationToken::new();
        let (desks, inquiries): (Vec<_>, Vec<_>) = (0..count).map(|_| sockets::desk()).unzip();
        let start = |(index, inquiries)| start(index, work.clone(), inquiries, sealed.clone());
        let started = inquiries.into_iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        let (slots, threads) = started.into_iter().unzip();
        let placement = Arc::new(Placement { slots, connections, sealed });
        Ok(Workers { placement, sockets: Sockets::new(desks), threads })
    }

    /// Has the first worker accept from `listeners`, until everything drains.
    ///
    /// # Errors
    /// If that worker is gone.
    pub fn accept(&self, listeners: Vec<Bound>) -> io::Result<()> {
        let errand = Errand::Accept(listeners, Arc::clone(&self.placement));
        let first = self.placement.slots.first().ok_or(io::ErrorKind::NotFound)?;
        first.inbox.try_send(errand).map_err(|_| io::Error::other("no worker takes the listeners"))
    }

    /// Has all of them serve `edition` from now on; completes once they do.
    ///
    /// # Errors
    /// How many do not, after a while.
    pub async fn change(&self, edition: &Arc<Edition>) -> Result<(), usize> {
        let change = async |slot: &Slot| {
            let (done, is_done) = oneshot::channel();
            let sent = slot.inbox.send(Errand::Change(Arc::clone(edition), done)).await;
            sent.is_ok() && is_done.await.is_ok()
        };
        let all = join_all(self.placement.slots.iter().map(|slot| timeout(limits::RELOAD_TURN, change(slot)))).await;
        match all.iter().filter(|done| **done != Ok(true)).count() {
            0 => Ok(()),
            behind => Err(behind),
        }
    }

    /// To list and close what is open on them.
    #[must_use]
    pub fn sockets(&self) -> Sockets {
        self.sockets.clone()
    }

    /// Waits until every worker has ended.
    pub fn join(self) {
        drop(self.placement);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended in a panic");
            }
        }
    }

    /// Completes when every worker has let its last connection go.
    pub async fn finished(&self) {
        for slot in &self.placement.slots {
            slot.inbox.closed().await;
        }
    }
}

impl Placement {
    /// Gives the connection to the worker that holds fewest.
    pub fn place(&self, accepted: Accepted, edge: &Edge) {
        let addr = accepted.addr;
        let Some(slot) = self.slots.iter().min_by_key(|slot| slot.load.load(Ordering::Relaxed)) else { return };
        let Some(place) = self.connections.admit(&slot.load) else {
            return drop_connection(addr, "the process holds as many connections as it may");
        };
        if slot.inbox.try_send(Errand::Serve(Placed { accepted, place, edge: edge.clone() })).is_err() {
            drop_connection(addr, "its worker is behind with taking up connections");
        }
    }
}

fn start(
    index: usize,
    work: Work,
    inquiries: mpsc::Receiver<Inquiry>,
    sealed: CancellationToken,
) -> io::Result<(Slot, JoinHandle<()>)> {
    let (inbox, errands) = mpsc::channel(limits::PLACEMENTS);
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || match runtime() {
        Ok(runtime) => runtime.block_on(async {
            // A task like any other: each waking of what a runtime blocks on costs a system call.
            let tasks = Tasks::new(work.stages.clone());
            tasks.spawn_background(sockets::answer_all(inquiries));
            if let Err(error) = tasks.spawn_background(run(work, errands, sealed)).await {
                tracing::error!(%error, "a worker ended in a panic");
            }
        }),
        Err(error) => tracing::error!(%error, "a worker's runtime cannot start"),
    })?;
    Ok((Slot { inbox, load: Load::default() }, thread))
}

/// A single-threaded runtime, with a capped pool for what blocks.
///
/// # Errors
/// What the kernel says.
pub fn runtime() -> io::Result<tokio::runtime::LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(limits::BLOCKING_THREADS)
        .build_local(LocalOptions::default())
}

/// Serves what is placed here until everything ends, or a drain has nothing left to wait for.
async fn run(work: Work, mut errands: mpsc::Receiver<Errand>, sealed: CancellationToken) {
    let Work { shared, edition, stages } = work;
    let tasks = Tasks::new(stages.clone());
    let scratch: Scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
    let means = Means {
        table: Arc::clone(&edition.table),
        rosters: Rc::new(Rosters::new(&edition.hub, scratch, &tasks)),
        upstreams: Upstreams::new(Arc::clone(&edition.upstreams), tasks.clone()),
    };
    let (mut draining, mut spread) = (false, edition.drain.spread);
    // What it holds would outlive the config that it is of.
    drop(edition);
    let service = Rc::new(Service::new(shared, means, tasks.clone()));
    let accepting = Accepting::new(&tasks);
    let take_up = |Placed { accepted, place, edge }| {
        let (service, own_tasks) = (Rc::clone(&service), tasks.clone());
        tasks.spawn_small(connection::serve(accepted, place, edge, own_tasks, service));
    };
    loop {
        tokio::select! {
            biased;
            () = stages.ending() => return,
            () = stages.draining(), if !draining => {
                draining = true;
                service.means().rosters.drain(spread);
                tasks.spawn_background(service.drain(spread));
            }
            errand = errands.recv() => match errand {
                Some(Errand::Serve(placed)) => take_up(placed),
                Some(Errand::Accept(listeners, placement)) => {
                    accepting.accept(listeners, &placement);
                }
                // A drain is the end of what is served.
                Some(Errand::Change(..)) if draining => {}
                Some(Errand::Change(edition, done)) => {
                    spread = edition.drain.spread;
                    turn_to(&service, &edition);
                    let table = Arc::clone(&edition.table);
                    let leaving = sockets::leave(spread, move |meters, client| !table.lets_stay(meters, client));
                    tasks.spawn_background(leaving);
                    let _ = done.send(());
                }
                None => break,
            },
            // What was placed in the instant in which the drain began has been taken up by now, to be told so.
            () = sealed.cancelled(), if draining => break,
        }
    }
    tokio::select! {
        () = tasks.finished() => {}
        () = stages.ending() => {}
    }
}

/// Serves requests that come from now on with what `edition` makes here.
fn turn_to(service: &Service, edition: &Edition) {
    let before = service.means();
    service.turn_to(Means {
        table: Arc::clone(&edition.table),
        rosters: Rc::new(before.rosters.after(&edition.hub)),
        upstreams: before.upstreams.after(&edition.upstreams),
    });
}

fn drop_connection(addr: SocketAddr, reason: &str) {
    if let Some(unsaid) = client_warning() {
        tracing::warn!(client = %addr.ip(), reason, unsaid, "connection dropped");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::net::Limits;
    use crate::telemetry::{AccessLog, Metrics};

    fn work() -> Work {
        Work {
            shared: Arc::new(Shared::new(AccessLog::off(), &Metrics::new())),
            edition: Arc::new(Edition {
                table: Arc::default(),
                hub: Arc::new(FeedHub::new([]).0),
                upstreams: upstream::Shared::new([], &Metrics::new()).unwrap(),
                drain: DrainOptions { spread: Duration::ZERO, timeout: Duration::ZERO },
            }),
            stages: Stages::default(),
        }
    }

    fn edge() -> Edge {
        let minute = Duration::from_secs(60);
        let limits = Limits {
            connections: 100,
            header_timeout: minute,
            header_size: limits::HEADER_SIZE,
            body_size: 0,
            body_timeout: minute,
            send_timeout: minute,
            keepalive_timeout: minute,
        };
        Edge::plain(Arc::new(limits))
    }

    fn loads(workers: &Workers) -> Vec<usize> {
        workers.placement.slots.iter().map(|slot| slot.load.load(Ordering::Relaxed)).collect()
    }

    /// Accepts one connection and places it; gives the client's end.
    fn place(workers: &Workers, listener: &TcpListener) -> TcpStream {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, addr) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        workers.placement.place(Accepted { socket, addr, at: Instant::now() }, &edge());
        client
    }

    #[test]
    fn a_socket_goes_to_the_worker_that_holds_fewest() {
        let work = work();
        let connections = Arc::new(Connections::new(100, Default::default()));
        let workers = Workers::start(2, &work, Arc::clone(&connections)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut clients: Vec<_> = (0..10).map(|_| place(&workers, &listener)).collect();
        assert_eq!(loads(&workers), [5, 5]);
        // The first and every other one are on the first worker: three of those leave.
        for index in [4, 2, 0] {
            drop(clients.remove(index));
        }
        let patience = Instant::now() + Duration::from_secs(20);
        while connections.open() > 7 {
            assert!(Instant::now() < patience, "{:?}", loads(&workers));
            std::thread::yield_now();
        }
        assert_eq!(loads(&workers), [2, 5]);
        clients.extend((0..3).map(|_| place(&workers, &listener)));
        assert_eq!(loads(&workers), [5, 5]);
        work.stages.end();
        workers.join();
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn a_socket_placed_as_the_drain_begins_is_answered_and_then_closed() {
        use std::io::{Read, Write};
        let work = work();
        let connections = Arc::new(Connections::new(100, Default::default()));
        let workers = Workers::start(1, &work, connections).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        work.stages.drain();
        // Its request may be there before it is placed, or come a little later.
        let mut clients: Vec<_> = (0..3).map(|_| place(&workers, &listener)).collect();
        workers.placement.sealed.cancel();
        for client in &mut clients[..2] {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let mut answer = String::new();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.read_to_string(&mut answer).unwrap();
            // No route is configured. The last has asked for nothing.
            let expected = if index == 2 { "" } else { "HTTP/1.1 404 Not Found\r\n" };
            assert!(answer.starts_with(expected) && answer.is_empty() == expected.is_empty(), "{answer}");
        }
        workers.join();
    }
}
