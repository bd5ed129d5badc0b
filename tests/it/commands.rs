//! What a viewer says: `ping`, `history`, `auth`, and what is no command.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::feed::{n, say_numbers};
use crate::support::raw_ws::{FIN, Frame, PING, PONG, TEXT, masked};
use crate::support::{Proxy, RawWs, WsClient};

#[tokio::test]
async fn a_ping_is_answered_by_a_pong() {
    let proxy = Proxy::of_feed("");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.json().await;
    viewer.send(r#"{"type":"ping"}"#).await;
    let pong = viewer.text().await;
    assert!(pong.starts_with(r#"{"type":"pong","data":null,"timestamp":""#), "{pong}");
}

#[tokio::test]
async fn a_websocket_ping_is_answered_with_its_own_payload() {
    let proxy = Proxy::of_feed("greet = false");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.frame_out(Message::Ping("abc".into())).await;
    assert!(matches!(viewer.frame().await, Some(Ok(Message::Pong(payload))) if payload == "abc"));
}

#[tokio::test]
async fn history_is_told_again_and_live_messages_go_on() {
    let proxy = Proxy::of_feed("history = 5");
    say_numbers(&proxy, 1..=9).await;
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    assert_eq!(viewer.values(1).await, [9]);
    viewer.send(r#"{"type":"history","data":{"last":3}}"#).await;
    assert_eq!(viewer.values(3).await, [7, 8, 9]);
    viewer.send(r#"{"type":"history","data":{"last":30}}"#).await;
    assert_eq!(viewer.values(5).await, [5, 6, 7, 8, 9]);
    viewer.send(r#"{"type":"history","data":{"last":0}}"#).await;
    viewer.nothing_more().await;
    proxy.say_all(&[&n(10)]).await;
    assert_eq!(viewer.values(1).await, [10]);
    viewer.nothing_more().await;
}

#[tokio::test]
async fn history_is_told_as_the_viewer_has_chosen() {
    let proxy = Proxy::of_feed("");
    proxy
        .say_all(&[
            r#"{"type":"a","data":{"x":1,"y":1}}"#,
            r#"{"type":"b","data":{"x":2}}"#,
            r#"{"type":"a","data":{"x":3,"y":3}}"#,
        ])
        .await;
    let mut viewer = WsClient::connect(proxy.address(), "/f?types=a&fields=x&last=0").await;
    viewer.send(r#"{"type":"history","data":{"last":9}}"#).await;
    assert_eq!(viewer.values(2).await, [json!({"x": 1}), json!({"x": 3})]);
    viewer.nothing_more().await;
}

#[tokio::test]
async fn what_is_no_command_is_told_so_and_the_socket_stays() {
    let proxy = Proxy::of_feed("");
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    viewer.json().await;
    for (said, code) in [
        ("ping", "not_json"),
        ("", "not_json"),
        ("[1]", "not_json"),
        ("{\"type\":\"ping\"", "not_json"),
        ("{}", "unknown_type"),
        (r#"{"type":"shout"}"#, "unknown_type"),
        (r#"{"type":"subscribe","data":{"field":["cpu"]}}"#, "unknown_field"),
        (r#"{"type":"subscribe","fields":["cpu"]}"#, "unknown_field"),
        (r#"{"type":"history","data":{"first":1}}"#, "unknown_field"),
        (r#"{"type":"subscribe","data":{"fields":"cpu"}}"#, "bad_value"),
        (r#"{"type":"subscribe","data":{"every":"1 parsec"}}"#, "bad_value"),
        (r#"{"type":"history"}"#, "bad_value"),
        (r#"{"type":"auth","data":{"token":"secret-token"}}"#, "auth_not_needed"),
    ] {
        viewer.send(said).await;
        check_error(&viewer.text().await, code);
    }
    viewer.frame_out(Message::binary(vec![0xff, 0])).await;
    check_error(&viewer.text().await, "not_text");
    proxy.say(&n(1)).await;
    assert_eq!(viewer.values(1).await, [1]);
}

#[track_caller]
fn check_error(text: &str, code: &str) {
    let said: Value = serde_json::from_str(text).expect("JSON");
    let members: Vec<_> = said.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["data", "timestamp", "type"], "{text}");
    assert_eq!((&said["type"], &said["data"]["code"]), (&json!("error"), &json!(code)), "{text}");
    assert!(said["data"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    assert!(!text.contains("secret-token"), "a token is not repeated");
}

#[tokio::test]
async fn a_command_in_pieces_with_a_ping_between_is_one_command() {
    let proxy = Proxy::of_feed("greet = false");
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    let command = br#"{"type":"history","data":{"first":"\u00e9"}}"#;
    viewer.say(TEXT, &command[..20]).await;
    viewer.say(FIN | PING, b"between").await;
    assert_eq!(viewer.frame().await, Frame { first: FIN | PONG, payload: b"between".to_vec() });
    for piece in command[20..].chunks(3) {
        viewer.say(0, piece).await;
    }
    viewer.say(FIN, b"").await;
    assert_eq!(viewer.json().await["data"]["code"], "unknown_field");
}

#[tokio::test]
async fn what_a_viewer_says_in_one_breath_is_answered_in_order() {
    let proxy = Proxy::of_feed("greet = false");
    say_numbers(&proxy, 1..=3).await;
    let mut viewer = RawWs::connect(proxy.address(), "/f", &[]).await;
    let mut breath = Vec::new();
    for turn in 0..200 {
        breath.extend(masked(FIN | TEXT, br#"{"type":"ping"}"#));
        breath.extend(masked(FIN | PING, format!("{turn}").as_bytes()));
    }
    viewer.send(&breath).await;
    assert_eq!(viewer.json().await["data"], 3, "the snapshot is first");
    for turn in 0..200 {
        assert_eq!(viewer.json().await["type"], "pong");
        assert_eq!(viewer.frame().await, Frame { first: FIN | PONG, payload: turn.to_string().into_bytes() });
    }
}
