//! How long a server may take to connect and to answer, and a client to ask.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::message::Body;
use crate::upstream::testing::{
    Answering, Manual, ask, certificate, get, options, post, request, run, trusting, upstream,
};
use crate::upstream::{Failure, Scheme};

#[test]
fn a_server_that_does_not_answer_in_time_is_not_asked_again() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let mut options = options(&[app.server(Scheme::Http), other.server.clone()]);
        options.response_timeout = Duration::from_millis(50);
        let upstream = upstream(&options);
        let (sent, (mut stream, _)) = tokio::join!(ask(&upstream, get()), app.asked());
        assert!(matches!(sent, Err(Failure::ResponseTimeout { .. })));
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "it is told that nobody waits");
        assert_eq!(other.seen.requests(), 0);
    });
}

#[test]
fn a_server_that_does_not_finish_its_handshake_is_left_for_another_in_time() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, _) = certificate(folder.path());
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let mut options = options(&[app.server(Scheme::Https), other.server.clone()]);
        options.connect_timeout = Duration::from_millis(50);
        let upstream = trusting(&options, &cert);
        let began = Instant::now();
        assert_eq!(ask(&upstream, post()).await.unwrap(), "other");
        assert!(began.elapsed() >= options.connect_timeout);
        options.servers.pop();
        let alone = trusting(&options, &cert);
        assert!(matches!(ask(&alone, get()).await, Err(Failure::ConnectTimeout { .. })));
    });
}

#[test]
fn an_upload_takes_as_long_as_its_client_needs() {
    run(async {
        let app = Answering::start("done").await;
        let mut options = options(std::slice::from_ref(&app.server));
        options.response_timeout = Duration::from_millis(50);
        let upstream = upstream(&options);
        let started = Instant::now();
        let piece = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Bytes::from_static(b"body")
        });
        let mut slow = request(Method::POST, Body::stream(piece));
        slow.headers_mut().insert("content-length", "4".parse().unwrap());
        assert_eq!(ask(&upstream, slow).await.unwrap(), "done");
        assert!(started.elapsed() > options.response_timeout * 2);
    });
}
