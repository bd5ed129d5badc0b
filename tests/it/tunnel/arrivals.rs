//! However an upgrade comes in, the tunnel is the same, and nothing that is said around it is lost.

use rustix::process::Signal;

use super::{ASK, SWITCH};
use crate::support::backend::front_config;
use crate::support::{Backend, Instance, Proxy, RawHttp, get, within};

const BEFORE: &str = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Says `first`, and once the server has the upgrade `then`, of which `early` is to arrive in the tunnel before anything else.
async fn check(proxy: &Proxy, backend: &Backend, first: &[&[u8]], then: &[u8], early: &str) {
    let mut client = RawHttp::connect(proxy.address()).await;
    for piece in first {
        client.send(piece).await;
    }
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /t?q HTTP/1.1\r\n"), "{head}");
    client.send(then).await;
    server.send(&[SWITCH, b"down"].concat()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(b"later").await;
    let expected = format!("{early}later");
    assert_eq!(String::from_utf8_lossy(&server.exactly(expected.len()).await), expected);
    assert_eq!(client.exactly(4).await, b"down");
}

#[tokio::test]
async fn an_upgrade_that_is_a_connections_first_request_loses_nothing_around_it() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    check(&proxy, &backend, &[ASK], b"", "").await;
    check(&proxy, &backend, &[ASK], b"early", "early").await;
    check(&proxy, &backend, &[&[ASK, b"with"].concat()], b"early", "withearly").await;
    let much = "much".repeat(20_000);
    check(&proxy, &backend, &[ASK], much.as_bytes(), &much).await;
    check(&proxy, &backend, &[&[ASK, much.as_bytes()].concat()], b"more", &format!("{much}more")).await;
}

#[tokio::test]
async fn one_in_pieces_or_with_a_long_head_is_the_same() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let (start, end) = ASK.split_at(20);
    check(&proxy, &backend, &[start, end], b"early", "early").await;
    let long = String::from_utf8_lossy(ASK).replace("Host: a", &format!("Host: a\r\nCookie: {}", "c".repeat(3000)));
    check(&proxy, &backend, &[long.as_bytes()], b"early", "early").await;
    let many = String::from_utf8_lossy(ASK).replace("Host: a", &format!("Host: a{}", "\r\nA: b".repeat(50)));
    check(&proxy, &backend, &[format!("{many}with").as_bytes()], b"early", "withearly").await;
}

#[tokio::test]
async fn one_behind_another_request_is_the_same() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for first in [vec![BEFORE.as_bytes()], vec![ASK]] {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(first[0]).await;
        let (_, mut server) = backend.request().await;
        server.send(ANSWER).await;
        client.head().await;
        assert_eq!(client.exactly(2).await, b"ok");
        client.send(&[ASK, b"with"].concat()).await;
        let (_, mut server) = backend.request().await;
        client.send(b"early").await;
        server.send(SWITCH).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        assert_eq!(server.exactly(9).await, b"withearly");
    }
}

#[tokio::test]
async fn what_is_asked_behind_an_upgrade_that_is_declined_is_answered() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(&[ASK, BEFORE.as_bytes()].concat()).await;
    let (_, mut server) = backend.request().await;
    server.send(ANSWER).await;
    client.head().await;
    assert_eq!(client.exactly(2).await, b"ok");
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /before "), "{head}");
    server.send(ANSWER).await;
    client.head().await;
    assert_eq!(client.exactly(2).await, b"ok");
}

#[tokio::test]
async fn in_a_drain_one_that_is_declined_is_told_that_its_connection_ends() {
    let backend = Backend::bind().await;
    let top = "[drain]\nspread = \"1s\"\ntimeout = \"8s\"";
    let instance = Instance::start(&front_config(top, &backend.server(), "", "")).await;
    let mut client = RawHttp::connect(instance.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    instance.signal(Signal::TERM);
    within("the drain to begin", async { while get(instance.admin(), "/readyz", &[]).await.status != 503 {} }).await;
    server.send(ANSWER).await;
    let head = client.head().await;
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(client.rest().await, b"ok");
}
