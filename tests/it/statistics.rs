//! What is measured and judged here: the host's statistics, and alerts over another feed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::feed::n;
use crate::support::{Identity, Proxy, SseClient, WsClient, get, proxy};

/// The embedded default config on free ports, with a certificate of its own.
fn default_config() -> (Proxy, Identity) {
    let identity = Identity::new();
    let tls = identity.listener("");
    let certificates = tls.lines().last().expect("the certificates");
    let text = include_str!("../../config/default.toml")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8443", "127.0.0.1:0")
        .replace(r#"self_signed = ["localhost", "127.0.0.1", "::1"]"#, certificates);
    (Proxy::start(&text), identity)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn assert_percent(value: &Value) {
    assert!((0.0..=100.0).contains(&number(value)), "{value}");
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}

#[track_caller]
fn check_stats(stats: &Value) {
    assert_eq!(members(stats), ["cpu", "disk", "host", "memory", "network", "uptime_s"]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux");
    assert_eq!(stats["host"], host.trim());
    assert_eq!(members(&stats["cpu"]), ["cores", "load", "usage"]);
    assert_percent(&stats["cpu"]["usage"]);
    let cores = stats["cpu"]["cores"].as_array().expect("an array");
    assert!(!cores.is_empty());
    cores.iter().for_each(assert_percent);
    assert_eq!(stats["cpu"]["load"].as_array().map(Vec::len), Some(3));
    assert_eq!(members(&stats["memory"]), ["percent", "swap_percent", "total_gb", "used_gb"]);
    assert_eq!(members(&stats["disk"]), ["percent", "total_gb", "used_gb"]);
    for part in [&stats["memory"], &stats["disk"]] {
        assert_percent(&part["percent"]);
        assert!(number(&part["used_gb"]) <= number(&part["total_gb"]) && number(&part["total_gb"]) > 0.0, "{part}");
    }
    assert_percent(&stats["memory"]["swap_percent"]);
    assert_eq!(members(&stats["network"]), ["rx_bytes_per_s", "tx_bytes_per_s"]);
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux");
    let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    assert!((number(&stats["uptime_s"]) - uptime).abs() < 5.0, "{} beside {uptime}", stats["uptime_s"]);
}

#[tokio::test]
async fn the_default_feed_is_what_the_dashboards_hook_expects_each_two_seconds() {
    let (proxy, _identity) = default_config();
    let mut viewers =
        [WsClient::connect(proxy.listener(0), "/ws").await, WsClient::connect_tls(proxy.listener(1), "/ws").await];
    let mut last = None;
    for _ in 0..2 {
        let message = viewers[0].data().await;
        assert_eq!(message, viewers[1].data().await, "sampled once for all");
        assert_eq!(message["type"], "system_stats");
        check_stats(&message["data"]);
        for name in members(&message["data"]) {
            assert_eq!(message[name], message["data"][name], "{name} stays at the top, too");
        }
        assert!(message["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
        let now = Instant::now();
        if let Some(last) = last.replace(now) {
            let apart = now.duration_since(last);
            assert!(apart > Duration::from_millis(1500) && apart < Duration::from_millis(2900), "{apart:?}");
        }
    }
}

#[tokio::test]
async fn the_default_routes_are_there() {
    let (proxy, _identity) = default_config();
    let at = proxy.listener(0);
    let health = get(at, "/health", &[]).await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "healthy", "service": "steadfeed"})));
    let page = get(at, "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let (status, problem) = WsClient::refused(at, "/api/system/ws", &[]).await;
    assert_eq!((status, &problem["status"]), (503, &json!(503)));
    let mut alerts = WsClient::connect(at, "/ws/alerts").await;
    assert_eq!(alerts.json().await["type"], "connected");
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]:9"] {
        assert!(WsClient::try_connect(at, "/ws", &[("Origin", origin)]).await.is_ok(), "{origin}");
    }
    assert_eq!(WsClient::refused(at, "/ws", &[("Origin", "https://evil.example")]).await.0, 403);
}

#[tokio::test]
async fn a_source_fills_its_feed_without_a_viewer() {
    let proxy = Proxy::start(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[feed.s]\nsource = { stats = { every = \"300ms\" } }\n\
         [[route]]\npath = \"/s\"\nfeed = \"s\"\n",
    );
    proxy.until_metric("steadfeed_messages_total{feed=\"s\",direction=\"in\"}", 3.0).await;
    proxy.until_metric("steadfeed_feed_up{feed=\"s\",source=\"stats\"}", 1.0).await;
    let reply = get(proxy.address(), "/s?last=30", &[]).await;
    assert!(reply.json().as_array().is_some_and(|past| past.len() >= 2), "{}", reply.text());
    check_stats(&reply.json()[0]["data"]);
}

/// The feed `f`, watched by the feed `alerts` with these rules.
fn watched(rules: &str) -> Proxy {
    Proxy::start(&format!(
        "{}[feed.alerts]\nsnapshot = \"none\"\nsource = {{ alerts = {{ of = \"f\", rules = [{rules}] }} }}\n\
         [[route]]\npath = \"/alerts\"\nfeed = \"alerts\"\n",
        proxy::feed("")
    ))
}

#[tokio::test]
async fn an_alert_is_said_when_a_rule_starts_and_cleared_when_it_ends() {
    let proxy = watched(r#"{ at = "/data", above = 90, level = "critical" }"#);
    let mut viewer = WsClient::connect(proxy.address(), "/alerts").await;
    let mut events = SseClient::connect(proxy.address(), "/alerts", &[]).await;
    viewer.json().await;
    for value in ["10", "90", "97.50", "98", "3", "4"] {
        proxy.say(&n(value)).await;
    }
    let alert = viewer.data().await;
    assert_eq!(alert["type"], "alert");
    assert_eq!(members(&alert["data"]), ["above", "at", "level", "rule", "since", "value"]);
    let of = |name: &str| alert["data"][name].clone();
    assert_eq!(
        [of("at"), of("value"), of("above"), of("level")],
        [json!("/data"), json!(97.5), json!(90), json!("critical")]
    );
    let cleared = viewer.data().await;
    assert_eq!((&cleared["type"], &cleared["data"]["value"]), (&json!("alert_cleared"), &json!(3)));
    assert_eq!(cleared["data"]["since"], alert["data"]["since"]);
    assert_eq!(cleared["data"]["rule"], alert["data"]["rule"]);
    viewer.nothing_more().await;
    assert_eq!(events.event().await.event.as_deref(), Some("connected"));
    assert_eq!(events.event().await.event.as_deref(), Some("alert"));
    assert_eq!(events.event().await.event.as_deref(), Some("alert_cleared"));
    let mut late = WsClient::connect(proxy.address(), "/alerts").await;
    late.nothing_more().await;
}

#[tokio::test]
async fn a_rule_with_a_time_starts_once_it_has_held() {
    let proxy = watched(r#"{ at = "/data", above = 90, for = "400ms" }"#);
    let mut viewer = WsClient::connect(proxy.address(), "/alerts").await;
    viewer.json().await;
    let start = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    let alert = loop {
        tokio::select! {
            alert = viewer.data() => break alert,
            _ = beat.tick() => drop(proxy.say(&n(95)).await),
        }
    };
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!((&alert["type"], &alert["data"]["level"]), (&json!("alert"), &json!("warning")));
}
