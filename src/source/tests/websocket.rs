//! A WebSocket as a source.

use std::time::Duration;

use tokio::time::Instant;

use crate::feed;
use crate::limits;
use crate::source::testing::{Backend, Filled, Log, SECOND, dial, run, switching, websocket};
use crate::source::{DialOptions, Options};
use crate::ws::{CloseCode, OpCode, frame};

const GONE: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";

#[test]
fn messages_fill_the_feed() {
    run(async {
        let backend = Backend::bind().await;
        let headers = vec![(http::header::ORIGIN, "http://h".parse().unwrap())];
        let mut filled = Filled::by(&Options::Websocket(DialOptions { headers, ..dial("ws", backend.port) }));
        let (mut line, head) = backend.asked().await;
        assert!(head.starts_with("GET /ws?secret=hunter2 HTTP/1.1\r\n"), "{head}");
        for field in [&format!("host: 127.0.0.1:{}", backend.port), "origin: http://h", "sec-websocket-version: 13"] {
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{field} in {head}");
        }
        assert!(!filled.is_up());
        // A message right behind the head, and one in pieces.
        let mut said = switching(&head, "").into_bytes();
        said.extend_from_slice(&frame::text("one"));
        line.say(&said).await;
        assert_eq!(filled.next().await, "one");
        assert!(filled.is_up());
        for byte in frame::frame(OpCode::Binary, false, b"two").chunks(1) {
            line.say(byte).await;
        }
        assert_eq!(filled.next().await, "two");
        line.say(&frame::ping(b"there?")).await;
        assert_eq!(line.frame().await, (OpCode::Pong, b"there?".to_vec()));
        filled.stop().await;
        assert!(!filled.is_up());
        line.left().await;
        assert_eq!(filled.reconnects(), 0);
    });
}

#[test]
fn a_source_is_back_after_every_way_that_a_connection_ends() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&websocket(backend.port));
        let frames = |bytes: &[u8]| bytes.to_vec();
        let ends: [(Option<Vec<u8>>, &str); 8] = [
            (Some(Vec::new()), "the connection ended without a word"),
            (None, "the connection broke"),
            (Some(frames(&[0x88, 0])), "it closed without a code"),
            (Some(frames(&frame::close(CloseCode::GOING_AWAY, ""))), "it closed with 1001"),
            (Some(frames(&frame::close(CloseCode::RESTART, "deploy"))), "it closed with 1012: deploy"),
            (Some(frames(&[0xc1, 1, 0])), "compressed, though nobody agreed on that"),
            (Some(frames(&[0x81, 2, 0xc3, 0x28])), "text is not UTF-8"),
            (Some(frames(&[0x81, 0x81, 1, 2, 3, 4, 5])), "masked frame of a server"),
        ];
        for (round, (last, expected)) in ends.into_iter().enumerate() {
            let mut line = backend.websocket().await;
            let text = format!("{round}");
            line.say(&frame::text(&text)).await;
            assert_eq!(filled.next().await, text);
            match last {
                None => line.reset(),
                Some(last) => {
                    line.say(&last).await;
                    drop(line);
                }
            }
            filled.until(|filled| !filled.is_up()).await;
            log.until(expected).await;
        }
        assert_eq!(filled.reconnects(), 7);
        assert_eq!((filled.failures("closed"), filled.failures("protocol")), (5, 3));
        let said = log.text();
        assert_eq!((said.matches("source is down").count(), said.matches("source is back").count()), (8, 7), "{said}");
        assert!(
            said.contains("feed=\"f\"") && said.contains(&format!("source=\"ws://127.0.0.1:{}/ws\"", backend.port))
        );
    });
}

/// What a backend does instead of opening the WebSocket, and what is said of it.
#[track_caller]
fn check_answer(answer: impl Fn(&str) -> String, expected: &str, reason: &str) {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&websocket(backend.port));
        let (mut line, head) = backend.asked().await;
        line.say(answer(&head).as_bytes()).await;
        log.until(expected).await;
        assert_eq!((filled.failures(reason), filled.is_up()), (1, false));
        let mut line = backend.websocket().await;
        line.say(&frame::text("back")).await;
        assert_eq!(filled.next().await, "back");
        let said = log.text();
        assert_eq!((said.matches("source is down").count(), said.matches("source is back").count()), (1, 1), "{said}");
    });
}

#[test]
fn what_is_no_websocket_is_said_and_tried_again() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://u:p@h/login?next=hunter2\r\nContent-Length: 0\r\n\r\n";
    check_answer(|_| moved.to_owned(), "it answers 302 Found and redirects to https://h/login", "answer");
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    check_answer(|_| html.to_owned(), "it answers 200 OK with text/html instead of 101: it is no WebSocket", "answer");
    check_answer(|_| String::from_utf8_lossy(GONE).into_owned(), "it answers 502 Bad Gateway", "answer");
    let wrong = |head: &str| switching(head, "").replace("sec-websocket-accept: ", "sec-websocket-accept: x");
    check_answer(wrong, "Sec-WebSocket-Accept does not fit the key", "protocol");
    let deflates = |head: &str| switching(head, "sec-websocket-extensions: permessage-deflate\r\n");
    check_answer(deflates, "it chose an extension, and none was offered", "protocol");
    let other = |head: &str| switching(head, "").replace("upgrade: websocket", "upgrade: h2c");
    check_answer(other, "it changes to another protocol than websocket", "protocol");
    check_answer(|_| "hello\r\n\r\n".to_owned(), "gave no answer", "unreachable");
    check_answer(|_| String::new(), "did not answer in time", "timeout");
}

#[test]
fn while_nobody_listens_it_is_said_once_and_the_source_is_back_within_two_seconds() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let port = backend.port;
        let mut filled = Filled::by(&websocket(port));
        let mut line = backend.websocket().await;
        line.say(&frame::text("before")).await;
        assert_eq!(filled.next().await, "before");
        drop(backend);
        line.reset();
        filled.until(|filled| filled.failures("unreachable") == 4).await;
        let backend = Backend::bind_at(port).await;
        let began = Instant::now();
        let mut line = backend.websocket().await;
        line.say(&frame::text("after")).await;
        assert_eq!(filled.next().await, "after");
        assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
        let said = log.text();
        let lines = |of: &str| said.lines().filter(|line| line.contains(of) && line.contains("feed=\"f\"")).count();
        // The end, then that it is refused; nothing more until it is back.
        assert_eq!((lines(" WARN "), lines("source is back")), (2, 1), "{said}");
    });
}

#[test]
fn a_message_of_a_hundred_mebibytes_is_dropped_and_the_connection_stays() {
    const SIZE: usize = 100 * 1024 * 1024;
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let options = feed::Options { max_message: 1000, ..feed::Options::named("f") };
        let mut filled = Filled::with(&websocket(backend.port), options);
        let mut line = backend.websocket().await;
        line.say(&[0x81, 127]).await;
        line.say(&(SIZE as u64).to_be_bytes()).await;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..SIZE / piece.len() {
            line.say(&piece).await;
        }
        line.say(&frame::text(&"x".repeat(1001))).await;
        line.say(&frame::text(&"y".repeat(1000))).await;
        assert_eq!(filled.next().await, "y".repeat(1000));
        assert_eq!((filled.too_large(), filled.reconnects(), filled.is_up()), (2, 0, true));
        let said = log.text();
        assert_eq!(said.matches("message is too large").count(), 1, "{said}");
        assert!(said.contains("bytes=104857600") && said.contains("max_message=1000"), "{said}");
    });
}

#[test]
fn a_flood_is_taken_up_and_leaves_others_their_turn() {
    const COUNT: usize = 20_000;
    run(async {
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&websocket(backend.port));
        let mut line = backend.websocket().await;
        let flood = frame::text("{\"a\":1}").repeat(COUNT);
        let say = async {
            line.say(&flood).await;
            line.say(&frame::text("last")).await;
            line
        };
        let turns = std::cell::Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let heard = async { while filled.next().await != "last" {} };
        tokio::select! {
            _ = async { tokio::join!(say, heard) } => {}
            () = others => {}
        }
        assert!(turns.get() >= COUNT / usize::try_from(limits::SOURCE_TURN).unwrap(), "{}", turns.get());
        assert_eq!(filled.metric("steadfeed_messages_total{feed=\"f\",direction=\"in\"}"), 20_001);
    });
}

#[test]
fn a_connection_that_says_nothing_stands_after_a_while() {
    run(async {
        let backend = Backend::bind().await;
        let filled = Filled::by(&websocket(backend.port));
        let line = backend.websocket().await;
        let began = Instant::now();
        filled.until(Filled::is_up).await;
        assert!(began.elapsed() >= limits::SOURCE_STANDS - Duration::from_millis(50), "{:?}", began.elapsed());
        drop(line);
        filled.until(|filled| !filled.is_up()).await;
    });
}
