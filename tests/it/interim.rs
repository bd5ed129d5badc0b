//! Informational answers (RFC 9110, section 15.2): 103 and the like on their way to the client, and 100, which lets a body go.
//!
//! Both sides are spoken for by hand, in literal bytes.

mod http2;

use crate::support::backend::{front, front_config};
use crate::support::ws::{Io, tls};
use crate::support::{Backend, Proxy, RawHttp};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// As a server says it, with what concerns its connection, and as a client is to get it.
const HINT: &[u8] = b"HTTP/1.1 103 Hurry\r\nLink: </a.css>; rel=preload\r\nConnection: X-Own\r\nX-Own: 1\r\n\r\n";
const HINTED: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
const MORE: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </b.js>\r\nLink: </c.js>\r\n\r\n";
const MORE_SAID: &str = "HTTP/1.1 103 Early Hints\r\nlink: </b.js>\r\nlink: </c.js>\r\n\r\n";
const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// A request whose two bytes are held back until its sender is told to go on.
fn waits(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
}

/// The answer comes next, and nothing before it.
async fn check_answered<S: Io>(client: &mut RawHttp<S>) {
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(client.exactly(2).await, b"ok");
}

#[tokio::test]
async fn hints_reach_the_client_before_the_answer_and_the_connections_go_on() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(HINT).await;
    assert_eq!(client.head().await, HINTED, "before there is an answer");
    server.send(PROCESSING.as_bytes()).await;
    assert_eq!(client.head().await, PROCESSING);
    server.send(OK).await;
    check_answered(&mut client).await;
    // All at once, on the same two connections.
    client.send(ASK).await;
    server.head().await;
    server.send(&[HINT, MORE, OK].concat()).await;
    assert_eq!([client.head().await, client.head().await], [HINTED, MORE_SAID]);
    check_answered(&mut client).await;
    // Without any.
    client.send(ASK).await;
    server.head().await;
    server.send(OK).await;
    check_answered(&mut client).await;
}

#[tokio::test]
async fn requests_one_behind_the_other_have_each_their_own() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(&[ASK, ASK, ASK].concat()).await;
    let (_, mut server) = backend.request().await;
    for (said, hinted) in [(HINT, HINTED), (MORE, MORE_SAID), (PROCESSING.as_bytes(), PROCESSING)] {
        server.send(said).await;
        assert_eq!(client.head().await, hinted);
        // The end of a chunked answer comes behind its head, and before the next request is taken.
        server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.until(b"0\r\n\r\n").await, "2\r\nok\r\n0\r\n\r\n");
        if hinted != PROCESSING {
            server.head().await;
        }
    }
}

#[tokio::test]
async fn hints_are_said_over_tls_too() {
    let backend = Backend::bind().await;
    let config = front_config("", &backend.server(), "", "");
    let proxy = Proxy::start(&config.replace("websocket_h2 = true", "tls.self_signed = [\"localhost\"]"));
    let mut client = RawHttp::over(tls(proxy.address(), &["http/1.1"]).await);
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(HINT).await;
    assert_eq!(client.head().await, HINTED);
    server.send(&[MORE, OK].concat()).await;
    assert_eq!(client.head().await, MORE_SAID);
    check_answered(&mut client).await;
}

#[tokio::test]
async fn hints_are_dropped_for_a_client_of_http_1_0() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(HINT).await;
    server.send(OK).await;
    let answer = String::from_utf8_lossy(&client.rest().await).into_owned();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn a_hint_is_said_while_the_body_goes_up() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
    let (_, mut server) = backend.request().await;
    assert_eq!(server.exactly(5).await, b"hello");
    server.send(HINT).await;
    assert_eq!(client.head().await, HINTED);
    client.send(b"world").await;
    assert_eq!(server.exactly(5).await, b"world");
    server.send(&[MORE, OK].concat()).await;
    assert_eq!(client.head().await, MORE_SAID);
    check_answered(&mut client).await;
}

#[tokio::test]
async fn a_hint_is_said_before_a_tunnel_opens() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n").await;
    let (_, mut server) = backend.request().await;
    server.send(HINT).await;
    assert_eq!(client.head().await, HINTED);
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nfirst";
    server.send(&[MORE, switch.as_slice()].concat()).await;
    assert_eq!(client.head().await, MORE_SAID);
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(5).await, b"first");
    client.send(b"\0\xff").await;
    assert_eq!(server.exactly(2).await, b"\0\xff");
}

#[tokio::test]
async fn a_server_that_says_nothing_else_gives_no_answer() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(&PROCESSING.as_bytes().repeat(1 + steadfeed::limits::UPSTREAM_INTERIM)).await;
    let mut said = 0;
    let answer = loop {
        match client.head().await {
            head if head == PROCESSING => said += 1,
            head => break head,
        }
    };
    assert!(answer.starts_with("HTTP/1.1 502 ") && said <= steadfeed::limits::UPSTREAM_INTERIM, "{said}: {answer}");
    server.rest().await;
}

#[tokio::test]
async fn the_time_for_an_answer_goes_on_while_hints_come() {
    let backend = Backend::bind().await;
    let proxy = backend.front_with("response_timeout = \"300ms\"", "");
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    let answer = loop {
        server.send(PROCESSING.as_bytes()).await;
        let head = client.head().await;
        if head != PROCESSING {
            break head;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_to_continue_is_told_to_once_when_the_server_is_ready() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(waits("POST").as_bytes()).await;
    let (head, mut server) = backend.request().await;
    assert!(head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n"), "{head}");
    server.send(HINT).await;
    assert_eq!(client.head().await, HINTED, "the body is not asked for yet");
    server.send(b"HTTP/1.1 100 Go on\r\nX-Own: 1\r\n\r\n").await;
    assert_eq!(client.head().await, CONTINUE);
    server.send(&[CONTINUE.as_bytes(), MORE].concat()).await;
    assert_eq!(client.head().await, MORE_SAID, "no second 100");
    client.send(b"hi").await;
    assert_eq!(server.exactly(2).await, b"hi");
    server.send(OK).await;
    check_answered(&mut client).await;
    // Nobody asked for this one.
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(!server.head().await.to_ascii_lowercase().contains("\r\nexpect:"));
    server.send(&[CONTINUE.as_bytes(), OK].concat()).await;
    check_answered(&mut client).await;
}

#[tokio::test]
async fn a_client_that_waits_is_answered_without_a_100_where_its_body_is_not_wanted() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    for (status, rest) in [("401 Unauthorized", ""), ("413 Content Too Large", "hi")] {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(waits("POST").as_bytes()).await;
        let (_, mut server) = backend.request().await;
        server.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").as_bytes()).await;
        let answer = client.head().await.to_ascii_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {}", status.to_ascii_lowercase())), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(client.exactly(2).await, b"no");
        client.send(rest.as_bytes()).await;
        assert_eq!(client.rest().await, b"");
        assert_eq!(server.rest().await, b"", "nothing of the body reached the server");
    }
}

/// Of two servers the first is asked, and dies before it says 100; the client, and the other.
async fn asked_of_two(request: &str) -> (RawHttp, Backend, Proxy) {
    let (one, two) = (Backend::bind().await, Backend::bind().await);
    let both = format!("{}\", \"{}", one.server(), two.server());
    let proxy = front("", &both, "balance = \"round_robin\"", "");
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(request.as_bytes()).await;
    let (head, server) = one.request().await;
    assert!(head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n"), "{head}");
    drop(server);
    (client, two, proxy)
}

#[tokio::test]
async fn a_body_that_was_never_asked_for_goes_to_another_server_where_the_method_may_be_said_twice() {
    for method in ["PUT", "DELETE"] {
        let (mut client, two, _proxy) = asked_of_two(&waits(method)).await;
        let (head, mut server) = two.request().await;
        assert!(head.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n"), "{head}");
        server.send(CONTINUE.as_bytes()).await;
        assert_eq!(client.head().await, CONTINUE);
        client.send(b"hi").await;
        assert_eq!(server.exactly(2).await, b"hi");
        server.send(OK).await;
        check_answered(&mut client).await;
    }
}

#[tokio::test]
async fn a_post_whose_head_a_server_may_have_taken_is_not_said_to_another_though_its_body_was_never_asked_for() {
    let (mut client, _two, _proxy) = asked_of_two(&waits("POST")).await;
    // The other would say nothing at all.
    let answer = client.head().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn a_client_is_told_to_continue_in_the_end_where_the_server_knows_no_100() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(waits("POST").as_bytes()).await;
    let (_, mut server) = backend.request().await;
    assert_eq!(client.head().await, CONTINUE);
    client.send(b"hi").await;
    assert_eq!(server.exactly(2).await, b"hi");
    server.send(OK).await;
    check_answered(&mut client).await;
}

#[tokio::test]
async fn a_client_of_http_1_0_is_never_told_to_continue() {
    let backend = Backend::bind().await;
    let proxy = backend.front();
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi").await;
    let (head, mut server) = backend.request().await;
    assert!(!head.to_ascii_lowercase().contains("\r\nexpect:"), "{head}");
    assert_eq!(server.exactly(2).await, b"hi");
    server.send(&[CONTINUE.as_bytes(), OK].concat()).await;
    let answer = String::from_utf8_lossy(&client.rest().await).into_owned();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}
