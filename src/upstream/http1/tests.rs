//! Connections to servers that say too much, too early or too little.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::coop;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::super::io::Io;
use super::super::link::Link;
use super::super::testing::*;
use super::super::{Scheme, Server};
use super::Conn;
use super::saying::Saying;
use crate::limits;
use crate::message::Body;
use crate::message::body::Bounds;
use crate::message::trail::Trail;

type Given = Result<Frame<Bytes>, io::Error>;

/// A body that is what the test says, piece by piece.
fn spoken() -> (mpsc::UnboundedSender<Given>, Body) {
    let (say, told) = mpsc::unbounded_channel::<Given>();
    let pieces = stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
    let bounds = Bounds { size: u64::MAX, pause: Duration::from_secs(60) };
    (say, Body::passing(StreamBody::new(Box::pin(pieces)), bounds, ()))
}

fn data(bytes: impl Into<Bytes>) -> Given {
    Ok(Frame::data(bytes.into()))
}

async fn hear(conn: &mut Conn) {
    poll_fn(|cx| conn.poll_hear(cx)).await.unwrap();
}

/// What reaches a server up to and with `end`.
async fn until_heard(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn what_nobody_asked_for_is_heard_by_a_task_that_has_had_its_turn_too() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let (conn, mut stream) = tokio::join!(upstream.pools[0].open_alone(), app.accept());
        let mut conn = conn.unwrap();
        assert!(conn.is_usable(&upstream.group.members[0]));
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        let Io::Plain(io) = &conn.io else { panic!("{conn:?}") };
        io.readable().await.unwrap();
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        assert!(conn.poll_hear(&mut Context::from_waker(Waker::noop())).is_pending(), "it has had its turn");
        assert!(!conn.is_usable(&upstream.group.members[0]));
    });
}

/// The room that an idle connection has for the next answer, after one of `size` bytes with its head.
async fn kept_after(size: usize) -> usize {
    let app = Manual::start().await;
    let upstream = upstream(&options(&[app.server(Scheme::Http)]));
    let head = |length| format!("HTTP/1.1 200 OK\r\nContent-Length: {length:08}\r\n\r\n");
    let body = "x".repeat(size - head(0).len());
    let script = async {
        let (mut stream, _) = app.asked().await;
        stream.write_all(format!("{}{body}", head(body.len())).as_bytes()).await.unwrap();
        stream
    };
    let (sent, mut stream) = tokio::join!(ask(&upstream, get()), script);
    assert_eq!(sent.unwrap().len(), body.len());
    let Some(Link::Http1(mut conn)) = upstream.pools[0].take() else { panic!("it is kept") };
    stream.write_all(b"H").await.unwrap();
    hear(&mut conn).await;
    conn.heard.capacity()
}

#[test]
fn an_idle_connection_keeps_room_for_a_small_answer_and_none_for_a_large_one() {
    run(async {
        assert_eq!(kept_after(limits::UPSTREAM_KEPT).await, limits::UPSTREAM_KEPT);
        assert!(kept_after(limits::UPSTREAM_KEPT + 1).await < 100);
        assert!(kept_after(limits::UPSTREAM_READ).await < 100);
    });
}

#[test]
fn a_connection_that_said_more_than_an_answer_serves_no_other_request() {
    run(async {
        for (method, first) in [
            (
                Method::GET,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ),
            (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none\r\n"),
            (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\nx"),
            (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\none"),
            (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"),
            (Method::GET, "HTTP/1.1 204 No Content\r\n\r\none"),
            (Method::GET, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\none"),
        ] {
            let app = Manual::start().await;
            let upstream = upstream(&options(&[app.server(Scheme::Http)]));
            let script = async {
                let (mut one, _) = app.asked().await;
                one.write_all(first.as_bytes()).await.unwrap();
                let (mut two, _) = app.asked().await;
                answer(&mut two, "two").await;
                (one, two)
            };
            let asking = async {
                let body = ask(&upstream, request(method, Body::Empty)).await.unwrap();
                assert!(["one", ""].contains(&body.as_str()), "{first:?}: {body:?}");
                assert_eq!(upstream.pools[0].idle_count(), 0, "{first:?}");
                assert_eq!(ask(&upstream, get()).await.unwrap(), "two", "{first:?}");
            };
            tokio::join!(script, asking);
        }
    });
}

#[test]
fn a_request_that_breaks_off_during_its_answer_is_not_ended_as_if_it_were_whole() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let (say, body) = spoken();
        say.send(data("bo")).unwrap();
        let (go_on, told) = tokio::sync::oneshot::channel();
        let script = async {
            let (mut stream, _) = app.asked().await;
            until_heard(&mut stream, "2\r\nbo\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
            told.await.unwrap();
            stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
            let mut rest = String::new();
            let _ = stream.read_to_string(&mut rest).await;
            rest
        };
        let asking = async {
            let sent = upstream.send(CLIENT, request(Method::POST, body)).await.unwrap();
            let mut body = sent.response.into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
            say.send(Err(io::Error::other("gone"))).unwrap();
            drop(say);
            // Hears of it, and once more of what follows it.
            for _ in 0..2 {
                assert!(futures_util::poll!(body.frame()).is_pending());
            }
            go_on.send(()).unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "two");
            assert_eq!(upstream.pools[0].idle_count(), 0);
        };
        let (rest, ()) = tokio::join!(script, asking);
        assert_eq!(rest, "");
    });
}

#[test]
fn an_answer_that_comes_before_the_request_has_ended_goes_on_beside_it_and_the_connection_is_kept() {
    run(async {
        let app = Manual::start().await;
        let upstream = upstream(&options(&[app.server(Scheme::Http)]));
        let (say, body) = spoken();
        say.send(data("ping")).unwrap();
        let script = async {
            let (mut stream, _) = app.asked().await;
            until_heard(&mut stream, "4\r\nping\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n").await.unwrap();
            until_heard(&mut stream, "0\r\n\r\n").await;
            stream.write_all(b"0\r\n\r\n").await.unwrap();
            stream
        };
        let asking = async {
            let sent = upstream.send(CLIENT, request(Method::POST, body)).await.unwrap();
            let mut body = sent.response.into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "pong");
            drop(say);
            assert!(body.frame().await.is_none());
            assert_eq!(upstream.pools[0].idle_count(), 1);
        };
        tokio::join!(script, asking);
    });
}

#[test]
fn what_tls_keeps_for_a_full_socket_goes_out_while_the_body_pauses() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, config) = certificate(folder.path());
        let app = Manual::start().await;
        let server = Server::Tcp { scheme: Scheme::Https, host: "localhost".to_owned(), port: app.port() };
        let upstream = trusting(&options(&[server]), &cert);
        upstream.group.members[0].addresses.set(&[SocketAddr::from(([127, 0, 0, 1], app.port()))]);
        let accepting = async { TlsAcceptor::from(config).accept(app.accept().await).await.unwrap() };
        let (conn, mut stream) = tokio::join!(upstream.pools[0].open_alone(), accepting);
        let mut io = conn.unwrap().io;
        let (say, body) = spoken();
        let mut request = request(Method::POST, body);
        let mut saying = Saying::new(&request, &Trail::default(), Instant::now());
        let mut pieces = 0;
        loop {
            say.send(data(vec![7; 0x1000])).unwrap();
            pieces += 1;
            let mut quiet = Context::from_waker(Waker::noop());
            assert!(saying.poll(&mut quiet, &mut io, request.body_mut()).is_pending());
            let Io::Tls(tls) = &io else { panic!("{io:?}") };
            if tls.get_ref().1.wants_write() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(saying.servers_turn(), None, "all is taken, and more of the body is waited for");
        let hearing = async {
            head(&mut stream).await.unwrap();
            stream.read_exact(&mut vec![0; pieces * "1000\r\n\r\n".len() + pieces * 0x1000]).await.unwrap();
        };
        tokio::select! {
            _ = poll_fn(|cx| saying.poll(cx, &mut io, request.body_mut())) => panic!("the body has not ended"),
            () = hearing => {}
        }
    });
}
