//! How a feed stands: what viewers are told when its sources are gone, and what serves meanwhile.

use std::time::Duration;

use serde_json::Value;
use steadfeed::source::{Fallback, Options, StatsOptions};
use tokio::time::{Instant, timeout};

use crate::feed::n;
use crate::support::{DEADLINE, H2Client, Proxy, SseClient, WsClient, get, proxy, within};

const AFTER: Duration = Duration::from_millis(600);

/// A feed none of whose sources ever comes, with this host's statistics to fall back on, over either protocol.
fn abandoned(options: &str) -> Proxy {
    let feed = proxy::feed(options).replace("[feed.f]", "websocket_h2 = true\n[feed.f]");
    Proxy::start_with(&format!("{}{feed}", proxy::BASE), |config| {
        let feed = &mut config.feeds[0];
        feed.sources.clear();
        let source = Options::Stats(StatsOptions { every: Duration::from_millis(100), path: "/".into() });
        feed.fallback = Some(Fallback { source, after: AFTER });
    })
}

#[track_caller]
fn assert_fallback(notice: &Value) {
    let members: Vec<_> = notice.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["data", "timestamp", "type", "upstream"]);
    assert_eq!((&notice["type"], &notice["upstream"]), (&"keepalive".into(), &"fallback".into()));
    assert_eq!(notice["data"], Value::Null);
}

/// A value of the fallback, the notice, and then values alone.
async fn told_once(viewer: &mut WsClient) {
    assert_eq!(viewer.json().await["type"], "connected");
    assert_eq!(viewer.json().await["type"], "system_stats");
    assert_fallback(&viewer.json().await);
    for _ in 0..5 {
        assert_eq!(viewer.json().await["type"], "system_stats");
    }
}

#[tokio::test]
async fn viewers_of_every_door_are_told_once_that_the_fallback_serves() {
    let start = Instant::now();
    let proxy = abandoned("keepalive = \"10s\"");
    let before = get(proxy.address(), "/f", &[]).await;
    assert_eq!(before.status, 204, "there is nothing yet");
    let http2 = H2Client::connect(proxy.address()).await;
    let mut early = [WsClient::connect(proxy.address(), "/f").await, http2.websocket("/f").await];
    let mut stream = SseClient::connect(proxy.address(), "/f", &[]).await;
    for viewer in &mut early {
        told_once(viewer).await;
    }
    assert!(start.elapsed() >= AFTER, "{:?}", start.elapsed());
    for viewer in &mut [WsClient::connect(proxy.address(), "/f").await, http2.websocket("/f").await] {
        told_once(viewer).await;
    }
    let mut told = Vec::new();
    for _ in 0..8 {
        told.push(within("an event", stream.event()).await);
    }
    let types: Vec<_> = told.iter().filter_map(|event| event.event.as_deref()).collect();
    assert_eq!(types[..3], ["connected", "system_stats", "keepalive"]);
    assert!(types[3..].iter().all(|type_| *type_ == "system_stats"), "{types:?}");
    assert_eq!(told[2].id, None);
    assert_fallback(&serde_json::from_str(&told[2].data).expect("JSON"));
    let newest = get(proxy.address(), "/f", &[]).await;
    assert_eq!((newest.status, &newest.json()["type"]), (200, &"system_stats".into()));
    proxy.until_metric("steadfeed_feed_up{feed=\"f\",source=\"fallback\"}", 1.0).await;
}

#[tokio::test]
async fn a_viewer_with_a_pace_and_a_selection_is_told_at_once() {
    let proxy = abandoned("keepalive = \"10s\"\nshape = \"raw\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f?every=1h&types=other&fields=none").await;
    assert_eq!(viewer.json().await["type"], "connected");
    assert_fallback(&viewer.json().await);
    viewer.send(r#"{"type":"history","data":{"last":3}}"#).await;
    viewer.send(r#"{"type":"ping"}"#).await;
    assert_eq!(viewer.json().await["type"], "pong", "and not how it stands again");
}

#[tokio::test]
async fn a_feed_that_is_published_to_says_nothing_of_itself() {
    let proxy = Proxy::of_feed("keepalive = false\ngreet = false");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    for number in 1..=3 {
        proxy.say(&n(number)).await;
        assert_eq!(viewer.json().await["data"], number);
    }
    let mut late = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(late.json().await["data"], 3);
    proxy.say(&n(4)).await;
    for viewer in [&mut viewer, &mut late] {
        assert_eq!(timeout(DEADLINE, viewer.json()).await.expect("in time")["data"], 4);
    }
}
