//! What tests of dialled sources share: a source in front of a scripted backend, and what comes of it.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{DialOptions, Options, PollOptions, Source};
use crate::feed::hub::{Feed, FeedHub, Follower};
use crate::feed::inlet::{Inlet, Rank};
use crate::feed::log::Cursor;
use crate::feed::log::Next;
use crate::feed::message::Encoding;
use crate::feed::{self, Shape};
use crate::shutdown::{Stages, Tasks};
use crate::telemetry::Metrics;
use crate::telemetry::exposition;
use crate::testing;
pub(super) use crate::testing::{run, run_paused};
use crate::upstream::{self, Balance, Scheme, Server, Upkeep, Upstreams};
use crate::ws::frame::Head;
use crate::ws::{OpCode, handshake, mask};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Where a test's source dials.
pub(super) fn dial(scheme: &str, port: u16) -> DialOptions {
    let server = Server::Tcp { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port };
    DialOptions {
        upstream: upstream::Options {
            name: "feed f".to_owned(),
            servers: vec![server],
            resolve: 60 * SECOND,
            balance: Balance::default(),
            health: None,
            authorities: None,
            connect_timeout: 2 * SECOND,
            response_timeout: SECOND / 2,
            idle_timeout: SECOND / 2,
        },
        path: "/ws?secret=hunter2".to_owned(),
        authority: format!("127.0.0.1:{port}"),
        url: format!("{scheme}://127.0.0.1:{port}/ws?secret=hunter2"),
        headers: Vec::new(),
    }
}

pub(super) fn websocket(port: u16) -> Options {
    Options::Websocket(dial("ws", port))
}

pub(super) fn sse(port: u16) -> Options {
    Options::Sse(dial("http", port))
}

pub(super) fn poll(port: u16, every: Duration) -> Options {
    Options::Poll(PollOptions { dial: dial("http", port), every })
}

/// What is logged on this thread, all of it.
pub(super) struct Log {
    said: Arc<Mutex<Vec<u8>>>,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Log {
    pub(super) fn capture() -> Log {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Into(Arc::clone(&said));
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || into.clone())
            .finish();
        Log { said, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    /// So far; no secret is ever in it.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8(self.said.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        text
    }

    /// Waits for a line with this in it.
    pub(super) async fn until(&self, part: &str) {
        let said = async {
            while !self.text().contains(part) {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(5 * SECOND, said).await.is_ok(), "{part:?} in {}", self.text());
    }
}

#[derive(Clone)]
struct Into(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Into {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A backend that a test speaks for.
pub(super) struct Backend {
    listener: TcpListener,
    pub(super) port: u16,
}

/// One connection to it.
pub(super) struct Line {
    pub(super) stream: TcpStream,
}

impl Backend {
    pub(super) async fn bind() -> Backend {
        Backend::bind_at(0).await
    }

    /// Where there was one before.
    pub(super) async fn bind_at(port: u16) -> Backend {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Backend { listener, port }
    }

    pub(super) async fn accept(&self) -> Line {
        Line { stream: self.listener.accept().await.unwrap().0 }
    }

    /// The next connection, and the head of its request.
    pub(super) async fn asked(&self) -> (Line, String) {
        let mut line = self.accept().await;
        let head = line.head().await;
        (line, head)
    }

    /// The next connection as a WebSocket.
    pub(super) async fn websocket(&self) -> Line {
        let (mut line, head) = self.asked().await;
        line.say(switching(&head, "").as_bytes()).await;
        line
    }

    /// Answers the next request, on a connection of its own.
    pub(super) async fn answer(&self, answer: &str) -> String {
        let (mut line, head) = self.asked().await;
        line.say(answer.as_bytes()).await;
        head
    }
}

/// The answer that opens the WebSocket which `head` asks for.
pub(super) fn switching(head: &str, more: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
    let mut parts = http::Request::get("/").body(()).unwrap().into_parts().0;
    for (name, value) in [
        ("host", "h"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key),
    ] {
        parts.headers.insert(name, value.parse().unwrap());
    }
    let response = handshake::response(&handshake::check_h1(&parts).unwrap(), None);
    let headers: String =
        response.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    format!("HTTP/1.1 101 Switching Protocols\r\n{headers}{more}\r\n")
}

impl Line {
    pub(super) async fn head(&mut self) -> String {
        testing::head(&mut self.stream).await.expect("a request")
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame.
    pub(super) async fn frame(&mut self) -> (OpCode, Vec<u8>) {
        let mut bytes = Vec::new();
        loop {
            if let Some((head, size)) = Head::parse(&bytes).unwrap() {
                let mut payload = vec![0; usize::try_from(head.len).unwrap()];
                assert_eq!(size, bytes.len());
                self.stream.read_exact(&mut payload).await.unwrap();
                mask::apply(&mut payload, head.key);
                return (head.opcode, payload);
            }
            bytes.push(self.stream.read_u8().await.expect("a frame"));
        }
    }

    /// Completes when the source has left.
    pub(super) async fn left(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(1..) = self.stream.read(&mut buffer).await {}
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A feed that a source fills.
pub(super) struct Filled {
    follower: Follower,
    cursor: Cursor,
    metrics: Metrics,
    tasks: Tasks,
    running: Option<tokio::task::JoinHandle<()>>,
    _upkeep: Upkeep,
}

impl Filled {
    pub(super) fn by(options: &Options) -> Filled {
        Filled::with(options, feed::Options::named("f"))
    }

    pub(super) fn with(options: &Options, feed: feed::Options) -> Filled {
        let metrics = Metrics::new();
        let feed = Arc::new(Feed::try_new(feed, false, metrics.feed("f")).unwrap());
        let follower = feed.follow();
        let cursor = Cursor::newest(follower.log(), 0);
        let tasks = Tasks::new(Stages::default());
        let shared = upstream::Shared::new(options.dial().map(|dial| &dial.upstream), &metrics).unwrap();
        let mut upkeep = Upkeep::new(&tasks);
        upkeep.turn_to(&shared, &metrics);
        let upstreams = Rc::new(Upstreams::new(shared, tasks.clone()));
        let source = Source::try_new(options, &FeedHub::default()).unwrap();
        let meters = metrics.source("f", options.kind());
        let running = tasks.spawn_background(source.run(Inlet::new(&feed, Rank::Source), meters, upstreams));
        Filled { follower, cursor, metrics, tasks, running: Some(running), _upkeep: upkeep }
    }

    /// The next message, as it came.
    pub(super) async fn next(&mut self) -> String {
        loop {
            match self.follower.log().next(&self.cursor) {
                Next::Message(message) => {
                    self.cursor.pass(message.seq());
                    let text = message.with_encoding(Shape::Raw, Encoding::text);
                    return String::from_utf8_lossy(&text).into_owned();
                }
                Next::Older(seq) => self.cursor.pass(seq),
                Next::Notice(notice) => self.cursor.tell(notice.seq()),
                Next::Behind => self.cursor.conflate(self.follower.log()),
                Next::Nothing => {
                    if self.follower.pull() == 0 {
                        self.follower.handoff().arrived().await;
                    }
                }
            }
        }
    }

    /// The value of the metric whose line begins with `name`; 0 where there is none.
    pub(super) fn metric(&self, name: &str) -> i64 {
        let text = exposition::plain(&self.metrics.text());
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0)
    }

    pub(super) fn is_up(&self) -> bool {
        let up = "steadfeed_feed_up{feed=\"f\",source=";
        let text = exposition::plain(&self.metrics.text());
        text.lines().any(|line| line.starts_with(up) && line.ends_with(" 1"))
    }

    pub(super) fn failures(&self, reason: &str) -> i64 {
        self.metric(&format!("steadfeed_feed_failures_total{{feed=\"f\",reason=\"{reason}\"}}"))
    }

    pub(super) fn reconnects(&self) -> i64 {
        self.metric("steadfeed_feed_reconnects_total{feed=\"f\"}")
    }

    pub(super) fn too_large(&self) -> i64 {
        self.metric("steadfeed_feed_too_large_total{feed=\"f\"}")
    }

    /// Waits for what happens in other tasks.
    pub(super) async fn until(&self, done: impl Fn(&Filled) -> bool) {
        while !done(self) {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the source, as a fallback's is when a source is back.
    pub(super) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
        assert_eq!(self.tasks.count(), 0);
    }
}
