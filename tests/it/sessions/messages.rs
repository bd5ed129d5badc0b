//! What each side hears of the other, on every kind of connection.

use serde_json::Value;
use steadfeed::feed::{Delivery, Shape};
use steadfeed::handler::SessionOptions;
use tokio_tungstenite::tungstenite::Message;

use super::{delivery, notice, open, options};
use crate::support::raw_ws::masked;
use crate::support::{Backend, H2Client, Identity, RawWs, ServerWs, WsClient};

/// The next frame but pings and pongs.
async fn next(client: &mut WsClient) -> Message {
    loop {
        match client.frame().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return message,
            gone => panic!("the socket is gone: {gone:?}"),
        }
    }
}

#[tokio::test]
async fn each_side_hears_the_other_the_client_in_envelopes() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    for text in ["plain", "{\"type\": \"say\",  \"n\": 1}", ""] {
        client.send(text).await;
        assert_eq!(server.text().await, text, "untouched");
    }
    client.frame_out(Message::binary(vec![0, 255])).await;
    assert_eq!(server.frame().await, (0x82, vec![0, 255]));
    server.say(r#"{"type":"said","n":1.50}"#).await;
    server.say(r#"{"type":"ping"}"#).await;
    server.send(0x82, &[1, 2, 3]).await;
    server.send(0x01, b"in ").await;
    server.send(0x89, b"are you there").await;
    server.send(0x80, b"pieces").await;
    let text = client.text().await;
    assert!(text.starts_with(r#"{"type":"said","data":{"n":1.50},"timestamp":""#), "{text}");
    assert_eq!(next(&mut client).await, Message::binary(vec![1, 2, 3]));
    assert_eq!(client.json().await["data"], "in pieces");
    assert_eq!(server.frame().await, (0x8a, b"are you there".to_vec()), "the upstream's ping is for us");
    let route = "route=\"/*\"";
    assert_eq!(proxy.metric(&format!("steadfeed_websocket_open{{{route},mode=\"session\"}}")).await, 1.0);
    assert_eq!(proxy.metric(&format!("steadfeed_messages_total{{{route},direction=\"in\"}}")).await, 4.0);
    assert_eq!(proxy.metric(&format!("steadfeed_messages_total{{{route},direction=\"out\"}}")).await, 3.0);
}

#[tokio::test]
async fn a_raw_session_passes_text_as_it_came() {
    let backend = Backend::bind().await;
    let delivery = Delivery { shape: Shape::Raw, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    server.say("{ \"a\" : 1 }").await;
    assert_eq!(client.text().await, "{ \"a\" : 1 }");
    drop(server);
    notice(&mut client, "stale").await;
}

#[tokio::test]
async fn a_client_that_offers_compression_gets_it_and_the_upstream_never_does() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &offer), backend.websocket());
    let text = "round and round ".repeat(50);
    let mut deflated = Vec::new();
    steadfeed::ws::Deflater::new().compress(text.as_bytes(), &mut deflated);
    client.raw.send(&masked(0xc1, &deflated)).await;
    assert_eq!(server.text().await, text);
    server.say(&text).await;
    let frame = client.frame().await;
    assert_eq!(frame.first, 0xc1, "deflated");
    let whole = steadfeed::ws::Inflater::new().inflate(&frame.payload, 100_000).expect("deflated");
    let message: Value = serde_json::from_slice(&whole).expect("JSON");
    assert_eq!(message["data"], text);
}

#[tokio::test]
async fn a_message_over_the_limit_is_dropped_and_the_next_is_heard() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions { max_message: 1000, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    let large = "x".repeat(100 * 1024 * 1024);
    server.say(&large).await;
    server.say(&format!("\"{}\"", "y".repeat(998))).await;
    assert_eq!(client.json().await["data"], "y".repeat(998));
    assert_eq!(proxy.metric("steadfeed_session_messages_too_large_total{route=\"/*\"}").await, 1.0);
}

#[tokio::test]
async fn a_client_over_tls_and_one_over_http2_have_sessions_too() {
    let backend = Backend::bind().await;
    let identity = Identity::new();
    let top = identity.listener("websocket_h2 = true");
    let proxy = backend.sessions_with(&top, "", &options());
    let (client, server) = tokio::join!(WsClient::connect_tls(proxy.address(), "/"), backend.websocket());
    check_both(client, server, &backend).await;
    let h2 = H2Client::connect_tls(proxy.address()).await;
    let (client, server) = tokio::join!(h2.websocket("/"), backend.websocket());
    check_both(client, server, &backend).await;
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
}

async fn check_both(mut client: WsClient, mut server: ServerWs, backend: &Backend) {
    for number in 0..3 {
        let text = number.to_string().repeat(10_000);
        client.send(&text).await;
        assert_eq!(server.text().await, text);
        server.say(&format!("\"{text}\"")).await;
        assert_eq!(client.json().await["data"], text);
        drop(server);
        notice(&mut client, "stale").await;
        server = backend.websocket().await;
        server.say("1").await;
        assert_eq!(client.json().await["data"], 1);
        notice(&mut client, "live").await;
    }
    client.close(1000).await;
    assert_eq!(server.closed().await.0, 1000);
    client.ended().await;
}
