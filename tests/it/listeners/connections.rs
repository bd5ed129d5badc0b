//! How long a connection is kept, and how its end is noticed.

use std::time::Duration;

use tokio::time::Instant;

use super::{PLAIN, again, metric, publish, with};
use crate::support::{H2Client, Instance, RawHttp, SseClient, WsClient, post_json, until, within};

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_own_time_and_ended_without_complaint() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1800ms\"")).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    let (head, body) = again(&mut raw, "/hello").await;
    assert!(head.starts_with("http/1.1 200 ") && body == "hello", "{head}");
    let idle = Instant::now();
    assert_eq!(raw.rest().await, b"");
    assert!(idle.elapsed() >= Duration::from_millis(1750), "{:?}", idle.elapsed());
    assert!(!instance.printed().iter().any(|line| line.contains("connection ended")), "{:?}", instance.printed());
}

#[tokio::test]
async fn the_next_head_on_a_kept_connection_has_a_deadline_again() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"60s\"")).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    again(&mut raw, "/hello").await;
    raw.send(b"GET /hello HTTP/1.1\r\n").await;
    raw.rest().await;
    instance.line("no complete request head in time").await;
}

#[tokio::test]
async fn frames_between_requests_do_not_end_an_http2_connection_early() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1800ms\"")).await;
    let mut client = H2Client::connect(instance.address()).await;
    assert_eq!(client.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let idle = Instant::now();
    within("a pong", client.pings.ping(h2::Ping::opaque())).await.expect("a pong");
    let _ = within("the end", client.ending).await.expect("no panic");
    assert!(idle.elapsed() >= Duration::from_millis(1750), "{:?}", idle.elapsed());
    assert!(!instance.printed().iter().any(|line| line.contains("connection ended")), "{:?}", instance.printed());
}

#[tokio::test]
async fn a_response_to_a_client_that_does_not_read_is_ended() {
    let instance = Instance::start(&with("[limits]\nsend_timeout = \"300ms\"")).await;
    let stalled = SseClient::connect(instance.address(), "/events", &[]).await;
    let mut reader = WsClient::connect(instance.address(), "/events").await;
    until("two viewers", || async { (viewers(&instance).await == 2.0).then_some(()) }).await;
    let large = format!(r#"{{"type":"n","data":"{}"}}"#, "a".repeat(500_000));
    // Enough for all there is between us: the client's window or receive buffer above all.
    for _ in 0..40 {
        assert_eq!(post_json(instance.admin(), "/api/feeds/events", &large).await.status, 200);
        assert_eq!(reader.data().await["type"], "n");
    }
    until("one viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    instance.line("a response made no progress").await;
    publish(&instance, 7).await;
    assert_eq!(reader.data().await["data"], 7);
    drop(stalled);
}

#[tokio::test]
async fn a_viewer_that_leaves_a_stream_is_noticed_at_once_and_no_fault() {
    let instance = Instance::start(&PLAIN.replace("publish = {} }", "publish = {} }\nkeepalive = false")).await;
    let stream = SseClient::connect(instance.address(), "/events", &[]).await;
    until("a viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    drop(stream);
    until("no viewer", || async { (viewers(&instance).await == 0.0).then_some(()) }).await;
    let client = H2Client::connect(instance.address()).await;
    let unread = client.stream("/events", "text/event-stream").await;
    until("a viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    client.ending.abort();
    drop(unread);
    until("no viewer", || async { (viewers(&instance).await == 0.0).then_some(()) }).await;
    assert!(!instance.printed().iter().any(|line| line.contains("WARN")), "{:?}", instance.printed());
}

async fn viewers(instance: &Instance) -> f64 {
    metric(instance, r#"steadfeed_feed_viewers{feed="events"}"#).await
}
