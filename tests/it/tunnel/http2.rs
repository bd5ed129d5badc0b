//! WebSockets of clients that speak HTTP/2.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;

use crate::support::{Backend, H2Client, RawHttp, within};

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
    while let Some(data) = within("the end", body.data()).await {
        assert!(data.expect("a proper end").is_empty());
    }
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

#[tokio::test]
async fn a_stream_that_is_reset_while_its_server_reads_nothing_ends_its_tunnel() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let client = H2Client::connect(proxy.address()).await;
    let ((_answer, mut send), server) = tokio::join!(client.connect_websocket("/", &[]), async {
        let (head, mut server) = backend.request().await;
        accept_websocket(&mut server, &head).await;
        server
    });
    let open = "steadfeed_websocket_open{route=\"/*\",mode=\"tunnel\"}";
    proxy.until_metric(open, 1.0).await;
    // Large frames, until nobody takes more of them.
    let large = Bytes::from(vec![7; 16 * 1024]);
    let mut stuck = false;
    while !stuck {
        send.reserve_capacity(large.len());
        let capacity = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| send.poll_capacity(cx))).await;
        stuck = capacity.is_err();
        let room = send.capacity().min(large.len());
        send.send_data(large.slice(..room), false).expect("the stream is open");
    }
    send.send_reset(h2::Reason::CANCEL);
    proxy.until_metric(open, 0.0).await;
    drop(server);
}

async fn until_ended(send: &mut h2::SendStream<Bytes>, piece: &Bytes, body: &mut h2::RecvStream) {
    loop {
        send.reserve_capacity(piece.len());
        tokio::select! {
            biased;
            capacity = poll_fn(|cx| send.poll_capacity(cx)) => match capacity {
                Some(Ok(0)) => {}
                Some(Ok(_)) => if send.send_data(piece.clone(), false).is_err() { return },
                Some(Err(_)) | None => return,
            },
            data = body.data() => if !matches!(data, Some(Ok(_))) { return },
        }
    }
}
