//! A polled resource as a source.

use std::time::Duration;

use crate::feed;
use crate::source::testing::{Backend, Filled, Log, poll, run};

const OFTEN: Duration = Duration::from_millis(20);

fn json(body: &str, more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
}

#[test]
fn each_answer_is_a_message_and_one_that_has_not_changed_is_none() {
    run(async {
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&poll(backend.port, OFTEN));
        let (mut line, head) = backend.asked().await;
        assert!(head.starts_with("GET /ws?secret=hunter2 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\naccept: application/json\r\n") && !head.contains("if-none-match"), "{head}");
        line.say(json("{\"a\":1}", "ETag: \"1\"\r\n").as_bytes()).await;
        assert_eq!(filled.next().await, "{\"a\":1}");
        assert!(filled.is_up());
        // The connection is kept.
        for answer in ["HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"] {
            assert!(line.head().await.contains("\r\nif-none-match: \"1\"\r\n"));
            line.say(answer.as_bytes()).await;
        }
        assert!(line.head().await.contains("\r\nif-none-match: \"1\"\r\n"));
        line.say(json("{\"a\":2}", "").as_bytes()).await;
        assert_eq!(filled.next().await, "{\"a\":2}");
        assert!(!line.head().await.contains("if-none-match"));
        line.say(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        line.head().await;
        line.say(json("3", "").as_bytes()).await;
        assert_eq!(filled.next().await, "3");
        assert_eq!(filled.metric("steadfeed_messages_total{feed=\"f\",direction=\"in\"}"), 3);
        assert_eq!(filled.reconnects(), 0);
    });
}

#[test]
fn an_answer_that_is_too_large_is_dropped_and_the_next_is_asked_for() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let options = feed::Options { max_message: 10, ..feed::Options::named("f") };
        let mut filled = Filled::with(&poll(backend.port, OFTEN), options);
        backend.answer(&json(&"1".repeat(11), "")).await;
        backend.answer(&json(&"2".repeat(10), "")).await;
        assert_eq!(filled.next().await, "2".repeat(10));
        assert_eq!((filled.too_large(), filled.is_up()), (1, true));
        assert!(log.text().contains("message is too large"));
    });
}

/// What a backend answers, and what is said of it.
#[track_caller]
fn check_answer(answer: &str, expected: &str, reason: &str) {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&poll(backend.port, OFTEN));
        let (mut line, _) = backend.asked().await;
        line.say(answer.as_bytes()).await;
        log.until(expected).await;
        drop(line);
        assert_eq!((filled.failures(reason), filled.is_up()), (1, false));
        backend.answer(&json("1", "Connection: close\r\n")).await;
        assert_eq!(filled.next().await, "1");
        log.until("source is back").await;
    });
}

#[test]
fn what_is_no_answer_is_said_and_asked_for_again() {
    check_answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "it answers 500", "answer");
    check_answer("HTTP/1.1 304 Not Modified\r\n\r\n", "it answers 304 Not Modified", "answer");
    let moved = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x?hunter2\r\nContent-Length: 0\r\n\r\n";
    check_answer(moved, "redirects to /x: write the URL that is meant", "answer");
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\n<";
    check_answer(html, "what it answers is no data: text/html", "answer");
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123";
    check_answer(cut, "the answer broke off: the body made no progress", "closed");
    check_answer("", "did not answer in time", "timeout");
}

#[test]
fn what_is_no_text_is_no_message() {
    run(async {
        let log = Log::capture();
        let backend = Backend::bind().await;
        let _filled = Filled::by(&poll(backend.port, OFTEN));
        let (mut line, _) = backend.asked().await;
        line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xc3\x28").await;
        log.until("it is not UTF-8").await;
    });
}

#[test]
fn after_a_failure_what_was_known_is_asked_for_anew() {
    run(async {
        let backend = Backend::bind().await;
        let mut filled = Filled::by(&poll(backend.port, OFTEN));
        backend.answer(&json("1", "ETag: \"1\"\r\nConnection: close\r\n")).await;
        assert_eq!(filled.next().await, "1");
        let head = backend.answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert!(head.contains("if-none-match"), "{head}");
        assert!(!backend.answer(&json("2", "")).await.contains("if-none-match"));
        assert_eq!(filled.next().await, "2");
        assert_eq!(filled.reconnects(), 1);
    });
}
