//! Servers at unix sockets, behind TLS and over HTTP/2: what reaches them, and what they answer, is as it is at a plain
//! address.

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::backend::{front, front_config};
use crate::support::instance::binary;
use crate::support::raw_ws::{TEXT, head as frame_head, upgrade};
use crate::support::servers::{Asked, Server, answer, head_only, whole};
use crate::support::ws::Io;
use crate::support::{H2Client, Instance, Proxy, RawHttp, Reply, WsClient, get, within};

/// Those that speak HTTP/1.1.
async fn http1() -> [Server; 2] {
    [Server::unix(), Server::tls(&["http/1.1"]).await]
}

/// Those that speak HTTP/2.
async fn http2() -> [Server; 2] {
    [Server::h2c().await, Server::tls(&["h2", "http/1.1"]).await]
}

const UPLOAD: &[u8] = b"POST /x?y HTTP/1.1\r\nHost: a.test:81\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_over_unix_sockets_and_tls() {
    for server in http1().await {
        let proxy = server.front();
        let mut client = RawHttp::connect(proxy.address()).await;
        for _ in 0..2 {
            client.send(UPLOAD).await;
        }
        let (head, mut raw) = server.request().await;
        for again in [false, true] {
            let head = if again { raw.head().await } else { head.clone() }.to_ascii_lowercase();
            assert!(head.starts_with("post /x?y http/1.1\r\n"), "{head}");
            assert!(
                head.contains("\r\nhost: a.test:81\r\n") && head.contains("\r\nx-forwarded-proto: http\r\n"),
                "{head}"
            );
            let body = raw.until(b"\r\n\r\n").await.to_ascii_lowercase();
            assert_eq!(body, "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
            let answer = b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 3\r\n\r\n";
            raw.send(answer).await;
            assert!(client.head().await.starts_with("HTTP/1.1 201 Made\r\n"));
            assert_eq!(client.until(b"\r\n\r\n").await.to_ascii_lowercase(), "2\r\nok\r\n0\r\nx-sum: 3\r\n\r\n");
        }
    }
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_over_http2() {
    for server in http2().await {
        let proxy = server.front();
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(UPLOAD).await;
        let mut connection = server.multiplexed().await;
        // The second request is on the same connection.
        for again in [false, true] {
            let (request, mut to) = connection.asked().await;
            let (head, mut body) = request.into_parts();
            let scheme = if server.ca().is_empty() { "http" } else { "https" };
            assert_eq!((head.method.as_str(), head.uri.to_string()), ("POST", format!("{scheme}://a.test:81/x?y")));
            assert!(!head.headers.contains_key("host") && !head.headers.contains_key("transfer-encoding"), "{head:?}");
            assert_eq!(head.headers["te"], "trailers");
            let (body, trailers) = whole(&mut body).await;
            assert_eq!(body, b"hello");
            assert_eq!(trailers.expect("trailers")["x-sum"], "1");
            answer(&mut to, "ok", ("x-sum", "3"));
            assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
            assert_eq!(client.until(b"\r\n\r\n").await, "2\r\nok\r\n0\r\nx-sum: 3\r\n\r\n");
            if !again {
                client.send(UPLOAD).await;
            }
        }
    }
}

/// More than any window of HTTP/2, and all of it different.
fn large() -> Vec<u8> {
    (0..8 * 1024 * 1024).map(|at: usize| (at % 251) as u8 ^ (at / 251) as u8).collect()
}

/// An echo of HTTP/2: what is received is sent on, as far as the peer takes it.
async fn echo((request, mut to): Asked) {
    let mut stream = to.send_response(http::Response::new(()), false).expect("sent");
    let mut body = request.into_body();
    while let Some(some) = body.data().await {
        let mut some = some.expect("data");
        body.flow_control().release_capacity(some.len()).expect("released");
        while !some.is_empty() {
            stream.reserve_capacity(some.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.expect("open").expect("open");
            stream.send_data(some.split_to(room.min(some.len())), false).expect("sent");
        }
    }
    stream.send_data(Bytes::new(), true).expect("sent");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_at_once_over_http2() {
    for server in http2().await {
        let proxy = server.front();
        let sent = large();
        let client = RawHttp::connect(proxy.address()).await;
        let (mut reading, mut writing) = client.stream.into_split();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", sent.len());
        let (echoed, (), _connection) = tokio::join!(
            async {
                let mut all = Vec::new();
                within("the echo", reading.read_to_end(&mut all)).await.expect("an answer");
                all
            },
            async {
                writing.write_all(head.as_bytes()).await.expect("the proxy takes it");
                writing.write_all(&sent).await.expect("the proxy takes it");
            },
            async {
                let mut connection = server.multiplexed().await;
                within("the echo", echo(connection.asked().await)).await;
                connection
            }
        );
        let at = echoed.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        assert!(echoed.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(unchunked(&echoed[at..]) == sent, "{} bytes for {}", echoed.len(), sent.len());
    }
}

/// The body within its chunks (RFC 9112, section 7.1).
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|end| end == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&chunks[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..][..size]);
        chunks = &chunks[end + 2 + size + 2..];
    }
}

#[tokio::test]
async fn a_session_keeps_its_client_over_a_restart_at_a_unix_socket_or_behind_tls() {
    for server in http1().await {
        let config = front_config("", &server.url(), &server.ca(), "[route.session]\nshape = \"raw\"\nnotices = false");
        let proxy = Proxy::start(&config);
        let opened = async |said: &[u8]| {
            let (head, mut raw) = server.request().await;
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let switch = String::from_utf8_lossy(SWITCH).replace("as-it-is", &accept);
            raw.send(switch.as_bytes()).await;
            raw.send(&[&frame_head(0x80 | TEXT, said.len())[..], said].concat()).await;
            raw
        };
        let (mut client, raw) = tokio::join!(WsClient::connect(proxy.address(), "/ws"), opened(b"{\"n\":1}"));
        assert_eq!(client.data().await["n"], 1);
        drop(raw);
        let _raw = opened(b"{\"n\":2}").await;
        assert_eq!(client.data().await["n"], 2);
    }
}

/// Asks once, on a connection of its own; meanwhile `serve` has the server answer.
async fn asked<T>(proxy: &Proxy, method: &str, serve: impl Future<Output = T>) -> (Reply, T) {
    let ask = async {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
        let head = client.head().await;
        Reply::new(head, client.rest().await)
    };
    tokio::join!(ask, serve)
}

#[tokio::test]
async fn answers_without_a_body_have_none_over_unix_sockets_and_tls() {
    for server in http1().await {
        let proxy = server.front();
        for (method, answer, field, value) in [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n", "content-length", Some("1234")),
            ("GET", "HTTP/1.1 204 No Content\r\nX-Own: y\r\n", "content-length", None),
            ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n", "etag", Some("\"a\"")),
        ] {
            let (reply, ()) = asked(&proxy, method, async {
                let (_, mut raw) = server.request().await;
                raw.send(format!("{answer}Connection: close\r\n\r\n").as_bytes()).await;
            })
            .await;
            assert!(answer.contains(&format!(" {} ", reply.status)), "{reply:?}");
            assert_eq!((reply.header(field), reply.body.len()), (value, 0), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none_over_http2() {
    for server in http2().await {
        for (method, status, field, value) in [
            ("HEAD", 200, "content-length", "1234"),
            ("GET", 204, "x-own", "y"),
            ("GET", 304, "etag", "\"a\""),
            ("DELETE", 200, "x-own", "y"),
        ] {
            let proxy = server.front();
            let (reply, _open) = asked(&proxy, method, async {
                let mut connection = server.multiplexed().await;
                let (request, mut to) = connection.asked().await;
                assert!(request.body().is_end_stream(), "{request:?}");
                head_only(&mut to, status, (field, value));
                connection
            })
            .await;
            assert_eq!((reply.status, reply.header(field), reply.body.len()), (status, Some(value), 0), "{reply:?}");
        }
    }
}

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: as-it-is\r\n\r\n";

#[tokio::test]
async fn a_tunnel_through_a_unix_socket_or_tls_carries_everything_and_each_end_of_it() {
    // One that prefers HTTP/2 is asked for HTTP/1.1, in which an upgrade can be had.
    for server in [Server::unix(), Server::tls(&["h2", "http/1.1"]).await, Server::tls(&[]).await] {
        let proxy = server.front();
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(&[upgrade(proxy.address(), "/ws", &[]).as_bytes(), b"early"].concat()).await;
        let (head, mut raw) = server.request().await;
        assert!(head.starts_with("GET /ws HTTP/1.1\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
        raw.send(&[SWITCH, b"first"].concat()).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("as-it-is"), "{head}");
        assert_eq!((client.exactly(5).await, raw.exactly(5).await), (b"first".to_vec(), b"early".to_vec()));
        let large: Vec<u8> = (0..=250).cycle().take(1024 * 1024).collect();
        let (mut client, mut raw) = (client.boxed(), raw);
        for _ in 0..2 {
            (client, raw) = crossed(client, raw, &large).await;
        }
        client.stream.shutdown().await.expect("an end");
        assert_eq!(raw.rest().await, b"", "the client's end is the server's");
        raw.send(b"last").await;
        raw.stream.shutdown().await.expect("an end");
        assert_eq!(client.rest().await, b"last");
        drop(raw);
        proxy.until_metric("steadfeed_websocket_open{route=\"/*\",mode=\"tunnel\"}", 0.0).await;
    }
}

type Side = RawHttp<Box<dyn Io>>;

/// Sends `large` from one to the other; gives them back changed about.
async fn crossed(mut from: Side, mut to: Side, large: &[u8]) -> (Side, Side) {
    let ((), got) = tokio::join!(from.send(large), to.exactly(large.len()));
    assert!(got == large);
    (to, from)
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_a_unix_socket_or_tls() {
    for server in http1().await {
        let proxy = server.front();
        let client = H2Client::connect(proxy.address()).await;
        let ((response, mut send), mut raw) = tokio::join!(client.connect_websocket("/ws", &[]), async {
            let (head, mut raw) = server.request().await;
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let switch = String::from_utf8_lossy(SWITCH).replace("as-it-is", &accept);
            raw.send(switch.as_bytes()).await;
            raw
        });
        assert_eq!(response.status(), 200);
        send.send_data(Bytes::from_static(b"up"), false).expect("sent");
        assert_eq!(raw.exactly(2).await, b"up");
        raw.send(b"down").await;
        let data = within("data", async { response.into_body().data().await.expect("data") }).await;
        assert_eq!(data.expect("data"), "down");
    }
}

#[tokio::test]
async fn a_websocket_for_a_server_that_speaks_http2_alone_is_502_and_one_that_speaks_both_has_it() {
    let server = Server::h2c().await;
    let proxy = server.front();
    // HTTP/2 without TLS has no upgrades, so that it is asked in HTTP/1.1.
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/ws", &[]).as_bytes()).await;
    let _refusing = server.multiplexed().await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/ws", &[]).as_bytes()).await;
    let (head, mut raw) = server.request().await;
    assert!(head.starts_with("GET /ws HTTP/1.1\r\n"), "{head}");
    raw.send(SWITCH).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.send(b"up").await;
    assert_eq!(raw.exactly(2).await, b"up");
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_kept_connection_that_dies_over_a_request_is_replaced_once() {
    for server in http1().await {
        let proxy = server.front();
        let mut client = RawHttp::connect(proxy.address()).await;
        for way in ["GET", "idle", "POST"] {
            client.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let (_, mut raw) = server.request().await;
            raw.send(OK).await;
            client.until(b"ok").await;
            if way == "idle" {
                drop(raw);
                client.send(b"POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
            } else {
                client.send(format!("{way} /second HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
                assert!(raw.head().await.contains(" /second "), "on the kept connection");
                drop(raw);
            }
            if way == "POST" {
                assert!(client.head().await.starts_with("HTTP/1.1 502 "), "it may have been done");
                break;
            }
            let (head, mut raw) = server.request().await;
            assert!(head.contains(" /second "), "{head}");
            raw.send(&[b"HTTP/1.1 200 OK\r\nConnection: close\r\n".as_slice(), &OK[17..]].concat()).await;
            client.until(b"ok").await;
        }
        // One that dies on a new connection, too, is not asked a third time.
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        drop(server.request().await);
        assert!(client.head().await.starts_with("HTTP/1.1 502 "));
    }
}

#[tokio::test]
async fn a_kept_http2_connection_that_dies_over_a_request_is_replaced_once() {
    for server in http2().await {
        let proxy = server.front();
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(b"GET /first HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
        let mut connection = server.multiplexed().await;
        answer(&mut connection.asked().await.1, "ok", ("x", "y"));
        client.until(b"x: y\r\n\r\n").await;
        client.send(b"GET /second HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
        let (request, _to) = connection.asked().await;
        assert_eq!(request.uri().path(), "/second");
        drop(connection);
        let mut connection = server.multiplexed().await;
        let (request, mut to) = connection.asked().await;
        assert_eq!(request.uri().path(), "/second");
        answer(&mut to, "ok", ("x", "z"));
        client.until(b"x: z\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_502() {
    for server in [Server::unix(), Server::tls(&[]).await, Server::h2c().await] {
        let proxy = server.front();
        let _folder = server.gone();
        assert_eq!(get(proxy.address(), "/", &[]).await.status, 502);
    }
}

#[tokio::test]
async fn a_servers_health_is_asked_for_as_it_is_spoken_to() {
    let health = "health = { path = \"/up\", every = \"100ms\", timeout = \"5s\", fall = 1, rise = 1 }";
    for server in http1().await {
        let _proxy = front("", &server.url(), &format!("{}\n{health}", server.ca()), "");
        let (head, _raw) = server.request().await;
        assert!(head.starts_with("GET /up HTTP/1.1\r\nhost: localhost"), "{head}");
    }
    for server in http2().await {
        let _proxy = front("", &server.url(), &format!("{}\n{health}", server.ca()), "");
        let mut connection = server.multiplexed().await;
        assert_eq!(connection.asked().await.0.uri().path(), "/up");
    }
}

#[tokio::test]
async fn a_server_whom_nobody_vouches_for_is_502_and_the_log_says_why() {
    let (server, other) = (Server::tls(&[]).await, Server::tls(&[]).await);
    let asked = async |instance: &Instance, server: &Server, answered: bool| {
        let (reply, ()) = tokio::join!(get(instance.address(), "/", &[]), async {
            if answered {
                let (_, mut raw) = server.request().await;
                raw.send(OK).await;
            } else {
                server.refused().await;
            }
        });
        reply.status
    };
    let believing = |server: &Server, whom: &Server| front_config("", &server.url(), &whom.ca(), "");
    let instance = Instance::start(&believing(&server, &other)).await;
    assert_eq!(asked(&instance, &server, false).await, 502);
    // Its name is that of ours: what differs is the key.
    instance.line("invalid peer certificate").await;
    let instance = Instance::start(&believing(&server, &server)).await;
    assert_eq!(asked(&instance, &server, true).await, 200);
    // Without `ca` it is the machine's authorities, in whose place the environment may name others.
    for (file, answered) in [(&other, false), (&server, true)] {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let config = format!("[admin]\nlisten = \"off\"\n{}", front_config("", &server.url(), "", ""));
        std::fs::write(folder.path().join("steadfeed.toml"), config).expect("written");
        let mut command: Command = binary();
        command.arg("run").current_dir(folder.path()).env("SSL_CERT_FILE", file.folder.path().join("ca.pem"));
        let instance = Instance::spawn(folder, command.env_remove("SSL_CERT_DIR")).await;
        assert_eq!(asked(&instance, &server, answered).await, if answered { 200 } else { 502 });
    }
    // The name in the URL is what is checked.
    let server = Server::tls_named("app.test", &[]).await;
    let instance = Instance::start(&believing(&server, &server)).await;
    assert_eq!(asked(&instance, &server, false).await, 502);
    instance.line("not valid for name").await;
}
