//! Streams of HTTP/2 (RFC 9113): how each ends, alone, and how their connection does.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::backend::front_config;
use crate::support::{Backend, H2Client, Instance, Proxy, RawHttp, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const ROUTE: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nwebsocket_h2 = true\n\
     [[route]]\npath = \"/hello\"\nrespond = { body = \"hello\" }\n";

/// A client, and its connection until that has ended.
async fn connect(address: std::net::SocketAddr) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(address).await.expect("the listener accepts");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let ending = tokio::spawn(connection);
    (within("HTTP/2", requests.ready()).await.expect("HTTP/2"), ending)
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("http://a.example{path}")).body(()).expect("a request")
}

/// A frame without a payload longer than 16 KiB (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS of `GET /hello`, with and without what it must have (RFC 7541, appendix A).
fn headers(stream: u32, proper: bool) -> Vec<u8> {
    let rest: &[u8] = &[0x86, 0x41, 1, b'a', 0x04, 6, b'/', b'h', b'e', b'l', b'l', b'o'];
    let method: &[u8] = if proper { &[0x82] } else { &[] };
    frame(1, 0x05, stream, &[method, rest].concat())
}

/// What comes until a frame of this kind does: its payload.
async fn until_frame(raw: &mut RawHttp, kind: u8) -> Vec<u8> {
    within("a frame", async {
        loop {
            let head = raw.exactly(9).await;
            let payload = raw.exactly(usize::from(head[1]) << 8 | usize::from(head[2])).await;
            if head[3] == kind {
                return payload;
            }
        }
    })
    .await
}

const RESET: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

#[tokio::test]
async fn trailers_pass_both_ways() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut requests, _ending) = connect(proxy.address()).await;
    let (response, mut body) = requests.send_request(post("/"), false).expect("sent");
    body.send_data(Bytes::from_static(b"up"), false).expect("sent");
    body.send_trailers(HeaderMap::from_iter([("x-sum".parse().expect("a name"), "1".parse().expect("a value"))]))
        .expect("sent");
    let (_, mut server) = backend.request().await;
    assert_eq!(server.until(b"\r\n\r\n").await, "2\r\nup\r\n0\r\nx-sum: 1\r\n\r\n");
    server
        .send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4\r\ndown\r\n0\r\nX-Sum: 2\r\n\r\n")
        .await;
    let response = within("an answer", response).await.expect("an answer");
    assert!(response.headers().contains_key("date"), "{response:?}");
    let mut body = response.into_body();
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "down");
    let trailers = within("trailers", body.trailers()).await.expect("an end").expect("trailers");
    assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &"2".parse().expect("a value")));
}

#[tokio::test]
async fn an_upload_that_is_cancelled_is_not_passed_on_as_a_whole_one() {
    let backend = Backend::bind().await;
    let instance = Instance::start(&front_config("", &backend.server(), "", "")).await;
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let (mut requests, _ending) = connect(instance.address()).await;
        let (_response, mut body) = requests.send_request(post("/upload"), false).expect("sent");
        body.send_data(Bytes::from_static(b"half"), false).expect("sent");
        let (_, mut server) = backend.request().await;
        assert_eq!(server.until(b"half\r\n").await, "4\r\nhalf\r\n");
        body.send_reset(reason);
        assert_eq!(server.rest().await, b"", "{reason}: it is cut, not ended");
    }
    instance.lines(" POST /upload 499 ", 3).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_reset_and_one_that_is_not_taken_is_cancelled_upstream() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut requests, ending) = connect(proxy.address()).await;
    let (response, _) = requests.send_request(post("/"), true).expect("sent");
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    let mut body = within("an answer", response).await.expect("an answer").into_body();
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "hello");
    drop(server);
    let error = within("the end", body.data()).await.expect("an end").expect_err("no proper one");
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    let (response, _) = requests.send_request(post("/"), true).expect("sent");
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    drop(within("an answer", response).await.expect("an answer"));
    assert_eq!(server.rest().await, b"");
    assert!(!ending.is_finished(), "the connection goes on");
}

#[tokio::test]
async fn a_request_that_is_answered_before_its_body_was_read_is_reset_without_an_error() {
    let proxy = Proxy::start(ROUTE);
    let (mut requests, ending) = connect(proxy.address()).await;
    let (response, mut body) = requests.send_request(post("/hello"), false).expect("sent");
    body.send_data(Bytes::from_static(b"half"), false).expect("sent");
    let mut answer = within("an answer", response).await.expect("an answer").into_body();
    assert_eq!(within("data", answer.data()).await.expect("data").expect("data"), "hello");
    assert_eq!(within("a reset", poll_fn(|cx| body.poll_reset(cx))).await.expect("a reason"), Reason::NO_ERROR);
    assert!(!ending.is_finished(), "the connection goes on");
}

#[tokio::test]
async fn a_connect_with_a_body_is_malformed() {
    let proxy = Proxy::start(ROUTE);
    let client = H2Client::connect(proxy.address()).await;
    let mut raw = RawHttp::connect(proxy.address()).await;
    // CONNECT, `:protocol` and `content-length: 1`, as literals.
    let literal = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).expect("short");
        [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    let fields = [
        literal(":method", "CONNECT"),
        literal(":protocol", "websocket"),
        vec![0x86, 0x84, 0x41, 1, b'a'],
        literal("content-length", "1"),
    ];
    raw.send(&[PREFACE, SETTINGS, &frame(1, 0x04, 1, &fields.concat())].concat()).await;
    assert_eq!(until_frame(&mut raw, RESET).await, [0, 0, 0, 1], "PROTOCOL_ERROR");
    raw.send(&headers(3, true)).await;
    until_frame(&mut raw, 0).await;
    assert_eq!(client.get("/hello").await.status(), 200);
}

#[tokio::test]
async fn a_connection_that_drains_ends_with_its_last_stream_and_takes_no_more() {
    let backend = Backend::bind().await;
    let instance = Instance::start(&front_config("", &backend.server(), "", "")).await;
    let (mut requests, ending) = connect(instance.address()).await;
    let (response, _) = requests.send_request(post("/first"), true).expect("sent");
    let (_, mut server) = backend.request().await;
    instance.signal(Signal::TERM);
    // The GOAWAY comes: no more requests go out.
    within("the connection to drain", async {
        while poll_fn(|cx| requests.poll_ready(cx)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let answer: Response<_> = within("an answer", response).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(within("data", answer.into_body().data()).await.expect("data").expect("data"), "ok");
    within("the end", ending).await.expect("no panic").expect("a proper end");
    assert!(instance.ended().await.0.success());
}

/// A connection that has sent all this at once is ended for it, and others are not.
async fn check_flood(flood: Vec<u8>) {
    let instance = Instance::start(ROUTE).await;
    let client = H2Client::connect(instance.address()).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(&[PREFACE, SETTINGS, &flood].concat()).await;
    let goaway = until_frame(&mut raw, GOAWAY).await;
    assert_eq!(goaway[4..8], [0, 0, 0, 0xb], "ENHANCE_YOUR_CALM");
    instance.line("http2 error: connection error detected").await;
    assert_eq!(client.get("/hello").await.status(), 200);
}

#[tokio::test]
async fn a_flood_of_requests_that_are_reset_at_once_ends_its_connection() {
    let count = u32::try_from(steadfeed::limits::H2_RESETS).expect("few") + 100;
    let one = |number| [headers(2 * number + 1, true), frame(RESET, 0, 2 * number + 1, &[0, 0, 0, 8])].concat();
    check_flood((0..count).flat_map(one).collect()).await;
}

#[tokio::test]
async fn a_flood_of_malformed_requests_ends_its_connection() {
    let count = u32::try_from(steadfeed::limits::H2_FAULTS).expect("few") + 1;
    check_flood((0..=count).flat_map(|number| headers(2 * number + 1, false)).collect()).await;
}

#[tokio::test]
async fn a_client_that_is_silent_is_pinged_and_ended_when_it_does_not_answer() {
    let backend = Backend::bind().await;
    let limits = "[limits]\nkeepalive_timeout = \"300ms\"\nheader_timeout = \"400ms\"";
    let instance = Instance::start(&front_config(limits, &backend.server(), "", "")).await;
    // One that answers, as the library does, is waited for.
    let (mut requests, ending) = connect(instance.address()).await;
    let (response, _) = requests.send_request(post("/"), true).expect("sent");
    let (_, mut server) = backend.request().await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(&[PREFACE, SETTINGS, &frame(4, 1, 0, &[]), &headers(1, true)].concat()).await;
    let (_, _held) = backend.request().await;
    let start = Instant::now();
    assert_eq!(until_frame(&mut raw, PING).await.len(), 8);
    let pinged = start.elapsed();
    assert!(pinged >= Duration::from_millis(250), "{pinged:?}");
    assert_eq!(until_frame(&mut raw, GOAWAY).await[4..8], [0; 4], "NO_ERROR");
    within("the end", raw.stream.read_to_end(&mut Vec::new())).await.expect("a close");
    assert!(start.elapsed() >= pinged + Duration::from_millis(350), "{:?}", start.elapsed());
    instance.line("http2 error: keep-alive timed out").await;
    assert!(!ending.is_finished());
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(within("an answer", response).await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_fixed_answer_is_no_open_websocket() {
    let proxy = Proxy::start(ROUTE);
    let client = H2Client::connect(proxy.address()).await;
    let answer = client.try_websocket("/hello").await.expect("an answer");
    assert_eq!(answer.status(), 405);
}
