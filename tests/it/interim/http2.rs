//! The same over HTTP/2, where each stream has its own.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use tokio::net::TcpStream;

use super::{CONTINUE, HINT, MORE, OK, PROCESSING};
use crate::support::{Backend, RawHttp, within};

/// Asks on a connection of its own, with a body that goes on.
async fn stream(address: SocketAddr, expect: bool) -> (ResponseFuture, SendStream<Bytes>) {
    let mut requests = connect(address).await;
    let request = Request::post("http://a.example/x");
    let request = if expect { request.header("expect", "100-continue") } else { request };
    requests.send_request(request.body(()).expect("a request"), false).expect("sent")
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("the listener accepts");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    within("HTTP/2", requests.ready()).await.expect("HTTP/2")
}

/// The next informational answer: its status and its links.
async fn informed(response: &mut ResponseFuture) -> (u16, Vec<String>) {
    let head = within("an informational answer", poll_fn(|cx| response.poll_informational(cx))).await;
    let head = head.expect("not the answer yet").expect("an open stream");
    let links = head.headers().get_all("link").iter().map(|link| link.to_str().expect("text").to_owned());
    let (links, fields) = (links.collect::<Vec<_>>(), head.headers().len());
    assert_eq!(links.len(), fields, "nothing else: {head:?}");
    (head.status().as_u16(), links)
}

fn hinted(links: &[&str]) -> (u16, Vec<String>) {
    (103, links.iter().map(|link| (*link).to_owned()).collect())
}

/// The answer comes next, and nothing before it.
async fn answered(mut response: ResponseFuture) -> Response<RecvStream> {
    let more = within("the answer", poll_fn(|cx| response.poll_informational(cx))).await;
    assert!(more.is_none(), "{more:?}");
    within("the answer", response).await.expect("an answer")
}

async fn check_answered(response: ResponseFuture) {
    let response = answered(response).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "ok");
}

#[tokio::test]
async fn hints_reach_the_client_before_the_answer_each_on_its_own_stream() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut requests = connect(proxy.address()).await;
    let mut ask = || {
        let request = Request::get("http://a.example/").body(()).expect("a request");
        requests.send_request(request, true).expect("sent").0
    };
    let mut first = ask();
    let (_, mut server) = backend.request().await;
    let mut second = ask();
    let (_, mut other) = backend.request().await;
    other.send(MORE).await;
    assert_eq!(informed(&mut second).await, hinted(&["</b.js>", "</c.js>"]));
    server.send(HINT).await;
    assert_eq!(informed(&mut first).await, hinted(&["</a.css>; rel=preload"]));
    server.send(&[PROCESSING.as_bytes(), MORE, OK].concat()).await;
    assert_eq!(informed(&mut first).await, (102, vec![]));
    assert_eq!(informed(&mut first).await, hinted(&["</b.js>", "</c.js>"]));
    check_answered(first).await;
    other.send(OK).await;
    check_answered(second).await;
}

#[tokio::test]
async fn a_hint_is_said_while_the_body_goes_up() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut response, mut body) = stream(proxy.address(), false).await;
    body.send_data(Bytes::from_static(b"hello"), false).expect("sent");
    let (_, mut server) = backend.request().await;
    assert_eq!(server.until(b"hello\r\n").await, "5\r\nhello\r\n");
    server.send(HINT).await;
    assert_eq!(informed(&mut response).await.0, 103);
    body.send_data(Bytes::from_static(b"world"), true).expect("sent");
    assert_eq!(server.until(b"0\r\n\r\n").await, "5\r\nworld\r\n0\r\n\r\n");
    server.send(OK).await;
    check_answered(response).await;
}

#[tokio::test]
async fn more_hints_than_a_client_is_to_keep_are_dropped_and_the_answer_is_not() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut response, mut body) = stream(proxy.address(), false).await;
    body.send_data(Bytes::new(), true).expect("sent");
    let (_, mut server) = backend.request().await;
    let large = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(1000));
    server.send(&[large.repeat(50).as_bytes(), OK].concat()).await;
    let mut said = 0;
    while let Some(head) = within("a head", poll_fn(|cx| response.poll_informational(cx))).await {
        assert_eq!(head.expect("a head").status(), StatusCode::EARLY_HINTS);
        said += 1;
    }
    assert!((1..=steadfeed::limits::INTERIM / 1000).contains(&said), "{said}");
    check_answered(response).await;
}

/// A client that waits to go on, and its server, which was told so.
async fn waiting(address: SocketAddr, backend: &Backend) -> (ResponseFuture, SendStream<Bytes>, RawHttp) {
    let (response, body) = stream(address, true).await;
    let (head, server) = backend.request().await;
    assert!(head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n"), "{head}");
    (response, body, server)
}

#[tokio::test]
async fn a_client_that_waits_to_continue_is_told_to_once_when_the_server_is_ready() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut response, mut body, mut server) = waiting(proxy.address(), &backend).await;
    server.send(HINT).await;
    assert_eq!(informed(&mut response).await.0, 103, "the body is not asked for yet");
    server.send(b"HTTP/1.1 100 Go on\r\nX-Own: 1\r\n\r\n").await;
    assert_eq!(informed(&mut response).await, (100, vec![]));
    server.send(&[CONTINUE.as_bytes(), MORE].concat()).await;
    assert_eq!(informed(&mut response).await.0, 103, "no second 100");
    body.send_data(Bytes::from_static(b"hi"), true).expect("sent");
    assert_eq!(server.until(b"0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
    server.send(OK).await;
    check_answered(response).await;
}

#[tokio::test]
async fn a_client_that_waits_is_answered_without_a_100_where_its_body_is_not_wanted() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (response, mut body, mut server) = waiting(proxy.address(), &backend).await;
    server.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
    let response = answered(response).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!response.headers().contains_key("connection"), "{response:?}");
    let mut said = response.into_body();
    assert_eq!(within("data", said.data()).await.expect("data").expect("data"), "no");
    assert!(within("the end", said.data()).await.is_none_or(|end| end.is_ok_and(|data| data.is_empty())));
    let reason = within("a reset", poll_fn(|cx| body.poll_reset(cx))).await.expect("a reason");
    assert_eq!(reason, Reason::NO_ERROR, "it need not send the rest");
    assert_eq!(server.rest().await, b"", "nothing of the body reached the server");
}

#[tokio::test]
async fn a_client_is_told_to_continue_in_the_end_where_the_server_knows_no_100() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut response, mut body, mut server) = waiting(proxy.address(), &backend).await;
    assert_eq!(informed(&mut response).await, (100, vec![]));
    body.send_data(Bytes::from_static(b"hi"), true).expect("sent");
    assert_eq!(server.until(b"0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
    server.send(OK).await;
    check_answered(response).await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_after_all_is_told_nothing() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (response, mut body) = stream(proxy.address(), true).await;
    body.send_data(Bytes::from_static(b"hi"), true).expect("sent");
    let (_, mut server) = backend.request().await;
    assert_eq!(server.until(b"0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
    server.send(OK).await;
    check_answered(response).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_though_it_was_told_to_continue_is_not_waited_for() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", "body_timeout = \"200ms\"");
    let (mut response, _body, _server) = waiting(proxy.address(), &backend).await;
    assert_eq!(informed(&mut response).await, (100, vec![]));
    assert_eq!(answered(response).await.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_client_that_nobody_forwards_is_told_to_continue_by_nobody() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", "body_size = \"10B\"");
    let mut requests = connect(proxy.address()).await;
    let request = Request::post("http://a.example/").header("expect", "100-continue").header("content-length", "11");
    let (response, _body) = requests.send_request(request.body(()).expect("a request"), false).expect("sent");
    assert_eq!(answered(response).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
