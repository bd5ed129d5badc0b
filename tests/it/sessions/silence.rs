//! Keepalives, pings, and who is given up for not answering them.

use std::time::Duration;

use serde_json::json;
use steadfeed::feed::Delivery;
use steadfeed::handler::SessionOptions;

use super::{delivery, notice, open, options};
use crate::support::{Backend, RawWs, within};

#[tokio::test]
async fn silence_is_filled_with_keepalives_also_while_the_client_is_held() {
    let backend = Backend::bind().await;
    let delivery = Delivery { keepalive: Some(Duration::from_millis(100)), ..Delivery::default() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, server) = open(&proxy, &backend).await;
    for _ in 0..2 {
        let message = client.json().await;
        assert_eq!((&message["type"], message.get("upstream")), (&json!("keepalive"), None));
    }
    drop(server);
    let told = async {
        let (mut stale, mut after) = (false, 0);
        while after < 2 {
            let message = client.json().await;
            after += usize::from(stale);
            stale |= message["upstream"] == "stale";
        }
    };
    within("keepalives", told).await;
}

#[tokio::test]
async fn an_upstream_that_hangs_is_lost_and_a_client_that_does_too() {
    let backend = Backend::bind().await;
    let patience = Duration::from_millis(200);
    let delivery = Delivery { ping: Some(patience), pong_timeout: patience, ..delivery() };
    let proxy = backend.sessions(&SessionOptions { delivery, ..options() });
    let (mut client, mut server) = open(&proxy, &backend).await;
    assert_eq!(server.frame().await, (0x89, vec![]));
    notice(&mut client, "stale").await;
    let restarted = async {
        assert_eq!(server.closed().await.0, 1001);
        let mut again = backend.websocket().await;
        again.say("1").await;
        again
    };
    // A client answers pings while it listens, and is lost itself where it does not.
    let (message, _again) = tokio::join!(client.json(), restarted);
    assert_eq!(message["data"], 1);
    // This client answers no ping.
    let (mut client, mut server) = tokio::join!(RawWs::connect(proxy.address(), "/", &[]), backend.websocket());
    assert_eq!(client.frame().await.first, 0x89);
    loop {
        match server.frame().await {
            (0x89, payload) => server.send(0x8a, &payload).await,
            (first, _) => break assert_eq!(first, 0x88),
        }
    }
}
