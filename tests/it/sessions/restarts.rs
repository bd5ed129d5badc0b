//! Upstream sockets that are lost: clients that outlive them, and what was said meanwhile.

use std::time::Duration;

use serde_json::json;
use steadfeed::handler::{Held, SessionOptions};

use super::{closed, notice, open, options};
use crate::support::{Backend, ServerWs};

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
