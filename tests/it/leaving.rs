//! Clients that leave before they were answered: a line of the access log and a count, with status 499, once each.

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::support::backend::front_config;
use crate::support::raw_ws::upgrade;
use crate::support::{Backend, Instance, Proxy, RawHttp, get, within};

const LEFT: &str = "steadfeed_requests_total{route=\"/*\",status=\"499\"}";
const BROKE_OFF: &str = "steadfeed_requests_total{route=\"/*\",status=\"400\"}";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async fn instance(backend: &Backend) -> Instance {
    Instance::start(&front_config("", &backend.server(), "", "")).await
}

/// The lines of requests, less their time and client.
fn told(printed: &[String]) -> Vec<String> {
    let access = printed.iter().filter_map(|line| line.split_once(" access 127.0.0.1 ")).map(|(_, rest)| rest);
    access.map(|rest| rest.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn one_that_leaves_before_its_answer_has_a_line_of_its_own_over_both_protocols() {
    let backend = Backend::bind().await;
    let instance = instance(&backend).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /closed?token=x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    drop(raw);
    assert_eq!(server.rest().await, b"", "its request is cancelled");
    let line = instance.lines(" 499 ", 1).await.remove(0);
    assert!(line.contains(" access 127.0.0.1 GET /closed 499 ") && line.ends_with("s route=/*"), "{line}");
    let stream = TcpStream::connect(instance.address()).await.expect("the listener accepts");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let driven = tokio::spawn(connection);
    let mut requests: SendRequest<Bytes> = within("HTTP/2", requests.ready()).await.expect("HTTP/2");
    let mut ask = |path: &str| {
        let request = Request::get(format!("http://a.example{path}")).body(()).expect("a request");
        requests.send_request(request, true).expect("sent")
    };
    let reset = ask("/reset");
    let (_, mut server) = backend.request().await;
    drop(reset);
    assert_eq!(server.rest().await, b"");
    instance.lines(" GET /reset 499 ", 1).await;
    let _cut = ask("/cut");
    let (_, mut server) = backend.request().await;
    driven.abort();
    assert_eq!(server.rest().await, b"");
    instance.lines(" GET /cut 499 ", 1).await;
    let metrics = get(instance.admin(), "/metrics", &[]).await.text();
    assert!(metrics.lines().any(|line| line == format!("{LEFT} 3")), "{metrics}");
    assert_eq!(told(&instance.printed()), ["GET /closed 499", "GET /reset 499", "GET /cut 499"]);
}

#[tokio::test]
async fn one_that_was_answered_or_refused_is_told_once() {
    let backend = Backend::bind().await;
    let instance = instance(&backend).await;
    // It leaves in the middle of its answer.
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /middle HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    raw.until(b"hello").await;
    drop(raw);
    assert_eq!(server.rest().await, b"");
    // It is refused.
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 413 "));
    drop(raw);
    // It leaves behind its answer.
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(OK).await;
    raw.head().await;
    drop(raw);
    instance.lines(" GET /whole 200 ", 1).await;
    let metrics = get(instance.admin(), "/metrics", &[]).await.text();
    assert!(!metrics.contains("status=\"499\""), "{metrics}");
    assert_eq!(told(&instance.printed()), ["GET /middle 200", "POST /large 413", "GET /whole 200"]);
}

#[tokio::test]
async fn one_that_we_leave_has_not_left() {
    let backend = Backend::bind().await;
    let instance = instance(&backend).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    instance.signal(Signal::TERM);
    instance.signal(Signal::TERM);
    assert_eq!(server.rest().await, b"");
    let (_, printed) = instance.ended().await;
    assert_eq!(told(&printed), [""; 0]);
}

/// The client leaves while the backend has the first request that comes of what it asks.
async fn check_counted(backend: &Backend, route: &str, counted: &str, ask: impl Fn(std::net::SocketAddr) -> String) {
    let proxy: Proxy = backend.front_with("", route);
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(ask(proxy.address()).as_bytes()).await;
    let (_, mut server) = backend.request().await;
    assert_eq!(proxy.metric(counted).await, 0.0, "{route}");
    drop(raw);
    assert_eq!(server.rest().await, b"", "{route}");
    proxy.until_metric(counted, 1.0).await;
    assert_eq!(proxy.metric(LEFT).await + proxy.metric(BROKE_OFF).await, 1.0, "{route}");
}

#[tokio::test]
async fn whatever_it_waited_for_it_is_counted() {
    let backend = Backend::bind().await;
    let socket = |address| upgrade(address, "/ws", &[]);
    check_counted(&backend, "", LEFT, socket).await;
    check_counted(&backend, "[route.session]", LEFT, socket).await;
    let plain = |_| "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    check_counted(&backend, &format!("auth_request = \"{}/auth\"", backend.server()), LEFT, plain).await;
    let upload = |_| "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".to_owned();
    check_counted(&backend, "", BROKE_OFF, upload).await;
}
