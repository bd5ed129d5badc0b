//! Requests that could be read in two ways: none of them reaches a backend, in whole or in part.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};

use crate::support::backend::Recorder;
use crate::support::{Backend, KeepAlive, Proxy, RawHttp, backend, within};

struct Scene {
    recorder: Recorder,
    proxy: Proxy,
}

impl Scene {
    async fn start() -> Scene {
        let recorder = Backend::bind().await.record();
        let proxy = backend::front("", &format!("http://{}", recorder.address), "", "");
        Scene { recorder, proxy }
    }

    fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// These bytes are answered 400, and the connection ends, though the client goes on talking.
    #[track_caller]
    fn refused<'a>(&'a self, bytes: &'a [u8]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut raw = RawHttp::connect(self.address()).await;
            raw.send(bytes).await;
            // With no body to come, the end is at once.
            let seen = if bytes.starts_with(b"GET") { raw.rest().await } else { raw.closed().await };
            let answer = String::from_utf8_lossy(&seen).into_owned();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{place}: {answer:?}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{place}: one answer, and no more: {answer:?}");
        }
    }

    /// That nothing but what is sent now has reached the backend.
    async fn nothing_passed(&self) {
        let mut client = KeepAlive::connect(self.address()).await;
        assert_eq!(client.get("/the-first-that-passes").await.text(), "ok");
        let seen = self.recorder.seen();
        assert!(seen.starts_with("GET /the-first-that-passes HTTP/1.1\r\n"), "{seen}");
        assert_eq!(seen.matches(" HTTP/1.1\r\n").count(), 1, "{seen}");
    }
}

/// A request whose body, read the other way, is another request.
fn post(fields: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .into_bytes()
}

#[tokio::test]
async fn a_body_with_two_lengths_or_an_odd_one_is_refused() {
    let scene = Scene::start().await;
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "transfer-encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 4",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 9223372036854775808",
        "Content-Length: 18446744073709551616",
        "Content-Length : 5",
        " Content-Length: 5",
        "X: y\r\n Content-Length: 5",
        "X: y\rContent-Length: 5",
        "X\rTransfer-Encoding: chunked",
        "X: a\0b",
    ] {
        scene.refused(&post(fields)).await;
    }
    scene.nothing_passed().await;
}

#[tokio::test]
async fn an_encoding_other_than_chunked_is_refused() {
    let scene = Scene::start().await;
    for fields in [
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding :chunked",
        "Transfer-Encoding\r\n : chunked",
    ] {
        scene.refused(&post(fields)).await;
    }
    scene.refused(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
    scene.nothing_passed().await;
}

#[tokio::test]
async fn a_request_for_no_host_or_for_two_is_refused() {
    let scene = Scene::start().await;
    scene.refused(b"GET / HTTP/1.1\r\n\r\n").await;
    scene.refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await;
    scene.refused(b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n").await;
    for host in ["a/b", "a@b", "a,b", "a b", "a?b", "a#b", "", "a:b", "a\\b", "[::1"] {
        scene.refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await;
    }
    scene.refused(b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    scene.nothing_passed().await;
    assert!(scene.proxy.metric("steadfeed_denied_total{route=\"none\",reason=\"framing\"}").await >= 10.0);
}

#[tokio::test]
async fn what_follows_a_bad_request_is_not_served_and_what_came_before_it_is() {
    let scene = Scene::start().await;
    let mut raw = RawHttp::connect(scene.address()).await;
    let bad = post("Content-Length: 4\r\nTransfer-Encoding: chunked");
    raw.send(&[b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n", bad.as_slice()].concat()).await;
    let answers = String::from_utf8_lossy(&raw.closed().await).into_owned();
    assert!(answers.starts_with("HTTP/1.1 200 ") && answers.contains("\r\n\r\nokHTTP/1.1 400 "), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    let seen = scene.recorder.seen();
    assert!(seen.starts_with("GET /before HTTP/1.1\r\n") && seen.matches(" HTTP/1.1\r\n").count() == 1, "{seen}");
}

#[tokio::test]
async fn bodies_that_look_like_requests_are_bodies() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut raw = RawHttp::connect(proxy.address()).await;
    let inner = "GET /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let size = inner.len();
    let fixed = format!("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{inner}");
    let chunked =
        format!("POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{inner}\r\n0\r\n\r\n");
    raw.send(format!("{fixed}{chunked}").as_bytes()).await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("POST /1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(server.exactly(size).await, inner.as_bytes());
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    raw.head().await;
    let head = server.head().await;
    assert!(head.starts_with("POST /2 HTTP/1.1\r\n"), "{head}");
    server.until(b"0\r\n\r\n").await;
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
}

/// An h2 client's one request, with headers that it would not send by itself.
async fn over_h2(scene: &Scene, request: Request<()>, trailers: Option<HeaderMap>) -> Result<u16, h2::Error> {
    let stream = tokio::net::TcpStream::connect(scene.address()).await.expect("the listener accepts");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut requests = within("HTTP/2", requests.ready()).await?;
    let (response, mut send) = requests.send_request(request, trailers.is_none())?;
    if let Some(trailers) = trailers {
        send.send_data(Bytes::from_static(b"body"), false)?;
        send.send_trailers(trailers)?;
    }
    Ok(within("a response", response).await?.status().as_u16())
}

#[tokio::test]
async fn over_http2_a_host_that_differs_and_two_lengths_are_refused() {
    let scene = Scene::start().await;
    let request = |fields: &[(&str, &str)]| {
        let request = Request::get("http://a.example/");
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).expect("a request")
    };
    for fields in
        [[("host", "b.example")].as_slice(), &[("host", "a.example"), ("host", "a.example")], &[("host", "a.example/")]]
    {
        assert_eq!(over_h2(&scene, request(fields), None).await.expect("an answer"), 400, "{fields:?}");
    }
    for fields in [
        [("connection", "x")].as_slice(),
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "h2c")],
        &[("te", "gzip")],
        &[("content-length", "0"), ("content-length", "0")],
        &[("content-length", "0, 0")],
    ] {
        let outcome = over_h2(&scene, request(fields), None).await;
        assert!(matches!(outcome, Ok(400) | Err(_)), "{fields:?}: {outcome:?}");
    }
    scene.nothing_passed().await;
}

#[tokio::test]
async fn a_backend_that_frames_its_answer_in_two_ways_is_not_believed() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "ok\r\n\r\n",
    ] {
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        let (_, mut server) = backend.request().await;
        server.send(answer.as_bytes()).await;
        let seen = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(seen.starts_with("HTTP/1.1 502 "), "{answer:?}: {seen:?}");
        assert_eq!(server.rest().await, b"", "nothing more is said on a connection that cannot be trusted");
        assert!(!seen.contains("\r\n\r\nok") && !seen.contains("127.0.0.1"), "{answer:?}: {seen:?}");
    }
}
