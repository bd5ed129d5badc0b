//! Upgrades that become tunnels: bytes, untouched, in both directions, for as long as both sides want.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::backend::{front, front_config};
use crate::support::raw_ws::{KEY, upgrade};
use crate::support::ws::tls;
use crate::support::{Backend, H2Client, Identity, Instance, Proxy, RawHttp, within};

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nX-Own: y\r\n\r\n";
const ASK: &[u8] =
    b"GET /t?q HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat/2, chat/1\r\n\r\n";

/// Both ends of a tunnel.
async fn open(proxy: &Proxy, backend: &Backend) -> (RawHttp, RawHttp) {
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(SWITCH).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    (client, server)
}

#[tokio::test]
async fn any_protocol_passes_untouched_in_both_directions() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(&[ASK, b"early"].concat()).await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /t?q HTTP/1.1\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(
        lower.contains("\r\nconnection: upgrade\r\n") && lower.contains("\r\nupgrade: chat/2, chat/1\r\n"),
        "{head}"
    );
    assert!(lower.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{head}");
    server.send(&[SWITCH, b"first"].concat()).await;
    let answer = client.head().await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("\r\nupgrade: chat/2\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: upgrade\r\n") && answer.contains("\r\nx-own: y\r\n"), "{answer}");
    assert_eq!(client.exactly(5).await, b"first");
    assert_eq!(server.exactly(5).await, b"early");
    for _ in 0..100 {
        client.send(b"\0\xffGET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(server.exactly(20).await, b"\0\xffGET / HTTP/1.1\r\n\r\n");
        server.send(b"\r\n\r\n\0").await;
        assert_eq!(client.exactly(5).await, b"\r\n\r\n\0");
    }
    assert_eq!(proxy.metric("steadfeed_websocket_open{route=\"/*\",mode=\"tunnel\"}").await, 1.0);
    drop((client, server));
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"tunnel\"}", 0.0).await;
}

#[tokio::test]
async fn a_websocket_keeps_its_own_headers() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    let fields = [("Sec-WebSocket-Protocol", "bearer, x.y"), ("Sec-WebSocket-Extensions", "permessage-deflate")];
    client.send(upgrade(proxy.address(), "/ws", &fields).as_bytes()).await;
    let (head, mut server) = backend.request().await;
    let lower = head.to_ascii_lowercase();
    for field in ["protocol: bearer, x.y", "extensions: permessage-deflate", "version: 13"] {
        assert!(lower.contains(&format!("\r\nsec-websocket-{field}\r\n")), "{field}: {head}");
    }
    assert!(head.contains(KEY), "{head}");
    server
        .send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: as-it-is\r\nSec-WebSocket-Protocol: bearer\r\n\r\n",
        )
        .await;
    let answer = client.head().await.to_ascii_lowercase();
    assert!(answer.contains("\r\nsec-websocket-accept: as-it-is\r\n"), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-protocol: bearer\r\n"), "{answer}");
}

#[tokio::test]
async fn each_side_may_end_by_itself() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (mut client, mut server) = open(&proxy, &backend).await;
    client.send(b"last words").await;
    client.stream.shutdown().await.expect("a FIN");
    assert_eq!(server.rest().await, b"last words");
    server.send(b"and the answer").await;
    assert_eq!(client.exactly(14).await, b"and the answer");
    server.stream.shutdown().await.expect("a FIN");
    assert_eq!(client.rest().await, b"");
    let (mut client, mut server) = open(&proxy, &backend).await;
    server.send(b"gone").await;
    server.stream.shutdown().await.expect("a FIN");
    assert_eq!(client.rest().await, b"gone", "a backend's FIN is passed on though the client says nothing");
    client.send(b"still here").await;
    assert_eq!(server.exactly(10).await, b"still here");
    drop(client);
    assert_eq!(server.rest().await, b"");
}

#[tokio::test]
async fn a_side_that_is_cut_ends_the_other() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for cut_client in [true, false] {
        let (client, server) = open(&proxy, &backend).await;
        let (cut, mut left) = if cut_client { (client, server) } else { (server, client) };
        cut.stream.set_zero_linger().expect("a reset on close");
        drop(cut);
        assert_eq!(left.rest().await, b"");
    }
    proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"tunnel\"}", 0.0).await;
}

/// Writes until the peer has taken nothing for a while; gives how much it took.
async fn fill(stream: &mut (impl tokio::io::AsyncWrite + Unpin), most: usize) -> usize {
    let piece: Vec<u8> = (0..=250).cycle().take(251 * 256).collect();
    let mut taken = 0;
    while taken < most {
        let from = taken % piece.len();
        match tokio::time::timeout(Duration::from_millis(500), stream.write(&piece[from..])).await {
            Ok(count) => taken += count.expect("the peer takes bytes"),
            Err(_stalled) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_slow_reader_holds_its_sender_up_and_gets_everything() {
    const MOST: usize = 64 * 1024 * 1024;
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for down in [true, false] {
        let (client, server) = open(&proxy, &backend).await;
        let (mut from, mut to) = if down { (server, client) } else { (client, server) };
        let taken = fill(&mut from.stream, MOST).await;
        assert!(taken < 24 * 1024 * 1024, "{taken} bytes were taken for one that reads none");
        from.stream.shutdown().await.expect("a FIN");
        let all = to.rest().await;
        assert_eq!(all.len(), taken);
        assert!(all.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % (251 * 256) % 251));
    }
}

#[tokio::test]
async fn over_tls_on_both_sides_it_is_the_same() {
    let identity = Identity::new();
    let backend = Backend::bind().await;
    let config = front_config(&identity.listener(""), &backend.server(), "", "");
    let proxy = Proxy::start(&config);
    let mut client = RawHttp::over(tls(proxy.address(), &[]).await);
    client.send(ASK).await;
    let (head, mut server) = backend.request().await;
    assert!(head.contains("x-forwarded-proto: https"), "{head}");
    server.send(&[SWITCH, b"first"].concat()).await;
    client.head().await;
    assert_eq!(client.exactly(5).await, b"first");
    let large = vec![7; 3 * 1024 * 1024];
    let (mut reading, mut writing) = tokio::io::split(client.stream);
    let mut echo = vec![0; large.len()];
    let (read, ()) = tokio::join!(within("the echo", reading.read_exact(&mut echo)), async {
        let upload = async { writing.write_all(&large).await.expect("sent") };
        let echoing = async {
            let got = server.exactly(large.len()).await;
            server.send(&got).await;
        };
        tokio::join!(upload, echoing);
    });
    read.expect("the echo");
    assert_eq!(echo, large);
    writing.shutdown().await.expect("a close_notify");
    assert_eq!(server.rest().await, b"");
    server.send(b"bye").await;
    drop(server);
    let mut rest = Vec::new();
    within("the end", reading.read_to_end(&mut rest)).await.expect("a proper end");
    assert_eq!(rest, b"bye");
}

#[tokio::test]
async fn an_answer_that_does_not_switch_is_passed_on() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Own: y\r\n\r\nno").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 403 ") && head.contains("x-own: y"), "{head}");
    assert_eq!(client.exactly(2).await, b"no");
    // The connection is still HTTP.
    client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(backend.request().await.0.starts_with("GET /next "));
}

#[tokio::test]
async fn a_switch_to_what_was_not_asked_for_is_502() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "));
    assert_eq!(server.rest().await, b"");
}

#[tokio::test]
async fn an_upgrade_to_http2_is_never_passed_on() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c",
        "Connection: HTTP2-Settings\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ] {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes()).await;
        let (head, mut server) = backend.request().await;
        let lower = head.to_ascii_lowercase();
        assert!(!lower.contains("upgrade") && !lower.contains("http2-settings"), "{head}");
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn a_switch_before_the_requests_empty_body_has_ended_is_a_switch() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client
        .send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (_, mut server) = backend.request().await;
    server.send(SWITCH).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(b"0\r\n\r\nhello").await;
    assert_eq!(server.exactly(10).await, b"0\r\n\r\nhello");
    server.send(b"hi").await;
    assert_eq!(client.exactly(2).await, b"hi");
}

#[tokio::test]
async fn a_foreign_page_opens_none() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/", &[("Origin", "https://evil.example")]).as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 403 "));
    let proxy = front("", &backend.server(), "", "origins = [\"https://good.example\"]");
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/", &[("Origin", "https://good.example")]).as_bytes()).await;
    assert!(backend.request().await.0.contains("https://good.example"));
}

/// Answers a WebSocket's handshake as a server does.
async fn accept_websocket(server: &mut RawHttp, head: &str) {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
    server.send(answer.as_bytes()).await;
}

#[tokio::test]
async fn a_websocket_over_http2_is_an_upgrade_over_http1() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let client = H2Client::connect(proxy.address()).await;
    let fields = [("sec-websocket-protocol", "chat, other")];
    let ((response, mut send), mut server) = tokio::join!(client.connect_websocket("/ws?x", &fields), async {
        let (head, mut server) = backend.request().await;
        assert!(head.starts_with("GET /ws?x HTTP/1.1\r\n"), "{head}");
        for field in ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
        }
        assert!(head.contains("\r\nsec-websocket-protocol: chat, other\r\n"), "{head}");
        accept_websocket(&mut server, &head).await;
        server
    });
    assert_eq!(
        (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
        (200, &"chat".parse().expect("a value"))
    );
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!response.headers().contains_key(name), "{name}: {response:?}");
    }
    let mut body = response.into_body();
    send.send_data(Bytes::from_static(b"to the server"), false).expect("sent");
    assert_eq!(server.exactly(13).await, b"to the server");
    server.send(b"to the client").await;
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "to the client");
    send.send_data(Bytes::new(), true).expect("sent");
    assert_eq!(server.rest().await, b"", "the stream's end is a FIN");
    server.send(b"bye").await;
    drop(server);
    assert_eq!(within("data", body.data()).await.expect("data").expect("data"), "bye");
    assert!(within("the end", body.data()).await.is_none());
}

#[tokio::test]
async fn over_http2_what_is_no_handshake_is_not_taken_for_one() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404),
    ] {
        let client = H2Client::connect(proxy.address()).await;
        let ((response, _send), _server) = tokio::join!(client.connect_websocket("/", &[]), async {
            let (_, mut server) = backend.request().await;
            server.send(answer.as_bytes()).await;
            server
        });
        assert_eq!(response.status(), status, "{answer}");
    }
}

#[tokio::test]
async fn a_stream_whose_server_does_not_read_costs_itself_and_not_its_connection() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let client = H2Client::connect(proxy.address()).await;
    let open = async || {
        let (opened, server) = tokio::join!(client.connect_websocket("/", &[]), async {
            let (head, mut server) = backend.request().await;
            accept_websocket(&mut server, &head).await;
            server
        });
        (opened, server)
    };
    let ((other, mut other_send), mut other_server) = open().await;
    let ((response, mut send), server) = open().await;
    let mut body = response.into_body();
    let small = Bytes::from_static(&[7; 8]);
    // Small frames, until the stream is ended: far more than the kernel takes for a server that reads nothing.
    let ended = until_ended(&mut send, &small, &mut body);
    within("the stream to be ended", ended).await;
    other_send.send_data(Bytes::from_static(b"hello"), false).expect("sent");
    assert_eq!(other_server.exactly(5).await, b"hello");
    drop((other, server));
}

async fn until_ended(send: &mut h2::SendStream<Bytes>, piece: &Bytes, body: &mut h2::RecvStream) {
    loop {
        send.reserve_capacity(piece.len());
        tokio::select! {
            biased;
            capacity = std::future::poll_fn(|cx| send.poll_capacity(cx)) => match capacity {
                Some(Ok(0)) => {}
                Some(Ok(_)) => if send.send_data(piece.clone(), false).is_err() { return },
                Some(Err(_)) | None => return,
            },
            data = body.data() => if !matches!(data, Some(Ok(_))) { return },
        }
    }
}

#[tokio::test]
async fn a_drain_ends_tunnels_one_by_one_and_logs_each() {
    const TUNNELS: usize = 10;
    let backend = Backend::bind().await;
    let top = "[drain]\nspread = \"1s\"\ntimeout = \"8s\"";
    let instance = Instance::start(&front_config(top, &backend.server(), "", "")).await;
    let mut tunnels = Vec::new();
    for _ in 0..TUNNELS {
        let mut client = RawHttp::connect(instance.address()).await;
        client.send(&[ASK, b"hello"].concat()).await;
        let (_, mut server) = backend.request().await;
        server.send(SWITCH).await;
        client.head().await;
        assert_eq!(server.exactly(5).await, b"hello");
        tunnels.push((client, server));
    }
    instance.signal(rustix::process::Signal::TERM);
    for (client, server) in &mut tunnels {
        assert_eq!(client.rest().await, b"");
        assert_eq!(server.rest().await, b"");
    }
    let lines = instance.lines("TUNNEL", TUNNELS).await;
    assert!(lines.iter().all(|line| line.contains("received=5 sent=0") && line.contains("draining")), "{lines:?}");
    let (status, _) = instance.ended().await;
    assert_eq!(status.code(), Some(0));
}
