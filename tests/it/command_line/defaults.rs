//! The default config, as it is served.

use tokio::time::Instant;

use super::default;
use crate::support::{SseClient, WsClient, get};

#[tokio::test]
async fn start_up_prints_a_line_for_each_listener_feed_and_page_and_then_nothing() {
    let start = Instant::now();
    let instance = default().await;
    let ready = start.elapsed();
    assert_eq!(get(instance.address(), "/health", &[]).await.status, 200);
    // Shown, not held to anything: other tests run at the same time.
    println!("ready after {ready:?}, its certificate made");
    let (http, https) = (instance.listener(0).port(), instance.listener(1).port());
    let expected = [
        format!("steadfeed {}", env!("CARGO_PKG_VERSION")),
        format!("  listening  http://localhost:{http}"),
        format!("  listening  https://localhost:{https}"),
        format!("  admin      http://{}", instance.admin()),
        format!("  page       system at https://localhost:{https}/"),
        format!("  feed       system at wss://localhost:{https}/ws"),
        format!("  feed       alerts at wss://localhost:{https}/ws/alerts"),
        format!("  feed       system at wss://localhost:{https}/api/system/ws"),
    ];
    let printed = instance.printed();
    let shown: Vec<_> = printed.iter().filter(|line| !line.contains(" INFO ") && !line.contains(" access ")).collect();
    assert_eq!(shown, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_default_config_answers_health_and_refuses_what_needs_a_token() {
    let instance = default().await;
    let address = instance.address();
    let health = get(address, "/health", &[]).await;
    assert_eq!(health.text(), r#"{"status":"healthy","service":"steadfeed"}"#);
    assert_eq!((health.status, health.header("content-type")), (200, Some("application/json")));
    let closed = get(address, "/api/system/ws", &[]).await;
    assert_eq!((closed.status, closed.header("content-type")), (503, Some("application/problem+json")));
    let (status, problem) = WsClient::refused(address, "/api/system/ws", &[]).await;
    assert_eq!((status, problem), (503, closed.json()));
    assert!(closed.json()["detail"].as_str().is_some_and(|detail| detail.contains("JWT_SECRET")));
}

#[tokio::test]
async fn the_default_feed_is_mirrored_and_open_to_pages_of_this_machine() {
    let instance = default().await;
    let mut plain = WsClient::connect(instance.address(), "/ws").await;
    assert_eq!(plain.json().await["type"], "connected");
    let message = plain.data().await;
    assert_eq!(message["type"], "system_stats");
    for member in ["cpu", "memory", "disk", "network", "host", "uptime_s"] {
        assert!(!message[member].is_null(), "{member}: {message}");
        assert_eq!(message[member], message["data"][member]);
    }
    let mut secure = WsClient::connect_tls(instance.listener(1), "/ws").await;
    assert_eq!(secure.data().await["type"], "system_stats");
    for origin in ["http://localhost:5173", "https://127.0.0.1:1", "http://[::1]", "http://LOCALHOST:3000"] {
        let mut viewer = WsClient::try_connect(instance.address(), "/ws", &[("Origin", origin)]).await.expect(origin);
        assert_eq!(viewer.data().await["type"], "system_stats");
        WsClient::try_connect(instance.address(), "/ws/alerts", &[("Origin", origin)]).await.expect(origin);
    }
    for origin in ["https://evil.example", "http://localhost.evil.example:5173", "ftp://localhost", "null"] {
        assert_eq!(WsClient::refused(instance.address(), "/ws", &[("Origin", origin)]).await.0, 403, "{origin}");
        let stream = [("Origin", origin), ("Accept", "text/event-stream")];
        assert_eq!(get(instance.address(), "/ws", &stream).await.status, 403, "{origin}");
    }
    let newest = get(instance.address(), "/ws", &[]).await;
    assert_eq!((newest.status, &newest.json()["type"]), (200, &"system_stats".into()));
    let mut stream = SseClient::connect(instance.address(), "/ws", &[]).await;
    assert_eq!(stream.event().await.event.as_deref(), Some("connected"));
    assert_eq!(stream.event().await.event.as_deref(), Some("system_stats"));
    let mut alerts = WsClient::connect(instance.address(), "/ws/alerts").await;
    assert_eq!(alerts.json().await["type"], "connected");
    alerts.send(r#"{"type":"ping"}"#).await;
    assert_eq!(alerts.data().await["type"], "pong", "no alert of the past is said again");
}

#[tokio::test]
async fn the_live_page_loads_its_parts_and_nothing_from_elsewhere() {
    let instance = default().await;
    let page = get(instance.address(), "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let html = page.text();
    let quoted = |attribute: &str| {
        let opening = format!("{attribute}=\"");
        let parts = html.split(opening.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let parts: Vec<_> = [quoted("src"), quoted("href")].concat();
    let parts: Vec<_> = parts.iter().filter(|part| !part.starts_with(['#']) && !part.starts_with("data:")).collect();
    assert!(parts.len() >= 2, "{html}");
    for part in parts {
        assert!(!part.contains("//"), "{part} is elsewhere");
        let path = format!("/{}", part.trim_start_matches("./").trim_start_matches('/'));
        let asset = get(instance.address(), &path, &[]).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(!asset.body.is_empty());
        let etag = asset.header("etag").expect("an ETag");
        let again = get(instance.address(), &path, &[("If-None-Match", etag)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag)), "{path}");
    }
    let etag = page.header("etag").expect("an ETag");
    assert_eq!(get(instance.address(), "/", &[("If-None-Match", etag)]).await.status, 304);
    assert_eq!(get(instance.address(), "/", &[("If-None-Match", "\"other\"")]).await.status, 200);
}
