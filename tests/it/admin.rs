//! The admin listener: probes, metrics, publishing, and who may.

use std::collections::HashMap;

use crate::support::{Instance, Proxy, RawHttp, Reply, SseClient, WsClient, get, post_json, request};

const FEEDS: &str = r#"
[limits]
body_timeout = "300ms"

[[listener]]
address = "127.0.0.1:0"

[feed.events]
source = { publish = {} }
skip = [{ type = "debug" }]

[feed.slow]
source = { publish = {} }
min_interval = "1h"

[feed.system]
source = { stats = {} }

[[route]]
path = "/events"
feed = "events"
"#;

#[tokio::test]
async fn the_probes_answer_who_asks() {
    let proxy = Proxy::start(FEEDS);
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        for method in ["GET", "HEAD"] {
            let reply = request(proxy.admin(), method, path, &[], "").await;
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (200, Some("application/json")),
                "{method} {path}"
            );
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
        assert_eq!(get(proxy.admin(), path, &[]).await.json()["status"], status);
        let refused = request(proxy.admin(), "DELETE", path, &[], "").await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    }
    let nothing = get(proxy.admin(), "/nothing", &[]).await;
    assert_eq!((nothing.status, nothing.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(get(proxy.address(), "/metrics", &[]).await.status, 404, "it is not on the public listener");
}

#[tokio::test]
async fn the_metrics_can_be_scraped() {
    let proxy = Proxy::start(FEEDS);
    proxy.publish("events", r#"{"type":"n","data":1}"#).await;
    let mut viewer = WsClient::connect(proxy.address(), "/events").await;
    let stream = SseClient::connect(proxy.address(), "/events", &[]).await;
    assert_eq!(viewer.data().await["data"], 1);
    let _ = WsClient::refused(proxy.address(), "/events", &[("Origin", "https://evil.example")]).await;
    let reply = get(proxy.admin(), "/metrics", &[]).await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!reply.text().contains("# EOF"));
    let (types, samples) = parsed(&reply.text());
    assert!(types.keys().all(|name| name.starts_with("steadfeed_")), "{types:?}");
    for (name, type_) in [
        ("steadfeed_connections_open", "gauge"),
        ("steadfeed_requests_total", "counter"),
        ("steadfeed_request_seconds", "histogram"),
        ("steadfeed_websocket_open", "gauge"),
        ("steadfeed_messages_total", "counter"),
        ("steadfeed_message_bytes_total", "counter"),
        ("steadfeed_feed_viewers", "gauge"),
        ("steadfeed_feed_up", "gauge"),
        ("steadfeed_feed_conflated_total", "counter"),
        ("steadfeed_denied_total", "counter"),
        ("steadfeed_log_lines_dropped_total", "counter"),
    ] {
        assert_eq!(types.get(name).map(String::as_str), Some(type_), "{name}");
    }
    for (sample, value) in [
        ("steadfeed_connections_open", 2.0),
        (r#"steadfeed_requests_total{route="/events",status="101"}"#, 1.0),
        (r#"steadfeed_requests_total{route="/events",status="403"}"#, 1.0),
        (r#"steadfeed_websocket_open{route="/events",mode="feed"}"#, 1.0),
        (r#"steadfeed_messages_total{feed="events",direction="in"}"#, 1.0),
        (r#"steadfeed_feed_viewers{feed="events"}"#, 2.0),
        (r#"steadfeed_feed_up{feed="system",source="stats"}"#, 1.0),
        (r#"steadfeed_denied_total{route="/events",reason="origin"}"#, 1.0),
    ] {
        crate::support::until(sample, || async { (proxy.metric(sample).await == value).then_some(()) }).await;
    }
    assert!(samples.keys().any(|name| name.starts_with("steadfeed_request_seconds_bucket{")), "{samples:?}");
    drop((viewer, stream));
    let closed = r#"steadfeed_websocket_closed_total{route="/events",code="1006"}"#;
    crate::support::until(closed, || async { (proxy.metric(closed).await == 1.0).then_some(()) }).await;
}

#[tokio::test]
async fn the_metrics_come_as_openmetrics_where_that_is_asked_for() {
    let proxy = Proxy::start(FEEDS);
    proxy.publish("events", r#"{"type":"n","data":1}"#).await;
    // As Prometheus asks.
    let both = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    let reply = get(proxy.admin(), "/metrics", &[("Accept", both)]).await;
    let type_ = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((reply.header("content-type"), reply.header("vary")), (Some(type_), Some("accept")));
    let text = reply.text();
    let (types, samples) = parsed(text.strip_suffix("# EOF\n").expect("the end is marked"));
    assert_eq!(types.get("steadfeed_messages").map(String::as_str), Some("counter"));
    let (_, plain) = parsed(&get(proxy.admin(), "/metrics", &[("Accept", "text/plain, */*")]).await.text());
    let names = |samples: &HashMap<String, f64>| {
        let mut names: Vec<_> = samples.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&samples), names(&plain), "the samples are alike");
}

/// The types of all families, each of which must have a help text, and the values of all samples.
fn parsed(text: &str) -> (HashMap<String, String>, HashMap<String, f64>) {
    let (mut helps, mut types, mut samples) = (Vec::new(), HashMap::new(), HashMap::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a text");
            assert!(help.len() > 5, "{line}");
            helps.push(name.to_owned());
        } else if let Some(type_) = line.strip_prefix("# TYPE ") {
            let (name, type_) = type_.split_once(' ').expect("a type");
            assert!(types.insert(name.to_owned(), type_.to_owned()).is_none(), "twice: {line}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let family = name.split('{').next().expect("a name");
            let known = |suffix: &str| family.strip_suffix(suffix).is_some_and(|family| types.contains_key(family));
            assert!(["", "_total", "_bucket", "_sum", "_count"].into_iter().any(known), "of no family: {line}");
            samples.insert(name.to_owned(), value.parse().expect("a number"));
        }
    }
    assert!(helps.len() == types.len() && helps.iter().all(|name| types.contains_key(name)), "{helps:?}");
    (types, samples)
}

async fn publish(proxy: &Proxy, feed: &str, body: &str) -> Reply {
    post_json(proxy.admin(), &format!("/api/feeds/{feed}"), body).await
}

#[tokio::test]
async fn what_is_published_is_told_its_id_and_reaches_viewers() {
    let proxy = Proxy::start(FEEDS);
    let mut stream = SseClient::connect(proxy.address(), "/events", &[]).await;
    let reply = publish(&proxy, "events", r#"{"type":"n","data":{"a":1.50}}"#).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let first = reply.json()["id"].as_str().expect("an id").to_owned();
    let second = publish(&proxy, "events", "[1, 2]").await.json()["id"].as_str().expect("an id").to_owned();
    let numbered =
        |id: &str| id.rsplit_once('-').map(|(boot, seq)| (boot.to_owned(), seq.parse::<u64>().expect("one")));
    let ((boot, seq), next) = (numbered(&first).expect("two parts"), numbered(&second).expect("two parts"));
    assert_eq!(next, (boot, seq + 1));
    assert_eq!(stream.event().await.event.as_deref(), Some("connected"));
    let event = stream.event().await;
    assert_eq!((event.id.as_deref(), event.event.as_deref()), (Some(first.as_str()), Some("n")));
    assert!(event.data.starts_with(r#"{"type":"n","data":{"a":1.50},"timestamp":"#), "{}", event.data);
    let event = stream.event().await;
    assert_eq!((event.id.as_deref(), event.event.as_deref()), (Some(second.as_str()), Some("message")));
    let skipped = publish(&proxy, "events", r#"{"type":"debug"}"#).await;
    assert_eq!(skipped.status, 200);
    assert!(skipped.json()["skipped"].is_string(), "{}", skipped.text());
    assert!(publish(&proxy, "slow", "1").await.json()["id"].is_string());
    assert_eq!(publish(&proxy, "slow", "2").await.json()["held"], "min_interval");
}

#[tokio::test]
async fn what_can_not_be_published_is_a_problem_that_says_why() {
    let proxy = Proxy::start(FEEDS);
    let path = "/api/feeds/events";
    let json = [("Content-Type", "application/json")];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let large = format!("\"{}\"", "a".repeat(1024 * 1024));
    let admin = proxy.admin();
    let cases = [
        (publish(&proxy, "events", "{not json").await, 400, "not JSON"),
        (publish(&proxy, "events", r#"{"a":1} {"b":2}"#).await, 400, "not JSON"),
        (request(admin, "POST", path, &json, "").await, 400, "not JSON"),
        (publish(&proxy, "nobody", "1").await, 404, "no feed of this name"),
        (publish(&proxy, "", "1").await, 404, "no feed of this name"),
        (publish(&proxy, "events/more", "1").await, 404, "no feed of this name"),
        (publish(&proxy, "system", "1").await, 409, "no `publish` source"),
        (publish(&proxy, "events", &large).await, 413, "at most 1 MiB"),
        (request(admin, "POST", path, &form, "1").await, 415, "application/json"),
        (request(admin, "POST", path, &[], "1").await, 415, "application/json"),
        (get(admin, path, &[]).await, 405, "POST"),
        (request(admin, "PUT", path, &json, "1").await, 405, "POST"),
    ];
    for (reply, status, detail) in cases {
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/problem+json")),
            "{detail}"
        );
        let problem = reply.json();
        assert!(problem["status"] == status && problem["detail"].as_str().is_some_and(|text| text.contains(detail)));
    }
    assert_eq!(proxy.metric(r#"steadfeed_messages_total{feed="events",direction="in"}"#).await, 0.0);
}

/// The answer to a POST of `body`, of which `announced` bytes were announced.
async fn posted(proxy: &Proxy, announced: usize, body: &[u8]) -> (String, RawHttp) {
    let mut raw = RawHttp::connect(proxy.admin()).await;
    let head = format!(
        "POST /api/feeds/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    );
    raw.send(head.as_bytes()).await;
    raw.send(body).await;
    (raw.head().await, raw)
}

#[tokio::test]
async fn a_body_too_large_too_slow_or_not_text_is_told_so() {
    let proxy = Proxy::start(FEEDS);
    let (head, mut raw) = posted(&proxy, 50_000_000, &vec![b' '; 1024 * 1024 + 1]).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    raw.closed().await;
    let (head, _raw) = posted(&proxy, 10, b"123").await;
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    let (head, _raw) = posted(&proxy, 4, b"\"\xff\xfe\"").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    proxy.publish("events", "1").await;
}

#[tokio::test]
async fn pages_elsewhere_and_names_that_point_here_are_refused() {
    let proxy = Proxy::start(FEEDS);
    let own = format!("http://{}", proxy.admin());
    for fields in [
        &[("Host", "evil.example")][..],
        &[("Host", "evil.example:9090")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Host", "localhost.evil.example")],
    ] {
        for path in ["/metrics", "/healthz", "/readyz"] {
            let reply = get(proxy.admin(), path, fields).await;
            assert_eq!((reply.status, &reply.json()["status"]), (403, &403.into()), "{path} {fields:?}");
        }
        let fields: Vec<_> = fields.iter().copied().chain([("Content-Type", "application/json")]).collect();
        assert_eq!(request(proxy.admin(), "POST", "/api/feeds/events", &fields, "1").await.status, 403, "{fields:?}");
    }
    for fields in [
        &[("Host", "localhost")][..],
        &[("Host", "[::1]:1")],
        &[("Origin", own.as_str())],
        &[("Sec-Fetch-Site", "none")],
    ] {
        assert_eq!(get(proxy.admin(), "/metrics", fields).await.status, 200, "{fields:?}");
    }
}

#[tokio::test]
async fn with_a_token_all_but_the_probes_need_it_whatever_the_host() {
    let config = FEEDS.replace("[limits]", "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"correct-horse\"\n[limits]");
    let proxy = Proxy::start_whole(&format!("[log]\naccess = false\n{config}"));
    let admin = proxy.admin();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(admin, path, &[("Host", "steadfeed.example")]).await.status, 200);
    }
    for fields in [
        &[][..],
        &[("Authorization", "Bearer wrong")],
        &[("Authorization", "Bearer correct")],
        &[("Authorization", "Basic correct-horse")],
        &[("Authorization", "correct-horse")],
        &[("Authorization", "")],
    ] {
        for path in ["/metrics", "/api/feeds/events", "/nothing"] {
            let reply = get(admin, path, fields).await;
            assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")), "{path} {fields:?}");
            assert!(!reply.text().contains("correct"), "{}", reply.text());
        }
    }
    let right = [("Authorization", "Bearer correct-horse"), ("Host", "steadfeed.example")];
    assert_eq!(get(admin, "/metrics", &right).await.status, 200);
    let posting = [right[0], ("Content-Type", "application/json")];
    assert_eq!(request(admin, "POST", "/api/feeds/events", &posting, "1").await.status, 200);
    assert_eq!(request(admin, "POST", "/api/feeds/events", &right, "1").await.status, 415);
}

#[tokio::test]
async fn it_can_be_off() {
    let instance = Instance::start_whole(&format!("admin.listen = \"off\"\n{FEEDS}")).await;
    assert_eq!(get(instance.address(), "/events", &[]).await.status, 204);
    assert!(!instance.printed().iter().any(|line| line.contains("admin")), "{:?}", instance.printed());
}
