//! HTTP/2: by preface on a plain port, by ALPN over TLS, and WebSockets within it (RFC 8441).

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::json;

use crate::feed::n;
use crate::support::config::PLAIN;
use crate::support::raw_ws::{DEFLATED, FIN, PING, TEXT, masked};
use crate::support::{H2Client, Identity, Proxy, WsClient, proxy, until, within};

/// A plain listener with WebSockets over HTTP/2, one without, and both over TLS, in this order.
fn everywhere(options: &str) -> (Proxy, Identity) {
    let identity = Identity::new();
    let feed = proxy::feed_over_h2(options);
    let (with_tls, without_tls) = (identity.listener("websocket_h2 = true"), identity.listener(""));
    (Proxy::start(&format!("{feed}{PLAIN}{with_tls}{without_tls}")), identity)
}

fn over_h2(options: &str) -> Proxy {
    Proxy::start(&proxy::feed_over_h2(options))
}

#[tokio::test]
async fn extended_connect_is_offered_where_the_listener_says_so() {
    let (proxy, _identity) = everywhere("");
    assert!(H2Client::connect(proxy.listener(0)).await.offers_websocket);
    assert!(!H2Client::connect(proxy.listener(1)).await.offers_websocket);
    assert!(H2Client::connect_tls(proxy.listener(2)).await.offers_websocket);
    assert!(!H2Client::connect_tls(proxy.listener(3)).await.offers_websocket);
}

#[tokio::test]
async fn requests_are_answered_by_preface_and_by_alpn() {
    let (proxy, _identity) = everywhere("");
    proxy.say_all(&[&n(1)]).await;
    for client in [H2Client::connect(proxy.listener(1)).await, H2Client::connect_tls(proxy.listener(3)).await] {
        let reply = client.get("/f").await;
        assert_eq!(reply.status(), 200);
        assert!(reply.body().starts_with(br#"{"type":"n","data":1,"#), "{:?}", reply.body());
        assert!(reply.headers().contains_key("etag"));
        assert_eq!(client.get("/nothing").await.status(), 404);
    }
}

#[tokio::test]
async fn head_over_http2_is_answered_without_a_body() {
    let proxy = over_h2("");
    proxy.say_all(&[&n(1)]).await;
    let client = H2Client::connect(proxy.address()).await;
    for (path, status) in [("/f", 200), ("/nothing", 404)] {
        let (whole, head) = (client.get(path).await, client.head(path).await);
        assert_eq!((head.status().as_u16(), head.body().len()), (status, 0));
        assert_eq!(head.headers()["content-length"], whole.body().len().to_string());
    }
    let admin = H2Client::connect(proxy.admin()).await.head("/healthz").await;
    assert_eq!((admin.status().as_u16(), admin.body().len()), (200, 0));
}

#[tokio::test]
async fn a_viewer_over_http2_is_served_as_any_other() {
    let (proxy, _identity) = everywhere("");
    proxy.say_all(&[&n(1)]).await;
    for client in [H2Client::connect(proxy.listener(0)).await, H2Client::connect_tls(proxy.listener(2)).await] {
        let mut viewer = client.websocket("/f?types=n").await;
        assert_eq!(viewer.json().await["type"], "connected");
        let before = viewer.values(1).await[0].as_u64().expect("a number");
        proxy.say(r#"{"type":"other"}"#).await;
        proxy.say(&n(before + 1)).await;
        assert_eq!(viewer.values(1).await, [before + 1]);
        let sent = proxy.metric("steadfeed_messages_total{feed=\"f\",direction=\"out\"}").await;
        assert!(sent >= 2.0, "the snapshot and what followed are counted as they are sent: {sent}");
        viewer.nothing_more().await;
        let said = viewer.ask(r#"{"type":"subscribe","data":{"types":["other"]}}"#).await;
        assert_eq!(said["type"], "subscribed");
        assert_eq!(viewer.data().await["type"], "other");
        assert_eq!(viewer.ask("nonsense").await["data"]["code"], "not_json");
        viewer.close(1000).await;
        assert_eq!(viewer.closed().await.map(|close| u16::from(close.code)), Some(1000));
    }
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1000\"}", 2.0).await;
}

#[tokio::test]
async fn the_handshake_over_http2_is_200_without_the_fields_of_http1() {
    let proxy = over_h2("");
    let client = H2Client::connect(proxy.address()).await;
    let offers = [("sec-websocket-extensions", "permessage-deflate"), ("sec-websocket-protocol", "dash.v1")];
    let (response, _send) = client.connect_websocket("/f", &offers).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["sec-websocket-protocol"], "dash.v1");
    assert!(headers["sec-websocket-extensions"].to_str().is_ok_and(|said| said.starts_with("permessage-deflate")));
    for name in ["sec-websocket-accept", "connection", "upgrade", "content-length"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_opened_over_http2_is_refused_on_its_stream_alone() {
    let proxy = over_h2("");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    let (response, _send) = client.connect_websocket("/nothing", &[]).await;
    assert_eq!(response.status(), 404);
    let (response, _send) = client.connect_websocket("/f?last=x", &[]).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (response, _send) = client.connect_websocket("/f", &[("origin", "https://evil.example")]).await;
    assert_eq!(response.status(), 403);
    proxy.say(&n(1)).await;
    assert_eq!(viewer.values(1).await, [1]);
}

#[tokio::test]
async fn sockets_streams_and_requests_share_one_connection() {
    let (proxy, _identity) = everywhere("");
    proxy.say_all(&[&n(0)]).await;
    for client in [H2Client::connect(proxy.listener(0)).await, H2Client::connect_tls(proxy.listener(2)).await] {
        let mut viewers: Vec<_> = join_all((0..20).map(|_| client.websocket("/f?last=0"))).await;
        let mut events = client.stream("/f?last=0", "text/event-stream").await;
        assert_eq!(events.headers()["content-type"], "text/event-stream");
        for number in 1..=30 {
            proxy.say(&n(number)).await;
            assert_eq!(client.get("/f?last=3").await.status(), 200);
        }
        let expected: Vec<_> = (1..=30).map(|number| json!(number)).collect();
        for viewer in &mut viewers {
            assert_eq!(viewer.values(30).await, expected);
        }
        let mut text = String::new();
        while !text.contains(r#""data":30,"#) {
            let some = within("an event", events.body_mut().data()).await.expect("open").expect("data");
            text.push_str(std::str::from_utf8(&some).expect("UTF-8"));
        }
        assert_eq!(text.matches("\nevent: n\n").count(), 30, "{text}");
    }
}

#[tokio::test]
async fn keepalives_and_pings_come_over_http2_too() {
    let proxy = over_h2("keepalive = \"100ms\"\nping = \"250ms\"\npong_timeout = \"400ms\"");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    let (response, send) = client.connect_websocket("/f", &[]).await;
    viewer.json().await;
    for _ in 0..12 {
        assert_eq!(viewer.json().await["type"], "keepalive");
    }
    // tungstenite answers pings; nobody answers those of the bare stream.
    let mut body = response.into_body();
    within("the silent viewer's end", async {
        while let Some(Ok(some)) = body.data().await {
            let _ = body.flow_control().release_capacity(some.len());
        }
    })
    .await;
    drop(send);
    viewer.nothing_more().await;
}

#[tokio::test]
async fn a_message_larger_than_the_streams_window_arrives_whole_at_once() {
    let proxy = over_h2("keepalive = false");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    viewer.json().await;
    for number in 1..=3 {
        let text = number.to_string().repeat(900_000);
        proxy.say(&format!(r#"{{"type":"large","data":"{text}"}}"#)).await;
        assert!(viewer.values(1).await[0].as_str().is_some_and(|said| said == text), "{number}");
    }
}

#[tokio::test]
async fn a_viewer_that_deflates_over_http2_reads_the_same() {
    let proxy = over_h2("greet = false");
    let text =
        r#"{"type":"n","data":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
    proxy.say_all(&[text]).await;
    let client = H2Client::connect(proxy.address()).await;
    let (response, _send) = client.connect_websocket("/f", &[("sec-websocket-extensions", "permessage-deflate")]).await;
    let mut body = response.into_body();
    let frame = within("a frame", body.data()).await.expect("open").expect("data");
    assert_eq!(frame[0], FIN | TEXT | DEFLATED);
    let inflated = steadfeed::ws::deflate::inflate(&frame[2..], 1000).expect("deflated");
    assert!(inflated.starts_with(&text.as_bytes()[..text.len() - 1]), "{:?}", String::from_utf8_lossy(&inflated));
}

/// Whether the other viewers of the connection, and new requests on it, are still served.
async fn unharmed(proxy: &Proxy, client: &H2Client, viewer: &mut WsClient, number: u32) {
    assert!(!client.ending.is_finished(), "the connection has ended");
    proxy.say(&n(number)).await;
    while viewer.values(1).await != [number] {}
    assert_eq!(client.get("/f").await.status(), 200);
}

#[tokio::test]
async fn one_that_floods_small_frames_and_reads_nothing_loses_its_stream_alone() {
    let proxy = over_h2("");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    viewer.json().await;
    let (response, mut send) = client.connect_websocket("/f", &[]).await;
    // Kept and never read: its window fills up with our answers.
    let body = response.into_body();
    let frame = Bytes::from(masked(FIN | TEXT, br#"{"type":"ping"}"#));
    let flood = async {
        for _ in 0..20_000 {
            send.reserve_capacity(frame.len());
            while send.capacity() < frame.len() {
                match std::future::poll_fn(|cx| send.poll_capacity(cx)).await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
            if send.send_data(frame.clone(), false).is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), flood).await.ok();
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    unharmed(&proxy, &client, &mut viewer, 1).await;
    drop(body);
    unharmed(&proxy, &client, &mut viewer, 2).await;
}

#[tokio::test]
async fn a_burst_of_small_frames_as_large_as_the_window_ends_no_connection() {
    let proxy = over_h2("");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    viewer.json().await;
    let (response, mut send) = client.connect_websocket("/f", &[]).await;
    let frame = Bytes::from(masked(FIN | PING, b""));
    send.reserve_capacity(200_000);
    while send.capacity() < 200_000 {
        std::future::poll_fn(|cx| send.poll_capacity(cx)).await.expect("open").expect("capacity");
    }
    // All of it is there before the connection's task here runs, and so goes out in one breath.
    for _ in 0..200_000 / frame.len() {
        send.send_data(frame.clone(), false).expect("within the window");
    }
    unharmed(&proxy, &client, &mut viewer, 1).await;
    drop(response);
    unharmed(&proxy, &client, &mut viewer, 2).await;
}

#[tokio::test]
async fn one_that_floods_small_frames_and_reads_is_served() {
    let proxy = over_h2("greet = false");
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    for _ in 0..100 {
        for _ in 0..100 {
            viewer.send(r#"{"type":"ping"}"#).await;
        }
        for _ in 0..100 {
            assert_eq!(viewer.data().await["type"], "pong");
        }
    }
}

#[tokio::test]
async fn one_that_does_not_read_holds_up_nobody_and_reads_on_where_it_may() {
    let proxy = over_h2("history = 10\ngreet = false");
    let client = H2Client::connect(proxy.address()).await;
    let mut slow = client.websocket("/f").await;
    let mut viewer = H2Client::connect(proxy.address()).await.websocket("/f").await;
    let filler = "x".repeat(2000);
    for number in 1..=300 {
        proxy.say(&format!(r#"{{"type":"n","data":{{"number":{number},"filler":"{filler}"}}}}"#)).await;
        assert_eq!(viewer.values(1).await[0]["number"], number);
    }
    // The connection's window is not the stream's: a request beside it is answered.
    assert_eq!(client.get("/f").await.status(), 200);
    let mut seen = vec![];
    while seen.last() != Some(&300) {
        seen.push(slow.values(1).await[0]["number"].as_u64().expect("a number"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    assert!(seen.len() < 290, "what did not fit was left out: {}", seen.len());
}

#[tokio::test]
async fn a_stalled_viewer_over_http2_is_given_up() {
    let proxy = over_h2("keepalive = false\nping = \"300ms\"\npong_timeout = \"300ms\"");
    let client = H2Client::connect(proxy.address()).await;
    let (response, _send) = client.connect_websocket("/f", &[]).await;
    let _unread = response.into_body();
    let text = "x".repeat(900_000);
    proxy.say(&format!(r#"{{"type":"large","data":"{text}"}}"#)).await;
    until("the viewer to be dropped", || async {
        let viewers = proxy.metric("steadfeed_feed_viewers{feed=\"f\"}").await;
        (viewers == 0.0).then_some(())
    })
    .await;
    assert_eq!(client.get("/nothing").await.status(), 404, "a small answer fits beside it");
}

#[tokio::test]
async fn one_that_holds_a_large_message_alone_over_http2_is_given_up() {
    let proxy = over_h2("history = 1");
    let client = H2Client::connect(proxy.address()).await;
    let (response, _send) = client.connect_websocket("/f", &[]).await;
    let _unread = response.into_body();
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    proxy.say(&format!(r#"{{"type":"n","data":"{}"}}"#, "x".repeat(900_000))).await;
    let start = tokio::time::Instant::now();
    until("the viewer to be dropped", || async {
        // What is said to others is no progress of this one.
        proxy.say(&n(1)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        (proxy.metric("steadfeed_feed_viewers{feed=\"f\"}").await == 0.0).then_some(())
    })
    .await;
    let took = start.elapsed();
    assert!(took >= steadfeed::limits::LARGE_FRAME_STALL && took < Duration::from_secs(9), "{took:?}");
    assert_eq!(client.get("/f").await.status(), 200);
}
