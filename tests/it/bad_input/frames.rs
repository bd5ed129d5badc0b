//! Frames that break the protocol, and messages that are no commands.

use super::{SERVED, Scene};
use crate::support::raw_ws::{CLOSE, RawWs, TEXT, head, masked};
use crate::support::{Instance, post_json};

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
    let client = crate::support::H2Client::connect(instance.address()).await;
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
