//! What a viewer chooses: fields, types, keys and a pace, in the URL or by `subscribe`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::feed::n;
use crate::support::{Proxy, SseClient, WsClient, get, within};

const STATS: &str = r#"{"type":"system_stats","cpu":{"usage": 1.50},"memory":{"percent":2},"disk":3}"#;

async fn proxy_with_stats(options: &str) -> Proxy {
    let proxy = Proxy::of_feed(options);
    proxy.say_all(&[STATS, r#"{"type":"note","data":"text"}"#]).await;
    proxy
}

#[tokio::test]
async fn fields_keep_those_members_of_data_and_nothing_else() {
    let proxy = proxy_with_stats("").await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?fields=memory,cpu,none").await;
    let text = loop {
        let text = viewer.text().await;
        if !text.contains("\"connected\"") {
            break text;
        }
    };
    assert!(
        text.starts_with(r#"{"type":"system_stats","data":{"cpu":{"usage": 1.50},"memory":{"percent":2}},"#),
        "{text}"
    );
    assert_eq!(viewer.data().await["data"], "text", "what is no object has no fields to choose");
    proxy.say(r#"{"type":"live","data":{"disk":1,"cpu":2}}"#).await;
    assert_eq!(viewer.data().await["data"], json!({"cpu": 2}));
}

#[tokio::test]
async fn fields_choose_among_the_mirrored_members_too() {
    let proxy = proxy_with_stats("shape = \"mirrored\"").await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?fields=disk&types=system_stats").await;
    let message = viewer.data().await;
    assert_eq!((&message["data"], &message["disk"]), (&json!({"disk": 3}), &json!(3)));
    assert_eq!(message.get("cpu"), None);
}

#[tokio::test]
async fn types_in_the_url_choose() {
    let proxy = proxy_with_stats("").await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?types=note,later").await;
    assert_eq!(viewer.data().await["type"], "note");
    proxy.say_all(&[STATS, r#"{"type":"later"}"#]).await;
    assert_eq!(viewer.data().await["type"], "later");
}

#[tokio::test]
async fn empty_parts_of_the_query_choose_everything() {
    let proxy = proxy_with_stats("").await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?fields=&types=&keys=&every=&last=&other=x").await;
    assert_eq!(viewer.data().await["data"], json!({"cpu": {"usage": 1.5}, "memory": {"percent": 2}, "disk": 3}));
    assert_eq!(viewer.data().await["type"], "note");
}

#[tokio::test]
async fn subscribe_is_answered_and_then_there_is_a_fresh_snapshot() {
    let proxy = proxy_with_stats("").await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.values(2).await;
    let said = viewer
        .ask(r#"{"type":"subscribe","data":{"fields":["memory","cpu"],"types":["system_stats"],"keys":null}}"#)
        .await;
    assert_eq!(said["type"], "subscribed");
    assert_eq!(
        said["data"],
        json!({"fields": ["cpu", "memory"], "types": ["system_stats"], "keys": null, "every": null})
    );
    assert!(said["timestamp"].is_string());
    assert_eq!(viewer.data().await["data"], json!({"cpu": {"usage": 1.5}, "memory": {"percent": 2}}));
    viewer.nothing_more().await;
    proxy.say_all(&[r#"{"type":"note","data":"not chosen"}"#, r#"{"type":"system_stats","cpu":9,"x":1}"#]).await;
    assert_eq!(viewer.values(1).await, [json!({"cpu": 9})]);
    assert_eq!(viewer.ask(r#"{"type":"subscribe"}"#).await["type"], "subscribed");
    assert_eq!(viewer.values(2).await, [json!("not chosen"), json!({"cpu": 9, "x": 1})]);
}

#[tokio::test]
async fn subscribe_chooses_keys() {
    let proxy = Proxy::of_feed("key = \"/data/host\"");
    let of = |host: &str, n: u32| format!(r#"{{"type":"s","data":{{"host":"{host}","n":{n}}}}}"#);
    proxy.say_all(&[&of("a", 1), &of("b", 2)]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.values(2).await;
    viewer.ask(r#"{"type":"subscribe","data":{"keys":["b","c"]}}"#).await;
    assert_eq!(viewer.values(1).await[0]["n"], 2);
    proxy.say_all(&[&of("a", 3), &of("c", 4)]).await;
    assert_eq!(viewer.values(1).await[0]["n"], 4);
}

/// Says a number each 20 ms until `until` numbers were seen; those seen, and how long it took.
async fn paced(proxy: &Proxy, viewer: &mut WsClient, until: usize) -> (Vec<u64>, Duration) {
    let start = tokio::time::Instant::now();
    let mut seen = Vec::new();
    let mut said = 100;
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    within("paced numbers", async {
        while seen.len() < until {
            tokio::select! {
                mut message = viewer.data() => seen.extend(message["data"].take().as_u64()),
                _ = beat.tick() => {
                    said += 1;
                    proxy.say(&n(said)).await;
                }
            }
        }
    })
    .await;
    (seen, start.elapsed())
}

#[tokio::test]
async fn every_gives_the_snapshot_at_once_and_then_the_newest_at_each_tick() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1), &n(2)]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?every=300ms").await;
    assert_eq!(viewer.values(1).await, [2]);
    let (seen, took) = paced(&proxy, &mut viewer, 3).await;
    assert!(took >= Duration::from_millis(700), "three ticks of 300 ms, of which the first had begun: {took:?}");
    assert!(seen.windows(2).all(|pair| pair[0] + 1 < pair[1]), "those between were left out: {seen:?}");
}

#[tokio::test]
async fn every_is_set_and_ended_by_subscribe() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[&n(1)]).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.values(1).await;
    let said = viewer.ask(r#"{"type":"subscribe","data":{"every":"300ms"}}"#).await;
    assert_eq!(said["data"]["every"], "300ms");
    assert_eq!(viewer.values(1).await, [1], "the fresh snapshot does not wait for a tick");
    let (seen, _) = paced(&proxy, &mut viewer, 2).await;
    assert!(seen[0] + 1 < seen[1], "{seen:?}");
    assert_eq!(viewer.ask(r#"{"type":"subscribe"}"#).await["type"], "subscribed");
    for number in 1000..1010 {
        proxy.say(&n(number)).await;
    }
    // The snapshot, and what was on its way to the worker just then, comes first.
    let mut first = Value::Null;
    while first.as_u64().is_none_or(|number| number < 1000) {
        first = viewer.values(1).await.remove(0);
    }
    assert_eq!(first, 1000);
    assert_eq!(viewer.values(9).await, (1001..1010).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn where_the_slow_are_closed_one_that_has_its_own_pace_is_not() {
    let proxy = Proxy::of_feed("slow = \"close\"\nhistory = 1");
    let mut socket = WsClient::connect(proxy.address(), "/f?every=200ms").await;
    let mut stream = SseClient::connect(proxy.address(), "/f?every=200ms", &[]).await;
    stream.event().await;
    for number in 1..10 {
        proxy.say_all(&[&n(number)]).await;
    }
    while socket.values(1).await != [9] {}
    while !stream.event().await.data.contains("\"data\":9,") {}
    assert_eq!(proxy.metric("steadfeed_feed_conflated_total{feed=\"f\"}").await, 0.0);
}

#[tokio::test]
async fn at_a_tick_each_type_has_its_newest_in_the_feeds_order() {
    let proxy = Proxy::of_feed("");
    let mut viewer = WsClient::connect(proxy.address(), "/f?every=200ms").await;
    viewer.nothing_more().await;
    proxy
        .say_all(&[&n(1), r#"{"type":"b","data":2}"#, r#"{"type":"c","data":3}"#, &n(4), r#"{"type":"c","data":5}"#])
        .await;
    let seen = viewer.values(3).await;
    // A tick may have come in between: then more is seen, in order.
    let numbers: Vec<_> = seen.iter().filter_map(Value::as_u64).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    if numbers[0] == 2 {
        assert_eq!(numbers, [2, 4, 5]);
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_with_a_problem_at_every_door() {
    let proxy = Proxy::of_feed("");
    let many = format!("/f?fields={}", (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    for path in ["/f?last=x", "/f?every=10", "/f?every=1ms", "/f?fields=%FF", &many] {
        let (status, problem) = WsClient::refused(proxy.address(), path, &[]).await;
        assert_eq!((status, &problem["status"]), (400, &json!(400)), "{path}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        for accept in ["*/*", "text/event-stream"] {
            let reply = get(proxy.address(), path, &[("Accept", accept)]).await;
            assert_eq!(reply.status, 400, "{path}");
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        }
    }
}

fn field(number: usize) -> String {
    format!("/f?fields=f{number}")
}

/// 64 viewers with different field sets, at two doors.
async fn sixty_four(proxy: &Proxy) -> (Vec<WsClient>, Vec<SseClient>) {
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    for number in 0..64 {
        if number % 2 == 0 {
            let mut socket = WsClient::connect(proxy.address(), &field(number)).await;
            socket.json().await;
            sockets.push(socket);
        } else {
            streams.push(SseClient::connect(proxy.address(), &field(number), &[]).await);
        }
    }
    (sockets, streams)
}

#[tokio::test]
async fn a_feed_has_64_field_sets_and_refuses_the_65th_at_every_door() {
    let proxy = Proxy::of_feed("");
    let _held = sixty_four(&proxy).await;
    let (status, problem) = WsClient::refused(proxy.address(), &field(64), &[]).await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("64 different sets")), "{problem}");
    for accept in ["*/*", "text/event-stream"] {
        assert_eq!(get(proxy.address(), &field(64), &[("Accept", accept)]).await.status, 400);
    }
    let mut viewer = WsClient::connect(proxy.address(), &field(0)).await;
    viewer.json().await;
    let said = viewer.ask(r#"{"type":"subscribe","data":{"fields":["f64"]}}"#).await;
    assert_eq!((&said["type"], &said["data"]["code"]), (&json!("error"), &json!("too_many")), "{said}");
    let said = viewer.ask(r#"{"type":"subscribe","data":{"fields":["f1"]}}"#).await;
    assert_eq!(said["type"], "subscribed", "one that is in use is shared");
    proxy.say(r#"{"type":"t","data":{"f0":0,"f1":1}}"#).await;
    assert_eq!(viewer.values(1).await, [json!({"f1": 1})], "what was refused changed nothing");
}

#[tokio::test]
async fn at_the_bound_a_viewer_may_swap_the_field_set_that_is_its_own() {
    let proxy = Proxy::of_feed("");
    let (mut sockets, _streams) = sixty_four(&proxy).await;
    let own = &mut sockets[0];
    for name in ["new", "newer", "newest"] {
        let said = own.ask(&format!(r#"{{"type":"subscribe","data":{{"fields":["{name}"]}}}}"#)).await;
        assert_eq!((&said["type"], &said["data"]["fields"]), (&json!("subscribed"), &json!([name])), "{said}");
    }
    proxy.say(r#"{"type":"t","data":{"new":0,"newest":1}}"#).await;
    assert_eq!(own.values(1).await, [json!({"newest": 1})]);
    let (status, _) = WsClient::refused(proxy.address(), &field(0), &[]).await;
    assert_eq!(status, 400, "what it gave up is not there twice");
    // What two share, on one worker or two, is not free where one of them goes.
    let mut shared = WsClient::connect(proxy.address(), "/f?fields=newest").await;
    shared.json().await;
    let said = own.ask(r#"{"type":"subscribe","data":{"fields":["other"]}}"#).await;
    assert_eq!(said["data"]["code"], "too_many", "{said}");
}

#[tokio::test]
async fn field_sets_are_given_back_when_their_viewers_leave() {
    let proxy = Proxy::of_feed("");
    let held = sixty_four(&proxy).await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 64.0).await;
    drop(held);
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?fields=new").await;
    viewer.json().await;
    let said = viewer.ask(r#"{"type":"subscribe","data":{"fields":["newer"]}}"#).await;
    assert_eq!(said["type"], "subscribed", "{said}");
    let again: Vec<_> = sixty_three(&proxy).await;
    assert_eq!(again.len(), 63);
}

async fn sixty_three(proxy: &Proxy) -> Vec<WsClient> {
    let mut viewers = Vec::new();
    for number in 100..163 {
        viewers.push(WsClient::connect(proxy.address(), &field(number)).await);
    }
    viewers
}

#[tokio::test]
async fn asking_by_get_again_and_again_holds_no_field_set() {
    let proxy = Proxy::of_feed("");
    proxy.say_all(&[STATS]).await;
    for number in 0..200 {
        assert_eq!(get(proxy.address(), &field(number), &[]).await.status, 200, "{number}");
    }
}
