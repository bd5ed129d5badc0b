//! Bodies and their trailers, in both directions.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{EMPTY, lines};
use crate::support::{Backend, RawHttp, within};

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
