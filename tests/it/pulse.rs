//! Signs of life: keepalives after silence, pings, and dropping who does not answer.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::feed::n;
use crate::support::raw_ws::{FIN, PING, TEXT};
use crate::support::{DEADLINE, Identity, Proxy, RawWs, SseClient, WsClient, proxy, within};

#[tokio::test]
async fn a_keepalive_comes_after_silence_and_a_message_puts_it_off() {
    let proxy = Proxy::of_feed("keepalive = \"400ms\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.json().await;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for number in 1..=8 {
        beat.tick().await;
        proxy.say(&n(number)).await;
        assert_eq!(viewer.json().await["data"], number, "no keepalive while there is something to say");
    }
    let last = Instant::now();
    assert_eq!(viewer.json().await["type"], "keepalive");
    let silence = last.elapsed();
    assert!(silence >= Duration::from_millis(300), "{silence:?}");
}

#[tokio::test]
async fn keepalives_off_are_off() {
    let proxy = Proxy::of_feed("keepalive = false\nping = \"100ms\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.json().await;
    for _ in 0..5 {
        let frame = viewer.frame().await;
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}");
    }
}

#[tokio::test]
async fn a_silent_viewer_is_pinged_and_one_that_answers_stays() {
    let proxy = Proxy::of_feed("keepalive = false\nping = \"150ms\"\npong_timeout = \"1s\"");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.json().await;
    let start = Instant::now();
    for _ in 0..6 {
        let frame = viewer.frame().await;
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}");
    }
    assert!(start.elapsed() >= Duration::from_millis(700));
    proxy.say(&n(1)).await;
    assert_eq!(viewer.values(1).await, [1]);
}

#[tokio::test]
async fn one_that_does_not_answer_is_dropped_without_a_close() {
    let proxy = Proxy::of_feed("keepalive = false\nping = \"200ms\"\npong_timeout = \"300ms\"\ngreet = false");
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    let start = Instant::now();
    assert_eq!(viewer.frame().await.first, FIN | PING);
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(viewer.raw.rest().await, b"", "a dead peer is dropped without a close code");
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 0.0).await;
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1006\"}", 1.0).await;
}

#[tokio::test]
async fn messages_to_a_viewer_are_no_sign_of_life_from_it() {
    let proxy = Proxy::of_feed("ping = \"200ms\"\npong_timeout = \"200ms\"");
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    let gone = async { viewer.raw.rest().await };
    let talk = async {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        for number in 0.. {
            beat.tick().await;
            proxy.say(&n(number)).await;
        }
    };
    within("the dead viewer to be dropped", async {
        tokio::select! { _ = gone => {} () = talk => {} }
    })
    .await;
}

#[tokio::test]
async fn whatever_a_viewer_says_is_a_sign_of_life() {
    let proxy = Proxy::of_feed("keepalive = false\nping = \"300ms\"\npong_timeout = \"100ms\"\ngreet = false");
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..10 {
        beat.tick().await;
        viewer.say(FIN | TEXT, br#"{"type":"ping"}"#).await;
        assert_eq!(viewer.json().await["type"], "pong", "and no ping of theirs");
    }
}

#[tokio::test]
async fn pings_off_are_off() {
    let proxy = Proxy::of_feed("keepalive = \"100ms\"\nping = false\npong_timeout = \"100ms\"\ngreet = false");
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    for _ in 0..8 {
        assert_eq!(viewer.json().await["type"], "keepalive");
    }
}

#[tokio::test]
async fn the_pulse_is_the_same_over_tls() {
    let identity = Identity::new();
    let feed = proxy::feed("keepalive = \"100ms\"\nping = \"250ms\"\npong_timeout = \"1s\"");
    let proxy = Proxy::start(&format!("{}{feed}", identity.listener("")));
    let mut viewer = WsClient::connect_tls(proxy.listener(0), "/f").await;
    let (mut keepalives, mut pings) = (0, 0);
    while keepalives < 5 || pings < 2 {
        match viewer.frame().await {
            Some(Ok(Message::Text(text))) if text.contains("keepalive") => keepalives += 1,
            Some(Ok(Message::Text(text))) => assert!(text.contains("connected"), "{text}"),
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_event_stream_has_comments_for_keepalives() {
    let proxy = Proxy::of_feed("keepalive = \"100ms\"");
    let mut viewer = SseClient::connect(proxy.address(), "/f", &[]).await;
    assert_eq!(viewer.event().await.event.as_deref(), Some("connected"));
    for _ in 0..3 {
        assert_eq!(viewer.comment().await, ": keepalive");
    }
    proxy.say(&n(1)).await;
    assert_eq!(timeout(DEADLINE, viewer.event()).await.expect("in time").event.as_deref(), Some("n"));
}
