//! Between snapshot and live there is no gap and no repeat, and all viewers agree on the order, whenever they join and
//! by whichever door.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::config::PLAIN_H2;
use crate::support::{H2Client, Identity, KeepAlive, Proxy, SseClient, WsClient, proxy, within};

/// What one viewer saw: (type, key, number), in order.
type Seen = Vec<(String, String, u64)>;

/// A small and even source of numbers, the same on each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

enum Door {
    Socket(Box<WsClient>),
    Events(Box<SseClient>),
}

impl Door {
    async fn next(&mut self) -> Value {
        match self {
            Door::Socket(viewer) => viewer.data().await,
            Door::Events(viewer) => loop {
                let event = within("an event", viewer.event()).await;
                if event.id.is_some() {
                    return serde_json::from_str(&event.data).expect("JSON");
                }
            },
        }
    }
}

/// Everything up to the message of type `end`.
async fn watch(mut door: Door) -> Seen {
    let mut seen = Vec::new();
    loop {
        let message = door.next().await;
        let (type_, data) = (message["type"].as_str().expect("a type"), &message["data"]);
        if type_ == "end" {
            return seen;
        }
        let key = data["key"].as_str().unwrap_or_default();
        seen.push((type_.to_owned(), key.to_owned(), data["n"].as_u64().expect("a number")));
    }
}

struct Place {
    proxy: Proxy,
    _identity: Identity,
}

/// Listeners: 0 plain, 1 plain with WebSockets over HTTP/2, 2 and 3 the same over TLS.
fn place(options: &str) -> Place {
    let identity = Identity::new();
    let (tls, tls_h2) = (identity.listener(""), identity.listener("websocket_h2 = true"));
    // All these clients share one thread, and on a busy machine wait for it.
    let patience = "[limits]\nheader_timeout = \"60s\"\n";
    let proxy = Proxy::start(&format!("{patience}{}\n{PLAIN_H2}{tls}{tls_h2}", proxy::feed(options)));
    Place { proxy, _identity: identity }
}

/// Opens the door numbered `which`; those over HTTP/2 share `clients`.
async fn open(proxy: &Proxy, clients: &[H2Client], which: u64) -> Door {
    match which {
        0 => Door::Socket(Box::new(WsClient::connect(proxy.listener(0), "/f").await)),
        1 => Door::Socket(Box::new(WsClient::connect_tls(proxy.listener(2), "/f").await)),
        2 => Door::Events(Box::new(SseClient::connect(proxy.listener(0), "/f", &[]).await)),
        3 => Door::Events(Box::new(SseClient::connect_tls(proxy.listener(2), "/f").await)),
        4 => Door::Socket(Box::new(clients[0].websocket("/f").await)),
        _ => Door::Socket(Box::new(clients[1].websocket("/f").await)),
    }
}

/// `viewers` viewers who come at any time while `messages` are published; what each saw.
async fn crowd(place: &Place, viewers: u64, messages: Vec<String>) -> Vec<Seen> {
    let proxy = &place.proxy;
    let clients = [H2Client::connect(proxy.listener(1)).await, H2Client::connect_tls(proxy.listener(3)).await];
    let viewer = |index: u64| {
        let clients = &clients;
        let mut dice = Dice(index);
        let wait = Duration::from_millis(dice.below(900));
        async move {
            tokio::time::sleep(wait).await;
            watch(open(proxy, clients, index % 6).await).await
        }
    };
    let publishing = async {
        let mut publisher = KeepAlive::connect(proxy.admin()).await;
        let mut dice = Dice(7);
        let mut rest = messages.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + dice.below(60) as usize));
            publisher.post_all("/api/feeds/f", now).await;
            rest = later;
            tokio::time::sleep(Duration::from_millis(dice.below(12))).await;
        }
        // Those who came last have had the time to join.
        tokio::time::sleep(Duration::from_millis(100)).await;
        publisher.post_all("/api/feeds/f", &[r#"{"type":"end"}"#.to_owned()]).await;
    };
    let (seen, ()) = tokio::join!(join_all((0..viewers).map(viewer)), publishing);
    seen
}

/// Numbers by type and key, of what was published.
fn published(messages: &[String]) -> Seen {
    let read = |message: &String| {
        let message: Value = serde_json::from_str(message).expect("JSON");
        let key = message["data"]["key"].as_str().unwrap_or_default().to_owned();
        (message["type"].as_str().expect("a type").to_owned(), key, message["data"]["n"].as_u64().expect("a number"))
    };
    messages.iter().map(read).collect()
}

/// That `seen` is a snapshot of some moment, the newest of each series in order, and from there on all there is.
#[track_caller]
fn check(viewer: usize, all: &Seen, seen: &Seen) {
    assert!(seen.windows(2).all(|pair| pair[0].2 < pair[1].2), "viewer {viewer}: a repeat, or out of order");
    let mut newest = HashMap::new();
    for joined in 0..=all.len() {
        let (before, after) = all.split_at(joined);
        if let Some((type_, key, n)) = before.last() {
            newest.insert((type_, key), *n);
        }
        if newest.len() + after.len() == seen.len() && seen.ends_with(after) {
            let mut snapshot: Vec<_> = newest.values().copied().collect();
            snapshot.sort_unstable();
            if seen.iter().map(|one| one.2).take(snapshot.len()).eq(snapshot) {
                return;
            }
        }
    }
    panic!("viewer {viewer} saw a gap: {:?}", gaps(seen));
}

/// Where numbers are missing, for a message that can be read.
fn gaps(seen: &Seen) -> Vec<(u64, u64)> {
    seen.windows(2).map(|pair| (pair[0].2, pair[1].2)).filter(|(one, other)| one + 1 != *other).take(20).collect()
}

#[tokio::test]
async fn one_that_joins_at_any_time_sees_the_last_value_and_then_each_number_once() {
    let place = place("history = 2000");
    let messages: Vec<_> = (1..=2000).map(|n| format!(r#"{{"type":"n","data":{{"n":{n}}}}}"#)).collect();
    let all = published(&messages);
    for (viewer, seen) in crowd(&place, 120, messages).await.iter().enumerate() {
        check(viewer, &all, seen);
    }
}

#[tokio::test]
async fn types_and_keys_are_told_in_one_order_to_all() {
    let place = place("history = 1000\nkey = \"/data/key\"");
    let mut dice = Dice(1);
    let message = |n: u64| {
        let (type_, key) = (["a", "b", "c"][dice.below(3) as usize], dice.below(5));
        format!(r#"{{"type":"{type_}","data":{{"key":"k{key}","n":{n}}}}}"#)
    };
    let messages: Vec<_> = (1..=2000).map(message).collect();
    let all = published(&messages);
    for (viewer, seen) in crowd(&place, 120, messages).await.iter().enumerate() {
        check(viewer, &all, seen);
    }
}

#[tokio::test]
async fn with_the_shortest_history_one_that_keeps_up_misses_nothing() {
    const VIEWERS: usize = 60;
    let place = place("history = 1");
    let proxy = &place.proxy;
    // The doors with a raw socket: those are written to before more is taken over.
    let mut doors = Vec::new();
    for viewer in 0..VIEWERS as u64 {
        doors.push(open(proxy, &[], viewer % 2).await);
    }
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", VIEWERS as f64).await;
    let mut publisher = KeepAlive::connect(proxy.admin()).await;
    for burst in 0..40 {
        // Each burst is less than what the kernel holds for a viewer that is about to read.
        let numbers = burst * 50 + 1..=burst * 50 + 50;
        let messages: Vec<_> = numbers.clone().map(|n| format!(r#"{{"type":"n","data":{{"n":{n}}}}}"#)).collect();
        let reading = join_all(doors.iter_mut().enumerate().map(|(viewer, door)| {
            let numbers = numbers.clone();
            async move {
                for number in numbers {
                    assert_eq!(door.next().await["data"]["n"], number, "viewer {viewer}");
                }
            }
        }));
        tokio::join!(reading, publisher.post_all("/api/feeds/f", &messages));
    }
    assert_eq!(proxy.metric("steadfeed_feed_conflated_total{feed=\"f\"}").await, 0.0);
}

#[tokio::test]
async fn one_that_comes_again_and_again_by_last_event_id_sees_each_number_once() {
    let place = place("history = 1000");
    let proxy = &place.proxy;
    let messages: Vec<_> = (1..=1000).map(|n| format!(r#"{{"type":"n","data":{{"n":{n}}}}}"#)).collect();
    let coming = async {
        let mut dice = Dice(3);
        let (mut seen, mut id) = (Vec::new(), String::new());
        let mut visits = 0;
        while seen.last() != Some(&1000) {
            visits += 1;
            let mut viewer = SseClient::connect(proxy.address(), "/f?last=1000", &[("Last-Event-ID", &id)]).await;
            for _ in 0..1 + dice.below(40) {
                let event = within("an event", viewer.event()).await;
                if let Some(newest) = event.id {
                    id = newest;
                    let message: Value = serde_json::from_str(&event.data).expect("JSON");
                    seen.extend(message["data"]["n"].as_u64());
                }
                if seen.last() == Some(&1000) {
                    break;
                }
            }
        }
        assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
        assert!(visits > 20, "{visits}");
    };
    let publishing = async {
        let mut publisher = KeepAlive::connect(proxy.admin()).await;
        for some in messages.chunks(10) {
            publisher.post_all("/api/feeds/f", some).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(coming, publishing);
}
