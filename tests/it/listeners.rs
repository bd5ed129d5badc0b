//! Addresses, connections and their deadlines, HTTP itself, and TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::support::config::{events, plain};
use crate::support::instance::{binary, run};
use crate::support::raw_ws::{RawWs, upgrade};
use crate::support::{H2Client, Instance, RawHttp, SseClient, WsClient, get, post_json, request, tls, until, within};

const PLAIN: &str = concat!(plain!(), events!(), "\n[[route]]\npath = \"/\"\npage = \"events\"\n");

/// The plain config, with these keys before it.
fn with(keys: &str) -> String {
    format!("{keys}\n{PLAIN}")
}

async fn publish(instance: &Instance, data: u32) {
    let reply = post_json(instance.admin(), "/api/feeds/events", &format!(r#"{{"type":"n","data":{data}}}"#)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A GET on a connection that stays: the head and the body of its answer.
async fn again(raw: &mut RawHttp, path: &str) -> (String, String) {
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    answer(raw).await
}

async fn answer(raw: &mut RawHttp) -> (String, String) {
    let head = raw.head().await.to_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let body = raw.exactly(length.unwrap_or(0)).await;
    (head, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn every_listener_has_its_own_port_and_they_are_printed() {
    let second = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"[::1]:0\"";
    let instance = Instance::start(&with(second)).await;
    let ports: std::collections::HashSet<_> = instance.listeners().iter().map(SocketAddr::port).collect();
    assert!(ports.len() == 3 && !ports.contains(&0), "{ports:?}");
    let sixth: SocketAddr = format!("[::1]:{}", instance.listener(1).port()).parse().expect("an address");
    for address in [instance.listener(0), sixth, instance.listener(2)] {
        assert_eq!(get(address, "/hello", &[]).await.text(), "hello");
    }
}

#[tokio::test]
async fn a_second_instance_on_an_address_is_refused_at_its_place_in_the_config() {
    let instance = Instance::start(PLAIN).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = PLAIN.replace("127.0.0.1:0", &instance.address().to_string());
    std::fs::write(folder.path().join("a.toml"), format!("admin.listen = \"off\"\n{config}")).expect("a config");
    let output = run(folder.path(), &["run", "--config", "a.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("a.toml:4:11: {} is in use; ", instance.address())), "{said}");
    assert!(output.stdout.is_empty(), "nothing is said to be served");
    let admin = format!("admin.listen = \"{}\"\n{PLAIN}", instance.admin());
    std::fs::write(folder.path().join("a.toml"), admin).expect("a config");
    let output = run(folder.path(), &["run", "--config", "a.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("a.toml:1:16: {} is in use; ", instance.admin())), "{said}");
    assert_eq!(get(instance.address(), "/hello", &[]).await.status, 200, "the first goes on");
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_own_time_and_ended_without_complaint() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1800ms\"")).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    let (head, body) = again(&mut raw, "/hello").await;
    assert!(head.starts_with("http/1.1 200 ") && body == "hello", "{head}");
    let idle = Instant::now();
    assert_eq!(raw.rest().await, b"");
    assert!(idle.elapsed() >= Duration::from_millis(1750), "{:?}", idle.elapsed());
    assert!(!instance.printed().iter().any(|line| line.contains("connection ended")), "{:?}", instance.printed());
}

#[tokio::test]
async fn the_next_head_on_a_kept_connection_has_a_deadline_again() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"60s\"")).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    again(&mut raw, "/hello").await;
    raw.send(b"GET /hello HTTP/1.1\r\n").await;
    raw.rest().await;
    instance.line("no complete request head in time").await;
}

#[tokio::test]
async fn frames_between_requests_do_not_end_an_http2_connection_early() {
    let instance = Instance::start(&with("[limits]\nheader_timeout = \"1s\"\nkeepalive_timeout = \"1800ms\"")).await;
    let mut client = H2Client::connect(instance.address()).await;
    assert_eq!(client.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let idle = Instant::now();
    within("a pong", client.pings.ping(h2::Ping::opaque())).await.expect("a pong");
    let _ = within("the end", client.ending).await.expect("no panic");
    assert!(idle.elapsed() >= Duration::from_millis(1750), "{:?}", idle.elapsed());
    assert!(!instance.printed().iter().any(|line| line.contains("connection ended")), "{:?}", instance.printed());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let instance = Instance::start(PLAIN).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    let requests = ["/hello", "/nothing", "/hello"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    raw.send(requests.concat().as_bytes()).await;
    for status in [200, 404, 200] {
        let (head, body) = answer(&mut raw).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")) && !body.is_empty(), "{head}");
    }
    // An upgrade may be pipelined behind a request, and frames behind the upgrade.
    let frames = crate::support::raw_ws::masked(0x81, br#"{"type":"ping"}"#);
    let upgrade = upgrade(instance.address(), "/events", &[]);
    raw.send(&[requests[0].as_bytes(), upgrade.as_bytes(), &frames].concat()).await;
    assert!(answer(&mut raw).await.0.starts_with("http/1.1 200 "));
    let mut socket = RawWs { head: raw.head().await, raw };
    assert_eq!(socket.data().await["type"], "pong");
}

#[tokio::test]
async fn a_client_that_closes_its_side_at_once_gets_its_answer() {
    let instance = Instance::start(PLAIN).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.stream.shutdown().await.expect("shutdown");
    assert!(String::from_utf8(raw.rest().await).expect("text").ends_with("hello"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let instance = Instance::start(PLAIN).await;
    publish(&instance, 1).await;
    for path in ["/hello", "/", "/events", "/nothing"] {
        let whole = get(instance.address(), path, &[]).await;
        let head = request(instance.address(), "HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (whole.status, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "content-security-policy", "cache-control", "vary"] {
            assert_eq!(head.header(name), whole.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let instance = Instance::start(PLAIN).await;
    for (method, path, status) in
        [("GET", "/nothing", 404), ("GET", "/hello/", 404), ("POST", "/events", 405), ("DELETE", "/", 405)]
    {
        let reply = request(instance.address(), method, path, &[], "").await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/problem+json")));
        let problem = reply.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, HEAD"));
        assert_eq!(reply.header("server"), Some("steadfeed"));
    }
    let (status, problem) = WsClient::refused(instance.address(), "/nothing", &[]).await;
    assert_eq!((status, &problem["status"]), (404, &404.into()));
}

#[tokio::test]
async fn a_response_to_a_client_that_does_not_read_is_ended() {
    let instance = Instance::start(&with("[limits]\nsend_timeout = \"300ms\"")).await;
    let stalled = SseClient::connect(instance.address(), "/events", &[]).await;
    let mut reader = WsClient::connect(instance.address(), "/events").await;
    until("two viewers", || async { (viewers(&instance).await == 2.0).then_some(()) }).await;
    let large = format!(r#"{{"type":"n","data":"{}"}}"#, "a".repeat(500_000));
    // Enough for all there is between us: the client's window or receive buffer above all.
    for _ in 0..40 {
        assert_eq!(post_json(instance.admin(), "/api/feeds/events", &large).await.status, 200);
        assert_eq!(reader.data().await["type"], "n");
    }
    until("one viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    instance.line("a response made no progress").await;
    publish(&instance, 7).await;
    assert_eq!(reader.data().await["data"], 7);
    drop(stalled);
}

#[tokio::test]
async fn a_viewer_that_leaves_a_stream_is_noticed_at_once_and_no_fault() {
    let instance = Instance::start(&PLAIN.replace("publish = {} }", "publish = {} }\nkeepalive = false")).await;
    let stream = SseClient::connect(instance.address(), "/events", &[]).await;
    until("a viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    drop(stream);
    until("no viewer", || async { (viewers(&instance).await == 0.0).then_some(()) }).await;
    let client = H2Client::connect(instance.address()).await;
    let unread = client.stream("/events", "text/event-stream").await;
    until("a viewer", || async { (viewers(&instance).await == 1.0).then_some(()) }).await;
    client.ending.abort();
    drop(unread);
    until("no viewer", || async { (viewers(&instance).await == 0.0).then_some(()) }).await;
    assert!(!instance.printed().iter().any(|line| line.contains("WARN")), "{:?}", instance.printed());
}

async fn viewers(instance: &Instance) -> f64 {
    metric(instance, r#"steadfeed_feed_viewers{feed="events"}"#).await
}

async fn metric(instance: &Instance, name: &str) -> f64 {
    let text = get(instance.admin(), "/metrics", &[]).await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn a_foreign_page_opens_neither_socket_nor_stream_and_no_page_at_all_does() {
    let instance = Instance::start(PLAIN).await;
    let address = instance.address();
    let own = format!("http://{address}");
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", ""] {
        let (status, problem) = WsClient::refused(address, "/events", &[("Origin", origin)]).await;
        assert_eq!((status, &problem["status"]), (403, &403.into()), "{origin:?}");
        let stream = get(address, "/events", &[("Origin", origin), ("Accept", "text/event-stream")]).await;
        assert_eq!((stream.status, stream.header("content-type")), (403, Some("application/problem+json")));
        for path in ["/", "/hello"] {
            assert_eq!(get(address, path, &[("Origin", origin)]).await.status, 200, "{path}");
        }
    }
    for fields in [&[("Origin", own.as_str())][..], &[]] {
        WsClient::try_connect(address, "/events", fields).await.expect("it opens");
        let stream = SseClient::connect(address, "/events", fields).await;
        assert!(stream.head.starts_with("HTTP/1.1 200 "), "{}", stream.head);
    }
    assert!(instance.line("foreign origin refused").await.contains("evil.example"));
    assert!(metric(&instance, r#"steadfeed_denied_total{route="/events",reason="origin"}"#).await >= 8.0);
}

#[tokio::test]
async fn beyond_the_cap_a_connection_is_told_503_and_dropped_until_there_is_room() {
    let tls = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls.self_signed = [\"localhost\"]";
    let instance = Instance::start(&with(&format!("[limits]\nconnections = 2\n{tls}"))).await;
    let (tls, plain) = (instance.listener(0), instance.listener(1));
    let first = RawWs::connect(plain, "/events", &[]).await;
    let mut second = RawHttp::connect(plain).await;
    assert!(again(&mut second, "/hello").await.0.starts_with("http/1.1 200 "));
    for path in ["/hello", "/nothing", "/events"] {
        let mut raw = RawHttp::connect(plain).await;
        let (head, body) = again(&mut raw, path).await;
        assert!(head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: "), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n") && body.contains("\"status\":503"), "{head}{body}");
        assert_eq!(raw.rest().await, b"");
    }
    let (status, problem) = WsClient::refused(plain, "/events", &[]).await;
    assert_eq!((status, &problem["status"]), (503, &503.into()));
    let h2 = H2Client::connect_at_once(plain).await;
    assert_eq!(h2.answer("/hello", &[]).await.0, 503);
    let _ = within("the end", h2.ending).await.expect("no panic");
    let config = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let mut stream = tls::connect(&config, tls, "localhost").await.expect("TLS");
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it is taken");
    let mut answer = String::new();
    within("the end", stream.read_to_string(&mut answer)).await.expect("a clean end");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(again(&mut second, "/hello").await.0.starts_with("http/1.1 200 "), "who is in stays in");
    drop(first);
    until("room", || async { (get(plain, "/hello", &[]).await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn far_beyond_the_cap_a_connection_is_closed_unheard() {
    let instance = Instance::start(&with("[limits]\nconnections = 1")).await;
    let mut held = Vec::new();
    for _ in 0..=steadfeed::limits::REFUSED_CONNECTIONS {
        held.push(RawHttp::connect(instance.address()).await);
    }
    let mut raw = RawHttp::connect(instance.address()).await;
    assert_eq!(raw.rest().await, b"");
    instance.line("connection dropped").await;
    held.clear();
    until("room", || async {
        let mut raw = RawHttp::connect(instance.address()).await;
        let sent = raw.stream.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await;
        (sent.is_ok() && String::from_utf8_lossy(&raw.rest().await).starts_with("HTTP/1.0 200 ")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn out_of_file_descriptors_it_waits_without_burning_a_cpu_and_recovers() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let config = format!("workers = 1\nadmin.listen = \"off\"\nlimits.connections = 1000\n{PLAIN}");
    std::fs::write(folder.path().join("steadfeed.toml"), config).expect("a config");
    let mut command = std::process::Command::new("sh");
    let path = binary().get_program().to_owned();
    command.args(["-c", "ulimit -n 64 && exec \"$0\" run"]).arg(path).current_dir(folder.path());
    let instance = Instance::spawn(folder, command.env_remove("STEADFEED_CONFIG")).await;
    let mut kept = RawHttp::connect(instance.address()).await;
    assert!(again(&mut kept, "/hello").await.0.starts_with("http/1.1 200 "));
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(RawHttp::connect(instance.address()).await);
    }
    instance.line("cannot accept connections for now").await;
    let (start, burnt) = (Instant::now(), ticks(&instance));
    until("half a second", || async { (start.elapsed() > Duration::from_millis(500)).then_some(()) }).await;
    let burnt = ticks(&instance) - burnt;
    assert!(burnt <= 10, "{burnt} ticks of 10 ms in {:?}", start.elapsed());
    let said = instance.printed().iter().filter(|line| line.contains("cannot accept")).count();
    assert_eq!(said, 1, "it is said once, not ten times a second");
    assert!(again(&mut kept, "/hello").await.0.starts_with("http/1.1 200 "), "who is in is served");
    drop(held);
    assert_eq!(get(instance.address(), "/hello", &[]).await.text(), "hello");
}

/// The CPU time the process has used, in ticks of 10 ms.
fn ticks(instance: &Instance) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", instance.pid())).expect("it runs");
    let fields = stat.rsplit_once(") ").expect("a name").1;
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// A config with these certificates of `folder`.
fn certificates(names: &[&str], folder: &std::path::Path) -> String {
    let pair = |name: &&str| {
        let (cert, key) = tls::make(folder, name);
        format!("{{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display())
    };
    let pairs: Vec<_> = names.iter().map(pair).collect();
    with(&format!("[[listener]]\naddress = \"127.0.0.1:0\"\ntls.certificates = [{}]", pairs.join(", ")))
}

fn offering(mut config: ClientConfig, protocol: &str) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_the_certificate_of_the_name_asked_for() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test", "b.test"], certs.path())).await;
    for (versions, spoken) in
        [(&[&rustls::version::TLS12], ProtocolVersion::TLSv1_2), (&[&rustls::version::TLS13], ProtocolVersion::TLSv1_3)]
    {
        let config = Arc::new(tls::client(certs.path(), versions));
        for name in ["a.test", "b.test"] {
            let mut stream = tls::connect(&config, instance.address(), name).await.expect("TLS");
            assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
            assert_eq!(tls::shown(&stream), tls::first(&certs.path().join(format!("{name}.pem"))));
            assert!(ask(&mut stream).await.ends_with("hello"));
        }
    }
    let stranger = tls::connect(&Arc::new(tls::client(certs.path(), tls::BOTH)), instance.address(), "c.test").await;
    assert!(stranger.is_err(), "the first certificate is not c.test's");
}

/// Asks for `/hello` over HTTP/1.1; the connection stays.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> String {
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is taken");
    let mut answer = Vec::new();
    within("an answer", async {
        while !answer.ends_with(b"hello") {
            assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0);
        }
    })
    .await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_and_by_its_preface() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test"], certs.path())).await;
    let stream =
        tls::connect(&offering(tls::client(certs.path(), tls::BOTH), "h2"), instance.address(), "a.test").await;
    let client = H2Client::over(stream.expect("TLS"), "a.test").await;
    assert_eq!(client.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let plain = H2Client::connect(instance.listener(1)).await;
    assert_eq!(plain.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let config = offering(tls::client(certs.path(), tls::BOTH), "http/1.1");
    let stream = tls::connect(&config, instance.address(), "a.test");
    assert!(ask(&mut stream.await.expect("TLS")).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn new_certificates_are_served_without_cutting_a_viewer_and_bad_ones_are_not() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["localhost"], certs.path())).await;
    let mut viewer = WsClient::connect_tls(instance.address(), "/events").await;
    let (cert, key) = (certs.path().join("localhost.pem"), certs.path().join("localhost.key"));
    let shown = async || {
        let config = Arc::new(tls::client(certs.path(), tls::BOTH));
        tls::shown(&tls::connect(&config, instance.address(), "localhost").await.expect("TLS"))
    };
    let old = tls::first(&cert);
    assert_eq!(shown().await, old);
    tls::make(certs.path(), "localhost");
    let new = tls::first(&cert);
    assert_ne!(new, old);
    instance.line("certificates replaced").await;
    assert_eq!(shown().await, new);
    publish(&instance, 1).await;
    assert_eq!(viewer.data().await["data"], 1);
    let (_, stranger) = tls::make(certs.path(), "stranger");
    std::fs::copy(stranger, &key).expect("the key can be replaced");
    let complaint = instance.line("certificates not replaced").await;
    assert!(complaint.contains("ERROR") && complaint.contains("does not match"), "{complaint}");
    assert_eq!(shown().await, new);
    std::fs::remove_file(&cert).expect("the certificate can be removed");
    instance.lines("certificates not replaced", 2).await;
    assert_eq!(shown().await, new);
    publish(&instance, 2).await;
    assert_eq!(viewer.data().await["data"], 2);
}

#[tokio::test]
async fn a_session_is_resumed_on_whichever_worker() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test"], certs.path())).await;
    for version in tls::BOTH {
        let mut config = tls::client(certs.path(), &[version]);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        // Each stays open, so that the workers take turns.
        let mut open = Vec::new();
        for turn in 0..6 {
            let mut stream = tls::connect(&config, instance.address(), "a.test").await.expect("TLS");
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, turn > 0, "{version:?}, connection {turn}");
            ask(&mut stream).await;
            open.push(stream);
        }
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_made_once_and_kept_in_certs() {
    use std::os::unix::fs::PermissionsExt;
    let config = with("[[listener]]\naddress = \"127.0.0.1:0\"\ntls.self_signed = [\"localhost\", \"127.0.0.1\"]");
    let config = format!("admin.listen = \"off\"\n{config}");
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let file = |name: &str| {
        let path = folder.path().join("certs").join(name);
        let metadata = std::fs::metadata(&path).expect("it is kept");
        (std::fs::read(path).expect("it can be read"), metadata.modified().expect("a time"), metadata.permissions())
    };
    let first = Instance::start_in(Arc::clone(&folder), &config).await;
    first.line("made a self-signed certificate for localhost, 127.0.0.1").await;
    let (cert, key) = (file("self-signed.pem"), file("self-signed.key"));
    assert_eq!(key.2.mode() & 0o777, 0o600);
    drop(first);
    let second = Instance::start_in(Arc::clone(&folder), &config).await;
    let client = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let stream = tls::connect(&client, second.address(), "localhost").await.expect("TLS");
    assert_eq!(tls::shown(&stream), tls::first(&folder.path().join("certs/self-signed.pem")));
    assert_eq!((cert, key), (file("self-signed.pem"), file("self-signed.key")));
    assert!(!second.printed().iter().any(|line| line.contains("made a self-signed")), "{:?}", second.printed());
}
