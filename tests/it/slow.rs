//! Viewers that do not keep up: what they get, what they cost, and that nobody else notices.

use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::feed::n;
use crate::support::raw_ws::{FIN, TEXT, masked};
use crate::support::ws::{Io, small_socket, tls_over};
use crate::support::{Identity, KeepAlive, Proxy, RawWs, WsClient, proxy, within};

const CONFLATED: &str = "steadfeed_feed_conflated_total{feed=\"f\"}";

/// `{"type":TYPE,"data":{"n":NUMBER,"filler":...}}`, of about 1 KiB.
fn padded(type_: &str, number: u64) -> String {
    format!(r#"{{"type":"{type_}","data":{{"n":{number},"filler":"{}"}}}}"#, "x".repeat(1000))
}

/// Numbers 1 to `count`, of three types in turn.
fn mixed(count: u64) -> Vec<String> {
    (1..=count).map(|number| padded(["a", "b", "c"][number as usize % 3], number)).collect()
}

async fn publish(proxy: &Proxy, messages: &[String]) {
    KeepAlive::connect(proxy.admin()).await.post_all("/api/feeds/f", messages).await;
}

/// The numbers of a viewer's messages up to `last`.
async fn numbers_to(viewer: &mut WsClient, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    within("the last number", async {
        while seen.last() != Some(&last) {
            seen.push(viewer.data().await["data"]["n"].as_u64().expect("a number"));
        }
    })
    .await;
    seen
}

/// One viewer that stops reading while 6,000 messages are published, beside one that reads.
async fn stalls_and_reads_on(proxy: &Proxy, mut slow: WsClient) {
    slow.json().await;
    let mut other = WsClient::connect(proxy.listener(0), "/f").await;
    let others = tokio::spawn(async move { numbers_to(&mut other, 6000).await });
    publish(proxy, &mixed(6000)).await;
    assert_eq!(others.await.expect("it ends"), (1..=6000).collect::<Vec<_>>(), "the others see all");
    assert_eq!(proxy.metric(CONFLATED).await, 0.0, "nobody is conflated before it reads on");
    let seen = numbers_to(&mut slow, 6000).await;
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order, nothing twice");
    assert!(seen.len() < 3000, "{} of 6000 came", seen.len());
    let gap = seen.windows(2).position(|pair| pair[1] > pair[0] + 3).expect("a gap");
    assert_eq!(seen[..=gap], (1..=seen[gap]).collect::<Vec<_>>(), "all came before it fell behind");
    assert_eq!(seen[gap + 1..], [5998, 5999, 6000], "then the newest of each type");
    assert_eq!(proxy.metric(CONFLATED).await, 1.0);
    publish(proxy, &[padded("a", 6001)]).await;
    assert_eq!(numbers_to(&mut slow, 6001).await, [6001], "and then it is as any other");
    slow.nothing_more().await;
}

#[tokio::test]
async fn a_slow_viewer_is_conflated_and_ends_at_the_newest() {
    let proxy = Proxy::of_feed("");
    let slow = WsClient::connect_small(proxy.address(), "/f").await;
    stalls_and_reads_on(&proxy, slow).await;
}

#[tokio::test]
async fn a_slow_viewer_over_tls_is_conflated_and_ends_at_the_newest() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}\n{}", proxy::feed(""), identity.listener("")));
    let slow = small_tls(&proxy).await;
    stalls_and_reads_on(&proxy, slow).await;
}

async fn small_tls(proxy: &Proxy) -> WsClient {
    let address = proxy.listener(1);
    let stream: Box<dyn Io> = Box::new(tls_over(small_socket(address).await, &[]).await);
    let url = format!("ws://localhost:{}/f", address.port());
    WsClient::over(stream, &url, &[]).await.expect("a socket")
}

#[tokio::test]
async fn within_the_history_a_slow_viewer_misses_nothing() {
    let proxy = Proxy::of_feed("history = 5000");
    let mut slow = WsClient::connect_small(proxy.address(), "/f").await;
    slow.json().await;
    publish(&proxy, &mixed(2000)).await;
    assert_eq!(numbers_to(&mut slow, 2000).await, (1..=2000).collect::<Vec<_>>());
    assert_eq!(proxy.metric(CONFLATED).await, 0.0);
}

#[tokio::test]
async fn a_slow_viewer_that_subscribes_to_events_misses_none_of_the_history() {
    let proxy = Proxy::of_feed("history = 5000\nsnapshot = \"none\"");
    let mut slow = WsClient::connect_small(proxy.address(), "/f").await;
    slow.json().await;
    publish(&proxy, &mixed(900)).await;
    slow.send(r#"{"type":"subscribe","data":{"types":["b"]}}"#).await;
    // The command is heard before what waits is read.
    until_heard(&proxy).await;
    let mut seen = Vec::new();
    let mut subscribed_at = None;
    while seen.last() != Some(&898) {
        let message = slow.data().await;
        match message["type"].as_str() {
            Some("subscribed") => subscribed_at = Some(seen.len()),
            _ => seen.push(message["data"]["n"].as_u64().expect("a number")),
        }
    }
    let at = subscribed_at.expect("it was answered");
    assert!(at < 600, "what waited came after the answer: {at}");
    assert_eq!(seen[..at], (1..=at as u64).collect::<Vec<_>>());
    assert_eq!(seen[at..], (at as u64 + 1..=898).filter(|number| number % 3 == 1).collect::<Vec<_>>());
}

/// Time for what was just sent to be read: a round trip of another viewer on the same worker.
async fn until_heard(proxy: &Proxy) {
    for _ in 0..4 {
        let mut other = WsClient::connect(proxy.address(), "/f?types=none").await;
        other.nothing_more().await;
    }
}

#[tokio::test]
async fn slow_close_ends_a_viewer_that_reads_on_with_1013() {
    let proxy = Proxy::of_feed("slow = \"close\"");
    let mut slow = WsClient::connect_small(proxy.address(), "/f").await;
    slow.json().await;
    let mut other = WsClient::connect(proxy.address(), "/f").await;
    let others = tokio::spawn(async move { numbers_to(&mut other, 2000).await.len() });
    publish(&proxy, &mixed(2000)).await;
    assert_eq!(others.await.expect("it ends"), 2000);
    let close = slow.closed().await.expect("with a code");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1013, "too slow"));
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1013\"}", 1.0).await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
}

#[tokio::test]
async fn slow_close_cuts_a_viewer_that_cannot_be_told() {
    let proxy = Proxy::of_feed("slow = \"close\"");
    let mut slow = WsClient::connect_small(proxy.address(), "/f").await;
    slow.json().await;
    let start = Instant::now();
    publish(&proxy, &mixed(2000)).await;
    // It never reads on; the closing handshake has two seconds.
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1013\"}", 1.0).await;
    slow.ended().await;
}

#[tokio::test]
async fn a_large_message_that_only_a_stalled_viewer_needs_is_given_up_with_it() {
    let proxy = Proxy::of_feed("history = 1");
    let slow = WsClient::connect_small(proxy.address(), "/f").await;
    let mut other = WsClient::connect(proxy.address(), "/f").await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 2.0).await;
    let large = format!(r#"{{"type":"n","data":"{}"}}"#, "x".repeat(900_000));
    proxy.say(&large).await;
    assert_eq!(other.data().await["data"].as_str().map(str::len), Some(900_000));
    let start = Instant::now();
    // While it is the newest, any newcomer needs it: then it costs nothing to wait for the one that stalls.
    proxy.say(&n(2)).await;
    let mut number = 2;
    while proxy.metric("steadfeed_feed_viewers{feed=\"f\"}").await > 1.0 {
        assert!(start.elapsed() < Duration::from_secs(9), "the viewer is still there");
        assert_eq!(other.data().await["data"], number);
        number += 1;
        proxy.say(&n(number)).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = start.elapsed();
    assert!(took >= steadfeed::limits::LARGE_FRAME_STALL, "{took:?}");
    drop(slow);
}

#[tokio::test]
async fn a_large_message_that_moves_is_not_given_up() {
    let proxy = Proxy::of_feed("history = 1");
    let mut slow = RawWs::over(small_socket(proxy.address()).await, "/f", &[]).await;
    slow.frame().await;
    let large = format!(r#"{{"type":"n","data":"{}"}}"#, "x".repeat(900_000));
    proxy.say(&large).await;
    proxy.say(&n(2)).await;
    // Longer than the stall may be, with a little read now and then.
    let head = slow.raw.exactly(10).await;
    assert_eq!((head[0], head[1]), (FIN | TEXT, 127));
    let length = u64::from_be_bytes(head[2..].try_into().expect("8 bytes")) as usize;
    let mut read = 0;
    let start = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(700));
    while start.elapsed() < steadfeed::limits::LARGE_FRAME_STALL + Duration::from_millis(1500) {
        beat.tick().await;
        read += slow.raw.exactly(60_000).await.len();
    }
    slow.raw.exactly(length - read).await;
    assert_eq!(slow.json().await["data"], 2);
}

#[tokio::test]
async fn one_that_floods_commands_unread_is_bounded_and_served_once_it_reads() {
    let proxy = Proxy::of_feed("keepalive = false");
    let mut flooder = RawWs::over(small_socket(proxy.address()).await, "/f", &[]).await;
    flooder.json().await;
    let one = masked(FIN | TEXT, br#"{"type":"ping"}"#);
    let batch = one.repeat(1000);
    let mut sent = 0;
    // Until it is no longer read: what it may send is the sockets' buffers, no more.
    let stream: &mut TcpStream = &mut flooder.raw.stream;
    loop {
        let writable = tokio::time::timeout(Duration::from_millis(500), stream.writable());
        if writable.await.is_err() {
            break;
        }
        let from = sent % batch.len();
        sent += stream.try_write(&batch[from..]).unwrap_or(0);
        assert!(sent < 64 << 20, "it is read for ever");
    }
    let whole = sent / one.len();
    assert!(whole > 1000, "{whole}");
    let mut other = WsClient::connect(proxy.address(), "/f").await;
    other.nothing_more().await;
    for count in 0..whole {
        assert_eq!(flooder.json().await["type"], "pong", "{count} of {whole}");
    }
    if !sent.is_multiple_of(one.len()) {
        flooder.raw.send(&one[sent % one.len()..]).await;
        assert_eq!(flooder.json().await["type"], "pong");
    }
    proxy.say(&n(1)).await;
    assert_eq!(flooder.json().await["data"], 1);
}

#[tokio::test]
async fn answers_that_wait_are_bounded_in_bytes_too() {
    let proxy = Proxy::of_feed("keepalive = false");
    let mut names = Vec::new();
    for number in 0..64 {
        names.push(format!("\"{number}{}\"", "n".repeat(250)));
    }
    let list = names.join(",");
    // What is said back is as large as what was said: 48 KiB.
    let command = format!(r#"{{"type":"subscribe","data":{{"types":[{list}],"keys":[{list}],"fields":[{list}]}}}}"#);
    let mut viewers = Vec::new();
    let before = resident();
    for _ in 0..40 {
        let mut viewer = RawWs::over(small_socket(proxy.address()).await, "/f", &[]).await;
        let frame = masked(FIN | TEXT, command.as_bytes());
        let flood = async {
            for _ in 0..24 {
                viewer.raw.send(&frame).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(50), flood).await;
        viewers.push(viewer);
    }
    let held = resident().saturating_sub(before) / viewers.len();
    assert!(held < 200 * 1024, "{held} bytes a viewer");
}

#[tokio::test]
async fn what_a_stalled_viewer_costs_is_bounded_whatever_is_published() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}\n{}", proxy::feed("history = 1"), identity.listener("")));
    let mut viewers = Vec::new();
    for _ in 0..60 {
        viewers.push(small_tls(&proxy).await);
    }
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 60.0).await;
    let large = |number: u64| format!(r#"{{"type":"n","data":{{"n":{number},"filler":"{}"}}}}"#, "x".repeat(200_000));
    let before = resident();
    for number in 1..30 {
        proxy.say(&large(number)).await;
    }
    proxy.say_all(&[&n(0)]).await;
    let held = resident().saturating_sub(before) / viewers.len();
    assert!(held < 56 * 1024, "{held} bytes a viewer");
}

/// This process's resident memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}

#[tokio::test]
async fn a_slow_event_stream_is_conflated_in_order_too() {
    let proxy = Proxy::of_feed("");
    let stream = small_socket(proxy.address()).await;
    let mut slow = crate::support::SseClient::on(stream, proxy.address(), "/f", &[]).await;
    let mut other = WsClient::connect(proxy.address(), "/f").await;
    let others = tokio::spawn(async move { numbers_to(&mut other, 4000).await.len() });
    publish(&proxy, &mixed(4000)).await;
    assert_eq!(others.await.expect("it ends"), 4000);
    let mut seen = Vec::new();
    within("the last number", async {
        while seen.last() != Some(&4000) {
            let event = slow.event().await;
            let message: Value = serde_json::from_str(&event.data).expect("JSON");
            seen.extend(message["data"]["n"].as_u64());
        }
    })
    .await;
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order, nothing twice");
    assert!(seen.len() < 2000, "{} of 4000 came", seen.len());
    assert_eq!(seen[seen.len() - 3..], [3998, 3999, 4000]);
    assert!(proxy.metric(CONFLATED).await >= 1.0);
}

#[tokio::test]
async fn a_viewer_is_dropped_when_it_reads_nothing_for_ping_and_pong() {
    let proxy = Proxy::of_feed("ping = \"300ms\"\npong_timeout = \"300ms\"");
    let mut slow = WsClient::connect_small(proxy.address(), "/f").await;
    slow.json().await;
    publish(&proxy, &mixed(2000)).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1006\"}", 1.0).await;
    slow.ended().await;
}
