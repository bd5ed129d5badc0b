//! Requests that are forwarded, and their answers: what reaches either side, and what each gets when the other fails.
//!
//! Both sides are spoken for by hand, in literal bytes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::backend::front_config;
use crate::support::{Backend, H2Client, Proxy, RawHttp, Reply, get, until, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a head says of a header, each line of it.
fn lines<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name));
    head.lines().filter_map(field).map(|(_, value)| value).collect()
}

/// What the backend answers to a GET is what the client gets.
async fn passed_on(backend: &Backend, address: std::net::SocketAddr, method: &str, answer: &str) -> Reply {
    let mut raw = RawHttp::connect(address).await;
    raw.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let (_, mut server) = backend.request().await;
    server.send(answer.as_bytes()).await;
    let head = raw.head().await;
    drop(server);
    Reply::new(head, raw.rest().await)
}

#[tokio::test]
async fn a_backend_is_told_whom_a_request_is_for_and_nothing_of_our_connection() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(
        b"GET /a/b?c=d HTTP/1.1\r\nHost: App.example:81\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
          Keep-Alive: timeout=5\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\
          Proxy-Authorization: Basic eA==\r\nProxy: evil\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\
          X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Request-Id: mine\r\nCookie: a=1\r\nX-Kept: y\r\n\r\n",
    )
    .await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{head}");
    for (name, expected) in [
        ("host", ["App.example:81"].as_slice()),
        ("x-kept", &["y"]),
        ("cookie", &["a=1"]),
        ("x-mine", &[]),
        ("keep-alive", &[]),
        ("upgrade", &[]),
        ("http2-settings", &[]),
        ("proxy-authorization", &[]),
        ("proxy", &[]),
        ("te", &["trailers"]),
        ("connection", &["te"]),
        ("transfer-encoding", &[]),
        ("content-length", &[]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["App.example:81"]),
        ("x-forwarded-port", &["81"]),
        ("forwarded", &["for=127.0.0.1;host=\"App.example:81\";proto=http"]),
        ("x-request-id", &["mine"]),
    ] {
        assert_eq!(lines(&head, name), expected, "{name}: {head}");
    }
    assert_eq!(lines(&head, "traceparent")[0].len(), 55, "{head}");
    server.send(EMPTY).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_answer_keeps_its_own_headers_and_loses_those_of_its_connection() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let reply = passed_on(
        &backend,
        proxy.address(),
        "GET",
        "HTTP/1.1 203 Quite Good\r\nServer: app/1\r\nConnection: close, X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!((reply.status, reply.text().as_str()), (203, "ok"));
    assert_eq!(reply.header("server"), Some("app/1"));
    assert_eq!((reply.header("x-own"), reply.header("keep-alive")), (None, None));
    assert_eq!(reply.header("content-length"), Some("2"));
    assert_eq!(reply.header("x-content-type-options"), None, "the application speaks for itself");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let head = passed_on(&backend, proxy.address(), "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("1234"), 0));
    let chunked =
        passed_on(&backend, proxy.address(), "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!((chunked.status, chunked.body.len()), (200, 0));
    let none =
        passed_on(&backend, proxy.address(), "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((none.status, none.header("content-length"), none.body.len()), (204, None, 0));
    let same = passed_on(&backend, proxy.address(), "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n").await;
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some("\"a\""), 0));
    let till_the_end = passed_on(&backend, proxy.address(), "GET", "HTTP/1.0 200 OK\r\nX: y\r\n\r\n").await;
    assert_eq!((till_the_end.status, till_the_end.header("x")), (200, Some("y")));
}

#[tokio::test]
async fn a_prefix_is_stripped_off_the_path() {
    let backend = Backend::bind().await;
    let config = front_config("", &backend.server(), "", "strip_prefix = \"/api\"").replace("\"/*\"", "\"/api/*\"");
    let proxy = Proxy::start(&config);
    for (path, expected) in [("/api/x?y", "/x?y"), ("/api/", "/"), ("/api/?z", "/?z"), ("/api//x", "//x")] {
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
        let (head, mut server) = backend.request().await;
        assert!(head.starts_with(&format!("GET {expected} HTTP/1.1\r\n")), "{path}: {head}");
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
        drop(server);
        raw.rest().await;
    }
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Undeclared: 2\r\n\r\n",
    )
    .await;
    let (head, mut server) = backend.request().await;
    assert_eq!(lines(&head, "transfer-encoding"), ["chunked"], "{head}");
    assert_eq!(
        server.until(b"\r\n\r\n").await.to_ascii_lowercase(),
        "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-undeclared: 2\r\n\r\n"
    );
    server
        .send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 3\r\n\r\n",
        )
        .await;
    raw.head().await;
    assert_eq!(raw.until(b"\r\n\r\n").await.to_ascii_lowercase(), "2\r\nok\r\n0\r\nx-sum: 3\r\n\r\n");
}

#[tokio::test]
async fn a_get_with_a_chunked_body_keeps_it() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    let (head, mut server) = backend.request().await;
    assert_eq!(lines(&head, "transfer-encoding"), ["chunked"], "{head}");
    assert_eq!(server.until(b"0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
    server.send(EMPTY).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_comes_over_http2_is_sent_on_over_http1() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let stream = tokio::net::TcpStream::connect(proxy.address()).await.expect("the listener accepts");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut requests = within("HTTP/2", requests.ready()).await.expect("HTTP/2");
    let request = Request::post("http://a.example/x").header("cookie", "a=1").header("cookie", "b=2");
    let request = request.header("trailer", "x-sum").body(()).expect("a request");
    let (response, mut send) = requests.send_request(request, false).expect("sent");
    send.send_data(Bytes::from_static(b"hello"), false).expect("sent");
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))]);
    send.send_trailers(trailers).expect("sent");
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("POST /x HTTP/1.1\r\n"), "{head}");
    assert_eq!((lines(&head, "host"), lines(&head, "cookie")), (vec!["a.example"], vec!["a=1; b=2"]));
    assert_eq!(server.until(b"\r\n\r\n").await, "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
    server
        .send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 3\r\n\r\n",
        )
        .await;
    let mut body = within("a response", response).await.expect("a response").into_body();
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "ok");
    let trailers = within("trailers", body.trailers()).await.expect("trailers").expect("trailers");
    assert_eq!(trailers["x-sum"], "3");
}

#[tokio::test]
async fn a_client_that_waits_to_continue_with_too_large_a_body_is_not_told_to() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_none_of_it_is_forwarded_where_its_length_is_said() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", "body_size = \"10B\"");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST /known HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world").await;
    let answer = String::from_utf8_lossy(&raw.closed().await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("10 bytes"), "{answer}");
    // The first connection is that of the second request.
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST /unknown HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n").await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("POST /unknown "), "{head}");
    raw.send(b"5\r\nworld\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 413 "));
    let seen = String::from_utf8_lossy(&server.rest().await).into_owned();
    assert!(!seen.contains("0\r\n\r\n"), "it is cut, not ended: {seen:?}");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhelloworld").await;
    let (_, mut server) = backend.request().await;
    assert_eq!(server.exactly(10).await, b"helloworld");
}

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

/// Writes until the peer has taken nothing for a while; gives how much it took.
async fn fill(stream: &mut (impl tokio::io::AsyncWrite + Unpin), most: usize) -> usize {
    let piece = vec![b'x'; 64 * 1024];
    let mut taken = 0;
    while taken < most {
        match tokio::time::timeout(Duration::from_millis(500), stream.write(&piece)).await {
            Ok(count) => taken += count.expect("the peer takes bytes"),
            Err(_stalled) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_slow_reader_holds_its_sender_up_in_either_direction() {
    const MOST: usize = 64 * 1024 * 1024;
    const KERNEL: usize = 24 * 1024 * 1024;
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", &format!("body_size = \"{}MiB\"", 2 * MOST / (1024 * 1024)));
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {MOST}\r\n\r\n").as_bytes()).await;
    let down = fill(&mut server.stream, MOST).await;
    assert!(down < KERNEL, "{down} bytes were taken for a client that reads none");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MOST}\r\n\r\n").as_bytes()).await;
    let _server = backend.request().await;
    let up = fill(&mut raw.stream, MOST).await;
    assert!(up < KERNEL, "{up} bytes were taken for a server that reads none");
}

#[tokio::test]
async fn large_bodies_pass_whole() {
    const SIZE: usize = 32 * 1024 * 1024;
    let backend = Backend::bind().await;
    let proxy = backend.front_with("", "body_size = \"64MiB\"");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
    let (_, server) = backend.request().await;
    let (mut client, mut server) = (raw.stream, server.stream);
    let (mut sent, mut received) = (0, 0);
    let piece: Vec<u8> = (0..=250).cycle().take(251 * 256).collect();
    let mut buf = vec![0; 256 * 1024];
    within("the upload", async {
        while received < SIZE {
            tokio::select! {
                biased;
                count = client.write(&piece[sent % piece.len()..][..(SIZE - sent).min(piece.len() - sent % piece.len())]),
                    if sent < SIZE => sent += count.expect("sent"),
                count = server.read(&mut buf) => {
                    let count = count.expect("received");
                    assert!(count > 0);
                    let wrong = buf[..count].iter().enumerate().find(|(at, byte)| usize::from(**byte) != (received + at) % 251);
                    assert_eq!(wrong, None, "at {received}");
                    received += count;
                }
            }
        }
    })
    .await;
    server.write_all(EMPTY).await.expect("sent");
}
