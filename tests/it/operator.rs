//! What operators see of the open connections, and how they end one.

use serde_json::{Value, json};
use steadfeed::handler::SessionOptions;

use crate::support::config::{feed, plain};
use crate::support::raw_ws::upgrade;
use crate::support::{Backend, H2Client, Proxy, RawHttp, Reply, SseClient, WsClient, get, request, until};

const SECRET: &str = "a secret of thirty-two bytes or so";
const FEED: &str = concat!(plain!("websocket_h2 = true\n"), feed!("/f/*"));

async fn connections(proxy: &Proxy) -> Vec<Value> {
    let reply = get(proxy.admin(), "/api/connections", &[]).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    reply.json().as_array().expect("an array").clone()
}

/// The one that is open, once there is one.
async fn only(proxy: &Proxy) -> Value {
    until("one connection", || async { connections(proxy).await.pop() }).await
}

async fn close(proxy: &Proxy, id: &str) -> Reply {
    request(proxy.admin(), "DELETE", &format!("/api/connections/{id}"), &[], "").await
}

async fn close_only(proxy: &Proxy, mode: &str) {
    let one = only(proxy).await;
    assert_eq!(one["mode"], mode, "{one}");
    let reply = close(proxy, one["id"].as_str().expect("an id")).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
}

async fn check_closed(socket: &mut WsClient) {
    let close = socket.closed().await.expect("a code");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "closed by operator"));
}

async fn check_none(proxy: &Proxy) {
    until("none", || async { connections(proxy).await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_connection_is_shown_with_what_there_is_to_know_of_it() {
    let auth = format!("[auth.viewers]\nsecret = \"{SECRET}\"\n");
    let proxy = Proxy::start(&format!("{auth}{FEED}auth = \"viewers\"\n"));
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let claims = json!({ "sub": "ann", "exp": jiff::Timestamp::now().as_second() + 600 });
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token");
    let path = format!("/f/below?token={token}&every=1s");
    let before = jiff::Timestamp::now();
    let _socket = WsClient::connect(proxy.address(), &path).await;
    let one = only(&proxy).await;
    let since: jiff::Timestamp = one["since"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!(since.duration_since(before).as_millis().abs() < 20_000, "{one}");
    let id = one["id"].as_str().expect("an id");
    let (boot, number) = id.split_once('-').expect("two parts");
    assert!(boot.len() == 8 && number.parse::<u64>().is_ok(), "{id}");
    let expected = json!({
        "id": id, "client": "127.0.0.1", "route": "/f/*", "mode": "feed", "path": "/f/below", "subject": "ann",
        "since": one["since"],
    });
    assert_eq!(one, expected);
}

#[tokio::test]
async fn a_viewer_is_closed_and_no_other() {
    let proxy = Proxy::start(FEED);
    let mut closed = WsClient::connect(proxy.address(), "/f/a").await;
    let first = only(&proxy).await;
    let mut other = WsClient::connect(proxy.address(), "/f/b").await;
    assert_eq!(connections(&proxy).await.len(), 2);
    let id = first["id"].as_str().expect("an id");
    assert_eq!(close(&proxy, id).await.status, 204);
    check_closed(&mut closed).await;
    let left = until("one is left", || async {
        let mut left = connections(&proxy).await;
        if left.len() == 1 { left.pop() } else { None }
    })
    .await;
    assert_eq!((&left["path"], &left["subject"]), (&json!("/f/b"), &Value::Null));
    proxy.publish("f", "1").await;
    assert_eq!(other.data().await["data"], 1);
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f/*\",code=\"1008\"}", 1.0).await;
    let again = close(&proxy, id).await;
    assert_eq!((again.status, again.header("content-type")), (404, Some("application/problem+json")));
}

#[tokio::test]
async fn so_is_one_over_http2() {
    let proxy = Proxy::start(FEED);
    let h2 = H2Client::connect(proxy.address()).await;
    let mut socket = h2.websocket("/f/a").await;
    close_only(&proxy, "feed").await;
    check_closed(&mut socket).await;
    check_none(&proxy).await;
}

#[tokio::test]
async fn an_event_stream_ends() {
    let proxy = Proxy::start(FEED);
    let mut stream = SseClient::connect(proxy.address(), "/f/a", &[("Connection", "close")]).await;
    assert_eq!(stream.event().await.event.as_deref(), Some("connected"));
    close_only(&proxy, "events").await;
    let rest = stream.rest().await;
    assert!(rest.ends_with("0\r\n\r\n"), "it ends as a whole body does: {rest:?}");
    check_none(&proxy).await;
}

#[tokio::test]
async fn a_session_is_closed_and_its_upstream_told_goodbye() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions::default());
    let (mut client, mut server) = tokio::join!(WsClient::connect(proxy.address(), "/chat"), backend.websocket());
    close_only(&proxy, "session").await;
    check_closed(&mut client).await;
    assert_eq!(server.closed().await.0, 1001);
    drop(server);
    check_none(&proxy).await;
}

#[tokio::test]
async fn a_tunnel_is_cut_on_both_sides() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/ws", &[]).as_bytes()).await;
    let mut server = backend.websocket().await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    server.say("hello").await;
    assert_eq!(client.exactly(7).await, b"\x81\x05hello");
    close_only(&proxy, "tunnel").await;
    assert!(client.rest().await.is_empty() && server.raw.rest().await.is_empty());
    check_none(&proxy).await;
}

#[tokio::test]
async fn they_come_in_pages_the_oldest_first() {
    let proxy = Proxy::start(FEED);
    let mut sockets = Vec::new();
    for number in 0..5 {
        sockets.push(WsClient::connect(proxy.address(), &format!("/f/{number}")).await);
    }
    let (mut next, mut paths) = (Some("/api/connections?limit=2".to_owned()), Vec::new());
    let mut pages = 0;
    while let Some(path) = next {
        let reply = get(proxy.admin(), &path, &[]).await;
        for one in reply.json().as_array().expect("an array") {
            paths.push(one["path"].as_str().expect("a path").to_owned());
        }
        pages += 1;
        let link = reply.header("link").map(ToOwned::to_owned);
        next =
            link.map(|link| link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link").0.to_owned());
    }
    assert_eq!((pages, paths), (3, (0..5).map(|number| format!("/f/{number}")).collect()));
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_problem_that_says_why() {
    let proxy = Proxy::start(FEED);
    let own = format!("http://{}", proxy.admin());
    for (method, path, fields, status) in [
        ("GET", "/api/connections?limit=0", &[][..], 400),
        ("GET", "/api/connections?limit=5001", &[], 400),
        ("GET", "/api/connections?after=1", &[], 400),
        ("GET", "/api/connections?subject=ann", &[], 400),
        ("POST", "/api/connections", &[("Content-Type", "application/json")], 405),
        ("DELETE", "/api/connections", &[], 405),
        ("GET", "/api/connections/1", &[], 405),
        ("DELETE", "/api/connections/1", &[], 404),
        ("DELETE", "/api/connections/00000000-1", &[], 404),
        ("DELETE", "/api/connections/00000000-1", &[("Origin", own.as_str())], 404),
        ("DELETE", "/api/connections/00000000-1", &[("Origin", "https://evil.example")], 403),
        ("DELETE", "/api/connections/00000000-1", &[("Sec-Fetch-Site", "cross-site")], 403),
        ("GET", "/api/connections", &[("Host", "evil.example")], 403),
    ] {
        let reply = request(proxy.admin(), method, path, fields, "").await;
        let type_ = reply.header("content-type");
        assert_eq!((reply.status, type_), (status, Some("application/problem+json")), "{method} {path} {fields:?}");
    }
}

const ALL: &str = r#"
[admin]
listen = "127.0.0.1:0"
token = "correct-horse"

[[listener]]
address = "127.0.0.1:0"

[upstream.app]
servers = ["http://127.0.0.1:1"]

[auth.viewers]
secret = "a secret of thirty-two bytes or so"

[feed.a]
source = { publish = {} }

[feed.far]
source = { websocket = "ws://127.0.0.1:1/ws?key=hunter2", headers = { Authorization = "Bearer hunter2" } }
share = ["query"]

[[route]]
path = "/a"
feed = "a"

[[route]]
path = "/far"
feed = "far"
auth = "viewers"

[[route]]
path = "/*"
proxy = "app"
headers = { request = { "X-Key" = "hunter2" } }
"#;

const BEARER: (&str, &str) = ("Authorization", "Bearer correct-horse");

fn all() -> Proxy {
    Proxy::start_whole(&format!("[log]\naccess = false\n{ALL}"))
}

#[tokio::test]
async fn the_feeds_are_told_with_their_standing_and_sources() {
    let proxy = all();
    let posting = [BEARER, ("Content-Type", "application/json")];
    assert_eq!(request(proxy.admin(), "POST", "/api/feeds/a", &posting, "1").await.status, 200);
    let mut viewer = WsClient::connect(proxy.address(), "/a").await;
    assert_eq!(viewer.data().await["data"], 1);
    // A message is counted once it is out, and the viewer may have it by then.
    let feeds = until("the message is counted", || async {
        let feeds = get(proxy.admin(), "/api/feeds", &[BEARER]).await.json();
        (feeds[0]["messages_out"] != json!(0)).then_some(feeds)
    })
    .await;
    let (one, far) = (&feeds[0], &feeds[1]);
    for (key, value) in
        [("name", json!("a")), ("standing", json!("live")), ("viewers", json!(1)), ("branches", json!(null))]
    {
        assert_eq!(one[key], value, "{one}");
    }
    assert_eq!((&one["messages_in"], &one["messages_out"]), (&json!(1), &json!(1)), "{one}");
    let last: jiff::Timestamp = one["last_message"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!(jiff::Timestamp::now().as_second() - last.as_second() < 60, "{one}");
    assert_eq!(one["sources"][0], json!({ "name": "publish", "up": true }), "{one}");
    for (key, value) in
        [("name", json!("far")), ("standing", json!(null)), ("branches", json!(0)), ("last_message", json!(null))]
    {
        assert_eq!(far[key], value, "{far}");
    }
}

#[tokio::test]
async fn the_upstreams_are_told_with_the_state_of_each_server() {
    let proxy = all();
    assert_eq!(get(proxy.address(), "/x", &[]).await.status, 502);
    let upstreams = get(proxy.admin(), "/api/upstreams", &[BEARER]).await.json();
    let app = json!({ "name": "app", "servers": [{ "server": "http://127.0.0.1:1", "state": "avoided", "load": 0 }] });
    assert_eq!(upstreams[0], app);
}

#[tokio::test]
async fn no_secret_is_in_any_answer() {
    let proxy = all();
    let config = get(proxy.admin(), "/api/config", &[BEARER]).await;
    assert_eq!((config.status, config.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    for part in ["feeds", "routes", "ws://127.0.0.1:1/ws", "http://127.0.0.1:1"] {
        assert!(config.text().contains(part), "{part}: {}", config.text());
    }
    for path in ["/api/config", "/api/feeds", "/api/upstreams", "/api/connections", "/metrics", "/"] {
        let text = get(proxy.admin(), path, &[BEARER]).await.text();
        for secret in ["hunter2", "correct-horse", "thirty-two bytes"] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn the_page_and_all_it_shows_need_the_token_where_there_is_one() {
    let proxy = all();
    let page = get(proxy.admin(), "/", &[BEARER]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'; ")));
    for file in ["admin.js", "admin.css"] {
        assert_eq!(get(proxy.admin(), &format!("/.steadfeed/{file}"), &[BEARER]).await.status, 200, "{file}");
    }
    for path in ["/", "/api/connections", "/api/feeds", "/api/upstreams", "/api/config", "/.steadfeed/admin.js"] {
        assert_eq!(get(proxy.admin(), path, &[]).await.status, 401, "{path}");
    }
    assert_eq!(request(proxy.admin(), "DELETE", "/api/connections/1", &[], "").await.status, 401);
    assert_eq!(request(proxy.admin(), "PUT", "/", &[BEARER], "").await.status, 405);
}

#[tokio::test]
async fn how_long_a_message_takes_and_a_ping_is_measured() {
    let proxy = Proxy::start(&FEED.replace("publish = {} }\n", "publish = {} }\nping = \"100ms\"\n"));
    let mut viewer = WsClient::connect(proxy.address(), "/f/a").await;
    proxy.publish("f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
    // It answers pings while it listens.
    let listening = async { while viewer.frame().await.is_some() {} };
    tokio::select! {
        () = listening => panic!("the socket is gone"),
        () = async {
            until("a pong", || async {
                (proxy.metric("steadfeed_ping_rtt_seconds_count").await > 0.0).then_some(())
            }).await;
            let lag = "steadfeed_feed_lag_seconds_count{feed=\"f\"}";
            assert!(proxy.metric(lag).await > 0.0);
            assert!(proxy.metric("steadfeed_feed_last_message_seconds{feed=\"f\"}").await > 1e9);
        } => {}
    }
}
