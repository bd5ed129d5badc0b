//! What a viewer of a feed gets over WebSocket: greeting, snapshot, live messages, each in its shape.

use serde_json::{Value, json};

use crate::support::{KeepAlive, Proxy, WsClient, get, proxy};

/// `{"type":"n","data":VALUE}`.
pub fn n(value: impl std::fmt::Display) -> String {
    format!(r#"{{"type":"n","data":{value}}}"#)
}

/// Numbers as messages of type `n`.
pub async fn say_numbers(proxy: &Proxy, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        proxy.say(&n(number)).await;
    }
    proxy.settle().await;
}

#[track_caller]
fn assert_timestamp(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

#[tokio::test]
async fn a_viewer_is_greeted_then_told_the_last_value_then_what_comes() {
    let proxy = Proxy::of_feed("");
    proxy.say(&n(1)).await;
    proxy.say_all(&[&n(2)]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let greeting = viewer.text().await;
    assert!(greeting.starts_with(r#"{"type":"connected","data":null,"timestamp":""#), "{greeting}");
    assert_timestamp(&serde_json::from_str::<Value>(&greeting).expect("JSON")["timestamp"]);
    assert_eq!(viewer.json().await["data"], 2);
    proxy.say(&n(3)).await;
    assert_eq!(viewer.json().await["data"], 3);
}

#[tokio::test]
async fn before_the_first_value_there_is_silence_and_keepalives() {
    let proxy = Proxy::of_feed("keepalive = \"100ms\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.json().await["type"], "connected");
    for _ in 0..3 {
        let keepalive = viewer.text().await;
        assert!(keepalive.starts_with(r#"{"type":"keepalive","data":null,"timestamp":""#), "{keepalive}");
        assert_timestamp(&serde_json::from_str::<Value>(&keepalive).expect("JSON")["timestamp"]);
    }
    proxy.say(&n(1)).await;
    assert_eq!(viewer.values(1).await, [1]);
}

#[tokio::test]
async fn without_greeting_and_keepalive_the_feed_alone_is_heard() {
    let proxy = Proxy::of_feed("greet = false\nkeepalive = false");
    proxy.say_all(&[&n(1)]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.json().await["data"], 1);
}

#[tokio::test]
async fn a_route_overrides_its_feeds_shape_greeting_and_keepalive() {
    let proxy = Proxy::start(&format!(
        "{}[[route]]\npath = \"/own\"\nfeed = \"f\"\nshape = \"raw\"\ngreet = false\nkeepalive = \"100ms\"\n",
        proxy::feed("")
    ));
    proxy.say_all(&["{\"n\": 1}"]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/own").await;
    assert_eq!(viewer.text().await, "{\"n\": 1}");
    assert_eq!(viewer.json().await["type"], "keepalive");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.json().await["type"], "connected");
    assert_eq!(viewer.json().await["data"], json!({"n": 1}));
}

/// What a viewer of `path` is told first of `messages`, up to a pong.
async fn snapshot(options: &str, messages: &[&str], path: &str) -> Vec<Value> {
    let proxy = Proxy::of_feed(options);
    proxy.say_all(messages).await;
    first(&proxy, path).await
}

async fn first(proxy: &Proxy, path: &str) -> Vec<Value> {
    let mut viewer = WsClient::connect(proxy.address(), path).await;
    // What is heard is answered once the snapshot is out.
    viewer.send(r#"{"type":"ping"}"#).await;
    let mut values = Vec::new();
    loop {
        let mut message = viewer.data().await;
        if message["type"] == "pong" {
            return values;
        }
        values.push(message["data"].take());
    }
}

const THREE_OF_TWO: [&str; 6] = [
    r#"{"type":"a","data":1}"#,
    r#"{"type":"b","data":2}"#,
    r#"{"type":"a","data":3}"#,
    r#"{"type":"b","data":4}"#,
    r#"{"type":"b","data":5}"#,
    r#"{"type":"a","data":6}"#,
];

#[tokio::test]
async fn the_snapshot_is_the_newest_of_each_type_in_the_feeds_order() {
    assert_eq!(snapshot("", &THREE_OF_TWO, "/f").await, [5, 6]);
}

#[tokio::test]
async fn the_snapshot_may_be_the_history() {
    assert_eq!(snapshot("snapshot = \"history\"\nhistory = 2", &THREE_OF_TWO, "/f").await, [3, 4, 5, 6]);
}

#[tokio::test]
async fn the_snapshot_may_be_nothing() {
    assert_eq!(snapshot("snapshot = \"none\"", &THREE_OF_TWO, "/f").await, [0; 0]);
}

#[tokio::test]
async fn last_asks_for_the_newest_of_each_type() {
    for options in ["", "snapshot = \"none\"", "snapshot = \"history\""] {
        let proxy = Proxy::of_feed(options);
        proxy.say_all(&THREE_OF_TWO).await;
        assert_eq!(first(&proxy, "/f?last=2").await, [3, 4, 5, 6]);
        assert_eq!(first(&proxy, "/f?last=1000000&types=a").await, [1, 3, 6]);
        assert_eq!(first(&proxy, "/f?last=0&types=a").await, [0; 0]);
    }
}

#[tokio::test]
async fn last_reaches_no_further_than_the_history() {
    assert_eq!(snapshot("history = 2", &THREE_OF_TWO, "/f?last=99").await, [3, 4, 5, 6]);
    // The last value is always kept.
    assert_eq!(snapshot("history = 0", &THREE_OF_TWO, "/f?last=99").await, [5, 6]);
}

const KEYED: [&str; 5] = [
    r#"{"type":"s","data":{"host":"a","n":1}}"#,
    r#"{"type":"s","data":{"host":"b","n":2}}"#,
    r#"{"type":"s","data":{"host":"a","n":3}}"#,
    r#"{"type":"t","data":{"host":"a","n":4}}"#,
    r#"{"type":"s","data":{"n":5}}"#,
];

fn numbers(values: &[Value]) -> Vec<u64> {
    values.iter().map(|value| value["n"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn a_last_value_is_kept_for_each_type_and_key() {
    let proxy = Proxy::of_feed("key = \"/data/host\"");
    proxy.say_all(&KEYED).await;
    assert_eq!(numbers(&first(&proxy, "/f").await), [2, 3, 4, 5]);
    assert_eq!(numbers(&first(&proxy, "/f?keys=a").await), [3, 4]);
    assert_eq!(numbers(&first(&proxy, "/f?keys=a&types=s&last=9").await), [1, 3]);
    assert_eq!(numbers(&first(&proxy, "/f?keys=b,c").await), [2]);
}

#[tokio::test]
async fn past_its_bound_the_key_updated_longest_ago_is_forgotten() {
    let say = |key: &str, n: u32| format!(r#"{{"type":"s","data":{{"host":"{key}","n":{n}}}}}"#);
    let proxy = Proxy::of_feed("key = \"/data/host\"\nkeys = 3");
    for (n, key) in (1..).zip(["a", "b", "c", "a", "d"]) {
        proxy.say(&say(key, n)).await;
    }
    proxy.settle().await;
    assert_eq!(numbers(&first(&proxy, "/f").await), [3, 4, 5], "b is forgotten, a was updated since");
}

const MIXED: &str =
    r#"{"type": "old", "cpu": {"usage": 1.50}, "b":[1e3, 2],"timestamp":"2026-02-03T04:05:06.7899+01:00"}"#;

#[tokio::test]
async fn each_shape_is_served_byte_for_byte() {
    let data = r#"{"cpu":{"usage": 1.50},"b":[1e3, 2]}"#;
    let time = r#""timestamp":"2026-02-03T03:05:06.789Z""#;
    for (shape, expected) in [
        ("envelope", format!(r#"{{"type":"old","data":{data},{time}}}"#)),
        ("mirrored", format!(r#"{{"type":"old","data":{data},{time},"cpu":{{"usage": 1.50}},"b":[1e3, 2]}}"#)),
        ("raw", MIXED.to_owned()),
    ] {
        let proxy = Proxy::of_feed(&format!("greet = false\nshape = \"{shape}\""));
        proxy.say_all(&[MIXED]).await;
        let mut viewer = WsClient::connect(proxy.address(), "/f").await;
        assert_eq!(viewer.text().await, expected, "{shape}");
    }
}

#[tokio::test]
async fn a_message_without_type_gets_the_feeds_and_its_timestamp_is_when_it_came() {
    let proxy = Proxy::of_feed("type = \"dashboard_stats\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    for (said, data) in [("{\"a\":1}", json!({"a": 1})), ("[1]", json!([1])), ("\"x\"", json!("x")), ("7", json!(7))] {
        proxy.say(said).await;
        let message = viewer.data().await;
        assert_eq!((&message["type"], &message["data"]), (&json!("dashboard_stats"), &data));
        assert_timestamp(&message["timestamp"]);
        assert_eq!(message.as_object().expect("an object").len(), 3);
    }
    proxy.say("{\"type\":\"alone\"}").await;
    let message = viewer.data().await;
    assert_eq!((&message["type"], &message["data"]), (&json!("alone"), &Value::Null));
    assert!(message.as_object().expect("an object").contains_key("data"));
}

#[tokio::test]
async fn skip_rename_and_the_sources_own_system_messages_are_minded() {
    let proxy = Proxy::of_feed(
        "skip = [{ type = \"debug\" }, { at = \"/loading\", equals = true }]\nrename = { old = \"new\" }",
    );
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let skipped = [
        r#"{"type":"debug","data":1}"#,
        r#"{"loading":true,"n":0}"#,
        r#"{"type":"connected"}"#,
        r#"{"type":"keepalive"}"#,
        r#"{"type":"heartbeat"}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"pong"}"#,
    ];
    for message in skipped {
        assert_eq!(proxy.say(message).await, None, "{message}");
    }
    proxy.say_all(&[r#"{"type":"old","data":1}"#]).await;
    let message = viewer.data().await;
    assert_eq!((&message["type"], &message["data"]), (&json!("new"), &json!(1)));
    viewer.nothing_more().await;
}

#[tokio::test]
async fn the_publisher_is_told_the_id_that_viewers_see() {
    let proxy = Proxy::of_feed("");
    let ids: Vec<_> = [proxy.say(&n(1)).await, proxy.say(&n(2)).await].into_iter().flatten().collect();
    let parts: Vec<_> = ids.iter().map(|id| id.split_once('-').expect("<boot>-<sequence>")).collect();
    assert_eq!((parts[0].1, parts[1].1), ("1", "2"));
    assert_eq!(parts[0].0, parts[1].0);
    proxy.settle().await;
    let etag = get(proxy.address(), "/f", &[]).await;
    assert!(etag.header("etag").is_some_and(|etag| etag.contains(&ids[1])), "{etag:?}");
}

#[tokio::test]
async fn min_interval_lets_the_newest_through_and_binds_each_type_by_itself() {
    let proxy = Proxy::of_feed("min_interval = \"400ms\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let mut publisher = KeepAlive::connect(proxy.admin()).await;
    let mut messages: Vec<_> = (1..=20).map(n).collect();
    messages.push(r#"{"type":"other","data":"at once"}"#.to_owned());
    publisher.post_all("/api/feeds/f", &messages).await;
    assert_eq!(viewer.values(2).await, [json!(1), json!("at once")]);
    assert_eq!(viewer.values(1).await, [20]);
    assert_eq!(proxy.say(&n(21)).await, None, "20 went out just now");
    assert_eq!(viewer.values(1).await, [21]);
    viewer.nothing_more().await;
}

#[tokio::test]
async fn a_newcomer_sees_what_is_held_back_once_it_is_due() {
    let proxy = Proxy::of_feed("min_interval = \"300ms\"");
    proxy.say_all(&[&n(1)]).await;
    proxy.say(&n(2)).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.values(2).await, [1, 2]);
}

#[tokio::test]
async fn a_closing_viewer_is_answered_and_counted() {
    let proxy = Proxy::of_feed("");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    viewer.close(1000).await;
    let closed = viewer.closed().await.expect("with a code");
    assert_eq!(u16::from(closed.code), 1000);
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1000\"}", 1.0).await;
}
