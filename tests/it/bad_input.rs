//! What a hostile or broken client gets, and that nobody else notices.
//!
//! Each runs the real binary: what it logs is part of the answer, and a panic anywhere fails the test.

use std::net::SocketAddr;

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::config::{events, plain, tls};
use crate::support::raw_ws::{CLOSE, KEY, PING, PONG, RawWs, TEXT, head, masked, upgrade};
use crate::support::{H2Client, Instance, RawHttp, WsClient, post_json};

/// What makes a silent client's time short.
const SHORT: &str = "[limits]\nheader_timeout = \"1s\"\n";
/// A plain listener, one over TLS, and a feed.
const SERVED: &str = concat!(plain!(), tls!(), events!("keepalive = false\n"));

/// A process that serves, and a viewer who must not notice anything.
struct Scene {
    instance: Instance,
    bystander: WsClient,
    said: u64,
}

impl Scene {
    async fn start() -> Scene {
        Scene::with("").await
    }

    async fn with(keys: &str) -> Scene {
        let instance = Instance::start(&format!("{keys}{SERVED}")).await;
        let mut bystander = WsClient::connect(instance.address(), "/events").await;
        assert_eq!(bystander.json().await["type"], "connected");
        let mut scene = Scene { instance, bystander, said: 0 };
        scene.undisturbed().await;
        scene
    }

    fn address(&self) -> SocketAddr {
        self.instance.address()
    }

    fn tls(&self) -> SocketAddr {
        self.instance.listener(1)
    }

    /// The bystander gets the next message, and nothing but it.
    async fn undisturbed(&mut self) {
        self.said += 1;
        let message = format!(r#"{{"type":"n","data":{}}}"#, self.said);
        let reply = post_json(self.instance.admin(), "/api/feeds/events", &message).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(self.bystander.json().await["data"], self.said);
    }

    /// These bytes, said to the plain listener at once, are answered with `status`, and the connection ends.
    #[track_caller]
    fn answered<'a>(&'a self, bytes: &'a [u8], status: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut raw = RawHttp::connect(self.address()).await;
            raw.send(bytes).await;
            let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{place}: {answer:?}");
        }
    }

    /// As [`answered`](Scene::answered), though the client goes on talking.
    #[track_caller]
    fn cut_short<'a>(&'a self, bytes: &'a [u8], status: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut raw = RawHttp::connect(self.address()).await;
            raw.send(bytes).await;
            let answer = String::from_utf8_lossy(&raw.closed().await).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{place}: {answer:?}");
            let problem =
                answer.contains("application/problem+json") && answer.contains(&format!("\"status\":{status},"));
            assert!(problem, "{place}: {answer:?}");
        }
    }

    /// A socket that says these bytes is closed with `code`.
    #[track_caller]
    fn closed<'a>(&'a self, bytes: &'a [u8], code: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut socket = RawWs::connect(self.address(), "/events", &[]).await;
            socket.send(bytes).await;
            assert_eq!(socket.closed().await.0, code, "{place}");
            socket.raw.closed().await;
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_in_time_however_it_trickles() {
    let mut scene = Scene::with(SHORT).await;
    let mut raw = RawHttp::connect(scene.address()).await;
    raw.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n").await;
    let (mut reading, mut writing) = raw.stream.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"X-More: a\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    let end = crate::support::within("the end", reading.read_to_end(&mut answer)).await;
    assert!(end.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    crate::support::within("the writer to notice", trickle).await.expect("it does not panic");
    assert!(scene.instance.line("no complete request head in time").await.contains("127.0.0.1"));
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_head_that_begins_behind_a_request_and_never_ends_is_cut_off_too() {
    let mut scene = Scene::with(SHORT).await;
    for parts in [
        [&b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HT"[..], b""],
        [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", b"G"],
    ] {
        let mut raw = RawHttp::connect(scene.address()).await;
        raw.send(parts[0]).await;
        raw.send(parts[1]).await;
        let start = tokio::time::Instant::now();
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }
    scene.instance.lines("no complete request head in time", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_silent_connection_is_cut_off_wherever_it_falls_silent() {
    let mut scene = Scene::with(SHORT).await;
    let mut silent = vec![RawHttp::connect(scene.address()).await, RawHttp::connect(scene.tls()).await];
    // The head of a TLS record that is to be 512 bytes long, and its first bytes.
    let mut half = RawHttp::connect(scene.tls()).await;
    half.send(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await;
    silent.push(half);
    let mut h2 = RawHttp::connect(scene.address()).await;
    h2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    silent.push(h2);
    let mut part_of_preface = RawHttp::connect(scene.address()).await;
    part_of_preface.send(b"PRI * HT").await;
    silent.push(part_of_preface);
    let count = silent.len();
    for mut raw in silent {
        raw.rest().await;
    }
    scene.instance.lines("no complete request head in time", count).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_silent_connection_after_a_tls_handshake_is_cut_off() {
    let mut scene = Scene::with(SHORT).await;
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let mut stream = crate::support::tls::connect(&config, scene.tls(), "localhost").await.expect("TLS");
    let mut answer = Vec::new();
    let _ = crate::support::within("the end", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    scene.instance.line("no complete request head in time").await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let mut scene = Scene::start().await;
    for size in [0, 100_000] {
        let mut raw = RawHttp::connect(scene.tls()).await;
        raw.send(upgrade(scene.tls(), "/events", &[("X-Large", &"a".repeat(size))]).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
        let body = String::from_utf8(raw.closed().await).expect("text");
        assert!(head.to_lowercase().contains(&format!("content-length: {}\r\n", body.len())), "{head}{body}");
        let problem: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("https://")), "{body}");
    }
    scene.instance.line("plain text on a TLS port").await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn tls_on_a_plain_port_is_told_in_the_log() {
    let mut scene = Scene::start().await;
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let refused = crate::support::tls::connect(&config, scene.address(), "localhost").await;
    assert!(refused.is_err());
    scene.instance.line("TLS on a plain port").await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_head_too_large_is_431_and_the_answer_arrives_though_more_was_sent() {
    let mut scene = Scene::start().await;
    let large = format!("GET /hello HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "a".repeat(600_000));
    scene.cut_short(large.as_bytes(), 431).await;
    let many = format!("GET /hello HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(200));
    scene.cut_short(many.as_bytes(), 431).await;
    scene.instance.lines("connection ended", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn junk_is_400() {
    let mut scene = Scene::start().await;
    scene.cut_short(b"\0\x01\x02\x03\r\n\r\n", 400).await;
    scene.cut_short(b"hello there\r\n\r\n", 400).await;
    scene.cut_short(b"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/9.9\r\nHost: a\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", 400).await;
    scene.cut_short(b"GET /hello HTTP/1.1\r\nHost: a\r\nBad: \x01\r\n\r\n", 400).await;
    scene.cut_short(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400).await;
    scene.cut_short(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nab", 400).await;
    scene.instance.lines("connection ended", 8).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_destroy_the_answer() {
    let mut scene = Scene::start().await;
    let request = "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
    scene.cut_short(request.as_bytes(), 405).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn methods_and_targets_without_a_path_are_refused_not_misread() {
    let mut scene = Scene::start().await;
    let close = "Connection: close\r\n\r\n";
    let mut raw = RawHttp::connect(scene.address()).await;
    raw.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 404 "));
    scene.answered(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 404).await;
    scene.answered(format!("BREW /events HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 405).await;
    scene.answered(format!("GET http://a/hello HTTP/1.1\r\nHost: a\r\n{close}").as_bytes(), 200).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let mut scene = Scene::start().await;
    let close = "Connection: close\r\n\r\n";
    scene.answered(format!("GET /hello HTTP/1.1\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a b\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: a/b\r\n{close}").as_bytes(), 400).await;
    scene.answered(format!("GET /hello HTTP/1.1\r\nHost: user@a\r\n{close}").as_bytes(), 400).await;
    let (head, problem) = refusal(scene.address(), &[("Host", "-")]).await;
    assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("application/problem+json"), "{head}");
    assert_eq!(problem["status"], 400, "{problem}");
    scene.instance.lines(" 400 ", 6).await;
    // Health checks of the old kind have no host to name.
    let mut old = RawHttp::connect(scene.address()).await;
    old.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(old.rest().await).expect("text");
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("hello"), "{answer}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_bad_handshake_is_refused_before_101() {
    let mut scene = Scene::start().await;
    let refused = async |fields: &[(&str, &str)], status: u16| {
        let (got, problem) = refusal(scene.address(), fields).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{fields:?}: {got}");
        assert!(got.to_lowercase().contains("content-type: application/problem+json"), "{got}");
        assert_eq!(problem["status"], status, "{problem}");
        got.to_lowercase()
    };
    refused(&[("Sec-WebSocket-Key", "-")], 400).await;
    refused(&[("Sec-WebSocket-Key", "short")], 400).await;
    refused(&[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], 400).await;
    for version in ["-", "12", "0"] {
        let head = refused(&[("Sec-WebSocket-Version", version)], 426).await;
        assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    }
    refused(&[("Sec-WebSocket-Extensions", "permessage-deflate; =")], 400).await;
    refused(&[("Sec-WebSocket-Protocol", "a b")], 400).await;
    refused(&[("Content-Length", "5")], 400).await;
    scene.instance.lines(" 400 ", 6).await;
    scene.instance.lines(" 426 ", 3).await;
    scene.undisturbed().await;
}

/// The head of the answer to an upgrade with these fields, and its body.
async fn refusal(address: SocketAddr, fields: &[(&str, &str)]) -> (String, serde_json::Value) {
    let mut raw = RawHttp::connect(address).await;
    raw.send(upgrade(address, "/events", fields).as_bytes()).await;
    let head = raw.head().await;
    let lower = head.to_lowercase();
    let length = lower.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let body = raw.exactly(length.unwrap_or(0)).await;
    (head, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn frames_that_break_the_protocol_are_closed_with_1002() {
    let mut scene = Scene::start().await;
    let unmasked = [&head(0x81, 5)[..], b"hello"].concat();
    scene.closed(&unmasked, 1002).await;
    scene.closed(&masked(0x09, b"fragmented control"), 1002).await;
    scene.closed(&masked(0x89, &[0; 126]), 1002).await;
    for reserved_bit in [0xc1, 0xa1, 0x91, 0xc9] {
        scene.closed(&masked(reserved_bit, b"{}"), 1002).await;
    }
    for reserved_opcode in [0x83, 0x87, 0x8b, 0x8f] {
        scene.closed(&masked(reserved_opcode, b"{}"), 1002).await;
    }
    scene.closed(&masked(0x80, b"continues nothing"), 1002).await;
    scene.closed(&[masked(0x01, b"a"), masked(0x81, b"b")].concat(), 1002).await;
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        scene.closed(&masked(0x80 | CLOSE, &code.to_be_bytes()), 1002).await;
    }
    scene.closed(&masked(0x80 | CLOSE, b"x"), 1002).await;
    let logged = scene.instance.lines(" closed 1002 ", 21).await;
    assert!(logged.iter().all(|line| !line.contains("reason=\"\"")), "{logged:?}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_closed_with_1007() {
    let mut scene = Scene::start().await;
    scene.closed(&masked(0x81, b"\xff"), 1007).await;
    scene.closed(&masked(0x81, b"\xed\xa0\x80"), 1007).await;
    scene.closed(&[masked(0x01, b"\xe2\x82"), masked(0x80, b"a")].concat(), 1007).await;
    scene.closed(&masked(0x80 | CLOSE, b"\x03\xe8\xff"), 1007).await;
    scene.instance.lines(" closed 1007 ", 4).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_message_too_large_is_closed_with_1009_and_the_close_arrives_though_more_was_sent() {
    let mut scene = Scene::start().await;
    scene.closed(&masked(0x81, &[b'a'; 65 * 1024]), 1009).await;
    scene.closed(&masked(0x82, &vec![0; 1024 * 1024]), 1009).await;
    let announced = [&[0x81, 0xff, 0x7f][..], &[0xff; 7], &[0; 4]].concat();
    scene.closed(&announced, 1009).await;
    let mut fragments = masked(0x01, &[b'a'; 1024]);
    (0..64).for_each(|_| fragments.extend(masked(0x00, &[b'a'; 1024])));
    scene.closed(&fragments, 1009).await;
    scene.instance.lines(" closed 1009 ", 4).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_deflate_bomb_is_closed_with_1009_and_costs_no_memory() {
    let mut scene = Scene::start().await;
    let before = resident(&scene.instance);
    for zeros in [70_000, 50_000_000] {
        let bomb = deflated(&vec![b' '; zeros]);
        let deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")];
        let mut socket = RawWs::connect(scene.address(), "/events", &deflate).await;
        assert!(socket.head.to_lowercase().contains("permessage-deflate"), "{}", socket.head);
        socket.send(&masked(0xc1, &bomb)).await;
        assert_eq!(socket.closed().await.0, 1009);
    }
    let mut socket =
        RawWs::connect(scene.address(), "/events", &[("Sec-WebSocket-Extensions", "permessage-deflate")]).await;
    socket.send(&masked(0xc1, b"\xff\xff\xff\xff")).await;
    assert_eq!(socket.closed().await.0, 1007);
    assert!(resident(&scene.instance) < before + 8 * 1024, "{before} KiB before");
    scene.instance.lines(" closed 1009 ", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_flood_of_pings_from_one_who_does_not_read_is_bounded() {
    let mut scene = Scene::start().await;
    let before = resident(&scene.instance);
    let flooding = RawWs::connect(scene.address(), "/events", &[]).await;
    let (_unread, mut writing) = flooding.raw.stream.into_split();
    let flood = masked(0x80 | PING, &[b'p'; 125]).repeat(1000);
    let flood = tokio::spawn(async move { while writing.write_all(&flood).await.is_ok() {} });
    for _ in 0..50 {
        scene.undisturbed().await;
    }
    assert!(!flood.is_finished(), "the flood is held back, not cut off");
    assert!(resident(&scene.instance) < before + 8 * 1024, "{before} KiB before");
    flood.abort();
}

#[tokio::test]
async fn every_ping_of_one_who_reads_is_answered_in_order() {
    let mut scene = Scene::start().await;
    let mut socket = RawWs::connect(scene.address(), "/events", &[]).await;
    for round in 0..20u32 {
        let pings: Vec<u8> =
            (0..200u32).flat_map(|number| masked(0x80 | PING, &(round * 200 + number).to_be_bytes())).collect();
        socket.send(&pings).await;
        for number in 0..200u32 {
            assert_eq!(socket.next(PONG).await, (round * 200 + number).to_be_bytes());
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_is_no_command_is_answered_with_an_error_and_the_socket_stays() {
    let mut scene = Scene::start().await;
    let mut socket = RawWs::connect(scene.address(), "/events", &[]).await;
    socket.data().await;
    let commands = [
        "hello",
        "",
        "[]",
        "42",
        "{",
        r#"{"data":1}"#,
        r#"{"type":1}"#,
        r#"{"type":"nonsense"}"#,
        r#"{"type":"subscribe","data":{"feilds":["a"]}}"#,
        r#"{"type":"subscribe","data":{"fields":"a"}}"#,
        r#"{"type":"subscribe","data":{"every":"soon"}}"#,
        r#"{"type":"history","data":{"last":-1}}"#,
        r#"{"type":"history"}"#,
        r#"{"type":"auth","data":{"token":"secret-token"}}"#,
    ];
    for command in commands {
        socket.send(&masked(0x80 | TEXT, command.as_bytes())).await;
        let answer = socket.data().await;
        assert_eq!(answer["type"], "error", "{command}: {answer}");
        assert!(answer["data"]["code"].is_string() && answer["data"]["message"].is_string(), "{answer}");
        assert!(!answer.to_string().contains("secret-token"), "{answer}");
    }
    socket.send(&masked(0x82, b"binary")).await;
    assert_eq!(socket.data().await["type"], "error");
    let nested = "[".repeat(60_000);
    socket.send(&masked(0x80 | TEXT, nested.as_bytes())).await;
    assert_eq!(socket.data().await["type"], "error");
    socket.send(&masked(0x80 | TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(socket.data().await["type"], "pong");
    scene.undisturbed().await;
}

#[tokio::test]
async fn frames_in_an_http2_stream_are_held_to_the_same_rules() {
    let instance = Instance::start(&SERVED.replacen("127.0.0.1:0\"", "127.0.0.1:0\"\nwebsocket_h2 = true", 1)).await;
    let client = H2Client::connect(instance.address()).await;
    let mut bystander = client.raw_websocket("/events").await;
    assert_eq!(bystander.frame().await.first, 0x80 | TEXT);
    for (bytes, code) in [
        ([&head(0x81, 5)[..], b"hello"].concat(), 1002),
        (masked(0x81, b"\xff"), 1007),
        (masked(0x81, &[b'a'; 66 * 1024]), 1009),
    ] {
        let mut socket = client.raw_websocket("/events").await;
        socket.send(&bytes).await;
        assert_eq!(socket.closed().await.0, code);
    }
    let reply = post_json(instance.admin(), "/api/feeds/events", r#"{"type":"n","data":1}"#).await;
    assert_eq!(reply.status, 200);
    assert!(String::from_utf8_lossy(&bystander.frame().await.payload).contains(r#""data":1"#));
    let large = client.answer("/hello", &[("x-large", &"a".repeat(40_000))]).await;
    assert_eq!(large.0, 431);
    assert_eq!(client.answer("/hello", &[]).await, (200, "hello".to_owned()));
}

/// The memory the process has resident, in KiB.
fn resident(instance: &Instance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", instance.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A permessage-deflate payload (RFC 7692, section 7.2.1).
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(text.len() / 100 + 1024);
    compress.compress_vec(text, &mut out, FlushCompress::Sync).expect("it deflates");
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}
