//! What each side gets when the other stalls, breaks off or is not there.

use std::time::Duration;

use crate::support::{Backend, H2Client, RawHttp, get, until};

#[tokio::test]
async fn a_body_that_stalls_is_408() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", "body_timeout = \"100ms\"");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
    let (_, mut server) = backend.request().await;
    let answer = String::from_utf8_lossy(&raw.closed().await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(server.rest().await, b"hello");
}

#[tokio::test]
async fn a_backend_that_is_not_there_or_breaks_off_is_502_in_the_form_that_the_client_prefers() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    let (_, server) = backend.request().await;
    drop(server);
    assert!(raw.head().await.starts_with("HTTP/1.1 502 "));
    let port = backend.address().port();
    drop(backend);
    let json = get(proxy.address(), "/", &[]).await;
    assert_eq!((json.status, json.header("content-type")), (502, Some("application/problem+json")));
    assert!(!json.text().contains(&port.to_string()), "where it went is the log's: {}", json.text());
    let html = get(proxy.address(), "/", &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(html.text().starts_with("<!doctype html>"), "{}", html.text());
}

#[tokio::test]
async fn a_backend_that_does_not_answer_in_time_is_504() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("response_timeout = \"100ms\"", "");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    assert!(raw.head().await.starts_with("HTTP/1.1 504 "));
    server.rest().await;
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut_off_not_ended() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("idle_timeout = \"100ms\"", "");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(answer.ends_with("2\r\nok\r\n"), "{answer:?}");
    server.rest().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_off_not_ended() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    raw.until(b"hello").await;
    drop(server);
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn with_no_server_healthy_it_is_503_with_a_time_to_come_back() {
    let backend = Backend::bind().await;
    let health = "health = { path = \"/health\", every = \"100ms\", timeout = \"1s\", fall = 1, rise = 1 }";
    let proxy = backend.front_with(health, "");
    drop(backend);
    let reply = until("the server to be found down", || async {
        let reply = get(proxy.address(), "/", &[]).await;
        (reply.status == 503).then_some(reply)
    })
    .await;
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    drop(raw);
    assert_eq!(server.rest().await, b"", "before the answer");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    raw.until(b"hello").await;
    drop(raw);
    assert_eq!(server.rest().await, b"", "in the middle of it");
    let client = H2Client::connect(proxy.address()).await;
    let (asked, answered) = tokio::join!(backend.request(), async {
        tokio::time::timeout(Duration::from_millis(200), client.get("/")).await
    });
    assert!(answered.is_err(), "the client gave up");
    let (_, mut server) = asked;
    drop(client);
    assert_eq!(server.rest().await, b"", "of HTTP/2");
}
