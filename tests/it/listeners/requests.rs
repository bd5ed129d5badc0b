//! Requests of every listener, and who may make them.

use tokio::io::AsyncWriteExt;

use super::{PLAIN, answer, metric, publish};
use crate::support::raw_ws::{RawWs, upgrade};
use crate::support::{Instance, RawHttp, SseClient, WsClient, get, request};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let instance = Instance::start(PLAIN).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    let requests = ["/hello", "/nothing", "/hello"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    raw.send(requests.concat().as_bytes()).await;
    for status in [200, 404, 200] {
        let (head, body) = answer(&mut raw).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")) && !body.is_empty(), "{head}");
    }
    // An upgrade may be pipelined behind a request, and frames behind the upgrade.
    let frames = crate::support::raw_ws::masked(0x81, br#"{"type":"ping"}"#);
    let upgrade = upgrade(instance.address(), "/events", &[]);
    raw.send(&[requests[0].as_bytes(), upgrade.as_bytes(), &frames].concat()).await;
    assert!(answer(&mut raw).await.0.starts_with("http/1.1 200 "));
    let mut socket = RawWs { head: raw.head().await, raw };
    assert_eq!(socket.data().await["type"], "pong");
}

#[tokio::test]
async fn a_client_that_closes_its_side_at_once_gets_its_answer() {
    let instance = Instance::start(PLAIN).await;
    let mut raw = RawHttp::connect(instance.address()).await;
    raw.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.stream.shutdown().await.expect("shutdown");
    assert!(String::from_utf8(raw.rest().await).expect("text").ends_with("hello"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let instance = Instance::start(PLAIN).await;
    publish(&instance, 1).await;
    for path in ["/hello", "/", "/events", "/nothing"] {
        let whole = get(instance.address(), path, &[]).await;
        let head = request(instance.address(), "HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (whole.status, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "content-security-policy", "cache-control", "vary"] {
            assert_eq!(head.header(name), whole.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let instance = Instance::start(PLAIN).await;
    for (method, path, status) in
        [("GET", "/nothing", 404), ("GET", "/hello/", 404), ("POST", "/events", 405), ("DELETE", "/", 405)]
    {
        let reply = request(instance.address(), method, path, &[], "").await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/problem+json")));
        let problem = reply.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, HEAD"));
        assert_eq!(reply.header("server"), Some("steadfeed"));
    }
    let (status, problem) = WsClient::refused(instance.address(), "/nothing", &[]).await;
    assert_eq!((status, &problem["status"]), (404, &404.into()));
}

#[tokio::test]
async fn a_foreign_page_opens_neither_socket_nor_stream_and_no_page_at_all_does() {
    let instance = Instance::start(PLAIN).await;
    let address = instance.address();
    let own = format!("http://{address}");
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", ""] {
        let (status, problem) = WsClient::refused(address, "/events", &[("Origin", origin)]).await;
        assert_eq!((status, &problem["status"]), (403, &403.into()), "{origin:?}");
        let stream = get(address, "/events", &[("Origin", origin), ("Accept", "text/event-stream")]).await;
        assert_eq!((stream.status, stream.header("content-type")), (403, Some("application/problem+json")));
        for path in ["/", "/hello"] {
            assert_eq!(get(address, path, &[("Origin", origin)]).await.status, 200, "{path}");
        }
    }
    for fields in [&[("Origin", own.as_str())][..], &[]] {
        WsClient::try_connect(address, "/events", fields).await.expect("it opens");
        let stream = SseClient::connect(address, "/events", fields).await;
        assert!(stream.head.starts_with("HTTP/1.1 200 "), "{}", stream.head);
    }
    assert!(instance.line("foreign origin refused").await.contains("evil.example"));
    assert!(metric(&instance, r#"steadfeed_denied_total{route="/events",reason="origin"}"#).await >= 8.0);
}
