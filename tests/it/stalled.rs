//! Streams of HTTP/2 whose peer takes nothing: each ends alone, after `send_timeout`.

use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use crate::feed::n;
use crate::support::raw_ws::{FIN, PONG, masked};
use crate::support::{H2Client, Instance, Proxy, post_json, proxy, within};

const TIMEOUT: Duration = Duration::from_millis(500);

/// Lets streams of HTTP/2 become sockets, and has them end after [`TIMEOUT`].
fn config(options: &str) -> String {
    let feed = proxy::feed_over_h2(options);
    format!("[limits]\nsend_timeout = \"{TIMEOUT:?}\"\n{feed}")
}

/// Takes what comes and gives no window for it, until the stream ends; why.
async fn taken_to_the_end(body: &mut RecvStream) -> Option<Reason> {
    within("the stream to end", async {
        loop {
            match body.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.reason(),
                None => return None,
            }
        }
    })
    .await
}

/// Takes a piece, and gives the window for another.
async fn take(body: &mut RecvStream) -> Bytes {
    let some = within("more of the stream", body.data()).await.expect("open").expect("data");
    body.flow_control().release_capacity(some.len()).expect("released");
    some
}

#[tokio::test]
async fn an_event_stream_that_is_not_taken_is_reset_and_the_others_go_on() {
    let instance = Instance::start(&config("keepalive = \"100ms\"")).await;
    let client = H2Client::connect(instance.address()).await;
    let mut read = client.stream("/f", "text/event-stream").await;
    let mut unread = client.stream("/f", "text/event-stream").await;
    let text = "x".repeat(100_000);
    let published = post_json(instance.admin(), "/api/feeds/f", &format!(r#"{{"type":"n","data":"{text}"}}"#)).await;
    assert_eq!(published.status, 200);
    let start = Instant::now();
    let reading = async {
        let mut seen = 0;
        while seen < 100_000 || start.elapsed() < 3 * TIMEOUT {
            seen += take(read.body_mut()).await.len();
        }
    };
    let (reason, ()) = tokio::join!(taken_to_the_end(unread.body_mut()), reading);
    assert_eq!(reason, Some(Reason::CANCEL));
    instance.line("a response made no progress").await;
    assert_eq!(client.get("/nothing").await.status(), 404);
}

#[tokio::test]
async fn a_whole_body_that_is_not_taken_is_reset_too() {
    let large = format!("[[route]]\npath = \"/large\"\nrespond = {{ body = \"{}\" }}\n", "a".repeat(900_000));
    let proxy = Proxy::start(&format!("{}{large}", config("")));
    let client = H2Client::connect(proxy.address()).await;
    let mut response = client.stream("/large", "*/*").await;
    assert_eq!(response.headers()["content-length"], "900000");
    assert_eq!(taken_to_the_end(response.body_mut()).await, Some(Reason::CANCEL));
    assert_eq!(client.get("/large").await.body().len(), 900_000);
}

#[tokio::test]
async fn one_that_has_nothing_to_say_and_one_that_moves_are_left_alone() {
    let proxy = Proxy::start(&config("keepalive = false"));
    let client = H2Client::connect(proxy.address()).await;
    let mut quiet = client.stream("/f?types=none", "text/event-stream").await;
    let mut slow = client.stream("/f", "text/event-stream").await;
    proxy.say(&format!(r#"{{"type":"large","data":"{}"}}"#, "x".repeat(600_000))).await;
    let start = Instant::now();
    let (mut seen, mut beat) = (0, tokio::time::interval(TIMEOUT / 10));
    // The window is 64 KiB: what is taken is less than what there is, but some of it at each beat.
    while start.elapsed() < 3 * TIMEOUT {
        beat.tick().await;
        seen += take(slow.body_mut()).await.len();
    }
    while seen < 600_000 {
        seen += take(slow.body_mut()).await.len();
    }
    proxy.say(r#"{"type":"none","data":1}"#).await;
    let mut said = String::new();
    while !said.contains("event: none") {
        said.push_str(std::str::from_utf8(&take(quiet.body_mut()).await).expect("UTF-8"));
    }
}

#[tokio::test]
async fn a_socket_that_speaks_and_takes_nothing_is_reset() {
    let proxy = Proxy::start(&config("keepalive = \"100ms\""));
    let client = H2Client::connect(proxy.address()).await;
    let mut viewer = client.websocket("/f").await;
    viewer.json().await;
    let reading = tokio::spawn(async move { while viewer.values(1).await != [7] {} });
    let (response, mut send) = client.connect_websocket("/f", &[]).await;
    let mut body = response.into_body();
    proxy.say(&format!(r#"{{"type":"large","data":"{}"}}"#, "x".repeat(100_000))).await;
    // It is alive enough for any ping.
    let pong = Bytes::from(masked(FIN | PONG, b""));
    let speaking = async {
        let mut beat = tokio::time::interval(TIMEOUT / 10);
        loop {
            beat.tick().await;
            if send.send_data(pong.clone(), false).is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reason = tokio::select! {
        reason = taken_to_the_end(&mut body) => reason,
        () = speaking => None,
    };
    assert_eq!(reason, Some(Reason::CANCEL));
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1006\"}", 1.0).await;
    proxy.say(&n(7)).await;
    reading.await.expect("the other viewer is served");
}
