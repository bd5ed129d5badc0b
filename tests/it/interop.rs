//! Other people's WebSocket clients: tungstenite, which does not deflate, and yawc, which does; plain and over TLS.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use yawc::{Frame, OpCode, Options, WebSocket};

use crate::feed::n;
use crate::support::http::field;
use crate::support::raw_ws::{DEFLATED, FIN, PING, TEXT, masked};
use crate::support::ws::{Io, tls};
use crate::support::{Identity, Proxy, RawWs, WsClient, proxy, within};

/// A message that deflates well, and is longer than one read of a client.
fn long(number: usize) -> String {
    let hosts: Vec<_> =
        (0..40).map(|host| format!(r#"{{"host":"web-{host}","cpu":{}}}"#, host * number % 100)).collect();
    format!(r#"{{"type":"long","data":{{"number":{number},"hosts":[{}]}}}}"#, hosts.join(","))
}

struct Yawc(WebSocket<Box<dyn Io>>);

impl Yawc {
    async fn connect(stream: Box<dyn Io>, options: Options) -> Yawc {
        let url = "ws://localhost/f".parse().expect("a URL");
        // The authority must be that of the listener only where an Origin is sent.
        Yawc(within("a handshake", WebSocket::handshake(url, stream, options)).await.expect("a socket"))
    }

    async fn text(&mut self) -> String {
        loop {
            let frame = within("a frame", self.0.next()).await.expect("open");
            if frame.opcode() == OpCode::Text {
                return String::from_utf8(frame.payload().to_vec()).expect("UTF-8");
            }
        }
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }
}

/// The same feed through tungstenite, plain, and through yawc with these options: the same texts.
async fn same_texts(proxy: &Proxy, stream: Box<dyn Io>, options: Options) {
    proxy.say_all(&[&long(0), &n(0)]).await;
    let mut plain = WsClient::connect(proxy.listener(0), "/f").await;
    let mut other = Yawc::connect(stream, options).await;
    plain.json().await;
    assert_eq!(other.json().await["type"], "connected");
    for number in 1..=20 {
        proxy.say(&long(number)).await;
        proxy.say(&n(number)).await;
    }
    for _ in 0..42 {
        assert_eq!(other.text().await, plain.text().await);
    }
    let command = format!(r#"{{"type":"subscribe","data":{{"fields":["number"],"types":{:?}}}}}"#, vec!["long"; 60]);
    other.0.send(Frame::text(command)).await.expect("sent");
    assert_eq!(other.json().await["type"], "subscribed", "what a client deflates is understood");
    assert_eq!(other.json().await["data"], serde_json::json!({"number": 20}));
    other.0.send(Frame::close(yawc::close::CloseCode::Normal, "done")).await.expect("sent");
    let last = within("the close", other.0.next()).await.expect("a close");
    assert_eq!(last.close_code(), Some(yawc::close::CloseCode::Normal));
}

async fn plain_stream(proxy: &Proxy) -> Box<dyn Io> {
    Box::new(TcpStream::connect(proxy.listener(0)).await.expect("the listener accepts"))
}

#[tokio::test]
async fn yawc_reads_deflated_what_tungstenite_reads_plain() {
    for options in [
        Options::default().with_balanced_compression(),
        Options::default().with_low_latency_compression(),
        Options::default().without_compression(),
    ] {
        let proxy = Proxy::of_feed("");
        same_texts(&proxy, plain_stream(&proxy).await, options).await;
    }
}

#[tokio::test]
async fn yawc_reads_the_same_over_tls() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}\n{}", proxy::feed(""), identity.listener("")));
    let stream = tls(proxy.listener(1), &[]).await;
    same_texts(&proxy, Box::new(stream), Options::default().with_balanced_compression()).await;
}

#[tokio::test]
async fn tungstenite_reads_the_same_over_tls() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}\n{}", proxy::feed(""), identity.listener("")));
    proxy.say_all(&[&long(1)]).await;
    let mut plain = WsClient::connect(proxy.listener(0), "/f").await;
    let mut other = WsClient::connect_tls(proxy.listener(1), "/f").await;
    assert!(!other.response.headers().contains_key("sec-websocket-extensions"), "what is not offered is not agreed on");
    plain.json().await;
    assert_eq!(other.json().await["type"], "connected");
    assert_eq!(other.text().await, plain.text().await);
    let large = format!(r#"{{"type":"large","data":"{}"}}"#, "x".repeat(300_000));
    for message in [&n(1), &large, &n(2)] {
        proxy.say(message).await;
    }
    for _ in 0..3 {
        assert_eq!(other.text().await, plain.text().await);
    }
    other.nothing_more().await;
    other.close(1000).await;
    assert_eq!(other.closed().await.map(|close| u16::from(close.code)), Some(1000));
}

/// Offers these extensions; the answer's header, and the first bytes of a short and a long message's frames.
async fn offer(extensions: &str) -> (Option<String>, u8, u8) {
    let proxy = Proxy::of_feed("greet = false");
    proxy.say_all(&[&n(1), &long(1)]).await;
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[("Sec-WebSocket-Extensions", extensions)]).await;
    let header = field(&viewer.head, "sec-websocket-extensions").map(str::to_owned);
    (header, viewer.frame().await.first, viewer.frame().await.first)
}

#[tokio::test]
async fn deflate_is_agreed_without_context_takeover() {
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let deflated = FIN | TEXT | DEFLATED;
    for offered in ["permessage-deflate", "permessage-deflate; client_max_window_bits", "x-other, permessage-deflate"] {
        let (header, short, long) = offer(offered).await;
        assert_eq!(header.as_deref(), Some(both), "{offered}");
        assert_eq!((short, long), (FIN | TEXT, deflated), "what is short is not worth it");
    }
    let (header, _, long) = offer("permessage-deflate; server_max_window_bits=12").await;
    assert_eq!(header.as_deref(), Some(format!("{both}; server_max_window_bits=12").as_str()));
    assert_eq!(long, deflated);
}

#[tokio::test]
async fn a_window_smaller_than_ours_is_declined_and_the_next_offer_taken() {
    for bits in 8..12 {
        let (header, _, long) = offer(&format!("permessage-deflate; server_max_window_bits={bits}")).await;
        assert_eq!((header, long), (None, FIN | TEXT), "{bits}");
    }
    let (header, _, long) =
        offer("permessage-deflate; server_max_window_bits=9, permessage-deflate; client_max_window_bits").await;
    assert!(header.is_some());
    assert_eq!(long, FIN | TEXT | DEFLATED);
}

#[tokio::test]
async fn a_subprotocol_that_is_offered_is_echoed() {
    let proxy = Proxy::of_feed("");
    let headers = [("Sec-WebSocket-Protocol", "dash.v1, dash.v2")];
    let viewer = RawWs::connect(proxy.address(), "/f", &headers).await;
    assert!(viewer.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: dash.v1\r\n"), "{}", viewer.head);
}

#[tokio::test]
async fn what_a_viewer_says_right_behind_its_request_is_heard() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{}\n{}", proxy::feed("greet = false"), identity.listener("")));
    let mut words = b"GET /f HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    for turn in 0..2000 {
        words.extend(masked(FIN | PING, format!("{turn:04}").as_bytes()));
    }
    let plain = plain_stream(&proxy).await;
    let secure: Box<dyn Io> = Box::new(tls(proxy.listener(1), &[]).await);
    for stream in [plain, secure] {
        let mut raw = crate::support::RawHttp::over(stream);
        raw.send(&words).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        for turn in 0..2000 {
            assert_eq!(
                raw.exactly(6).await,
                format!("\u{8a}\u{4}{turn:04}").chars().map(|c| c as u8).collect::<Vec<_>>()
            );
        }
    }
}
