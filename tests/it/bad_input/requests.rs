//! Requests that are none, too large, misdirected, or a bad handshake.

use std::net::SocketAddr;

use super::Scene;
use crate::support::RawHttp;
use crate::support::raw_ws::{KEY, upgrade};

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let mut scene = Scene::start().await;
    for size in [0, 100_000] {
        let mut raw = RawHttp::connect(scene.tls()).await;
        raw.send(upgrade(scene.tls(), "/events", &[("X-Large", &"a".repeat(size))]).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
        let body = String::from_utf8(raw.closed().await).expect("text");
        assert!(head.to_lowercase().contains(&format!("content-length: {}\r\n", body.len())), "{head}{body}");
        let problem: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("https://")), "{body}");
    }
    scene.instance.line("plain text on a TLS port").await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn tls_on_a_plain_port_is_told_in_the_log() {
    let mut scene = Scene::start().await;
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let refused = crate::support::tls::connect(&config, scene.address(), "localhost").await;
    assert!(refused.is_err());
    scene.instance.line("TLS on a plain port").await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_head_too_large_is_431_and_the_answer_arrives_though_more_was_sent() {
    let mut scene = Scene::start().await;
    let large = format!("GET /hello HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "a".repeat(600_000));
    scene.cut_short(large.as_bytes(), 431).await;
    let many = format!("GET /hello HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(200));
    scene.cut_short(many.as_bytes(), 431).await;
    scene.instance.lines("connection ended", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn junk_is_400() {
    let mut scene = Scene::start().await;
    scene.cut_short(b"\0\x01\x02\x03\r\n\r\n", 400).await;
    scene.cut_short(b"hello there\r\n\r\n", 400).await;
    scene.cut_short(b"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/9.9\r\nHost: a\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/1.1\r\nHost: a\r\nBad: \x01\r\n\r\n", 400).await;
    scene.cut_short(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400).await;
    scene.cut_short(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nab", 400).await;
    scene.instance.lines("connection ended", 8).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_destroy_the_answer() {
    let mut scene = Scene::start().await;
    let request = "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
    scene.cut_short(request.as_bytes(), 405).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn methods_and_targets_without_a_path_are_refused_not_misread() {
    let mut scene = Scene::start().await;
    let close = "Connection: close\r\n\r\n";
    let mut raw = RawHttp::connect(scene.address()).await;
    raw.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 404 "));
    scene.answered(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 404).await;
    scene.answered(format!("BREW /events HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 405).await;
    scene.answered(format!("GET http://a/hello HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 200).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let mut scene = Scene::start().await;
    let close = "Connection: close\r\n\r\n";
    scene.answered(format!("GET /hello HTTP/1.1\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a b\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a/b\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: user@a\r\n{close}").as_bytes(), 400).await;
    let (head, problem) = refusal(scene.address(), &[("Host", "-")]).await;
    assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("application/problem+json"), "{head}");
    assert_eq!(problem["status"], 400, "{problem}");
    scene.instance.lines(" 400 ", 6).await;
    // Health checks of the old kind have no host to name.
    let mut old = RawHttp::connect(scene.address()).await;
    old.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(old.rest().await).expect("text");
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("hello"), "{answer}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_bad_handshake_is_refused_before_101() {
    let mut scene = Scene::start().await;
    let refused = async |fields: &[(&str, &str)], status: u16| {
        let (got, problem) = refusal(scene.address(), fields).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{fields:?}: {got}");
        assert!(got.to_lowercase().contains("content-type: application/problem+json"), "{got}");
        assert_eq!(problem["status"], status, "{problem}");
        got.to_lowercase()
    };
    refused(&[("Sec-WebSocket-Key", "-")], 400).await;
    refused(&[("Sec-WebSocket-Key", "short")], 400).await;
    refused(&[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], 400).await;
    for version in ["-", "12", "0"] {
        let head = refused(&[("Sec-WebSocket-Version", version)], 426).await;
        assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    }
    refused(&[("Sec-WebSocket-Extensions", "permessage-deflate; =")], 400).await;
    refused(&[("Sec-WebSocket-Protocol", "a b")], 400).await;
    refused(&[("Content-Length", "5")], 400).await;
    scene.instance.lines(" 400 ", 6).await;
    scene.instance.lines(" 426 ", 3).await;
    scene.undisturbed().await;
}

/// The head of the answer to an upgrade with these fields, and its body.
async fn refusal(address: SocketAddr, fields: &[(&str, &str)]) -> (String, serde_json::Value) {
    let mut raw = RawHttp::connect(address).await;
    raw.send(upgrade(address, "/events", fields).as_bytes()).await;
    let head = raw.head().await;
    let lower = head.to_lowercase();
    let length = lower.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let body = raw.exactly(length.unwrap_or(0)).await;
    (head, serde_json::from_slice(&body).unwrap_or_default())
}
