//! What another config does to who is connected: nobody is closed whose route still stands, and who is, is told to come back.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::raw_ws::upgrade;
use crate::support::server_ws::ServerWs;
use crate::support::{Backend, H2Client, Identity, KeepAlive, Proxy, RawHttp, SseClient, WsClient, get, within};

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nwebsocket_h2 = true\n";
/// A public feed.
const FEED: &str = "[feed.f]\nsource = { publish = {} }\n[[route]]\npath = \"/f\"\nfeed = \"f\"\n";

/// A route that answers with `body`.
fn says(path: &str, body: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nrespond = {{ body = \"{body}\" }}\n")
}

fn tunnel(path: &str, upstream: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nproxy = \"{upstream}\"\n")
}

fn upstream(name: &str, server: &str) -> String {
    format!("[upstream.{name}]\nservers = [\"{server}\"]\n")
}

/// What is added, changed and removed.
fn changes(answer: &Value) -> [&Value; 3] {
    [&answer["added"], &answer["changed"], &answer["removed"]]
}

/// Both ends of a tunnel.
async fn open_tunnel(proxy: &Proxy, backend: &Backend, path: &str) -> (RawHttp, RawHttp) {
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), path, &[("Upgrade", "chat")]).as_bytes()).await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    (client, server)
}

async fn open_session(proxy: &Proxy, backend: &Backend, path: &str) -> (WsClient, ServerWs) {
    tokio::join!(WsClient::connect(proxy.address(), path), backend.websocket())
}

async fn check_tunnel((client, server): &mut (RawHttp, RawHttp)) {
    client.send(b"up").await;
    assert_eq!(server.exactly(2).await, b"up");
    server.send(b"down").await;
    assert_eq!(client.exactly(4).await, b"down");
}

async fn check_session((client, server): &mut (WsClient, ServerWs)) {
    client.send("\"up\"").await;
    assert_eq!(server.text().await, "\"up\"");
    server.say("{\"type\":\"x\",\"data\":\"down\"}").await;
    assert_eq!(client.data().await["data"], "down");
}

async fn check_restarted(socket: &mut WsClient) {
    let close = socket.closed().await.expect("a code");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1012, "configuration changed"));
}

#[tokio::test]
async fn whoever_is_connected_stays_through_ten_reloads_and_misses_nothing() {
    let (backend, identity) = (Backend::bind().await, Identity::new());
    let config = |round: usize| {
        let listeners = format!("{LISTENER}{}", identity.listener("websocket_h2 = true"));
        let app = upstream("app", &backend.server());
        let session = format!("{}[route.session]\nhold = \"{}s\"\n", tunnel("/chat", "app"), round + 1);
        let more =
            format!("headers = {{ response = {{ X-Round = \"{round}\" }} }}\nallow = [\"127.0.0.0/{}\"]\n", 8 + round);
        format!("{listeners}{app}{FEED}{more}{}{session}{}", tunnel("/t", "app"), says(&format!("/round/{round}"), "x"))
    };
    let proxy = Proxy::start(&config(0));
    let (plain, secure) = (proxy.address(), proxy.listener(1));
    let h2 = H2Client::connect_tls(secure).await;
    let mut sockets = [
        WsClient::connect(plain, "/f").await,
        WsClient::connect_tls(secure, "/f").await,
        h2.websocket("/f").await,
        H2Client::connect(plain).await.websocket("/f").await,
    ];
    let mut streams = [SseClient::connect(plain, "/f", &[]).await, SseClient::connect_tls(secure, "/f").await];
    let (mut tunnel, mut session) =
        (open_tunnel(&proxy, &backend, "/t").await, open_session(&proxy, &backend, "/chat").await);
    let mut kept = KeepAlive::connect(plain).await;
    let mut sequence = Vec::new();
    for round in 1..=10 {
        proxy.publish("f", &format!("{}", 2 * round)).await;
        let answer = proxy.turn_to(&config(round)).await;
        let (path, before) = (format!("route /round/{round}"), format!("route /round/{}", round - 1));
        assert_eq!(changes(&answer), [&json!([path]), &json!(["route /f", "route /chat"]), &json!([before])]);
        proxy.publish("f", &format!("{}", 2 * round + 1)).await;
        for socket in &mut sockets {
            assert_eq!(socket.values(2).await, [json!(2 * round), json!(2 * round + 1)]);
        }
        for stream in &mut streams {
            loop {
                let event = stream.event().await;
                if let Some(id) = event.id {
                    let (_, number) = id.split_once('-').expect("an id");
                    sequence.push(number.parse::<usize>().expect("a number"));
                    if event.data.contains(&format!("\"data\":{},", 2 * round + 1)) {
                        break;
                    }
                }
            }
        }
        check_tunnel(&mut tunnel).await;
        check_session(&mut session).await;
        // Old connections see the new routes, and those alone.
        assert_eq!(kept.get(&format!("/round/{round}")).await.status, 200);
        assert_eq!(kept.get(&format!("/round/{}", round - 1)).await.status, 404);
        assert_eq!(h2.get(&format!("/round/{round}")).await.status(), 200);
        assert_eq!(kept.get("/f").await.header("x-round"), Some(&*round.to_string()));
    }
    let expected: Vec<usize> =
        (1..=10).flat_map(|round| [2 * round - 1, 2 * round, 2 * round - 1, 2 * round]).collect();
    assert_eq!(sequence, expected, "no gap, no repeat");
    assert_eq!(proxy.metric("steadfeed_config_reloads_total{result=\"ok\"}").await, 10.0);
}

#[tokio::test]
async fn sockets_of_a_route_that_went_are_closed_one_by_one_and_told_to_come_back() {
    const VIEWERS: usize = 30;
    let gone = "[[route]]\npath = \"/gone\"\nfeed = \"f\"\n";
    let drain = "[drain]\nspread = \"1s\"\n";
    let proxy = Proxy::start(&format!("{drain}{LISTENER}{FEED}{gone}"));
    let mut stays = WsClient::connect(proxy.address(), "/f").await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        viewers.push(WsClient::connect(proxy.address(), "/gone").await);
    }
    let over_h2 = H2Client::connect(proxy.address()).await;
    let mut streamed = over_h2.websocket("/gone").await;
    let mut events = SseClient::connect(proxy.address(), "/gone", &[("Connection", "close")]).await;
    events.event().await;
    let start = Instant::now();
    let answer = proxy.turn_to(&format!("{drain}{LISTENER}{FEED}")).await;
    assert_eq!(changes(&answer), [&json!([]), &json!([]), &json!(["route /gone"])]);
    let closings = viewers.into_iter().map(async |mut viewer| {
        check_restarted(&mut viewer).await;
        start.elapsed()
    });
    let mut closings = futures_util::future::join_all(closings).await;
    check_restarted(&mut streamed).await;
    assert!(events.rest().await.ends_with("0\r\n\r\n"), "it ends as a whole body does");
    closings.sort_unstable();
    let early = closings.iter().filter(|at| **at < Duration::from_millis(500)).count();
    assert!((VIEWERS / 4..VIEWERS).contains(&early), "{closings:?}");
    assert!(closings[VIEWERS - 1] < Duration::from_secs(10), "{closings:?}");
    proxy.publish("f", "1").await;
    assert_eq!(stays.data().await["data"], 1);
    assert_eq!(get(proxy.address(), "/gone", &[]).await.status, 404);
    let metric = "steadfeed_websocket_closed_total{route=\"/gone\",code=\"1012\"}";
    proxy.until_metric(metric, VIEWERS as f64 + 1.0).await;
    assert_eq!(proxy.metric("steadfeed_feed_viewers{feed=\"f\"}").await, 1.0);
}

#[tokio::test]
async fn a_tunnel_and_a_session_whose_route_leads_elsewhere_now_end() {
    let (one, other) = (Backend::bind().await, Backend::bind().await);
    let both = format!(
        "[drain]\nspread = \"0s\"\n{LISTENER}{}{}",
        upstream("one", &one.server()),
        upstream("other", &other.server())
    );
    let routes = |name: &str| format!("{both}{}{}[route.session]\n", tunnel("/t", name), tunnel("/chat", name));
    let proxy = Proxy::start(&routes("one"));
    let (mut client, mut server) = open_tunnel(&proxy, &one, "/t").await;
    let (mut viewer, mut socket) = open_session(&proxy, &one, "/chat").await;
    let answer = proxy.turn_to(&routes("other")).await;
    assert_eq!(changes(&answer), [&json!([]), &json!(["route /t", "route /chat"]), &json!([])]);
    assert_eq!((client.rest().await.len(), server.rest().await.len()), (0, 0));
    check_restarted(&mut viewer).await;
    assert_eq!(socket.closed().await.0, 1001);
    check_tunnel(&mut open_tunnel(&proxy, &other, "/t").await).await;
    check_session(&mut open_session(&proxy, &other, "/chat").await).await;
}

#[tokio::test]
async fn a_socket_that_opens_while_its_route_goes_is_told_so_at_once() {
    let backend = Backend::bind().await;
    let base = format!("{LISTENER}{}{}", upstream("app", &backend.server()), says("/x", "x"));
    let proxy = Proxy::start(&format!("{base}{}[route.session]\n", tunnel("/chat", "app")));
    let connecting = tokio::spawn(WsClient::connect(proxy.address(), "/chat"));
    // The upstream's handshake is under way.
    let (head, mut raw) = backend.request().await;
    proxy.turn_to(&base).await;
    let accept = crate::support::server_ws::accept(&head);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    raw.send(answer.as_bytes()).await;
    let mut client = within("the upgrade", connecting).await.expect("no panic");
    check_restarted(&mut client).await;
}

#[tokio::test]
async fn a_server_that_goes_keeps_its_sockets_and_gets_no_new_ones() {
    let (one, other) = (Backend::bind().await, Backend::bind().await);
    let config = |server: &str| {
        let app = upstream("app", server);
        format!("{LISTENER}{app}{}{}[route.session]\n", tunnel("/t", "app"), tunnel("/chat", "app"))
    };
    let proxy = Proxy::start(&config(&one.server()));
    let mut before = open_tunnel(&proxy, &one, "/t").await;
    let (mut viewer, socket) = open_session(&proxy, &one, "/chat").await;
    let answer = proxy.turn_to(&config(&other.server())).await;
    assert_eq!(changes(&answer), [&json!([]), &json!(["upstream app"]), &json!([])]);
    check_tunnel(&mut before).await;
    check_tunnel(&mut open_tunnel(&proxy, &other, "/t").await).await;
    // A session whose upstream socket is lost has another from the server that is there now.
    socket.reset();
    let mut session = (viewer, other.websocket().await);
    assert_eq!(session.0.json().await["upstream"], "stale");
    session.1.say("{\"type\":\"x\",\"data\":\"first\"}").await;
    viewer = session.0;
    within("what its new socket says", async { while viewer.json().await["data"] != "first" {} }).await;
    let reply = get(proxy.admin(), "/api/upstreams", &[]).await;
    assert_eq!(reply.json()[0]["servers"].as_array().map(Vec::len), Some(1));
    assert_eq!(reply.json()[0]["servers"][0]["server"], other.server());
    let gone = format!("steadfeed_upstream_up{{upstream=\"app\",server=\"{}\"}}", one.server());
    assert_eq!(proxy.metric(&gone).await, 0.0, "it is not shown any more");
}

#[tokio::test]
async fn a_server_that_stays_beside_a_new_one_is_known_to_be_busy() {
    let (one, other) = (Backend::bind().await, Backend::bind().await);
    let config = |servers: &str| format!("{LISTENER}[upstream.app]\nservers = [{servers}]\n{}", tunnel("/t", "app"));
    let proxy = Proxy::start(&config(&format!("\"{}\"", one.server())));
    let _held = [open_tunnel(&proxy, &one, "/t").await, open_tunnel(&proxy, &one, "/t").await];
    proxy.turn_to(&config(&format!("\"{}\", \"{}\"", one.server(), other.server()))).await;
    let reply = get(proxy.admin(), "/api/upstreams", &[]).await;
    assert_eq!(reply.json()[0]["servers"][0]["load"], 2);
    let _new = [open_tunnel(&proxy, &other, "/t").await, open_tunnel(&proxy, &other, "/t").await];
}

#[tokio::test]
async fn a_feed_that_is_filled_from_elsewhere_keeps_its_viewers_and_its_sequence() {
    let (one, other) = (Backend::bind().await, Backend::bind().await);
    let config = |backend: &Backend| {
        format!(
            "{LISTENER}[feed.f]\nsource = {{ websocket = \"ws://{}/\" }}\n[[route]]\npath = \"/f\"\nfeed = \"f\"\n",
            backend.address()
        )
    };
    let proxy = Proxy::start(&config(&one));
    let mut source = one.websocket().await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let mut events = SseClient::connect(proxy.address(), "/f", &[]).await;
    source.say("{\"type\":\"x\",\"data\":1}").await;
    assert_eq!(viewer.data().await["data"], 1);
    let answer = proxy.turn_to(&config(&other)).await;
    assert_eq!(changes(&answer), [&json!([]), &json!(["feed f"]), &json!([])]);
    assert_eq!(source.raw.rest().await.len().min(64), source.raw.rest().await.len(), "it is let go");
    let mut source = other.websocket().await;
    source.say("{\"type\":\"x\",\"data\":2}").await;
    assert_eq!(viewer.data().await["data"], 2);
    assert_eq!(events.event().await.event.as_deref(), Some("connected"));
    let ids = [events.event().await.id.expect("an id"), events.event().await.id.expect("an id")];
    assert!(ids[0].ends_with("-1") && ids[1].ends_with("-2") && ids[0][..9] == ids[1][..9], "{ids:?}");
    proxy.until_metric("steadfeed_feed_up{feed=\"f\",source=\"websocket\"}", 1.0).await;
}

#[tokio::test]
async fn a_feed_comes_another_goes_and_one_that_is_kept_otherwise_begins_anew() {
    let feed = |name: &str, options: &str| {
        format!(
            "[feed.{name}]\nsource = {{ publish = {{}} }}\n{options}\n[[route]]\npath = \"/{name}\"\nfeed = \"{name}\"\n"
        )
    };
    let base = format!("[drain]\nspread = \"0s\"\n{LISTENER}");
    let proxy = Proxy::start(&format!("{base}{}{}", feed("a", ""), feed("b", "")));
    let (mut a, mut b) =
        (WsClient::connect(proxy.address(), "/a").await, WsClient::connect(proxy.address(), "/b").await);
    let before = proxy.publish("b", "1").await.json();
    assert_eq!(b.data().await["data"], 1);
    let stats = "[feed.c]\nsource = { stats = { every = \"1s\" } }\n[[route]]\npath = \"/c\"\nfeed = \"c\"\n";
    let answer = proxy.turn_to(&format!("{base}{}{stats}", feed("b", "history = 3"))).await;
    let expected = [json!(["feed c", "route /c"]), json!(["feed b"]), json!(["feed a", "route /a"])];
    assert_eq!(changes(&answer), [&expected[0], &expected[1], &expected[2]]);
    check_restarted(&mut a).await;
    check_restarted(&mut b).await;
    let mut c = WsClient::connect(proxy.address(), "/c").await;
    assert_eq!(c.data().await["type"], "system_stats");
    assert_eq!(get(proxy.address(), "/a", &[]).await.status, 404);
    assert_eq!(get(proxy.address(), "/b", &[]).await.status, 204, "it has no value yet");
    let mut again = WsClient::connect(proxy.address(), "/b").await;
    let after = proxy.publish("b", "2").await.json();
    assert_eq!(again.data().await["data"], 2);
    assert_ne!(before["id"].as_str().map(|id| &id[..9]), after["id"].as_str().map(|id| &id[..9]), "another sequence");
    let names: Vec<Value> = get(proxy.admin(), "/api/feeds", &[]).await.json().as_array().expect("an array").clone();
    assert_eq!(names.iter().map(|feed| &feed["name"]).collect::<Vec<_>>(), ["b", "c"]);
    assert!(!get(proxy.admin(), "/metrics", &[]).await.text().contains("steadfeed_feed_up{feed=\"a\""));
}

#[tokio::test]
async fn alerts_watch_the_feed_that_there_is_now() {
    let watched = |options: &str| format!("[feed.f]\nsource = {{ publish = {{}} }}\n{options}\n");
    let alerts = "[feed.alerts]\nsource = { alerts = { of = \"f\", rules = [{ at = \"/data\", above = 5 }] } }\n\
                  snapshot = \"none\"\n[[route]]\npath = \"/alerts\"\nfeed = \"alerts\"\n";
    let proxy = Proxy::start(&format!("{LISTENER}{}{alerts}", watched("")));
    let mut viewer = WsClient::connect(proxy.address(), "/alerts").await;
    let answer = proxy.turn_to(&format!("{LISTENER}{}{alerts}", watched("history = 3"))).await;
    assert_eq!(changes(&answer), [&json!([]), &json!(["feed f"]), &json!([])]);
    proxy.publish("f", "7").await;
    assert_eq!(viewer.data().await["type"], "alert");
}

#[tokio::test]
async fn a_feed_that_is_split_keeps_its_branches() {
    let backend = Backend::bind().await;
    let config = |more: &str| {
        let source = format!("source = {{ websocket = \"ws://{}/\" }}", backend.address());
        format!("{LISTENER}[feed.f]\n{source}\nshare = [\"query\"]\n[[route]]\npath = \"/f\"\nfeed = \"f\"\n{more}")
    };
    let proxy = Proxy::start(&config(""));
    let mut viewer = WsClient::connect(proxy.address(), "/f?a=1").await;
    let mut source = backend.websocket().await;
    proxy.turn_to(&config(&says("/x", "x"))).await;
    source.say("{\"type\":\"x\",\"data\":1}").await;
    assert_eq!(viewer.data().await["data"], 1);
    let mut other = WsClient::connect(proxy.address(), "/f?a=2").await;
    let mut second = backend.websocket().await;
    assert!(second.head.starts_with("GET /?a=2 "), "{}", second.head);
    second.say("{\"type\":\"x\",\"data\":2}").await;
    assert_eq!(other.data().await["data"], 2);
    viewer.nothing_more().await;
    proxy.turn_to(&format!("[drain]\nspread = \"0s\"\n{LISTENER}{}", says("/x", "x"))).await;
    check_restarted(&mut viewer).await;
    check_restarted(&mut other).await;
}
