//! Who may ask, how often and how much: addresses, rates, places, and what a socket may say.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

use crate::support::backend::front;
use crate::support::config::{feed, plain};
use crate::support::raw_ws::upgrade;
use crate::support::{Backend, H2Client, Proxy, RawHttp, Reply, SseClient, WsClient, get, until};

const FEED: &str = concat!(plain!("websocket_h2 = true\n"), feed!("/f"));

/// A feed at `/f` whose route has this limit.
fn limited(limit: &str) -> String {
    format!("[limit.public]\n{limit}\n{FEED}limit = \"public\"\n")
}

/// What an upgrade with these headers is answered with, without becoming a socket: the connection is dropped.
async fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut raw = RawHttp::connect(address).await;
    raw.send(upgrade(address, path, headers).as_bytes()).await;
    let head = raw.head().await;
    let length = head.to_lowercase().split_once("content-length: ").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    let body = raw.exactly(length.unwrap_or(0)).await;
    Reply::new(head, body)
}

/// Opens a socket; gives the status where it is refused.
async fn open(address: SocketAddr, path: &str) -> Result<WsClient, u16> {
    WsClient::try_connect(address, path, &[]).await.map_err(|error| {
        let Error::Http(response) = error else { panic!("{error}") };
        response.status().as_u16()
    })
}

/// Opens a socket as soon as there is a place for it.
async fn open_at_last(address: SocketAddr, path: &str) -> WsClient {
    until("a place to be free", || async { open(address, path).await.ok() }).await
}

fn denied(route: &str, reason: &str) -> String {
    format!("steadfeed_denied_total{{route=\"{route}\",reason=\"{reason}\"}}")
}

#[track_caller]
fn check_refusal(reply: &Reply, status: u16, says: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().expect("a detail").contains(says), "{problem}");
    let wait: Option<u64> = reply.header("retry-after").map(|seconds| seconds.parse().expect("whole seconds"));
    assert_eq!(wait.is_some_and(|seconds| seconds >= 1), status != 403, "{wait:?}");
}

#[tokio::test]
async fn sockets_over_the_rate_are_refused_after_the_burst_on_whichever_worker() {
    let proxy = Proxy::start(&limited("upgrades = \"30/min\"\nburst = 3"));
    for _ in 0..3 {
        assert_eq!(ask(proxy.address(), "/f", &[]).await.status, 101);
    }
    for _ in 0..4 {
        let reply = ask(proxy.address(), "/f", &[]).await;
        check_refusal(&reply, 429, "too often");
        assert_eq!(reply.header("retry-after"), Some("2"));
        assert_eq!(reply.header("ratelimit-policy"), Some("\"upgrades\";q=30;w=60"));
        assert_eq!(reply.header("ratelimit"), Some("\"upgrades\";r=0;t=2"));
    }
    // An event stream is one too; a plain request is not.
    let stream = get(proxy.address(), "/f", &[("Accept", "text/event-stream")]).await;
    check_refusal(&stream, 429, "too often");
    assert_eq!(get(proxy.address(), "/f", &[]).await.status, 204);
    assert_eq!(proxy.metric(&denied("/f", "upgrades")).await, 5.0);
}

#[tokio::test]
async fn requests_over_the_rate_are_refused_whatever_they_are() {
    let proxy = Proxy::start(&limited("requests = \"4/h\""));
    let address = proxy.address();
    assert_eq!(ask(address, "/f", &[]).await.status, 101);
    for _ in 0..3 {
        assert_eq!(get(address, "/f", &[]).await.status, 204);
    }
    let reply = get(address, "/f", &[]).await;
    check_refusal(&reply, 429, "too often");
    assert_eq!(reply.header("ratelimit-policy"), Some("\"requests\";q=4;w=3600"));
    check_refusal(&ask(address, "/f", &[]).await, 429, "too often");
    assert_eq!(proxy.metric(&denied("/f", "requests")).await, 2.0);
}

#[tokio::test]
async fn routes_that_name_one_limit_share_it() {
    let other =
        "[[route]]\npath = \"/g\"\nfeed = \"f\"\nlimit = \"public\"\n[[route]]\npath = \"/free\"\nfeed = \"f\"\n";
    let proxy = Proxy::start(&format!("{}{other}", limited("upgrades = \"2/h\"\nconnections_per_client = 2")));
    let _held = open(proxy.address(), "/f").await.expect("a socket");
    let _other = open(proxy.address(), "/g").await.expect("a socket");
    assert_eq!(ask(proxy.address(), "/g", &[]).await.status, 429);
    assert_eq!(ask(proxy.address(), "/free", &[]).await.status, 101);
}

/// Whether an upgrade by a client that says this of itself is let in.
async fn passes(proxy: &Proxy, chain: &str) -> bool {
    ask(proxy.address(), "/f", &[("X-Forwarded-For", chain)]).await.status == 101
}

#[tokio::test]
async fn a_forged_chain_of_an_untrusted_peer_makes_no_new_client() {
    let proxy = Proxy::start(&limited("upgrades = \"2/h\""));
    for number in 0..2 {
        assert!(passes(&proxy, &format!("192.0.2.{number}")).await);
    }
    for number in 2..9 {
        assert!(!passes(&proxy, &format!("192.0.2.{number}, 10.0.0.{number}")).await);
    }
    let denying = FEED.to_owned() + "allow = [\"192.0.2.1\"]\n";
    let proxy = Proxy::start(&denying);
    for chain in ["192.0.2.1", "127.0.0.1, 192.0.2.1", "192.0.2.1, 192.0.2.1"] {
        check_refusal(&ask(proxy.address(), "/f", &[("X-Forwarded-For", chain)]).await, 403, "address");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_rate_and_what_it_forges_counts_for_nothing() {
    let proxy = Proxy::start_whole(&format!(
        "trusted_proxies = [\"127.0.0.1\"]\nadmin.listen = \"off\"\n{}",
        limited("upgrades = \"1/h\"")
    ));
    assert!(passes(&proxy, "192.0.2.1").await);
    assert!(passes(&proxy, "192.0.2.2").await);
    // What stands to the left of it is the client's own word.
    assert!(!passes(&proxy, "192.0.2.3, 192.0.2.1").await);
    assert!(!passes(&proxy, "127.0.0.1, 192.0.2.2").await);
    // A /64 is one client, and so is an address in either form.
    assert!(passes(&proxy, "2001:db8::1").await);
    assert!(!passes(&proxy, "2001:db8::ffff").await);
    assert!(!passes(&proxy, "::ffff:192.0.2.1").await);
}

#[tokio::test]
async fn a_foreign_page_does_not_spend_its_visitors_rate() {
    let proxy = Proxy::start(&limited("upgrades = \"1/h\"\nconnections_per_client = 1\nconnections = 1"));
    for _ in 0..5 {
        let reply = ask(proxy.address(), "/f", &[("Origin", "https://evil.example")]).await;
        check_refusal(&reply, 403, "origins");
    }
    assert_eq!(ask(proxy.address(), "/f", &[]).await.status, 101);
}

#[tokio::test]
async fn the_sockets_of_one_client_are_counted_over_both_workers_and_each_gives_its_place_back() {
    let proxy = Proxy::start(&limited("connections_per_client = 4"));
    let address = proxy.address();
    let mut first = open(address, "/f").await.expect("a socket");
    let second = open(address, "/f").await.expect("a socket");
    let stream = SseClient::connect(address, "/f", &[]).await;
    assert!(stream.head.starts_with("HTTP/1.1 200 "), "{}", stream.head);
    let h2 = H2Client::connect(address).await;
    let over_h2 = h2.websocket("/f").await;
    for _ in 0..4 {
        check_refusal(&ask(address, "/f", &[]).await, 429, "as many sockets open");
    }
    let stream_refused = get(address, "/f", &[("Accept", "text/event-stream")]).await;
    check_refusal(&stream_refused, 429, "as many sockets open");
    assert_eq!(proxy.metric(&denied("/f", "connections_per_client")).await, 5.0);
    // A plain request takes no place.
    assert_eq!(get(address, "/f", &[]).await.status, 204);
    // By a close, by a lost connection, by the end of an event stream, of a stream of HTTP/2.
    first.close(1000).await;
    first.ended().await;
    let first = open_at_last(address, "/f").await;
    drop(second);
    let second = open_at_last(address, "/f").await;
    drop(stream);
    let third = open_at_last(address, "/f").await;
    drop(over_h2);
    drop(h2);
    let fourth = open_at_last(address, "/f").await;
    assert_eq!(open(address, "/f").await.err(), Some(429));
    drop((first, second, third, fourth));
}

#[tokio::test]
async fn a_full_route_says_when_to_come_back_and_another_is_not_full() {
    let other = "[[route]]\npath = \"/g\"\nfeed = \"f\"\nlimit = \"public\"\n";
    let proxy = Proxy::start(&format!("{}{other}", limited("connections = 2")));
    let held = [open(proxy.address(), "/f").await, open(proxy.address(), "/f").await];
    assert!(held.iter().all(Result::is_ok));
    check_refusal(&ask(proxy.address(), "/f", &[]).await, 503, "as many sockets are open here");
    assert!(open(proxy.address(), "/g").await.is_ok());
    assert_eq!(proxy.metric(&denied("/f", "connections")).await, 1.0);
    drop(held);
    drop(open_at_last(proxy.address(), "/f").await);
}

#[tokio::test]
async fn places_are_all_free_again_after_a_storm() {
    const PLACES: usize = 12;
    let proxy = Proxy::start(&limited(&format!("connections_per_client = {PLACES}\nconnections = {PLACES}")));
    let address = proxy.address();
    let storm = (0..200).map(|number| async move {
        match number % 4 {
            0 => drop(TcpStream::connect(address).await),
            1 => drop(SseClient::connect(address, "/f", &[]).await),
            2 => {
                // Gone before it is answered.
                let mut raw = RawHttp::connect(address).await;
                raw.send(upgrade(address, "/f", &[]).as_bytes()).await;
            }
            _ => {
                if let Ok(mut socket) = open(address, "/f").await {
                    socket.close(1000).await;
                }
            }
        }
    });
    futures_util::future::join_all(storm).await;
    let mut held = Vec::new();
    for _ in 0..PLACES {
        held.push(open_at_last(address, "/f").await);
    }
    assert!(matches!(open(address, "/f").await.err(), Some(429)));
}

#[tokio::test]
async fn a_tunnel_holds_its_place_until_it_ends() {
    let backend = Backend::bind().await;
    let proxy = front("[limit.one]\nconnections_per_client = 1", &backend.server(), "", "limit = \"one\"");
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Accept: as-it-is\r\n\r\n";
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/ws", &[]).as_bytes()).await;
    let (_, mut server) = backend.request().await;
    server.send(switch).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    check_refusal(&ask(proxy.address(), "/ws", &[]).await, 429, "as many sockets open");
    drop((client, server));
    until("the place to be free", || async {
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(upgrade(proxy.address(), "/ws", &[]).as_bytes()).await;
        tokio::select! {
            (_, mut server) = backend.request() => {
                server.send(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n").await;
                Some(())
            }
            _ = raw.head() => None,
        }
    })
    .await;
    // What the server did not switch gave its place back too.
    let reply = tokio::join!(ask(proxy.address(), "/ws", &[]), async {
        let (_, mut server) = backend.request().await;
        server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    });
    assert_eq!(reply.0.status, 403);
}

/// The status of a request that a PROXY header says is by this client.
async fn status_of(proxy: &Proxy, client: &str) -> u16 {
    let mut raw = RawHttp::connect(proxy.address()).await;
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') { "::1" } else { "127.0.0.1" };
    let request = "GET /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    raw.send(format!("PROXY {family} {client} {own} 1 2\r\n{request}").as_bytes()).await;
    let head = raw.head().await;
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[tokio::test]
async fn addresses_are_allowed_and_denied_by_whom_a_proxy_speaks_for() {
    let listener = plain!("proxy_protocol = true\n");
    let route = "[[route]]\npath = \"/f\"\nrespond = { body = \"hello\" }\n\
                 allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]\ndeny = [\"10.9.0.0/16\", \"2001:db8:9::/48\"]\n";
    let base = "trusted_proxies = [\"127.0.0.1\"]\nadmin.listen = \"127.0.0.1:0\"\n";
    let proxy = Proxy::start_whole(&format!("{base}{listener}{route}"));
    for (client, status) in [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("10.9.2.3", 403),
        ("::ffff:10.9.2.3", 403),
        ("11.1.2.3", 403),
        ("2001:db8::1", 200),
        ("2001:db8:9::1", 403),
        ("2001:db9::1", 403),
        ("127.0.0.1", 403),
    ] {
        assert_eq!(status_of(&proxy, client).await, status, "{client}");
    }
    assert_eq!(proxy.metric(&denied("/f", "address")).await, 6.0);
}

#[tokio::test]
async fn a_socket_that_says_too_much_is_closed() {
    let proxy = Proxy::start(&limited("messages = \"3/h\"\nmessage_size = \"1KiB\""));
    let h2 = H2Client::connect(proxy.address()).await;
    for mut socket in [open(proxy.address(), "/f").await.expect("a socket"), h2.websocket("/f").await] {
        for _ in 0..3 {
            assert_eq!(socket.ask(r#"{"type":"ping"}"#).await["type"], "pong");
        }
        socket.send(r#"{"type":"ping"}"#).await;
        let close = socket.closed().await.expect("a code");
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "message rate"));
    }
    for mut socket in [open(proxy.address(), "/f").await.expect("a socket"), h2.websocket("/f").await] {
        socket.send(&format!("{{\"type\":\"ping\",\"data\":\"{}\"}}", "x".repeat(900))).await;
        assert_eq!(socket.data().await["type"], "pong");
        socket.send(&"x".repeat(1025)).await;
        assert_eq!(u16::from(socket.closed().await.expect("a code").code), 1009);
    }
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1008\"}", 2.0).await;
}

#[tokio::test]
async fn without_a_limit_nothing_is_limited_but_the_size() {
    let proxy = Proxy::of_feed("");
    let mut socket = open(proxy.address(), "/f").await.expect("a socket");
    for _ in 0..500 {
        assert_eq!(socket.ask(r#"{"type":"ping"}"#).await["type"], "pong");
    }
    socket.send(&"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(u16::from(socket.closed().await.expect("a code").code), 1009);
}
