//! The process that serves: its signals, what it prints, and its log.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::{SMALL, text};
use crate::support::instance::binary;
use crate::support::{Instance, get, request};

#[tokio::test]
async fn a_signal_right_after_the_start_up_lines_is_heard() {
    for signal in [Signal::TERM, Signal::INT] {
        let instance = Instance::start(SMALL).await;
        instance.signal(signal);
        assert_eq!(instance.ended().await.0.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_what_it_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("steadfeed.toml"), format!("admin.listen = \"off\"\n{SMALL}")).expect("a file");
    let mut child = binary()
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("it is piped")));
    let line = lines.find_map(|line| line.ok().filter(|line| line.contains("  listening "))).expect("a listener");
    drop(lines);
    let port = line.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..20 {
        assert_eq!(get(address, "/hello", &[]).await.text(), "hello");
        let bad = [("Sec-WebSocket-Key", "short"), ("Connection", "Upgrade"), ("Upgrade", "websocket")];
        assert_eq!(request(address, "GET", "/events", &bad, "").await.status, 426);
    }
    child.kill().expect("it still runs");
    let errors = text(&child.wait_with_output().expect("it ends").stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(errors.len() < 1000, "{errors}");
}

#[tokio::test]
async fn its_log_can_be_json() {
    let instance = Instance::start(&format!("[log]\nformat = \"json\"\n{SMALL}")).await;
    assert_eq!(get(instance.address(), "/hello?token=secret", &[]).await.status, 200);
    let line = instance.line("\"/hello\"").await;
    let entry: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&entry["status"], &entry["method"], &entry["route"]), (&200.into(), &"GET".into(), &"/hello".into()));
    let mut raw = crate::support::RawHttp::connect(instance.address()).await;
    raw.send(b"nonsense\r\n\r\n").await;
    raw.rest().await;
    drop(raw);
    let warning: Value = serde_json::from_str(&instance.line("connection ended").await).expect("JSON");
    assert_eq!(warning["level"], "WARN");
    assert!(!instance.printed().iter().any(|line| line.contains("secret")), "{:?}", instance.printed());
}
