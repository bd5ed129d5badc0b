//! More connections than there is room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::{PLAIN, again, with};
use crate::support::instance::binary;
use crate::support::raw_ws::RawWs;
use crate::support::{H2Client, Instance, RawHttp, WsClient, get, tls, until, within};

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
