//! What is asked and answered before a connection becomes a tunnel.

use super::{ASK, SWITCH};
use crate::support::backend::front;
use crate::support::raw_ws::{KEY, upgrade};
use crate::support::{Backend, RawHttp};

#[tokio::test]
async fn a_websocket_keeps_its_own_headers() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    let fields = [("Sec-WebSocket-Protocol", "bearer, x.y"), ("Sec-WebSocket-Extensions", "permessage-deflate")];
    client.send(upgrade(proxy.address(), "/ws", &fields).as_bytes()).await;
    let (head, mut server) = backend.request().await;
    let lower = head.to_ascii_lowercase();
    for field in ["protocol: bearer, x.y", "extensions: permessage-deflate", "version: 13"] {
        assert!(lower.contains(&format!("\r\nsec-websocket-{field}\r\n")), "{field}: {head}");
    }
    assert!(head.contains(KEY), "{head}");
    server
        .send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: as-it-is\r\nSec-WebSocket-Protocol: bearer\r\n\r\n",
        )
        .await;
    let answer = client.head().await.to_ascii_lowercase();
    assert!(answer.contains("\r\nsec-websocket-accept: as-it-is\r\n"), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-protocol: bearer\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_does_not_switch_is_passed_on() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Own: y\r\n\r\nno").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("x-own: y"), "{head}");
    assert_eq!(client.exactly(2).await, b"no");
    // The connection is still HTTP.
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(backend.request().await.0.starts_with("GET /next "));
}

#[tokio::test]
async fn a_switch_to_what_was_not_asked_for_is_502() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "));
    assert_eq!(server.rest().await, b"");
}

#[tokio::test]
async fn an_upgrade_to_http2_is_never_passed_on() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c",
        "Connection: HTTP2-Settings\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ] {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes()).await;
        let (head, mut server) = backend.request().await;
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("upgrade") && !lower.contains("http2-settings"), "{head}");
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn a_switch_before_the_requests_empty_body_has_ended_is_a_switch() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client
        .send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (_, mut server) = backend.request().await;
    server.send(SWITCH).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(b"0\r\n\r\nhello").await;
    assert_eq!(server.exactly(10).await, b"0\r\n\r\nhello");
    server.send(b"hi").await;
    assert_eq!(client.exactly(2).await, b"hi");
}

#[tokio::test]
async fn a_foreign_page_opens_none() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/", &[("Origin", "https://evil.example")]).as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));
    let proxy = front("", &backend.server(), "", "origins = [\"https://good.example\"]");
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/", &[("Origin", "https://good.example")]).as_bytes()).await;
    assert!(backend.request().await.0.contains("https://good.example"));
}
