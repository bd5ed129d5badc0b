//! What SIGTERM does: viewers leave one by one, told to come back; nothing else is cut, and it ends by itself.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::config::{events, plain, tls};
use crate::support::raw_ws::{CLOSE, FIN, RawWs};
use crate::support::{DEADLINE, H2Client, Instance, RawHttp, SseClient, WsClient, get, post_json, until, within};

const BODY: &str = concat!(plain!("websocket_h2 = true\n"), tls!(), events!());

fn config(spread: &str, timeout: &str) -> String {
    format!("[drain]\nspread = \"{spread}\"\ntimeout = \"{timeout}\"\n{BODY}")
}

#[tokio::test]
async fn with_nobody_there_it_ends_at_once() {
    let instance = Instance::start(&config("5s", "8s")).await;
    // A connection that idles between two requests is nobody.
    let mut idle = RawHttp::connect(instance.address()).await;
    idle.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.until(b"hello").await;
    let client = H2Client::connect(instance.address()).await;
    assert_eq!(client.get("/hello").await.status(), 200);
    let start = Instant::now();
    instance.signal(Signal::TERM);
    let (status, _) = instance.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "far before the spread is over: {:?}", start.elapsed());
    assert_eq!(idle.rest().await, b"");
}

#[tokio::test]
async fn viewers_are_closed_with_1012_one_by_one_and_each_is_logged() {
    const VIEWERS: usize = 40;
    let instance = Instance::start(&config("1s", "8s")).await;
    let mut viewers = Vec::new();
    for number in 0..VIEWERS {
        viewers.push(match number % 2 {
            0 => WsClient::connect(instance.address(), "/events").await,
            _ => WsClient::connect_tls(instance.listener(1), "/events").await,
        });
    }
    let start = Instant::now();
    instance.signal(Signal::INT);
    let leaving = viewers.into_iter().enumerate().map(|(number, mut viewer)| {
        tokio::spawn(async move {
            let close = viewer.closed().await.expect("a close with a code");
            let at = start.elapsed();
            assert_eq!(close.code, CloseCode::Restart, "{close:?}");
            // Our answer to it goes out, and then it ends.
            while viewer.frame().await.is_some_and(|frame| frame.is_ok()) {}
            (at, number)
        })
    });
    let leaving: Vec<_> = leaving.collect();
    let mut left = Vec::new();
    for viewer in leaving {
        left.push(viewer.await.expect("it is closed"));
    }
    let (status, printed) = instance.ended().await;
    assert_eq!(status.code(), Some(0));
    left.sort();
    let (first, last) = (left[0].0, left[VIEWERS - 1].0);
    assert!(last - first >= Duration::from_millis(500), "spread over {:?}", last - first);
    assert!(!left.iter().map(|(_, number)| number).is_sorted(), "the order is not that in which they came");
    let closed = printed.iter().filter(|line| line.contains(" closed 1012 ")).count();
    assert_eq!(closed, VIEWERS, "{printed:#?}");
}

#[tokio::test]
async fn viewers_of_many_feeds_leave_over_the_whole_time_too() {
    const FEEDS: usize = 24;
    let mut text = config("2s", "8s");
    for feed in 0..FEEDS {
        text.push_str(&format!(
            "[feed.f{feed}]\nsource = {{ publish = {{}} }}\n[[route]]\npath = \"/f{feed}\"\nfeed = \"f{feed}\"\n"
        ));
    }
    let instance = Instance::start(&text).await;
    let mut viewers = Vec::new();
    for feed in 0..FEEDS {
        viewers.push(WsClient::connect(instance.address(), &format!("/f{feed}")).await);
    }
    let start = Instant::now();
    instance.signal(Signal::TERM);
    let leaving = viewers.into_iter().map(|mut viewer| {
        tokio::spawn(async move {
            assert_eq!(viewer.closed().await.map(|close| u16::from(close.code)), Some(1012));
            start.elapsed()
        })
    });
    let mut left = Vec::new();
    for viewer in leaving.collect::<Vec<_>>() {
        left.push(viewer.await.expect("it is closed"));
    }
    left.sort();
    let (first, last) = (left[0], left[FEEDS - 1]);
    assert!(last - first >= Duration::from_secs(1), "spread over {:?}", last - first);
}

#[tokio::test]
async fn every_door_is_left_and_it_ends_when_the_last_has_gone() {
    let instance = Instance::start(&config("100ms", "60s")).await;
    let mut socket = WsClient::connect(instance.address(), "/events").await;
    let mut stream = SseClient::connect(instance.address(), "/events", &[]).await;
    assert_eq!(stream.event().await.event.as_deref(), Some("connected"));
    let client = H2Client::connect(instance.address()).await;
    let mut h2_socket = client.raw_websocket("/events").await;
    let mut h2_stream = client.stream("/events", "text/event-stream").await.into_body();
    instance.signal(Signal::TERM);
    assert_eq!(socket.closed().await.map(|close| u16::from(close.code)), Some(1012));
    drop(socket);
    assert_eq!(h2_socket.closed().await.0, 1012);
    h2_socket.say(FIN | CLOSE, &1012u16.to_be_bytes()).await;
    h2_socket.raw.stream.shutdown().await.expect("the stream is open");
    while let Some(piece) = within("the stream to end", h2_stream.data()).await {
        piece.expect("it ends, and is not cut");
    }
    assert!(stream.rest().await.ends_with("0\r\n\r\n"), "the last chunk says that it was the last");
    assert_eq!(instance.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn while_it_drains_it_is_not_ready_and_takes_nothing_new() {
    let instance = Instance::start(&config("60s", "60s")).await;
    let mut viewers = Vec::new();
    for _ in 0..6 {
        viewers.push(WsClient::connect(instance.address(), "/events").await);
    }
    let mut early = RawHttp::connect(instance.address()).await;
    assert_eq!(get(instance.admin(), "/readyz", &[]).await.status, 200);
    instance.signal(Signal::TERM);
    until("unreadiness", || async { (get(instance.admin(), "/readyz", &[]).await.status == 503).then_some(()) }).await;
    let problem = get(instance.admin(), "/readyz", &[]).await;
    assert_eq!(problem.json()["status"], 503);
    assert_eq!(get(instance.admin(), "/healthz", &[]).await.status, 200, "alive, if not ready");
    assert_eq!(get(instance.admin(), "/metrics", &[]).await.status, 200);
    let refused = || async { tokio::net::TcpStream::connect(instance.address()).await.is_err().then_some(()) };
    until("new connections to be refused", refused).await;
    // One that was accepted before, and had said nothing yet, is ended or told.
    let upgrade = crate::support::raw_ws::upgrade(instance.address(), "/events", &[]);
    let _ = tokio::io::AsyncWriteExt::write_all(&mut early.stream, upgrade.as_bytes()).await;
    let answer = String::from_utf8_lossy(&early.rest().await).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // The feed goes on for who is still there.
    assert_eq!(post_json(instance.admin(), "/api/feeds/events", r#"{"type":"n","data":1}"#).await.status, 200);
    let mut told = 0;
    for viewer in &mut viewers {
        told += usize::from(viewer.data_or_close().await.is_some_and(|message| message["data"] == 1));
    }
    // Each worker's first leaves within 20 s, its others 20 s and 40 s after it.
    assert!(told >= 4, "{told}");
    instance.signal(Signal::TERM);
    let start = Instant::now();
    let (status, printed) = instance.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "a second signal ends it at once");
    assert!(printed.iter().any(|line| line.contains("told to stop again")), "{printed:?}");
    let closed = |code| printed.iter().filter(|line| line.contains(&format!(" closed {code} "))).count();
    assert_eq!(closed("1006") + closed("1012"), viewers.len(), "{printed:?}");
    assert!(printed.iter().any(|line| line.ends_with("reason=\"cut off\"")), "{printed:?}");
}

#[tokio::test]
async fn an_upgrade_on_a_connection_that_outlives_the_listener_is_refused() {
    let instance = Instance::start(&config("60s", "60s")).await;
    let client = H2Client::connect(instance.address()).await;
    let _socket = client.raw_websocket("/events").await;
    instance.signal(Signal::TERM);
    until("unreadiness", || async { (get(instance.admin(), "/readyz", &[]).await.status == 503).then_some(()) }).await;
    // A client that has not seen the GOAWAY yet may still ask; one that has cannot.
    if let Ok(response) = client.try_websocket("/events").await {
        assert_eq!(response.status(), 503);
    }
}

#[tokio::test]
async fn a_viewer_who_never_leaves_is_cut_at_the_latest_when_the_time_is_over() {
    let instance = Instance::start(&config("100ms", "600ms")).await;
    let mut deaf = RawWs::connect(instance.address(), "/events", &[]).await;
    let client = H2Client::connect(instance.address()).await;
    let mut h2_deaf = client.raw_websocket("/events").await;
    let start = Instant::now();
    instance.signal(Signal::TERM);
    // It neither answers the close nor goes.
    assert_eq!(deaf.closed().await.0, 1012);
    assert_eq!(h2_deaf.closed().await.0, 1012);
    let (status, printed) = instance.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(550), "{:?}", start.elapsed());
    assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
    assert!(printed.iter().any(|line| line.contains("the drain's time is over")), "{printed:?}");
    let cut = printed.iter().filter(|line| line.contains(" closed 1012 "));
    assert_eq!(cut.count(), 2, "{printed:?}");
    assert!(deaf.raw.rest().await.is_empty());
}

#[tokio::test]
async fn a_request_under_way_is_finished() {
    // 2 MB are more than the kernel takes at once from one who does not read.
    let large = format!(
        "{}\n[[route]]\npath = \"/large\"\nrespond = {{ body = \"{}\" }}\n",
        config("100ms", "60s"),
        "a".repeat(900_000)
    );
    let instance = Instance::start(&large).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.until(b"\r\n\r\n").await;
    instance.signal(Signal::TERM);
    until("unreadiness", || async { (get(instance.admin(), "/readyz", &[]).await.status == 503).then_some(()) }).await;
    assert_eq!(raw.rest().await.len(), 900_000);
    assert_eq!(instance.ended().await.0.code(), Some(0));
}
