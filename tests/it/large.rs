//! Bodies of 1 GiB: each passes whole, and the process is no larger for it.
//!
//! They take seconds each, and are run by `tests/run`.

use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::backend::front_config;
use crate::support::{Backend, H2Client, Identity, Instance, RawHttp};

const SIZE: usize = 1024 * 1024 * 1024;
/// Bytes that no part of which is like the next.
const PIECE: usize = 251 * 1024;
/// By how much the process may grow.
const GROWTH: usize = 16 * 1024 * 1024;
/// How often its size is looked at.
const LOOK: usize = 16 * 1024 * 1024;
const TIME: Duration = Duration::from_secs(60);

/// What every body is, again and again.
fn piece() -> Bytes {
    (0..PIECE).map(|at| (at % 251) as u8 ^ (at / 251) as u8).collect()
}

/// What is left of the piece at this place of a body.
fn at(piece: &Bytes, place: usize) -> Bytes {
    let from = place % PIECE;
    piece.slice(from..PIECE.min(from + SIZE - place))
}

/// Takes a body in, comparing it.
struct Taker<'a> {
    piece: Bytes,
    taken: usize,
    instance: &'a Instance,
    before: usize,
    most: usize,
}

impl Taker<'_> {
    /// Of an instance that has answered already, so that it has what any needs.
    fn new(instance: &Instance) -> Taker<'_> {
        let before = instance.memory();
        Taker { piece: piece(), taken: 0, instance, before, most: before }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = at(&self.piece, self.taken);
            let count = expected.len().min(bytes.len());
            assert!(
                count > 0 && expected[..count] == bytes[..count],
                "it differs within {count} bytes of {}",
                self.taken
            );
            if self.taken / LOOK != (self.taken + count) / LOOK {
                self.most = self.most.max(self.instance.memory());
            }
            self.taken += count;
            bytes = &bytes[count..];
        }
    }

    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = vec![0; 256 * 1024];
        while self.taken < SIZE {
            let count = from.read(&mut buffer).await.expect("the peer sends");
            assert!(count > 0, "it ended after {}", self.taken);
            self.take(&buffer[..count]);
        }
    }

    async fn receive(&mut self, from: &mut RecvStream) {
        while let Some(some) = from.data().await {
            let some = some.expect("data");
            from.flow_control().release_capacity(some.len()).expect("released");
            self.take(&some);
        }
    }

    fn check(mut self) {
        assert_eq!(self.taken, SIZE);
        self.most = self.most.max(self.instance.memory());
        let growth = self.most.saturating_sub(self.before);
        assert!(growth < GROWTH, "it grew by {growth} bytes from {}", self.before);
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin)) {
    let (piece, mut sent) = (piece(), 0);
    while sent < SIZE {
        let some = at(&piece, sent);
        to.write_all(&some).await.expect("the peer takes it");
        sent += some.len();
    }
    to.flush().await.expect("the peer takes it");
}

async fn send(to: &mut SendStream<Bytes>) {
    let (piece, mut sent) = (piece(), 0);
    while sent < SIZE {
        let mut some = at(&piece, sent);
        to.reserve_capacity(some.len());
        let room = std::future::poll_fn(|cx| to.poll_capacity(cx)).await.expect("open").expect("open");
        some.truncate(room);
        sent += some.len();
        to.send_data(some, sent == SIZE).expect("sent");
    }
}

/// A steadfeed that has passed a request on over each listener already: plain, and TLS.
async fn start(backend: &Backend) -> Instance {
    let identity = Identity::new();
    let config = front_config(&identity.listener(""), &backend.server(), "", "body_size = \"2GiB\"");
    let instance = Instance::start(&config).await;
    let (_, ()) = tokio::join!(async { H2Client::connect_tls(instance.listener(0)).await.get("/").await }, async {
        let (_, mut server) = backend.request().await;
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    });
    instance
}

async fn in_time(work: impl Future<Output = ()>) {
    timeout(TIME, work).await.unwrap_or_else(|_| panic!("it takes longer than {TIME:?}"));
}

fn head() -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n")
}

const DONE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
#[ignore = "takes long: run by tests/run"]
async fn a_download_of_1_gib_leaves_memory_flat() {
    let backend = Backend::bind().await;
    let instance = start(&backend).await;
    let mut taker = Taker::new(&instance);
    let address = instance.listener(1);
    let serving = tokio::spawn(async move {
        let (_, mut server) = backend.request().await;
        server.send(head().as_bytes()).await;
        write(&mut server.stream).await;
    });
    in_time(async {
        let mut client = RawHttp::connect(address).await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        taker.take(&client.taken());
        taker.read(&mut client.stream).await;
    })
    .await;
    serving.await.expect("it was served");
    taker.check();
}

#[tokio::test]
#[ignore = "takes long: run by tests/run"]
async fn an_upload_of_1_gib_leaves_memory_flat() {
    let backend = Backend::bind().await;
    let instance = start(&backend).await;
    let mut taker = Taker::new(&instance);
    let mut client = RawHttp::connect(instance.listener(1)).await;
    let sending = tokio::spawn(async move {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
        write(&mut client.stream).await;
        client
    });
    in_time(async {
        let (_, mut server) = backend.request().await;
        taker.take(&server.taken());
        taker.read(&mut server.stream).await;
        server.send(DONE).await;
    })
    .await;
    assert!(sending.await.expect("it was sent").head().await.starts_with("HTTP/1.1 200 "));
    taker.check();
}

#[tokio::test]
#[ignore = "takes long: run by tests/run"]
async fn a_download_of_1_gib_over_http2_leaves_memory_flat() {
    let backend = Backend::bind().await;
    let instance = start(&backend).await;
    let mut taker = Taker::new(&instance);
    let client = H2Client::connect_tls(instance.listener(0)).await;
    let serving = tokio::spawn(async move {
        let (_, mut server) = backend.request().await;
        server.send(head().as_bytes()).await;
        write(&mut server.stream).await;
    });
    in_time(async {
        let mut body = client.stream("/", "*/*").await.into_body();
        taker.receive(&mut body).await;
    })
    .await;
    serving.await.expect("it was served");
    taker.check();
}

#[tokio::test]
#[ignore = "takes long: run by tests/run"]
async fn an_upload_of_1_gib_over_http2_leaves_memory_flat() {
    let backend = Backend::bind().await;
    let instance = start(&backend).await;
    let mut taker = Taker::new(&instance);
    let client = H2Client::connect_tls(instance.listener(0)).await;
    let (answered, mut body) = client.post_sized("/", SIZE).await;
    let sending = tokio::spawn(async move { send(&mut body).await });
    in_time(async {
        let (head, mut server) = backend.request().await;
        assert!(head.contains(&format!("content-length: {SIZE}\r\n")), "{head}");
        taker.take(&server.taken());
        taker.read(&mut server.stream).await;
        server.send(DONE).await;
    })
    .await;
    sending.await.expect("it was sent");
    assert_eq!(answered.await.expect("an answer").status(), 200);
    taker.check();
}
