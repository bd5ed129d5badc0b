//! Back-pressure over HTTP/2: who reads slowly holds up what is sent to it, and nothing else.

use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::backend::front_config;
use crate::support::{Backend, H2Client, Identity, Instance, RawHttp, within};

const SIZE: usize = 64 * 1024 * 1024;
/// What two pairs of sockets and a stream's windows take up.
const KERNEL: usize = 24 * 1024 * 1024;
/// By how much the process may grow over it.
const GROWTH: usize = 8 * 1024 * 1024;
/// Nothing is taken for this long.
const STALLED: Duration = Duration::from_millis(500);

async fn start(backend: &Backend) -> (Instance, H2Client) {
    let identity = Identity::new();
    let config = front_config(&identity.listener(""), &backend.server(), "", "body_size = \"1GiB\"");
    let instance = Instance::start(&config).await;
    let client = H2Client::connect_tls(instance.listener(0)).await;
    others_are_answered(&client, backend).await;
    (instance, client)
}

/// Downloads and uploads of other streams go on.
async fn others_are_answered(client: &H2Client, backend: &Backend) {
    const LARGE: usize = 300 * 1024;
    let (response, ()) = tokio::join!(client.get("/other"), async {
        let (head, mut server) = backend.request().await;
        assert!(head.starts_with("GET /other "), "{head}");
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {LARGE}\r\n\r\n");
        server.send(&[head.as_bytes(), &vec![b'x'; LARGE]].concat()).await;
    });
    assert_eq!(response.body().len(), LARGE);
    let (answered, mut body) = client.post_sized("/other", LARGE).await;
    let (sent, ()) = tokio::join!(fill(&mut body, LARGE), async {
        let (head, mut server) = backend.request().await;
        assert!(head.starts_with("POST /other "), "{head}");
        server.exactly(LARGE).await;
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    });
    assert_eq!(sent, LARGE);
    assert_eq!(within("an answer", answered).await.expect("an answer").status(), 200);
}

/// Sends until the peer has taken nothing for a while, or it is all; gives how much it took.
async fn fill(to: &mut SendStream<Bytes>, most: usize) -> usize {
    let piece = Bytes::from_static(&[b'x'; 16 * 1024]);
    let mut taken = 0;
    while taken < most {
        to.reserve_capacity(piece.len().min(most - taken));
        match timeout(STALLED, std::future::poll_fn(|cx| to.poll_capacity(cx))).await {
            Ok(room) => {
                let some = piece.slice(..room.expect("open").expect("open").min(piece.len()).min(most - taken));
                taken += some.len();
                to.send_data(some, taken == most).expect("sent");
            }
            Err(_stalled) => break,
        }
    }
    taken
}

/// Writes until the peer has taken nothing for a while; gives how much it took.
async fn write(to: &mut RawHttp, most: usize) -> usize {
    let piece = vec![b'x'; 64 * 1024];
    let mut taken = 0;
    while taken < most {
        match timeout(STALLED, to.stream.write(&piece[..piece.len().min(most - taken)])).await {
            Ok(count) => taken += count.expect("the peer takes bytes"),
            Err(_stalled) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_client_that_reads_one_stream_slowly_holds_up_that_stream_alone() {
    let backend = Backend::bind().await;
    let (instance, client) = start(&backend).await;
    let before = instance.memory();
    let (response, mut server) = tokio::join!(client.stream("/slow", "*/*"), async {
        let (_, mut server) = backend.request().await;
        server.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
        server
    });
    let taken = write(&mut server, SIZE).await;
    assert!(taken < KERNEL, "{taken} bytes were taken for a client that reads none");
    others_are_answered(&client, &backend).await;
    let growth = instance.memory().saturating_sub(before);
    assert!(growth < GROWTH, "it grew by {growth} bytes");
    // What was held up goes on, to its end.
    let mut body = response.into_body();
    let (rest, read) = tokio::join!(write(&mut server, SIZE - taken), async {
        let mut read = 0;
        while let Some(some) = within("data", body.data()).await {
            read += some.as_ref().expect("data").len();
            body.flow_control().release_capacity(some.expect("data").len()).expect("released");
        }
        read
    });
    assert_eq!((taken + rest, read), (SIZE, SIZE));
}

#[tokio::test]
async fn a_server_that_reads_one_upload_slowly_holds_up_that_stream_alone() {
    let backend = Backend::bind().await;
    let (instance, client) = start(&backend).await;
    let before = instance.memory();
    let (answered, mut body) = client.post_sized("/slow", SIZE).await;
    let (_, mut server) = backend.request().await;
    let taken = fill(&mut body, SIZE).await;
    assert!(taken < KERNEL, "{taken} bytes were taken for a server that reads none");
    others_are_answered(&client, &backend).await;
    let growth = instance.memory().saturating_sub(before);
    assert!(growth < GROWTH, "it grew by {growth} bytes");
    let (rest, ()) = tokio::join!(fill(&mut body, SIZE - taken), async {
        let (mut read, mut buffer) = (server.taken().len(), vec![0; 256 * 1024]);
        while read < SIZE {
            read += within("the upload", server.stream.read(&mut buffer)).await.expect("the peer sends");
        }
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    });
    assert_eq!(taken + rest, SIZE);
    assert_eq!(within("an answer", answered).await.expect("an answer").status(), 200);
}
