//! What heads say to either side: of the request, of the answer, and nothing of our own connections.

use super::{EMPTY, lines};
use crate::support::backend::front_config;
use crate::support::{Backend, Proxy, RawHttp, Reply};

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
