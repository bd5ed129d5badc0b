//! How a session ends: who says so, and what the other is told.

use super::{closed, notice, open, options};
use crate::support::raw_ws::masked;
use crate::support::{Backend, RawWs};

#[tokio::test]
async fn what_the_application_tells_its_client_by_closing_is_told() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let cases = [(1000, 1000), (1008, 1008), (3001, 3001), (4000, 4000), (4999, 4999), (1009, 1011), (1002, 1011)];
    for (said, told) in cases {
        let (mut client, mut server) = open(&proxy, &backend).await;
        server.say("1").await;
        server.close(said, "so it is").await;
        assert_eq!(client.json().await["data"], 1);
        let reason = if told == 1011 { format!("upstream closed with {said}") } else { "so it is".to_owned() };
        assert_eq!(closed(&mut client).await, (told, reason));
        assert_eq!(server.closed().await.0, said);
    }
}

#[tokio::test]
async fn what_the_client_says_by_closing_is_told_too() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    client.send("last words").await;
    client.close(4321).await;
    assert_eq!(server.text().await, "last words");
    assert_eq!(server.closed().await.0, 4321);
    assert_eq!(client.closed().await.map(|frame| u16::from(frame.code)), Some(4321));
    let (client, mut server) = open(&proxy, &backend).await;
    drop(client);
    assert_eq!(server.closed().await.0, 1001);
    // That it answers nothing holds nobody up for long.
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_held_is_gone() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, server) = open(&proxy, &backend).await;
    drop(server);
    notice(&mut client, "stale").await;
    client.close(1000).await;
    client.ended().await;
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
    assert_eq!(proxy.metric("steadfeed_sessions_held{route=\"/*\"}").await, 0.0);
}

#[tokio::test]
async fn a_client_that_says_too_much_or_nonsense_is_told_so() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    client.send(&"x".repeat(64 * 1024)).await;
    assert_eq!(server.text().await.len(), 64 * 1024);
    client.send(&"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(closed(&mut client).await.0, 1009);
    assert_eq!(server.closed().await.0, 1001);
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    client.raw.send(&masked(0x81, b"\xff")).await;
    let frame = client.frame().await;
    assert_eq!((frame.first, &frame.payload[..2]), (0x88, &1007u16.to_be_bytes()[..]));
    assert!(client.raw.closed().await.is_empty(), "it need not wait for the end");
    assert_eq!(server.closed().await.0, 1001);
}

#[tokio::test]
async fn a_drain_closes_sessions_and_tells_the_upstream() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions_with("[drain]\nspread = \"100ms\"\ntimeout = \"5s\"\n", "", &options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    let (mut held, lost) = open(&proxy, &backend).await;
    drop(lost);
    notice(&mut held, "stale").await;
    proxy.stages().drain();
    assert_eq!(closed(&mut client).await, (1012, "draining".to_owned()));
    assert_eq!(closed(&mut held).await, (1012, "draining".to_owned()));
    assert_eq!(server.closed().await.0, 1001);
    drop((client, server, held));
    proxy.join();
}
