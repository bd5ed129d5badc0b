//! Sources that are dialled, from the config to the viewer: a backend that comes and goes, what serves meanwhile, and whose
//! token goes with a dial.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::support::config::PLAIN;
use crate::support::{Backend, Instance, Proxy, WsClient, within};

/// A backend's side of a source's socket.
struct Line {
    socket: WebSocketStream<TcpStream>,
    /// Path and query.
    uri: String,
    headers: http::HeaderMap,
}

impl Line {
    async fn accept(listener: &TcpListener) -> Line {
        let (stream, _) = within("a dial", listener.accept()).await.expect("a connection");
        let mut asked = None;
        #[expect(clippy::result_large_err, reason = "tungstenite has it so")]
        let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            asked = Some((request.uri().to_string(), request.headers().clone()));
            Ok(response)
        };
        let socket = accept_hdr_async(stream, keep).await.expect("a WebSocket");
        let (uri, headers) = asked.expect("a request");
        Line { socket, uri, headers }
    }

    async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the source listens");
    }
}

async fn listen(at: SocketAddr) -> TcpListener {
    TcpListener::bind(at).await.expect("the port is free")
}

async fn anywhere() -> TcpListener {
    listen("127.0.0.1:0".parse().expect("an address")).await
}

fn config(source: &str, feed: &str, route: &str) -> String {
    format!(
        "{PLAIN}[feed.f]\nsource = {source}\n{feed}\n\
         [[route]]\npath = \"/f\"\nfeed = \"f\"\n{route}\n"
    )
}

fn websocket(backend: &TcpListener, feed: &str, route: &str) -> Proxy {
    let address = backend.local_addr().expect("an address");
    Proxy::start(&config(&format!("{{ websocket = \"ws://{address}/ws\" }}"), feed, route))
}

/// What a viewer is told, until `last` has come: the `upstream` of keepalives, and the data of messages.
async fn told(viewer: &mut WsClient, last: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    within(&format!("{last:?}"), async {
        while !last.iter().all(|last| told.iter().any(|told: &String| told == last)) {
            let message = viewer.json().await;
            match (message["type"].as_str(), message["upstream"].as_str()) {
                (Some("keepalive"), Some(upstream)) => told.push(upstream.to_owned()),
                (Some("keepalive" | "connected"), _) => {}
                _ => told.push(message["data"].to_string()),
            }
        }
    })
    .await;
    told
}

#[tokio::test]
async fn a_backend_that_restarts_is_dialled_once_and_closes_nobody() {
    let backend = anywhere().await;
    let address = backend.local_addr().expect("an address");
    let proxy = websocket(&backend, "", "");
    let mut line = Line::accept(&backend).await;
    assert_eq!(line.uri, "/ws");
    line.say(r#"{"type":"t","data":1}"#).await;
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(WsClient::connect(proxy.address(), "/f").await);
    }
    for viewer in &mut viewers {
        assert_eq!(told(viewer, &["1"]).await, ["1"]);
    }
    // As when it is killed.
    drop((line, backend));
    for viewer in &mut viewers {
        assert_eq!(told(viewer, &["stale"]).await, ["stale"]);
    }
    proxy.until_metric("steadfeed_feed_up{feed=\"f\",source=\"websocket\"}", 0.0).await;
    proxy.until_metric("steadfeed_feed_failures_total{feed=\"f\",reason=\"unreachable\"}", 2.0).await;
    let backend = listen(address).await;
    let began = Instant::now();
    let mut line = Line::accept(&backend).await;
    line.say(r#"{"type":"t","data":2}"#).await;
    for viewer in &mut viewers {
        let told = told(viewer, &["2", "live"]).await;
        assert_eq!(told.len(), 2, "{told:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    proxy.until_metric("steadfeed_feed_reconnects_total{feed=\"f\"}", 1.0).await;
    assert!(timeout(Duration::from_millis(300), backend.accept()).await.is_err(), "one socket serves all");
}

#[tokio::test]
async fn an_outage_of_a_source_is_told_in_one_line_and_its_end_in_another() {
    let backend = anywhere().await;
    let address = backend.local_addr().expect("an address");
    drop(backend);
    let instance = Instance::start(&config(&format!("{{ websocket = \"ws://{address}/ws\" }}"), "", "")).await;
    let told = instance.line("source is down").await;
    assert!(told.contains("feed=\"f\"") && told.matches("Connection refused").count() == 1, "{told}");
    let backend = listen(address).await;
    let mut line = Line::accept(&backend).await;
    line.say("1").await;
    instance.line("source is back").await;
    let printed = instance.printed();
    let of_it: Vec<_> = printed.iter().filter(|line| line.contains(&address.to_string())).collect();
    assert_eq!(of_it.len(), 2, "{printed:#?}");
}

#[tokio::test]
async fn a_fallback_serves_until_the_backend_is_there() {
    let backend = anywhere().await;
    let address = backend.local_addr().expect("an address");
    drop(backend);
    let source = format!("{{ websocket = \"ws://{address}/ws\" }}");
    let proxy = Proxy::start(&config(&source, "fallback = { stats = { every = \"500ms\" }, after = \"200ms\" }", ""));
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.data().await["type"], "system_stats");
    let backend = listen(address).await;
    let mut line = Line::accept(&backend).await;
    line.say(r#"{"type":"t","data":1}"#).await;
    let all = told(&mut viewer, &["1", "live"]).await;
    assert!(all.iter().filter(|told| *told == "1").count() == 1, "{all:?}");
    // Its values are gone with it.
    let mut late = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(told(&mut late, &["1"]).await, ["1"]);
    late.nothing_more().await;
}

#[tokio::test]
async fn what_is_polled_and_what_streams_come_together_in_one_feed() {
    let (polled, streamed) = (Backend::bind().await, Backend::bind().await);
    let sources = format!(
        "[{{ poll = \"http://{}/stats?a=b\", every = \"30s\", headers = {{ X-Key = \"k\" }} }}, {{ sse = \"http://{}/events\" }}]",
        polled.address(),
        streamed.address()
    );
    let proxy = Proxy::start(&config(&sources, "", "").replace("source = [", "sources = ["));
    let (head, mut polled) = polled.request().await;
    assert!(head.starts_with("GET /stats?a=b HTTP/1.1\r\n") && head.contains("\r\nx-key: k\r\n"), "{head}");
    polled
        .send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"cpu\": 1.50}")
        .await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let stats = viewer.data().await;
    assert_eq!((&stats["type"], stats["data"].to_string()), (&Value::from("message"), "{\"cpu\":1.5}".to_owned()));
    let (head, mut streamed) = streamed.request().await;
    assert!(head.starts_with("GET /events HTTP/1.1\r\n"), "{head}");
    let stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: alert\ndata: {\"level\":1}\n\n";
    streamed.send(stream).await;
    let alert = viewer.data().await;
    assert_eq!((&alert["type"], alert["data"].to_string()), (&Value::from("alert"), "{\"level\":1}".to_owned()));
    for source in ["poll", "sse"] {
        proxy.until_metric(&format!("steadfeed_feed_up{{feed=\"f\",source=\"{source}\"}}"), 1.0).await;
    }
}

/// A token of `subject`, good for an hour.
fn token(subject: &str) -> String {
    let expires = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() + 3600;
    let claims = serde_json::json!({ "sub": subject, "exp": expires });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn each_subjects_own_token_goes_with_its_own_socket() {
    for (forward, in_query) in [("header", false), ("query:key", true)] {
        let backend = anywhere().await;
        let feed = format!("share = [\"subject\"]\nforward_token = \"{forward}\"");
        let auth = format!("auth = \"v\"\n[auth.v]\nsecret = \"{SECRET}\"");
        let proxy = websocket(&backend, &feed, &auth);
        let mut viewers = Vec::new();
        for subject in ["ann", "bob"] {
            let token = token(subject);
            let bearer = format!("Bearer {token}");
            let viewer = WsClient::try_connect(proxy.address(), "/f", &[("authorization", &bearer)]).await;
            let mut viewer = viewer.expect("it may");
            let mut line = Line::accept(&backend).await;
            if in_query {
                assert_eq!(
                    (line.uri.as_str(), line.headers.get("authorization")),
                    (&*format!("/ws?key={token}"), None)
                );
            } else {
                assert_eq!((line.uri.as_str(), line.headers["authorization"].as_bytes()), ("/ws", bearer.as_bytes()));
            }
            line.say(&format!("{{\"type\":\"t\",\"data\":\"{subject}\"}}")).await;
            let own = format!("\"{subject}\"");
            assert_eq!(told(&mut viewer, &[&own]).await.last(), Some(&own));
            viewers.push((viewer, line));
        }
        // One that comes back is dialled with it again.
        let (mut viewer, line) = viewers.pop().expect("bob");
        drop(line);
        let mut line = Line::accept(&backend).await;
        line.say("{\"type\":\"t\",\"data\":\"again\"}").await;
        let told = told(&mut viewer, &["\"again\""]).await;
        assert!(!told.iter().any(|told| told.contains("ann")), "{told:?}");
    }
}
