//! Bytes in both directions, and how either ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ASK, SWITCH, open};
use crate::support::backend::front_config;
use crate::support::ws::tls;
use crate::support::{Backend, Identity, Instance, Proxy, RawHttp, within};

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
