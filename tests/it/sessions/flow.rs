//! Sides that take little or nothing of what the other says.

use std::time::Duration;

use steadfeed::feed::{Delivery, Shape};
use steadfeed::handler::SessionOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{delivery, options};
use crate::support::raw_ws::masked;
use crate::support::{Backend, RawWs, within};

/// Writes until the peer has taken nothing for a while; gives how much it took.
async fn fill(stream: &mut (impl tokio::io::AsyncWrite + Unpin), piece: &[u8]) -> usize {
    let mut taken = 0;
    while taken < 64 * 1024 * 1024 {
        match tokio::time::timeout(Duration::from_millis(500), stream.write(&piece[taken % piece.len()..])).await {
            Ok(count) => taken += count.expect("the peer takes bytes"),
            Err(_stalled) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_slow_reader_holds_its_sender_up_and_hears_everything() {
    let backend = Backend::bind().await;
    let delivery = Delivery { shape: Shape::Raw, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let payload = [b'x'; 1000];
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let frame = [&[0x81, 126, 0x03, 0xe8][..], &payload].concat();
    let taken = fill(&mut server.raw.stream, &frame).await;
    assert!(taken < 32 * 1024 * 1024, "{taken}");
    for _ in 0..taken / frame.len() {
        assert_eq!(client.frame().await.payload, payload);
    }
    let (client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let (mut client, frame) = (client, masked(0x81, &payload));
    let taken = fill(&mut client.raw.stream, &frame).await;
    assert!(taken < 32 * 1024 * 1024, "{taken}");
    for _ in 0..taken / frame.len() {
        assert_eq!(server.frame().await.1, payload);
    }
}

#[tokio::test]
async fn a_held_client_that_says_too_much_is_read_no_further_and_loses_nothing() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    drop(server);
    assert_eq!(client.json().await["upstream"], "stale");
    let frame = masked(0x81, &[b'x'; 1000]);
    let taken = fill(&mut client.raw.stream, &frame).await;
    assert!(taken < 16 * 1024 * 1024, "{taken}");
    let held = proxy.metric("steadfeed_messages_total{route=\"/*\",direction=\"in\"}").await;
    assert!((60.0..=70.0).contains(&held), "{held} of 1,000 bytes were held");
    let mut server = backend.websocket().await;
    for _ in 0..taken / frame.len() {
        assert_eq!(server.frame().await.1.len(), 1000);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_in_time() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions_with("[limits]\nsend_timeout = \"1s\"\n", "", &options());
    let (client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let frame = [&[0x81, 126, 0x03, 0xe8][..], &[b'x'; 1000]].concat();
    fill(&mut server.raw.stream, &frame).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/*\",code=\"1006\"}", 1.0).await;
    let mut rest = Vec::new();
    let _ = within("the end", server.raw.stream.read_to_end(&mut rest)).await;
    drop(client);
}
