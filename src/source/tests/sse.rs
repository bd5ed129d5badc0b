//! An event stream as a source.

use tokio::time::Instant;

use crate::feed;
use crate::source::testing::{Backend, Filled, Log, SECOND, run, sse};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

#[test]
fn events_fill_the_feed_and_are_resumed_after_the_last() {
    run(async {
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&sse(backend.port));
        let (mut line, head) = backend.asked().await;
        assert!(head.contains("\r\naccept: text/event-stream\r\n") && !head.contains("last-event-id"), "{head}");
        line.say(STREAM.as_bytes()).await;
        line.say(b": hello\n\nid: a-7\nevent: stats\ndata: {\"a\":1}\n\ndata: tw").await;
        assert_eq!(filled.next().await, "{\"type\":\"stats\",\"data\":{\"a\":1}}");
        line.say(b"o\n\ndata: cut").await;
        assert_eq!(filled.next().await, "two");
        assert!(filled.is_up());
        drop(line);
        let head = backend.answer(&format!("{STREAM}data: three\n\n")).await;
        assert!(head.contains("\r\nlast-event-id: a-7\r\n"), "{head}");
        assert_eq!(filled.next().await, "three");
        assert_eq!((filled.reconnects(), filled.failures("closed") > 0), (1, true));
    });
}

#[test]
fn retry_is_waited_for() {
    run(async {
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&sse(backend.port));
        backend.answer(&format!("{STREAM}retry: 1500\ndata: one\n\n")).await;
        assert_eq!(filled.next().await, "one");
        let began = Instant::now();
        backend.accept().await;
        assert!(began.elapsed() >= SECOND, "{:?}", began.elapsed());
    });
}

#[test]
fn a_comment_is_life_and_silence_is_none() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&sse(backend.port));
        let (mut line, _) = backend.asked().await;
        line.say(STREAM.as_bytes()).await;
        let began = Instant::now();
        // Longer than silence is borne.
        while began.elapsed() < SECOND {
            line.say(b": here\n").await;
            let _ = tokio::time::timeout(SECOND / 10, line.left()).await;
        }
        line.say(b"data: one\n\n").await;
        assert_eq!(filled.next().await, "one");
        log.until("it has said nothing for 500ms").await;
        line.left().await;
        assert_eq!(filled.failures("timeout"), 1);
    });
}

#[test]
fn an_event_that_is_too_large_is_dropped_and_the_stream_stays() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let options = feed::Options { max_message: 100, ..feed::Options::named("f") };
        let mut filled = Filled::with(&sse(backend.port), options);
        let (mut line, _) = backend.asked().await;
        line.say(STREAM.as_bytes()).await;
        line.say(format!("data: {}\n\ndata: next\n\n", "x".repeat(10_000_000)).as_bytes()).await;
        assert_eq!(filled.next().await, "next");
        assert_eq!((filled.too_large(), filled.reconnects(), filled.is_up()), (1, 0, true));
        assert!(log.text().contains("message is too large"));
    });
}

/// What a backend answers instead of events, and what is said of it.
#[track_caller]
fn check_answer(answer: &str, expected: &str, reason: &str) {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&sse(backend.port));
        let (mut line, _) = backend.asked().await;
        line.say(answer.as_bytes()).await;
        log.until(expected).await;
        assert_eq!((filled.failures(reason), filled.is_up()), (1, false));
        drop(line);
        backend.answer(&format!("{STREAM}data: back\n\n")).await;
        assert_eq!(filled.next().await, "back");
    });
}

#[test]
fn what_is_no_event_stream_is_said_and_tried_again() {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n";
    check_answer(html, "it answers 200 OK with text/html instead of an event stream", "answer");
    check_answer("HTTP/1.1 204 No Content\r\n\r\n", "it answers 204 No Content instead of an event stream", "answer");
    check_answer("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "it answers 403 Forbidden", "answer");
    let moved = "HTTP/1.1 301 Moved\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n";
    check_answer(moved, "redirects to /y: write the URL that is meant", "answer");
    check_answer("", "did not answer in time", "timeout");
}
