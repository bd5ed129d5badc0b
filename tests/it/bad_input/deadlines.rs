//! Heads that never end, and connections that fall silent.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Scene;
use crate::support::RawHttp;

/// What makes a silent client's time short.
const SHORT: &str = "[limits]\nheader_timeout = \"1s\"\n";

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_in_time_however_it_trickles() {
    let mut scene = Scene::with(SHORT).await;
    let mut raw = RawHttp::connect(scene.address()).await;
    raw.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n").await;
    let (mut reading, mut writing) = raw.stream.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"X-More: a\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    let end = crate::support::within("the end", reading.read_to_end(&mut answer)).await;
    assert!(end.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    crate::support::within("the writer to notice", trickle).await.expect("it does not panic");
    assert!(scene.instance.line("no complete request head in time").await.contains("127.0.0.1"));
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_head_that_begins_behind_a_request_and_never_ends_is_cut_off_too() {
    let mut scene = Scene::with(SHORT).await;
    for parts in [
        [&b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HT"[..], b""],
        [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", b"G"],
    ] {
        let mut raw = RawHttp::connect(scene.address()).await;
        raw.send(parts[0]).await;
        raw.send(parts[1]).await;
        let start = tokio::time::Instant::now();
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }
    scene.instance.lines("no complete request head in time", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_silent_connection_is_cut_off_wherever_it_falls_silent() {
    let mut scene = Scene::with(SHORT).await;
    let mut silent = vec![RawHttp::connect(scene.address()).await, RawHttp::connect(scene.tls()).await];
    // The head of a TLS record that is to be 512 bytes long, and its first bytes.
    let mut half = RawHttp::connect(scene.tls()).await;
    half.send(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await;
    silent.push(half);
    let mut h2 = RawHttp::connect(scene.address()).await;
    h2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    silent.push(h2);
    let mut part_of_preface = RawHttp::connect(scene.address()).await;
    part_of_preface.send(b"PRI * HT").await;
    silent.push(part_of_preface);
    let count = silent.len();
    for mut raw in silent {
        raw.rest().await;
    }
    scene.instance.lines("no complete request head in time", count).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_silent_connection_after_a_tls_handshake_is_cut_off() {
    let mut scene = Scene::with(SHORT).await;
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let mut stream = crate::support::tls::connect(&config, scene.tls(), "localhost").await.expect("TLS");
    let mut answer = Vec::new();
    let _ = crate::support::within("the end", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    scene.instance.line("no complete request head in time").await;
    scene.undisturbed().await;
}
