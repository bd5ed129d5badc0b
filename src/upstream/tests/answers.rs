//! What a server answers, and what is no answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{loads, named};
use crate::limits;
use crate::upstream::testing::{Answering, CLIENT, Manual, ask, get, options, run, text, upstream};
use crate::upstream::{Failure, Scheme, Sent, Server};

#[test]
fn an_answer_comes_with_the_servers_name() {
    run(async {
        let app = Answering::start("one").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        let sent = upstream.send(CLIENT, get()).await.unwrap();
        assert_eq!(*sent.server, *named(&app.server));
        assert_eq!(loads(&upstream), [1]);
        assert_eq!(text(sent).await, "one");
        assert_eq!(loads(&upstream), [0]);
        let heads = app.seen.heads.borrow();
        assert_eq!(*heads, ["GET /path?query HTTP/1.1\r\nhost: app.test\r\n\r\n"]);
    });
}

#[test]
fn what_is_no_http_is_an_answer_that_no_other_server_is_asked_for() {
    run(async {
        let app = Manual::start().await;
        let other = Answering::start("other").await;
        let upstream = upstream(&options(&[app.server(Scheme::Http), other.server.clone()]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert!(matches!(sent, Err(Failure::Broken { .. })));
        assert_eq!(other.seen.requests(), 0);
    });
}

#[test]
fn a_head_beyond_the_bound_is_no_answer() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, _) = app.asked().await;
            let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(limits::UPSTREAM_HEAD));
            let _ = stream.write_all(head.as_bytes()).await;
        };
        let (sent, ()) = tokio::join!(ask(&upstream, get()), script);
        assert!(matches!(&sent, Err(Failure::Broken { error, .. }) if error.is_answer()), "{sent:?}");
    });
}

#[test]
fn an_upgrade_is_handed_over_with_its_bytes_and_counts_while_it_is_open() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let script = async {
            let (mut stream, head) = app.asked().await;
            assert!(head.contains("upgrade: echo\r\n"), "{head}");
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly";
            stream.write_all(switch.as_bytes()).await.unwrap();
            stream.read_u8().await.unwrap()
        };
        let asking = async {
            let mut request = get();
            request.headers_mut().insert("connection", "upgrade".parse().unwrap());
            request.headers_mut().insert("upgrade", "echo".parse().unwrap());
            let Sent { response, permit, switched, .. } = upstream.upgrade(CLIENT, request).await.unwrap();
            assert_eq!(response.status(), 101);
            let (mut io, early) = switched.unwrap().taken().await.unwrap();
            let mut early = early.to_vec();
            while early.len() < 5 {
                early.push(io.read_u8().await.unwrap());
            }
            assert_eq!(early, b"early");
            assert_eq!(loads(&upstream), [1]);
            io.write_all(b"!").await.unwrap();
            drop(permit);
            assert_eq!(loads(&upstream), [0]);
            io
        };
        let (heard, _io) = tokio::join!(script, asking);
        assert_eq!(heard, b'!');
        assert_eq!(upstream.pools[0].idle_count(), 0);
    });
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    run(async {
        let app = Answering::start("no").await;
        let upstream = upstream(&options(std::slice::from_ref(&app.server)));
        assert_eq!(text(upstream.upgrade(CLIENT, get()).await.unwrap()).await, "no");
        assert_eq!(upstream.pools[0].idle_count(), 0, "its connection is not kept");
    });
}

#[test]
fn a_server_at_a_unix_socket_answers() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let app = Answering::unix(&folder.path().join("app.sock"), "unix");
        let upstream = upstream(&options(&[app.server.clone(), Server::Unix(folder.path().join("none.sock"))]));
        for _ in 0..3 {
            assert_eq!(ask(&upstream, get()).await.unwrap(), "unix");
        }
        assert_eq!(app.seen.connections.get(), 1);
    });
}
