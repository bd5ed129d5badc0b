//! Sessions: a WebSocket whose messages are understood, with one upstream socket a client.

use std::time::Duration;

use serde_json::{Value, json};
use steadfeed::feed::{Delivery, Shape};
use steadfeed::handler::{Held, SessionOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::raw_ws::masked;
use crate::support::{Backend, H2Client, Identity, Proxy, RawWs, ServerWs, WsClient, get, within};

fn delivery() -> Delivery {
    Delivery { keepalive: None, ..Delivery::default() }
}

fn options() -> SessionOptions {
    SessionOptions { delivery: delivery(), ..SessionOptions::default() }
}

/// Both ends of a session.
async fn open(proxy: &Proxy, backend: &Backend) -> (WsClient, ServerWs) {
    tokio::join!(WsClient::connect(proxy.address(), "/chat"), backend.websocket())
}

/// The next message, which must be a notice.
async fn notice(client: &mut WsClient, upstream: &str) {
    let message = client.json().await;
    assert_eq!((&message["type"], &message["upstream"]), (&json!("keepalive"), &json!(upstream)), "{message}");
    assert_eq!(message["data"], Value::Null);
}

/// The next frame but pings and pongs.
async fn next(client: &mut WsClient) -> Message {
    loop {
        match client.frame().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return message,
            gone => panic!("the socket is gone: {gone:?}"),
        }
    }
}

async fn closed(client: &mut WsClient) -> (u16, String) {
    let frame = client.closed().await.expect("a code");
    (frame.code.into(), frame.reason.to_string())
}

#[tokio::test]
async fn each_side_hears_the_other_the_client_in_envelopes() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    for text in ["plain", "{\"type\": \"say\",  \"n\": 1}", ""] {
        client.send(text).await;
        assert_eq!(server.text().await, text, "untouched");
    }
    client.frame_out(Message::binary(vec![0, 255])).await;
    assert_eq!(server.frame().await, (0x82, vec![0, 255]));
    server.say(r#"{"type":"said","n":1.50}"#).await;
    server.say(r#"{"type":"ping"}"#).await;
    server.send(0x82, &[1, 2, 3]).await;
    server.send(0x01, b"in ").await;
    server.send(0x89, b"are you there").await;
    server.send(0x80, b"pieces").await;
    let text = client.text().await;
    assert!(text.starts_with(r#"{"type":"said","data":{"n":1.50},"timestamp":""#), "{text}");
    assert_eq!(next(&mut client).await, Message::binary(vec![1, 2, 3]));
    assert_eq!(client.json().await["data"], "in pieces");
    assert_eq!(server.frame().await, (0x8a, b"are you there".to_vec()), "the upstream's ping is for us");
    let route = "route=\"/*\"";
    assert_eq!(proxy.metric(&format!("steadfeed_websocket_open{{{route},mode=\"session\"}}")).await, 1.0);
    assert_eq!(proxy.metric(&format!("steadfeed_messages_total{{{route},direction=\"in\"}}")).await, 4.0);
    assert_eq!(proxy.metric(&format!("steadfeed_messages_total{{{route},direction=\"out\"}}")).await, 3.0);
}

#[tokio::test]
async fn a_raw_session_passes_text_as_it_came() {
    let backend = Backend::bind().await;
    let delivery = Delivery { shape: Shape::Raw, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    server.say("{ \"a\" : 1 }").await;
    assert_eq!(client.text().await, "{ \"a\" : 1 }");
    drop(server);
    notice(&mut client, "stale").await;
}

#[tokio::test]
async fn the_upstream_is_asked_as_a_tunnel_would_ask_and_without_compression() {
    let backend = Backend::bind().await;
    let route = "strip_prefix = \"/api\"\nheaders = { request = { \"X-Tenant\" = \"a\" } }";
    let proxy = backend.sessions_under_api(route, &options());
    let headers = [("Sec-WebSocket-Extensions", "permessage-deflate"), ("Cookie", "a=b"), ("X-Tenant", "b")];
    let (client, server) = tokio::join!(
        RawWs::connect(proxy.address(), "/api/chat?q=1", &headers),
        backend.websocket_with("Set-Cookie: c=d\r\n"),
    );
    let head = server.head.to_ascii_lowercase();
    assert!(head.starts_with("get /chat?q=1 http/1.1\r\n"), "{head}");
    for field in ["cookie: a=b", "x-tenant: a", "x-forwarded-for: 127.0.0.1", "upgrade: websocket"] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
    }
    assert!(!head.contains("extensions") && !head.contains("dghlihnhbxbszsbub25jzq=="), "{head}");
    let answer = client.head.to_ascii_lowercase();
    for field in ["set-cookie: c=d", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert!(answer.contains(&format!("\r\n{field}\r\n")), "{field}: {answer}");
    }
    assert!(answer.contains("\r\nsec-websocket-extensions: permessage-deflate"), "{answer}");
}

#[tokio::test]
async fn the_client_speaks_the_subprotocol_that_the_upstream_picks() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let offered = [("Sec-WebSocket-Protocol", "chat.v2, chat.v1")];
    let picked = "Sec-WebSocket-Protocol: chat.v1\r\n";
    let (client, server) = tokio::join!(RawWs::connect(proxy.address(), "/", &offered), backend.websocket_with(picked));
    assert!(server.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: chat.v2, chat.v1\r\n"));
    assert!(client.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: chat.v1\r\n"), "{}", client.head);
    // Another one would not be what the client was told.
    drop(server);
    let mut other = backend.websocket_with("Sec-WebSocket-Protocol: chat.v2\r\n").await;
    assert!(other.raw.rest().await.is_empty());
    backend.websocket_with(picked).await.say("1").await;
    let mut client = client;
    assert_eq!(client.json().await["upstream"], "stale");
    assert_eq!(client.json().await["data"], 1);
}

#[tokio::test]
async fn an_upstream_that_refuses_is_heard_before_anything_is_opened() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let asked = WsClient::refused(proxy.address(), "/", &[]);
    let refuses = async {
        let (_, mut raw) = backend.request().await;
        raw.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}").await;
        raw
    };
    let ((status, body), _raw) = tokio::join!(asked, refuses);
    assert_eq!((status, body), (401, json!({})));
    for answer in [
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: chat\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let asked = WsClient::refused(proxy.address(), "/", &[]);
        let refuses = async {
            let (_, mut raw) = backend.request().await;
            raw.send(answer.as_bytes()).await;
            raw
        };
        let ((status, _), _raw) = tokio::join!(asked, refuses);
        assert_eq!(status, 502, "{answer}");
    }
    for fields in ["Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Protocol: other\r\n"] {
        let ((status, _), _) =
            tokio::join!(WsClient::refused(proxy.address(), "/", &[]), backend.websocket_with(fields));
        assert_eq!(status, 502, "{fields}");
    }
    drop(backend);
    assert_eq!(WsClient::refused(proxy.address(), "/", &[]).await.0, 502);
}

#[tokio::test]
async fn what_is_no_websocket_is_forwarded_and_a_bad_handshake_refused() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let serves = async {
        let (_, mut raw) = backend.request().await;
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        raw
    };
    let (reply, _raw) = tokio::join!(get(proxy.address(), "/page", &[]), serves);
    assert_eq!((reply.status, reply.text().as_str()), (200, "hi"));
    let (connection, upgrade) = (("Connection", "Upgrade"), ("Upgrade", "websocket"));
    let reply = get(proxy.address(), "/", &[connection, upgrade, ("Sec-WebSocket-Version", "8")]).await;
    assert_eq!((reply.status, reply.header("sec-websocket-version")), (426, Some("13")));
    let reply = get(proxy.address(), "/", &[connection, upgrade, ("Sec-WebSocket-Version", "13")]).await;
    assert_eq!(reply.status, 400, "it has no key");
}

#[tokio::test]
async fn a_client_that_offers_compression_gets_it_and_the_upstream_never_does() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &offer), backend.websocket());
    let text = "round and round ".repeat(50);
    let mut deflated = Vec::new();
    steadfeed::ws::Deflater::new().compress(text.as_bytes(), &mut deflated);
    client.raw.send(&masked(0xc1, &deflated)).await;
    assert_eq!(server.text().await, text);
    server.say(&text).await;
    let frame = client.frame().await;
    assert_eq!(frame.first, 0xc1, "deflated");
    let whole = steadfeed::ws::Inflater::new().inflate(&frame.payload, 100_000).expect("deflated");
    let message: Value = serde_json::from_slice(&whole).expect("JSON");
    assert_eq!(message["data"], text);
}

/// How an upstream socket may end that restarts.
#[derive(Debug, Clone, Copy)]
enum End {
    Code(u16),
    NoCode,
    Eof,
    Reset,
    /// Says these bytes, which no server may.
    Says(&'static [u8]),
}

async fn end(mut server: ServerWs, how: End) {
    match how {
        End::Code(code) => {
            server.close(code, "restarting").await;
            assert_eq!(server.closed().await, (code, String::new()), "the close is answered");
        }
        End::NoCode => {
            server.send(0x88, b"").await;
            assert_eq!(server.closed().await.0, 1005);
        }
        End::Eof => drop(server),
        End::Reset => server.reset(),
        End::Says(bytes) => {
            server.raw.send(bytes).await;
            let (code, _) = server.closed().await;
            assert!(code == 1002 || code == 1007, "{code}");
        }
    }
}

#[tokio::test]
async fn a_client_outlives_every_kind_of_restart() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    let endings = [
        End::Code(1001),
        End::Code(1011),
        End::Code(1012),
        End::Code(1013),
        End::NoCode,
        End::Eof,
        End::Reset,
        End::Says(&[0x81, 0x81, 1, 2, 3, 4, b'a']),
        End::Says(&[0xc1, 1, b'a']),
        End::Says(&[0x81, 1, 0xff]),
        End::Says(&[0x83, 0]),
    ];
    for (number, how) in endings.into_iter().enumerate() {
        end(server, how).await;
        notice(&mut client, "stale").await;
        client.send(&format!("held {number}")).await;
        server = backend.websocket().await;
        assert_eq!(server.text().await, format!("held {number}"), "{how:?}");
        server.say(&number.to_string()).await;
        assert_eq!(client.json().await["data"], number, "{how:?}");
        notice(&mut client, "live").await;
    }
    let route = "{route=\"/*\"}";
    assert_eq!(proxy.metric(&format!("steadfeed_session_reconnects_total{route}")).await, endings.len() as f64);
    assert_eq!(proxy.metric(&format!("steadfeed_sessions_held{route}")).await, 0.0);
}

#[tokio::test]
async fn a_new_socket_hears_the_first_messages_then_what_was_held_then_the_rest() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions { resend: 2, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    for text in ["hello", "subscribe", "chatter"] {
        client.send(text).await;
        assert_eq!(server.text().await, text);
    }
    drop(server);
    notice(&mut client, "stale").await;
    for number in 0..20 {
        client.send(&format!("held {number}")).await;
    }
    proxy.until_metric("steadfeed_messages_total{route=\"/*\",direction=\"in\"}", 23.0).await;
    // One that opens nothing is no socket.
    let (_, mut raw) = backend.request().await;
    raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let (_, raw) = backend.request().await;
    drop(raw);
    let mut server = backend.websocket().await;
    client.send("fresh").await;
    assert_eq!((server.text().await, server.text().await), ("hello".to_owned(), "subscribe".to_owned()));
    for number in 0..20 {
        assert_eq!(server.text().await, format!("held {number}"));
    }
    assert_eq!(server.text().await, "fresh");
    // A second restart says the first messages again, and no held one.
    drop(server);
    let mut server = backend.websocket().await;
    assert_eq!((server.text().await, server.text().await), ("hello".to_owned(), "subscribe".to_owned()));
    client.send("more").await;
    assert_eq!(server.text().await, "more");
}

#[tokio::test]
async fn a_socket_that_holds_without_a_word_is_live_too() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, server) = open(&proxy, &backend).await;
    drop(server);
    notice(&mut client, "stale").await;
    let _server = backend.websocket().await;
    notice(&mut client, "live").await;
}

#[tokio::test]
async fn where_nothing_is_held_each_message_is_answered() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions { held: Held::Refuse, ..options() });
    let (mut client, server) = open(&proxy, &backend).await;
    drop(server);
    notice(&mut client, "stale").await;
    for _ in 0..3 {
        client.send("lost").await;
        let answer = client.json().await;
        assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!("upstream_down")), "{answer}");
    }
    let mut server = backend.websocket().await;
    server.say("1").await;
    assert_eq!(client.json().await["data"], 1);
    notice(&mut client, "live").await;
    client.send("heard").await;
    assert_eq!(server.text().await, "heard");
}

#[tokio::test]
async fn a_client_is_let_go_when_the_hold_runs_out() {
    let backend = Backend::bind().await;
    let hold = Duration::from_millis(300);
    let proxy = backend.sessions(&SessionOptions { hold, ..options() });
    let (mut client, server) = open(&proxy, &backend).await;
    drop((server, backend));
    notice(&mut client, "stale").await;
    assert_eq!(closed(&mut client).await, (1013, "upstream did not come back".to_owned()));
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/*\",code=\"1013\"}", 1.0).await;
    assert_eq!(proxy.metric("steadfeed_sessions_held{route=\"/*\"}").await, 0.0);
}

#[tokio::test]
async fn without_a_hold_the_client_ends_with_its_upstream() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions { hold: Duration::ZERO, ..options() });
    let cases = [(End::Code(1012), 1012), (End::Code(1001), 1013), (End::NoCode, 1013), (End::Reset, 1013)];
    for (how, expected) in cases {
        let (mut client, server) = open(&proxy, &backend).await;
        end(server, how).await;
        assert_eq!(closed(&mut client).await.0, expected, "{how:?}");
    }
}

#[tokio::test]
async fn what_the_application_tells_its_client_by_closing_is_told() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let cases = [(1000, 1000), (1008, 1008), (3001, 3001), (4000, 4000), (4999, 4999), (1009, 1011), (1002, 1011)];
    for (said, told) in cases {
        let (mut client, mut server) = open(&proxy, &backend).await;
        server.say("1").await;
        server.close(said, "so it is").await;
        assert_eq!(client.json().await["data"], 1);
        let reason = if told == 1011 { format!("upstream closed with {said}") } else { "so it is".to_owned() };
        assert_eq!(closed(&mut client).await, (told, reason));
        assert_eq!(server.closed().await.0, said);
    }
}

#[tokio::test]
async fn what_the_client_says_by_closing_is_told_too() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    client.send("last words").await;
    client.close(4321).await;
    assert_eq!(server.text().await, "last words");
    assert_eq!(server.closed().await.0, 4321);
    assert_eq!(client.closed().await.map(|frame| u16::from(frame.code)), Some(4321));
    let (client, mut server) = open(&proxy, &backend).await;
    drop(client);
    assert_eq!(server.closed().await.0, 1001);
    // That it answers nothing holds nobody up for long.
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_held_is_gone() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, server) = open(&proxy, &backend).await;
    drop(server);
    notice(&mut client, "stale").await;
    client.close(1000).await;
    client.ended().await;
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
    assert_eq!(proxy.metric("steadfeed_sessions_held{route=\"/*\"}").await, 0.0);
}

#[tokio::test]
async fn a_client_that_says_too_much_or_nonsense_is_told_so() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    client.send(&"x".repeat(64 * 1024)).await;
    assert_eq!(server.text().await.len(), 64 * 1024);
    client.send(&"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(closed(&mut client).await.0, 1009);
    assert_eq!(server.closed().await.0, 1001);
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    client.raw.send(&masked(0x81, b"\xff")).await;
    let frame = client.frame().await;
    assert_eq!((frame.first, &frame.payload[..2]), (0x88, &1007u16.to_be_bytes()[..]));
    assert!(client.raw.closed().await.is_empty(), "it need not wait for the end");
    assert_eq!(server.closed().await.0, 1001);
}

#[tokio::test]
async fn a_message_over_the_limit_is_dropped_and_the_next_is_heard() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&SessionOptions { max_message: 1000, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    let large = "x".repeat(100 * 1024 * 1024);
    server.say(&large).await;
    server.say(&format!("\"{}\"", "y".repeat(998))).await;
    assert_eq!(client.json().await["data"], "y".repeat(998));
    assert_eq!(proxy.metric("steadfeed_session_messages_too_large_total{route=\"/*\"}").await, 1.0);
}

#[tokio::test]
async fn silence_is_filled_with_keepalives_also_while_the_client_is_held() {
    let backend = Backend::bind().await;
    let delivery = Delivery { keepalive: Some(Duration::from_millis(100)), ..Delivery::default() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, server) = open(&proxy, &backend).await;
    for _ in 0..2 {
        let message = client.json().await;
        assert_eq!((&message["type"], message.get("upstream")), (&json!("keepalive"), None));
    }
    drop(server);
    let told = async {
        let (mut stale, mut after) = (false, 0);
        while after < 2 {
            let message = client.json().await;
            after += usize::from(stale);
            stale |= message["upstream"] == "stale";
        }
    };
    within("keepalives", told).await;
}

#[tokio::test]
async fn an_upstream_that_hangs_is_lost_and_a_client_that_does_too() {
    let backend = Backend::bind().await;
    let patience = Duration::from_millis(200);
    let delivery = Delivery { ping: Some(patience), pong_timeout: patience, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    assert_eq!(server.frame().await, (0x89, vec![]));
    notice(&mut client, "stale").await;
    assert_eq!(server.closed().await.0, 1001);
    let mut again = backend.websocket().await;
    again.say("1").await;
    assert_eq!(client.json().await["data"], 1);
    // This client answers no ping.
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    assert_eq!(client.frame().await.first, 0x89);
    loop {
        match server.frame().await {
            (0x89, payload) => server.send(0x8a, &payload).await,
            (first, _) => break assert_eq!(first, 0x88),
        }
    }
}

/// Writes until the peer has taken nothing for a while; gives how much it took.
async fn fill(stream: &mut (impl tokio::io::AsyncWrite + Unpin), piece: &[u8]) -> usize {
    let mut taken = 0;
    while taken < 64 * 1024 * 1024 {
        match tokio::time::timeout(Duration::from_millis(500), stream.write(&piece[taken % piece.len()..])).await {
            Ok(count) => taken += count.expect("the peer takes bytes"),
            Err(_stalled) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_slow_reader_holds_its_sender_up_and_hears_everything() {
    let backend = Backend::bind().await;
    let delivery = Delivery { shape: Shape::Raw, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let payload = [b'x'; 1000];
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let frame = [&[0x81, 126, 0x03, 0xe8][..], &payload].concat();
    let taken = fill(&mut server.raw.stream, &frame).await;
    assert!(taken < 32 * 1024 * 1024, "{taken}");
    for _ in 0..taken / frame.len() {
        assert_eq!(client.frame().await.payload, payload);
    }
    let (client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let (mut client, frame) = (client, masked(0x81, &payload));
    let taken = fill(&mut client.raw.stream, &frame).await;
    assert!(taken < 32 * 1024 * 1024, "{taken}");
    for _ in 0..taken / frame.len() {
        assert_eq!(server.frame().await.1, payload);
    }
}

#[tokio::test]
async fn a_held_client_that_says_too_much_is_read_no_further_and_loses_nothing() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let (mut client, server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    drop(server);
    assert_eq!(client.json().await["upstream"], "stale");
    let frame = masked(0x81, &[b'x'; 1000]);
    let taken = fill(&mut client.raw.stream, &frame).await;
    assert!(taken < 16 * 1024 * 1024, "{taken}");
    let held = proxy.metric("steadfeed_messages_total{route=\"/*\",direction=\"in\"}").await;
    assert!((60.0..=70.0).contains(&held), "{held} of 1,000 bytes were held");
    let mut server = backend.websocket().await;
    for _ in 0..taken / frame.len() {
        assert_eq!(server.frame().await.1.len(), 1000);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_in_time() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions_with("[limits]\nsend_timeout = \"1s\"\n", "", &options());
    let (client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    let frame = [&[0x81, 126, 0x03, 0xe8][..], &[b'x'; 1000]].concat();
    fill(&mut server.raw.stream, &frame).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/*\",code=\"1006\"}", 1.0).await;
    let mut rest = Vec::new();
    let _ = within("the end", server.raw.stream.read_to_end(&mut rest)).await;
    drop(client);
}

#[tokio::test]
async fn a_drain_closes_sessions_and_tells_the_upstream() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions_with("[drain]\nspread = \"100ms\"\ntimeout = \"5s\"\n", "", &options());
    let (mut client, mut server) = open(&proxy, &backend).await;
    let (mut held, lost) = open(&proxy, &backend).await;
    drop(lost);
    notice(&mut held, "stale").await;
    proxy.stages().drain();
    assert_eq!(closed(&mut client).await, (1012, "draining".to_owned()));
    assert_eq!(closed(&mut held).await, (1012, "draining".to_owned()));
    assert_eq!(server.closed().await.0, 1001);
    drop((client, server, held));
    proxy.join();
}

#[tokio::test]
async fn a_client_over_tls_and_one_over_http2_have_sessions_too() {
    let backend = Backend::bind().await;
    let identity = Identity::new();
    let top = identity.listener("websocket_h2 = true");
    let proxy = backend.sessions_with(&top, "", &options());
    let (client, server) = tokio::join!(WsClient::connect_tls(proxy.address(), "/"), backend.websocket());
    check_both(client, server, &backend).await;
    let h2 = H2Client::connect_tls(proxy.address()).await;
    let (client, server) = tokio::join!(h2.websocket("/"), backend.websocket());
    check_both(client, server, &backend).await;
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"session\"}", 0.0).await;
}

async fn check_both(mut client: WsClient, mut server: ServerWs, backend: &Backend) {
    for number in 0..3 {
        let text = number.to_string().repeat(10_000);
        client.send(&text).await;
        assert_eq!(server.text().await, text);
        server.say(&format!("\"{text}\"")).await;
        assert_eq!(client.json().await["data"], text);
        drop(server);
        notice(&mut client, "stale").await;
        server = backend.websocket().await;
        server.say("1").await;
        assert_eq!(client.json().await["data"], 1);
        notice(&mut client, "live").await;
    }
    client.close(1000).await;
    assert_eq!(server.closed().await.0, 1000);
    client.ended().await;
}
